"""The playable client in a real browser, against a real coordinator and edge: what a visitor does, and what goes wrong for them."""

import asyncio
from typing import Any

import msgspec
import pytest

from gameedge.arena.world import END
from gameedge.core.protocol.messages import Reroute
from tests.end_to_end.inprocess import Stack, stack

from .browser import PHONE, browser, needs_browser

pytestmark = needs_browser
BODY = "gameedge.predictor.body"
SELF = "gameedge.state.match?.self"


def cut_everybody(running: Stack) -> None:
    """As a cable would: no close frame."""
    for link in list(running.edge.lobby._links):
        link.connection.abort()


async def test_sign_in_be_placed_queue_and_play_with_keys_and_mouse() -> None:
    async with stack() as running, browser(running.url) as open_tab:
        tab = await open_tab()
        await tab.page.wait_for_selector(".region.best")
        assert (await tab.page.inner_text(".region.best b")).endswith(" ms"), "a real round trip is shown"
        await tab.sign_in("Ada")
        await tab.until("queue")
        await tab.page.wait_for_selector("#placement-rows tr")
        assert "Testland" in await tab.page.inner_text("#placement-rows"), "the placement comes with its reasons"
        assert await tab.page.inner_text("#queue-why")
        await tab.until("arena")
        await tab.until_seen(f"{BODY} && {SELF}")
        before = await tab.ask(f"({{...{BODY}}})")
        # Towards the middle, wherever the spawn is.
        for key in ("d" if before["x"] < 32 else "a", "w" if before["y"] < 32 else "s"):
            await tab.page.keyboard.down(key)
        await tab.page.mouse.move(700, 300)
        await tab.page.mouse.down()
        await asyncio.sleep(1.5)
        after = await tab.ask(f"({{...{BODY}}})")
        assert abs(after["x"] - before["x"]) + abs(after["y"] - before["y"]) > 1.0, "the keys move one"
        figures = running.edge.tick.figures
        assert figures.commands >= 20
        assert figures.refused[1:].sum() <= 3, "what a browser sends is what the gate expects (the seat's first tick may differ)"
        assert await tab.ask("gameedge.state.match.frames.count") > 10
        shown = await tab.ask("[...gameedge.state.match.people.values()].map((p) => p.name)")
        assert "Ada" in shown
        assert len(shown) == 8
        await tab.until("result")
        assert "Ada" in await tab.page.inner_text("#result-rows")
        assert "level" in await tab.page.inner_text("#result-rows"), "NPCs say at which level they play"


async def test_prediction_agrees_with_the_server_while_running() -> None:
    async with stack() as running, browser(running.url) as open_tab:
        tab = await open_tab()
        await tab.sign_in("Runner", "duel")
        await tab.until("arena")
        await tab.until_seen(f"{BODY} && {SELF} && {SELF}?.alive")
        await tab.ask("gameedge.corrections = []")
        await tab.page.keyboard.down("w")
        await tab.ask("gameedge.timer = setInterval(() => gameedge.corrections.push(gameedge.predictor.correction), 50)")
        await asyncio.sleep(1.2)
        await tab.page.keyboard.up("w")
        corrections = sorted(await tab.ask("(clearInterval(gameedge.timer), gameedge.corrections)"))
        assert len(corrections) > 5
        # At full speed an error of one command is 0.3 units. Half of all looks must be far better than that.
        assert corrections[len(corrections) // 2] < 0.15, corrections


async def test_a_cut_connection_is_resumed_in_the_match() -> None:
    async with stack() as running, browser(running.url) as open_tab:
        tab = await open_tab()
        await tab.sign_in("Phoenix")
        await tab.until("arena")
        await tab.until_seen(BODY)
        session = await tab.ask("gameedge.state.connection.session.welcome.session")
        cut_everybody(running)
        await tab.until_seen("gameedge.state.connection.session.welcome.resumed && gameedge.state.connection.session.open")
        assert await tab.ask("gameedge.state.connection.session.welcome.session") == session
        await tab.until_seen(f"{BODY} && gameedge.state.match.timeline.snapshots.length > 3")
        assert await tab.ask("gameedge.state.screen") == "arena", "the match goes on where it was"
        assert await tab.page.is_hidden("#banner")
        sent = await tab.ask("gameedge.predictor.sequence")
        await tab.until_seen(f"gameedge.predictor.sequence > {sent} + 10")
        await tab.until("result")


async def test_who_cancels_and_plays_again_at_once_is_queued_again() -> None:
    async with stack(fill_ms=60_000) as running, browser(running.url) as open_tab:
        tab = await open_tab()
        await tab.sign_in("Hasty", "duel")
        await tab.until_seen("gameedge.state.status")
        ticket = await tab.ask("gameedge.state.status.ticket")
        # The server still ends the first ticket when it is asked for the second.
        await tab.ask("(document.querySelector('#cancel').click(), document.querySelector('#sign-in').requestSubmit())")
        await tab.until_seen(f"gameedge.state.status && gameedge.state.status.ticket !== '{ticket}'")
        assert await tab.ask("gameedge.state.screen") == "queue"


async def test_a_session_that_begins_anew_queues_nobody_who_does_not_want_to_play() -> None:
    async with stack(fill_ms=60_000) as running, browser(running.url) as open_tab:
        tab = await open_tab()
        await tab.sign_in("Idle", "duel")
        await tab.until_seen("gameedge.state.status")
        await tab.page.click("#cancel")
        await tab.ask("gameedge.state.connection.session.welcome = null")  # as where the server has forgotten the session
        cut_everybody(running)
        await tab.until_seen("gameedge.state.connection.session.welcome && gameedge.state.connection.session.open")
        await asyncio.sleep(0.5)
        assert await tab.ask("gameedge.state.screen") == "start"


async def test_a_token_that_expired_meanwhile_is_renewed_on_the_way_back() -> None:
    async with stack() as running, browser(running.url) as open_tab:
        services = running.coordinator.services
        services.config = msgspec.structs.replace(services.config, token_life_ms=1_500)
        tab = await open_tab()
        await tab.sign_in("Late")
        await tab.until("arena")
        session = await tab.ask("gameedge.state.connection.session.welcome.session")
        # A clock that is wrong: the client believes that its token is good, and hears 4007 from the edge.
        await tab.ask("gameedge.state.connection.expiresMs = Date.now() + 1e9")
        await asyncio.sleep(2.1)
        placements = services.metrics.value("coordinator_placements_total")
        cut_everybody(running)
        await tab.until_seen("gameedge.state.connection.session.welcome.resumed && gameedge.state.connection.session.open")
        assert services.metrics.value("coordinator_placements_total") == placements + 1
        assert await tab.ask("gameedge.state.connection.session.welcome.session") == session


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>", "Zoë 🎯 👩‍🚀", "مرحبا يا عالم", "ａｄａ\u3000愛"])
async def test_names_are_text_and_nothing_else(name: str) -> None:
    async with stack() as running, browser(running.url) as open_tab:
        tab = await open_tab()
        tab.page.on("dialog", lambda dialog: pytest.fail("a name ran a script"))
        await tab.sign_in(name, "duel")
        await tab.until("arena")
        await tab.until_seen(BODY)
        await tab.page.keyboard.press("q")
        own = "[...document.querySelectorAll('#score-rows .own .name')].map((e) => e.textContent)"
        assert await tab.ask(own) == [name]
        assert await tab.ask("document.querySelectorAll('main img').length") == 0


@pytest.mark.parametrize(
    ("name", "says"), [("x" * 10_000, "characters"), ("   ", "name"), ("a\u202eb", "direction"), ("y" * 33, "characters")]
)
async def test_a_name_that_cannot_be_says_why(name: str, says: str) -> None:
    async with stack() as running, browser(running.url) as open_tab:
        tab = await open_tab(expected="400")
        await tab.page.wait_for_selector(".region.best")
        await tab.ask("document.querySelector('#name').removeAttribute('maxlength')")
        await tab.page.fill("#name", name)
        await tab.page.click("#play")
        await tab.until_seen("document.querySelector('#start-error').textContent !== ''")
        assert says in await tab.page.inner_text("#start-error")
        await tab.page.fill("#name", "fine")
        await tab.page.click("#play")
        await tab.until("queue")


async def test_blocked_storage_and_no_webgl_do_not_matter() -> None:
    blocked = """
        Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('blocked', 'SecurityError'); }});
        const real = HTMLCanvasElement.prototype.getContext;
        HTMLCanvasElement.prototype.getContext = function (kind, ...rest) { return kind === '2d' ? real.call(this, kind, ...rest) : null; };
        delete window.AudioContext;
    """
    async with stack() as running, browser(running.url) as open_tab:
        tab = await open_tab(script=blocked)
        await tab.page.click("#sound")  # no audio either
        await tab.sign_in("Private", "duel")
        await tab.until("arena")
        await tab.until_seen(BODY)


async def test_an_account_that_is_gone_is_made_anew() -> None:
    """A coordinator with another store, as after a demo was started again: what the browser remembers is worth nothing."""
    remembered = "localStorage.setItem('gameedge.account', JSON.stringify({player: 'p_' + '0'.repeat(26), secret: 'x', name: 'Old'}))"
    async with stack() as running, browser(running.url) as open_tab:
        tab = await open_tab(script=remembered, expected="401")
        await tab.sign_in("Old", "duel")
        await tab.until("arena")


async def test_one_match_after_the_other_with_the_mouse_where_it_was() -> None:
    async with stack() as running, browser(running.url) as open_tab:
        tab = await open_tab()
        await tab.sign_in("Again", "duel")
        for _ in range(2):
            await tab.until("arena")
            await tab.page.mouse.move(900, 200)
            await tab.until_seen(f"{BODY} && {SELF}")
            # A moment without a place to draw on, as between two screens: nothing may be divided by it.
            await tab.ask("document.querySelector('#arena').hidden = true")
            await asyncio.sleep(0.2)
            await tab.ask("document.querySelector('#arena').hidden = false")
            await asyncio.sleep(0.2)
            shown = await tab.ask("[gameedge.parts.renderer.camera.x, gameedge.parts.renderer.camera.y, ...gameedge.state.match.aim]")
            assert all(isinstance(value, int | float) and abs(value) <= 64 for value in shown), shown
            running.edge.game._world.m[END] = 0  # time is up
            await tab.until("result")
            await tab.page.click("#again")


async def test_cancel_and_play_again() -> None:
    async with stack(fill_ms=60_000) as running, browser(running.url) as open_tab:
        tab = await open_tab()
        await tab.sign_in("Fickle", "squads")
        await tab.until_seen("gameedge.state.status")
        await tab.page.click("#cancel")
        await tab.until("start")
        await tab.page.click("#play")
        await tab.until("queue")
        await tab.until_seen("gameedge.state.status && gameedge.state.status.waited_ms < 2500")
        assert sum(running.edge.queueing.queued.values()) <= 1


async def test_who_waits_is_told_why_by_the_matcher() -> None:
    async with stack(fill_ms=60_000) as running, browser(running.url) as open_tab:
        tab = await open_tab()
        await tab.sign_in("Lonely", "squads")
        await tab.until_seen("gameedge.state.explained")
        said = await tab.ask("gameedge.state.explained")
        assert (said["state"], said["needed"]) == ("alone", 9), "the matcher counts, not this page"
        assert await tab.ask("document.querySelector('#queue-why li').textContent") == said["text"]
        first = said["waited_ms"]
        await tab.until_seen(f"gameedge.state.explained.waited_ms > {first}")
        assert running.edge.metrics.value("refusals_total") == 0, "not asked more often than it may be"
        assert "Waited" in await tab.page.inner_text("#queue-facts")


async def test_who_is_asked_to_look_again_plays_the_next_match_where_it_is_nearer() -> None:
    async with stack() as running, browser(running.url) as open_tab:
        tab = await open_tab()
        await tab.sign_in("Mover", "duel")
        await tab.until("result")
        session = await tab.ask("gameedge.state.connection.session.welcome.session")
        placements = running.coordinator.services.metrics.value("coordinator_placements_total")

        async def elsewhere(route: Any) -> None:
            """The same process under another region's name: what a second region would answer."""
            answer = await route.fetch()
            await route.fulfill(response=answer, json={**await answer.json(), "region": "test-2"})

        await tab.page.route("**/v1/placements", elsewhere)
        [player] = list(running.edge.players)
        player.session.send(Reroute(rtt_ms=180, placed_ms=20))
        player.flush()
        await tab.until_seen("gameedge.state.better")
        assert running.coordinator.services.metrics.value("coordinator_placements_total") == placements + 1
        await tab.page.click("#again")
        await tab.until("arena")
        assert await tab.ask("gameedge.state.connection.region") == "test-2"
        assert await tab.ask("gameedge.state.connection.session.welcome.session") != session


async def test_who_is_asked_to_look_again_may_stay() -> None:
    async with stack() as running, browser(running.url) as open_tab:
        tab = await open_tab()
        await tab.sign_in("Stayer", "duel")
        await tab.until("result")
        session = await tab.ask("gameedge.state.connection.session.welcome.session")
        placements = running.coordinator.services.metrics.value("coordinator_placements_total")
        [player] = list(running.edge.players)
        player.session.send(Reroute(rtt_ms=180, placed_ms=20))
        player.flush()
        async with asyncio.timeout(10):
            while running.coordinator.services.metrics.value("coordinator_placements_total") == placements:
                await asyncio.sleep(0.05)
        await tab.page.click("#again")
        await tab.until("arena")
        assert await tab.ask("gameedge.state.connection.session.welcome.session") == session


async def test_the_link_of_a_match_leads_into_it() -> None:
    async with stack(spectate_delay_ms=500, demo=False) as running, browser(running.url) as open_tab:
        player = await open_tab()
        await player.sign_in("Star", "duel")
        await player.until("arena")
        match = await player.ask("gameedge.state.match.started.match")
        listed = f"fetch('/v1/matches').then((a) => a.json()).then((a) => a.matches.some((m) => m.match === '{match}'))"
        async with asyncio.timeout(10):
            while not await player.ask(listed):  # processes report about twice a second
                await asyncio.sleep(0.1)
        watcher = await open_tab(f"/watch?match={match}")
        await watcher.until("arena")
        assert await watcher.ask("gameedge.state.match.started.match") == match
        await watcher.page.keyboard.press("n")
        await watcher.until_seen("document.querySelector('#network-facts').textContent.includes('shown late')")
        assert "round trip" not in await watcher.page.inner_text("#network-facts"), "a spectator has none"
        late = await open_tab("/watch?match=m_nothing")
        await late.until("watch")
        await late.until_seen("document.querySelector('#watch-note').textContent.includes('over')")


async def test_a_phone_plays_with_two_thumbs() -> None:
    async with stack() as running, browser(running.url) as open_tab:
        tab = await open_tab(**PHONE)
        await tab.page.wait_for_selector(".region.best")
        assert await tab.ask("document.documentElement.scrollWidth <= innerWidth"), "nothing is wider than the screen"
        await tab.sign_in("Thumb", "duel")
        await tab.until("arena")
        await tab.until_seen(f"{BODY} && {SELF} && {SELF}?.alive")
        before = await tab.ask(f"({{...{BODY}}})")
        right = before["x"] < 32
        client = await tab.context.new_cdp_session(tab.page)
        left = {"x": 84, "y": 680, "id": 1}
        aim = {"x": 306, "y": 680, "id": 2}
        await client.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [left, aim]})
        moved = [{**left, "x": 84 + (60 if right else -60)}, {**aim, "x": 360}]
        await client.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": moved})
        await asyncio.sleep(1.0)
        wish = await tab.ask("gameedge.state.match.input.sample(0, () => [0, 0])")
        assert wish["fire"] is True
        assert (wish["move_x"] > 0.9) is right
        after = await tab.ask(f"({{...{BODY}}})")
        assert abs(after["x"] - before["x"]) > 0.5
        await client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        assert (await tab.ask("gameedge.state.match.input.sample(0, () => [0, 0])"))["fire"] is False


async def test_watching_shows_everybody_late() -> None:
    async with stack(spectate_delay_ms=1_000) as running, browser(running.url) as open_tab:
        player = await open_tab()
        await player.sign_in("Star")
        await player.until("arena")
        watcher = await open_tab("/watch")
        await watcher.page.click("#matches button")
        await watcher.until("arena")
        assert running.edge.spectators.on
        assert len(running.edge.spectators) == 1
        await watcher.until_seen("gameedge.state.match && gameedge.state.match.view && gameedge.state.match.view.others.length === 8")
        names = await watcher.ask("[...gameedge.state.match.people.values()].map((p) => p.name)")
        assert "Star" in names
        shown = await watcher.ask("gameedge.state.match.timeline.lastTick")
        behind = running.edge.tick.tick + running.edge.tick.figures.ticks_dropped - shown
        assert behind >= 54, "a second is 60 ticks, those included that a busy machine gave up"
        await watcher.page.click("#leave")
        await watcher.until("watch")
        for _ in range(100):
            if not len(running.edge.spectators):
                break
            await asyncio.sleep(0.02)
        assert len(running.edge.spectators) == 0


async def test_a_keyboard_is_enough() -> None:
    async with stack() as running, browser(running.url) as open_tab:
        tab = await open_tab()
        await tab.page.focus("#name")
        await tab.page.keyboard.type("Keys")
        await tab.page.keyboard.press("Enter")
        await tab.until("arena")
        await tab.until_seen(f"{SELF} && {SELF}?.alive")
        assert await tab.ask("document.activeElement.id") == "view"
        before = await tab.ask("gameedge.state.match.input.angle")
        await tab.page.keyboard.down("ArrowLeft")
        await tab.page.keyboard.down("Space")
        await asyncio.sleep(0.4)
        assert await tab.ask("gameedge.state.match.input.angle") > before + 0.2
        assert (await tab.ask("gameedge.state.match.input.sample(0, () => [0, 0])"))["fire"] is True
        await tab.page.keyboard.press("Escape")
        await tab.until("start")


@pytest.mark.slow
async def test_play_for_twenty_seconds() -> None:
    async with stack(demo=False) as running, browser(running.url) as open_tab:
        tab = await open_tab()
        await tab.sign_in("Marathon")
        await tab.until("arena")
        await tab.until_seen(BODY)
        await tab.page.mouse.down()
        for second in range(20):
            key = "wdsa"[second % 4]
            await tab.page.keyboard.down(key)
            await tab.page.mouse.move(640 + 200 * (second % 3 - 1), 300 + 40 * (second % 5), steps=4)
            await asyncio.sleep(0.9)
            await tab.page.keyboard.up(key)
        assert await tab.ask("gameedge.state.screen") == "arena"
        assert await tab.ask("gameedge.predictor.sequence") > 300
        assert running.edge.tick.figures.refused[1:].sum() < 20
        assert await tab.ask("gameedge.state.connection.session.open")


async def test_a_second_window_of_the_same_guest_takes_over() -> None:
    async with stack() as running, browser(running.url) as open_tab:
        first = await open_tab()
        await first.sign_in("Twice", "duel")
        await first.until("arena")
        second = await first.context.new_page()
        await second.goto(running.url)
        await second.click("#play")
        await first.until("start")
        assert "another window" in await first.page.inner_text("#start-error")


async def test_a_coordinator_that_is_away_is_waited_for() -> None:
    """A match goes on without it; the lists come back by themselves."""
    async with stack() as running, browser(running.url) as open_tab:
        tab = await open_tab(expected="Failed to load resource")
        await tab.sign_in("Patient")
        await tab.until("arena")
        await tab.page.route("**/v1/**", lambda route: route.abort())
        cut_everybody(running)
        await tab.until_seen("gameedge.state.connection.session.welcome.resumed && gameedge.state.connection.session.open")
        await tab.until("result")
        await tab.page.click("#home")
        await tab.page.unroute("**/v1/**")
        await tab.page.click("#measure")
        await tab.page.wait_for_selector(".region.best")
