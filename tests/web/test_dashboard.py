"""The dashboard in a real browser: against a coordinator and a region with a cheater's evidence, and against 200 regions.

The world of the first half is `stack`: real processes' code, sockets and anti-cheat. Restarts, ends of tokens and crowds of regions
use `fleet`: regions that are nothing but their messages on the bus.
"""

import asyncio
import contextlib
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gameedge.bus.payloads import Quantiles
from gameedge.config import Listen
from gameedge.core.anticheat import clips
from gameedge.core.ids import FlagId
from gameedge.local.child import free_port
from gameedge.telemetry import compact
from tests.coordinator.fleet import AUTH, OPERATOR, Fleet, config, fleet
from tests.coordinator.test_evidence import cheat, repeating
from tests.end_to_end.inprocess import OPERATOR as STACK_OPERATOR
from tests.end_to_end.inprocess import Stack, stack
from tests.web.browser import AXE

playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

WAIT_MS = 20_000
NO_STORAGE = """
for (const name of ["sessionStorage", "localStorage"])
  Object.defineProperty(window, name, {get() { throw new DOMException("blocked", "SecurityError"); }});
"""


@contextlib.asynccontextmanager
async def browser(wide: int = 1280, high: int = 800, script: str = "", **more: Any) -> AsyncIterator[Any]:
    """A page in a browser without WebGL. What the page throws fails the test."""
    faults: list[str] = []
    async with playwright.async_playwright() as started:
        chromium = await started.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-webgl", "--disable-webgl2", "--disable-gpu"]
        )
        context = await chromium.new_context(viewport={"width": wide, "height": high}, **more)
        if script:
            await context.add_init_script(script)
        page = await context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None)
        yield page
        await chromium.close()
    assert not faults


async def sign_in(page: Any, url: str, token: str, view: str = "") -> None:
    await page.goto(f"{url}/dashboard{view}")
    await page.fill("#token", token)
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#link.on")


@contextlib.asynccontextmanager
async def flagged() -> AsyncIterator[Stack]:
    async with stack() as made:
        for evidence in (*cheat(), repeating()):
            await made.store.evidence_add(evidence)
        yield made


async def test_a_clip_is_replayed_decided_and_appealed() -> None:
    async with flagged() as made, browser() as page:
        await sign_in(page, made.url, STACK_OPERATOR, "#/flag/test-1/f_1")
        await page.wait_for_selector("#uphold")
        assert await page.locator(".reasons li").count() >= 3
        assert await page.locator(".score").count() >= 5
        painted = "c => new Set(new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)).size"
        assert await page.locator("canvas.replay").evaluate(painted) > 20  # a path, a target, rings: not one colour
        first = await page.locator(".legend p").text_content()
        await page.get_by_label("Shot before").click()
        assert await page.locator(".legend p").text_content() != first
        before = await page.locator("input[type=range]").input_value()
        await page.click("#replay-play")
        await page.wait_for_function("before => document.querySelector('input[type=range]').value !== before", arg=before)
        await page.click("#replay-play")
        assert await page.locator("#replay-play").text_content() == "Play"
        await page.click("#appeal")
        await page.wait_for_selector(".said.good >> text=The same bits came out")
        await page.fill("#note", "<b>watched</b>")
        await page.click("#uphold")
        await page.wait_for_selector(".decision.upheld")
        assert "<b>watched</b>" in (await page.locator(".history").text_content())
        kept = await made.store.evidence_get(FlagId("f_1"))
        assert kept is not None
        assert kept.state == "upheld"


async def test_a_repeat_is_drawn_as_both_movements_with_when_each_was_made() -> None:
    clip = clips.decode(repeating().clip)
    assert clip.repeated is not None
    count = len(clip.repeated.found)
    async with flagged() as made, browser() as page:
        await sign_in(page, made.url, STACK_OPERATOR, "#/flag/test-1/f_again")
        await page.wait_for_selector("#uphold")
        colours = """c => {const seen = [0, 0]; const {data} = c.getContext('2d').getImageData(0, 0, c.width, c.height);
            for (let k = 0; k < data.length; k += 4) { if (data[k] > 1.5 * data[k + 2] && data[k + 3] > 60) seen[0] += 1;
            if (data[k + 2] > Math.max(150, 1.5 * data[k]) && data[k + 3] > 200) seen[1] += 1; } return seen;}"""
        recorded, again = await page.locator("canvas.replay").evaluate(colours)
        assert recorded > again > 300  # the broad one below the thin one
        assert await page.locator(".arc").count() == await page.locator("circle.again").count() == count
        assert "They differ by 0." in await page.locator(".alike-words").text_content()
        facts = await page.locator(".facts dd").all_text_contents()
        assert re.fullmatch(r"\d\d:\d\d:\d\d · movement \d+", facts[0])
        assert re.fullmatch(r"0[78]:\d\d:\d\d · movement \d+", facts[1])
        assert re.fullmatch(r"\d+ (s|min), \d+ movements", facts[2])
        first = await page.locator(".legend p").text_content()
        await page.locator("circle.again").nth(0).click()
        assert await page.locator(".legend p").text_content() != first
        assert await page.locator(".facts dd").all_text_contents() != facts
        assert await page.locator(".arc.on").count() == 1
        await page.locator(".scene").focus()
        await page.keyboard.press("ArrowRight")
        assert f"repeat 2 of {count}" in await page.locator(".legend p").text_content()
        before = await page.locator("input[type=range]").input_value()
        await page.click("#replay-play")
        await page.wait_for_function("before => document.querySelector('input[type=range]').value !== before", arg=before)
        await page.click("#appeal")
        await page.wait_for_selector(f".said.good >> text=The same bits came out: {count} repeats, level review")
        await page.dblclick("#uphold")
        await page.wait_for_selector(".decision.upheld")
        await page.wait_for_selector(".said.good >> text=Decided")
        await page.reload()
        await page.wait_for_selector("#uphold")
        assert await page.locator(".history li").count() == 1  # a second click is not a second operator


async def test_a_clip_whose_target_has_no_size_hangs_nobody() -> None:
    async with stack() as made, browser() as page:
        flag = cheat()[0]
        clip = msgspec.structs.replace(clips.decode(flag.clip), radius=-1.0)
        await made.store.evidence_add(msgspec.structs.replace(flag, clip=msgspec.msgpack.encode(clip)))
        await sign_in(page, made.url, STACK_OPERATOR, "#/flag/test-1/f_1")
        await page.wait_for_selector("#uphold")
        await page.get_by_label("Shot before").click()


async def test_of_two_operators_the_second_is_told_who_was_faster() -> None:
    async with flagged() as made, browser() as one:
        two = await one.context.new_page()
        two.set_default_timeout(WAIT_MS)
        for page in (one, two):
            await sign_in(page, made.url, STACK_OPERATOR, "#/flag/test-1/f_2")
            await page.wait_for_selector("#uphold")
        await one.click("#clear")
        await one.wait_for_selector(".decision.cleared")
        await two.click("#uphold")
        await two.wait_for_selector(".said.bad >> text=Somebody was faster")
        await two.click("#reopen")
        await two.wait_for_selector(".decision.cleared")


async def test_a_viewer_sees_the_world_and_no_evidence() -> None:
    async with flagged() as made, browser() as page:
        signer, services = made.coordinator.services.signer, made.coordinator.services
        token = signer.operator_token("vic", "viewer", signer.mark(STACK_OPERATOR), services.now_ms(), 600_000)[0]
        await sign_in(page, made.url, token)
        await page.click(".regions-table a")
        await page.wait_for_selector("text=Evidence needs the role operator")
        assert await page.locator("button:has-text('Drain')").count() == 0
        await page.evaluate("location.hash = '#/flag/test-1/f_1'")
        await page.wait_for_selector("text=evidence needs the role operator")


async def test_by_keyboard_alone_and_everything_has_a_name() -> None:
    async with flagged() as made, browser(reduced_motion="reduce") as page:
        await page.goto(f"{made.url}/dashboard")
        await page.keyboard.type(STACK_OPERATOR)  # the field has the focus
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".regions-table tbody a")
        for _ in range(60):
            await page.keyboard.press("Tab")
            if await page.evaluate("document.activeElement.closest('.regions-table tbody') !== null"):
                break
        await asyncio.sleep(1.5)  # a state comes in between: the focus stays
        await page.keyboard.press("Enter")
        await page.wait_for_selector("h1:has-text('Testland')")
        await page.click("a[href^='#/flag/']")
        await page.wait_for_selector("#uphold")
        await page.locator(".scene").focus()
        await page.keyboard.press("ArrowLeft")
        nameless = """() => [...document.querySelectorAll('button, a, input, select, textarea, [role=img]')].filter(e => e.checkVisibility()
            && !(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length || e.title)).map(e => e.outerHTML)"""
        assert await page.evaluate(nameless) == []
        assert await page.evaluate("document.querySelectorAll('h1').length") >= 1
        assert await page.locator("#replay-play").text_content() == "Play"  # nothing moves unasked


async def crowd(world: Fleet, count: int) -> None:
    """Regions all over the world that say what real ones do."""
    for number in range(count):
        histograms = {name: [number % 7 + k for k in range(len(bounds) + 1)] for name, bounds in compact.BOUNDS.items()}
        await world.edge(
            f"r{number}",
            title=f"City {number}",
            latitude=-50.0 + (number * 37) % 115,
            longitude=-170.0 + (number * 53) % 340,
            players=(number * 97) % 900,
            players_max=1_000,
            matches=number % 90,
            npcs=number % 60,
            lateness=25.0 if number % 40 == 7 else 1.0,
            queue_wait_ms=Quantiles(p50=120.0, p99=700.0 + number),
            histograms=histograms,
        )


async def test_two_hundred_regions_are_sorted_and_filtered() -> None:
    async with fleet() as world, browser() as page:
        await crowd(world, 200)
        await sign_in(page, world.running.url, OPERATOR)
        await page.wait_for_function("document.querySelectorAll('.regions-table tbody tr').length === 201")
        players = "[...document.querySelectorAll('.regions-table tbody tr')].map(r => Number(r.children[2].textContent.replace(',', '')))"
        found = await page.evaluate(players)
        assert found == sorted(found, reverse=True)
        await page.click("[data-sort=players]")
        found = await page.evaluate(players)
        assert found == sorted(found)
        await page.fill("#region-filter", "city 19")
        assert await page.locator(".regions-table tbody tr").count() == 11
        await page.fill("#region-filter", "")
        await page.wait_for_selector(".alarm.warning >> text=25 ms late")
        await page.select_option("#region-state", "with alarms")
        # On a busy machine regions that say nothing for a while have an alarm, too: those shown have one, and a late one is among them.
        shown = await page.evaluate("[...document.querySelectorAll('.regions-table tbody tr')].map(r => r.textContent)")
        assert all("alarm" in row for row in shown)
        assert any(row.startswith(("City 7ok", "City 7doubtful")) for row in shown), shown[:3]
        await page.select_option("#region-state", "")
        assert await page.locator("path.region").count() == 201
        await world.report("r5", players=950, players_max=1_000)
        await page.click("[data-sort=players]")
        await page.wait_for_selector(".regions-table tbody tr:first-child >> text=City 5")


async def test_a_restart_of_the_coordinator_is_survived_where_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gameedge.coordinator.asking.WAIT_S", 0.3)  # these regions answer nothing
    port = free_port()
    settings = config(listen=Listen(port=port))
    async with browser() as page:
        async with fleet(settings) as world:
            store, broker = world.store, world.broker
            await sign_in(page, world.running.url, OPERATOR, "#/region/eu")
            await page.wait_for_selector("h1:has-text('Europe')")
        await page.wait_for_selector("#link.waiting, #link.connecting")
        async with fleet(settings, store, broker):
            await page.wait_for_selector("#link.on")
            await page.wait_for_selector("h1:has-text('Europe')")
            assert await page.evaluate("location.hash") == "#/region/eu"


async def test_a_token_that_ends_is_asked_for_again_with_storage_blocked() -> None:
    async with fleet() as world, browser(script=NO_STORAGE) as page:
        body = {"name": "ann", "role": "operator", "life_ms": 120_000}
        token = (await world.http.post("/v1/admin/tokens", headers=AUTH, json=body)).json()["token"]
        await sign_in(page, world.running.url, token, "#/region/eu")
        await page.wait_for_selector("h1:has-text('Europe')")
        world.clock.ahead_ms = 121_000
        await page.wait_for_selector("#gate-why:has-text('Your token has ended')")
        assert await page.evaluate("location.search + location.href.includes('eyJ')") == "false"
        await page.fill("#token", "wrong")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#gate-why:has-text('send an operator')")
        await page.fill("#token", OPERATOR)
        await page.keyboard.press("Enter")
        await page.wait_for_selector("h1:has-text('Europe')")


async def test_what_others_wrote_is_text() -> None:
    async with fleet() as world, browser() as page:
        bad = "<img src=x onerror=alert(1)>"
        await world.edge("odd", title=bad)
        guest = await world.sign_up("<b>Eve</b> \U0001f98a")
        await sign_in(page, world.running.url, OPERATOR)
        await page.wait_for_selector(".regions-table a:has-text('<img src=x')")
        await page.evaluate("player => { location.hash = `#/player/${player}`; }", guest["player"])
        await page.wait_for_selector("h1:has-text('<b>Eve</b>')")
        assert await page.locator("#main img, h1 b").count() == 0


@pytest.mark.parametrize(("wide", "high"), [(1280, 800), (390, 844)])
async def test_nothing_is_wider_than_the_screen(wide: int, high: int, tmp_path: Path) -> None:
    async with flagged() as made, browser(wide, high) as page:
        await sign_in(page, made.url, STACK_OPERATOR)
        for view in ("#/", "#/region/test-1", "#/flags", "#/access", "#/flag/test-1/f_1", "#/flag/test-1/f_again"):
            await page.evaluate("view => { location.hash = view; }", view)
            await page.wait_for_selector("#uphold" if "flag/" in view else "h1:visible")
            await asyncio.sleep(0.3)
            assert await page.evaluate("document.documentElement.scrollWidth") <= wide, view
        await page.screenshot(path=tmp_path / "flag.png")


@pytest.mark.parametrize("wide", [1280, 390])
async def test_no_view_has_what_axe_finds_wrong(wide: int) -> None:
    rules = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    found: dict[str, list[str]] = {}
    async with flagged() as made, browser(wide, 844) as page:
        await page.goto(f"{made.url}/dashboard")
        await page.wait_for_selector("#token")
        for view, there in (
            ("sign in", "#token"),
            ("#/", ".regions-table tbody a"),
            ("#/region/test-1", "a[href^='#/flag/']"),
            ("#/flags", "#flag-filter"),
            ("#/access", "#for-whom"),
            ("#/flag/test-1/f_2", "#uphold"),
            ("#/flag/test-1/f_again", ".alike-words"),
        ):
            if view.startswith("#"):
                await page.evaluate("view => { location.hash = view; }", view)
            await page.wait_for_selector(there)
            await page.evaluate(AXE.read_text("utf-8"))
            answer = await page.evaluate("(runOnly) => axe.run(document, {runOnly, resultTypes: ['violations']})", rules)
            found[view] = [f"{v['id']}: {[n['target'] for n in v['nodes']][:4]} {v['help']}" for v in answer["violations"]]
            if view == "sign in":
                await page.fill("#token", STACK_OPERATOR)
                await page.keyboard.press("Enter")
    assert {view: problems for view, problems in found.items() if problems} == {}
