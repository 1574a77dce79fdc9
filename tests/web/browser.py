"""A real Chromium against a running stack, for tests that are about what people see."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

try:
    from playwright.async_api import BrowserContext, Page, async_playwright
except ImportError:  # the light install
    async_playwright = None  # type: ignore[assignment]

CHROMIUM = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
needs_browser = pytest.mark.skipif(
    CHROMIUM is None or async_playwright is None,
    reason="no Chromium on PATH, or playwright is not installed: what people see in a browser cannot be tested here",
)
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
WAIT_MS = 20_000


@dataclass
class Tab:
    """One page and what went wrong in it."""

    page: "Page"
    context: "BrowserContext"
    faults: list[str] = field(default_factory=list)

    async def sign_in(self, name: str, mode: str = "ffa") -> None:
        await self.page.fill("#name", name)
        await self.page.check(f"input[name=mode][value={mode}]", force=True)
        await self.page.click("#play")

    async def until(self, screen: str) -> None:
        await self.page.wait_for_selector(f"#{screen}:not([hidden])", timeout=WAIT_MS)

    async def until_seen(self, script: str) -> None:
        """Until an expression of the page is true. (`wait_for_function` evaluates in the page, which its policy forbids.)"""
        async with asyncio.timeout(WAIT_MS / 1000):
            while not await self.page.evaluate(f"Boolean({script})"):
                await asyncio.sleep(0.05)

    async def ask(self, script: str) -> Any:
        return await self.page.evaluate(script)

    async def axe(self) -> list[str]:
        """What axe-core finds wrong with the page as it is: rule, and where."""
        await self.page.evaluate(AXE.read_text("utf-8"))
        rules = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
        found = await self.page.evaluate("(runOnly) => axe.run(document, {runOnly, resultTypes: ['violations']})", rules)
        return [f"{v['id']}: {', '.join(str(n['target']) for n in v['nodes'])} {v['help']}" for v in found["violations"]]


@contextlib.asynccontextmanager
async def browser(url: str) -> AsyncIterator[Any]:
    """`open_tab(path, script, **context)`; at the end no page may have had a script error or a message on the console."""
    tabs: list[Tab] = []
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])

        async def open_tab(path: str = "/", *, script: str = "", expected: str = "", **context: Any) -> Tab:
            made = await chromium.new_context(**{**DESKTOP, **context})
            tab = Tab(await made.new_page(), made)
            tabs.append(tab)
            tab.page.on("pageerror", lambda error: tab.faults.append(f"script: {error}"))

            def on_console(message: Any) -> None:
                if message.type in ("error", "warning") and not (expected and expected in message.text):
                    tab.faults.append(f"console: {message.text}")

            tab.page.on("console", on_console)
            if script:
                await tab.page.add_init_script(script)
            await tab.page.goto(url + path)
            return tab

        try:
            yield open_tab
            assert [tab.faults for tab in tabs if tab.faults] == []
        finally:
            await chromium.close()
