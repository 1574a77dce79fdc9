"""`gameedge admin queue` on a real Redis, with a real matcher that leads."""

import asyncio
import dataclasses
import json
import threading
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner, Result

from gameedge.admin.cli import app
from gameedge.admin.client import ABSENT, NOT_FOUND, REFUSED
from gameedge.core.game import ModeSpec
from gameedge.core.ids import EdgeId, MatchId, PlayerId
from gameedge.core.matchmaking.propose import rules_of, warm
from gameedge.core.matchmaking.settings import DEFAULT
from gameedge.edge.clock import SystemClock
from gameedge.edge.explaining import compared, explained
from gameedge.edge.matcher import Matcher
from gameedge.state import questions
from gameedge.state.redis_region import RedisRegionStore
from tests.contract.stores import (
    MODE,
    A,
    edge_record,
    empty,
    servers,  # noqa: F401
    ticket,
)

LEADER = EdgeId("leader")
WIDE = dataclasses.replace(DEFAULT, window_start=2_000.0, window_max=2_000.0)


async def lead(url: str, stop: threading.Event, ready: threading.Event) -> None:
    """A process that matches, and answers what its inbox asks, as an edge process does."""
    spec = ModeSpec(MODE, teams=2, team_size=1, duration_ms=1_000)
    store = RedisRegionStore(url)
    matcher = Matcher(
        store, {MODE: spec}, {MODE: rules_of(spec, DEFAULT)}, LEADER, SystemClock(), fill_ms=0, new_match=lambda: (MatchId("m_1"), 1),
        waited=lambda mode, wait_ms: None, shadow={MODE: rules_of(spec, WIDE)},
    )  # fmt: skip
    now_ms = SystemClock().unix_ms()
    await store.edge_beat(edge_record(A), 60_000)
    for number, rating in ((1, 0.0), (2, 900.0), (3, -900.0)):
        await store.ticket_add(ticket(number, rating=rating, created_ms=now_ms), 100)
    running = asyncio.create_task(matcher.run())
    while not stop.is_set():
        if matcher.queued:
            ready.set()
        for event in await store.inbox_read(LEADER, 50):
            if event.edge is not None:
                answer = compared(event, matcher) if event.kind == "compare" else explained(event, matcher)
                await store.inbox_post(event.edge, [answer])
    running.cancel()
    await store.close()


@pytest.fixture
def region(servers: dict[str, str]) -> Iterator[str]:  # noqa: F811
    warm()
    url = servers["redis"]
    empty(url)
    stop, ready = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(lead(url, stop, ready)))
    thread.start()
    assert ready.wait(20)
    yield url
    stop.set()
    thread.join(20)


def ask(url: str, *words: str) -> Result:
    return CliRunner().invoke(app, ["queue", "--redis", url, *words])


def test_who_waits_and_why(region: str) -> None:
    (seen,) = json.loads(ask(region, "show", "--json").stdout)["queues"]
    shown = seen["queue"]
    assert (shown["mode"], shown["tickets"], shown["leader"], shown["edges"]) == (MODE, 3, LEADER, {A: 3})
    assert "leader" in ask(region, "show").stdout
    said = json.loads(ask(region, "explain", "p_1", "--json").stdout)["explained"]
    assert (said["ticket"], said["state"], said["others"], said["mode"], said["matched_by"]) == ("t_1", "alone", 2, MODE, LEADER)
    assert said["rules"][0]["rule"] == "skill"
    assert said["rules"][0]["excludes"] == 2
    people = ask(region, "explain", "t_1", "--mode", MODE)
    assert people.exit_code == 0
    assert "never by waiting" in people.stdout


def test_what_rules_in_shadow_would_have_done(region: str) -> None:
    for _ in range(50):
        (one,) = json.loads(ask(region, "shadow", "--json").stdout)["shadows"]
        if one["compared"]["shadow"]["matches"]:
            break
    assert one["compared"]["mode"] == MODE
    assert one["compared"]["shadow"]["people"] == 2, "two of the three fit into a window of 2,000"
    assert one["compared"]["live"]["matches"] == 0, "nobody acts on it"
    assert "shadow" in ask(region, "shadow").stdout


def test_what_is_not_there(region: str, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = ask(region, "explain", PlayerId("p_99"))
    assert nobody.exit_code == NOT_FOUND
    assert "p_99" in nobody.stderr
    assert json.loads(ask(region, "show", "--mode", "chess", "--json").stdout)["queues"] == []


def test_nobody_leads(servers: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    url = servers["redis"]
    empty(url)

    async def fill(owner: EdgeId | None) -> None:
        store = RedisRegionStore(url)
        await store.ticket_add(ticket(1), 10)
        if owner is not None:
            await store.lease(f"matcher-{MODE}", owner, 60_000)
        await store.close()

    asyncio.run(fill(None))
    assert "nobody matches" in ask(url, "explain", "t_1").stderr
    asked = questions.explain
    monkeypatch.setattr(questions, "explain", lambda *more: asked(*more, wait_s=0.2))
    asyncio.run(fill(EdgeId("deaf")))
    assert "did not answer" in ask(url, "explain", "t_1").stderr


def test_a_store_that_is_none() -> None:
    assert ask("redis+sentinel://localhost", "show").exit_code == REFUSED
    assert ask("redis://127.0.0.1:1", "show").exit_code == ABSENT
