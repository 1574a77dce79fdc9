"""Every screen by axe-core (WCAG 2.2 A and AA, and its best practices), less motion for who asked for it, and the order of focus."""

import pytest

from tests.end_to_end.inprocess import stack

from .browser import PHONE, browser, needs_browser

pytestmark = needs_browser


@pytest.mark.parametrize("size", [{}, PHONE], ids=["desktop", "phone"])
async def test_no_screen_has_what_axe_finds_wrong(size: dict[str, object]) -> None:
    async with stack(fill_ms=1_500) as running, browser(running.url) as open_tab:
        tab = await open_tab(**size)
        await tab.page.wait_for_selector(".region.best")
        found = {"start": await tab.axe()}
        await tab.sign_in("Reader", "duel")
        await tab.until("queue")
        found["queue"] = await tab.axe()
        await tab.until("arena")
        found["arena"] = await tab.axe()
        await tab.until("result")
        found["result"] = await tab.axe()
        watcher = await open_tab("/watch", **size)
        await watcher.until("watch")
        found["watch"] = await watcher.axe()
        assert {screen: problems for screen, problems in found.items() if problems} == {}


async def test_focus_goes_through_the_start_in_reading_order() -> None:
    async with stack() as running, browser(running.url) as open_tab:
        tab = await open_tab()
        await tab.page.wait_for_selector(".region.best")
        order = []
        for _ in range(12):
            await tab.page.keyboard.press("Tab")
            order.append(await tab.ask("document.activeElement.id || document.activeElement.className || document.activeElement.tagName"))
        wanted = ["skip", "brand", "go-play", "go-watch", "sound", "name", "INPUT", "play", "SUMMARY", "measure", "all-matches"]
        assert [step for step in order if step in wanted][: len(wanted)] == wanted


async def test_less_motion_means_no_sparks_and_no_shaking() -> None:
    async with stack() as running, browser(running.url) as open_tab:
        tab = await open_tab(reduced_motion="reduce")
        await tab.sign_in("Calm", "duel")
        await tab.until("arena")
        await tab.until_seen("gameedge.predictor.body")
        assert await tab.ask("gameedge.state.match.effects.reduced") is True
        await tab.ask("gameedge.state.match.effects.burst(performance.now(), 1, 1, '#fff', 9)")
        assert await tab.ask("gameedge.state.match.effects.list.filter((e) => e.kind === 'spark').length") == 0


async def test_who_cannot_see_hears_what_happens() -> None:
    async with stack() as running, browser(running.url) as open_tab:
        tab = await open_tab()
        await tab.sign_in("Listener", "duel")
        await tab.until("arena")
        assert await tab.page.get_attribute("#say", "aria-live") == "polite"
        assert "match begins" in (await tab.ask("document.querySelector('#say').textContent"))
        await tab.until("result")
        assert await tab.ask("document.querySelector('#say').textContent.length") > 10
        assert await tab.ask("document.activeElement.id") == "result-title"
