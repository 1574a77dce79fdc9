"""The web client in a real Chromium: how long frames take, and whether memory grows, while it plays.

Real processes: a coordinator, a region with bots. The page plays one match after the other by itself, with keys held and the mouse
moved; five minutes of it (`--quick`: fifteen seconds). Beside that, the cost of one frame alone with 16 fighters in view, more than
any mode has, from snapshots made up in the page: with the browser's painting and without. The baseline of a gap is a page that
does nothing, in the same browser.
"""

import asyncio
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from gameedge.core.errors import ConfigError
from gameedge.local.deployment import Deployment, Plan
from loadtest.bench.report import Row, row, say

SECONDS: Final = 300
QUICK_SECONDS: Final = 15
FRAMES: Final = 600  # of the drawing alone
KEYS: Final = "wdsa"
# A match with 16 fighters in a ring around the middle, all of them moving, half of them firing.
DRAW: Final = """async (frames) => {
  const { Match } = await import('/web/play.js');
  const app = globalThis.gameedge;
  const roster = Array.from({ length: 16 }, (_, seat) => ({ seat, team: seat % 8, name: `npc-${seat} flanker L5`, npc: seat > 0 }));
  const { map, renderer, input, hud, sound } = app.parts;
  document.body.dataset.screen = 'arena';
  document.querySelector('#arena').hidden = false;
  const match = new Match({ started: { seat: 0, team: 0, tick: 0, roster }, map, renderer, input, predictor: app.predictor,
                            send() {}, hud, sound, reduced: false });
  hud.begin(match);
  const snapshot = (tick) => {
    const others = 15, size = 20 + 16 + 12 * others;
    const v = new DataView(new ArrayBuffer(16 + size));
    v.setUint8(0, 2); v.setUint16(2, size, true); v.setUint32(4, tick, true);
    let at = 16;
    v.setUint8(at + 1, 1); v.setUint8(at + 2, 80); v.setInt16(at + 4, 20 * 64, true); v.setInt16(at + 6, 34 * 64, true);
    v.setUint16(at + 12, 600, true); v.setUint8(at + 15, 8); v.setUint8(at + 18, others);
    at += 36;
    for (let i = 1; i <= others; i++, at += 12) {
      const turn = i / others * 6.283 + tick / 60;
      v.setUint8(at, i); v.setUint8(at + 1, i % 8 | 8 | 16 | (i % 2 && tick % 9 === 0 ? 32 : 0));
      v.setInt16(at + 2, (20 + 8 * Math.cos(turn)) * 64, true); v.setInt16(at + 4, (34 + 8 * Math.sin(turn)) * 64, true);
      v.setUint16(at + 8, (i * 4096 + tick * 300) % 65536, true); v.setUint8(at + 10, 30 + i * 4);
    }
    return v.buffer;
  };
  const took = [[], []];
  const g = document.querySelector('#view').getContext('2d');
  for (let i = 0; i < frames; i++) {
    await new Promise(requestAnimationFrame);
    const began = performance.now();
    if (i % 3 === 0) match.snapshot(snapshot(i + 3), began);
    match.frame(began, 16.7);
    const script = performance.now() - began;
    if (i < 60) continue; // what is compiled and painted once
    if (i % 2) g.getImageData(0, 0, 1, 1); // waits until it is painted
    took[i % 2].push(i % 2 ? performance.now() - began : script);
  }
  return took;
}"""
# Frames of a page that does nothing: what this machine, as busy as it is, gives anybody.
BLANK: Final = """async () => {
  document.body.replaceChildren();
  const gaps = [];
  let last = await new Promise(requestAnimationFrame);
  for (let i = 0; i < 240; i++) { const now = await new Promise(requestAnimationFrame); gaps.push(now - last); last = now; }
  return gaps;
}"""


def run(notes: list[str], *, quick: bool = False) -> list[Row]:
    """Raises ConfigError where there is no browser."""
    return asyncio.run(_run(notes, QUICK_SECONDS if quick else SECONDS))


class _Teller:
    def say(self, text: str) -> None:
        say(text)

    def fault(self, text: str) -> None:
        say(f"error: {text}")


async def _run(notes: list[str], seconds: int) -> list[Row]:
    chromium = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
    try:
        from playwright.async_api import async_playwright
    except ImportError as error:
        raise ConfigError("bench web needs the package playwright; install the extra dev") from error
    if chromium is None:
        raise ConfigError("bench web needs a Chromium on PATH; install one with the system's packages")
    with tempfile.TemporaryDirectory() as name:
        deployment = Deployment(Plan(regions=1, bots=14, cheaters=0.0, seed=1, port=0), Path(name), _Teller(), lambda _: None)
        try:
            await deployment.start()
            await deployment.start_bots()
            async with async_playwright() as playwright:
                arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--enable-precise-memory-info"]
                browser = await playwright.chromium.launch(executable_path=chromium, args=arguments)
                page = await browser.new_page(viewport={"width": 1280, "height": 800})
                await page.goto(deployment.url)
                await page.wait_for_selector(".region.best", timeout=30_000)
                drawing = await page.evaluate(DRAW, FRAMES)
                blank = await page.evaluate(BLANK)
                await page.reload()
                await page.wait_for_selector(".region.best", timeout=30_000)
                gaps, heaps = await _play(page, seconds)
                notes.append(f"{browser.version}, software rendering, {len(gaps)} frames while playing")
                await browser.close()
        finally:
            await deployment.stop()
    return _rows(drawing, blank, gaps, heaps, seconds)


async def _play(page: Any, seconds: int) -> tuple[list[float], list[float]]:
    """Gaps between frames while a match is on the screen, ms; the heap after a collection, MB, every few seconds."""
    client = await page.context.new_cdp_session(page)
    await page.fill("#name", "Bench")
    await page.click("#play")
    gaps: list[float] = []
    heaps: list[float] = []
    began, turn = time.monotonic(), 0
    await page.evaluate(
        """() => { const gaps = (globalThis.gaps = []); let last = performance.now();
        const frame = (now) => { if (gameedge.state.screen === 'arena') gaps.push(now - last); last = now; requestAnimationFrame(frame); };
        requestAnimationFrame(frame); }"""
    )
    await page.mouse.down()
    while time.monotonic() - began < seconds:
        key = KEYS[turn % len(KEYS)]
        await page.keyboard.down(key)
        await page.mouse.move(640 + 220 * (turn % 3 - 1), 380 + 150 * (turn % 2 * 2 - 1), steps=6)
        await asyncio.sleep(1.0)
        await page.keyboard.up(key)
        turn += 1
        if turn % 5 == 0:
            gaps += await page.evaluate("globalThis.gaps.splice(0)")
            await client.send("HeapProfiler.collectGarbage")
            heaps.append(await page.evaluate("performance.memory.usedJSHeapSize / 1e6"))
            await page.evaluate("globalThis.gaps.splice(0)")  # the collection is ours, not the client's
    return gaps, heaps


def _rows(drawing: list[list[float]], blank: list[float], gaps: list[float], heaps: list[float], seconds: int) -> list[Row]:
    def quantile(values: list[float], share: float) -> float:
        return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("nan")

    third = max(1, len(heaps) // 3)
    early, late = sum(heaps[:third]) / third, sum(heaps[-third:]) / third
    return [
        row("script of a frame, 16 fighters, p50", quantile(drawing[0], 0.5), "ms", at_most=4.0),
        row("script of a frame, 16 fighters, p99", quantile(drawing[0], 0.99), "ms", at_most=8.0),
        row("script and painting of a frame, 16 fighters, p50", quantile(drawing[1], 0.5), "ms", at_most=12.0),
        row("gap between frames, playing, p50", quantile(gaps, 0.5), "ms", baseline=quantile(blank, 0.5), at_most=17.0),
        row("gap between frames, playing, p95", quantile(gaps, 0.95), "ms", baseline=quantile(blank, 0.95), at_most=20.0),
        row("gap between frames, playing, p99", quantile(gaps, 0.99), "ms", baseline=quantile(blank, 0.99), at_most=34.0),
        row("frames of 20 ms or less", sum(gap <= 20 for gap in gaps) / max(1, len(gaps)), "share", at_least=0.95),
        row(f"heap after {seconds} s of play", late, "MB", baseline=early, ratio_at_most=1.3),
    ]
