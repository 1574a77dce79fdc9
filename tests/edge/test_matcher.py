"""Who hosts a match; what a dead process left, and what an outage of the store must not take for a death."""

import asyncio
from collections import Counter

import msgspec
import pytest

from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError
from gameedge.core.game import ModeSpec
from gameedge.core.ids import EdgeId, PlayerId, SessionId, TicketId
from gameedge.core.matchmaking.propose import Proposal
from gameedge.edge import matcher as matcher_module
from gameedge.edge.matcher import Matcher
from gameedge.edge.processes import choose_host
from gameedge.edge.reaper import MISSING_MS, UNOPENED_MS
from gameedge.state.base import EdgeRecord, InboxEvent, Ticket

from .parts import ME, OTHER, REGION, Bench, bench


def beat() -> EdgeRecord:
    return EdgeRecord(edge=ME, region=REGION, url="ws://me", pid=1, started_ms=1)


DUEL = ModeSpec(name="duel", teams=2, team_size=1, duration_ms=60_000)


def process(name: str, **fields: int) -> EdgeRecord:
    made = {"pid": 1, "started_ms": 1, "free_matches": 100, "free_entities": 1000} | fields
    return EdgeRecord(edge=EdgeId(name), region=REGION, url=f"ws://{name}", **made)  # type: ignore[arg-type]


def pair(number: int, edge: str) -> Proposal:
    made = [
        Ticket(id=TicketId(f"t_{number}{k}"), player=PlayerId(f"p{number}{k}"), session=SessionId(f"s{number}{k}"), edge=EdgeId(edge),
               mode="duel", created_ms=1)
        for k in "ab"
    ]  # fmt: skip
    return Proposal([[made[0]], [made[1]]], 1.0)


def test_a_burst_of_players_of_one_process_is_shared() -> None:
    """All are connected to one process and no report tells of the matches that they get: both still host."""
    edges = {EdgeId("e1"): process("e1", players=1000), EdgeId("e2"): process("e2")}
    promises: dict[EdgeId, Counter[EdgeId]] = {}
    hosted: Counter[EdgeId] = Counter()
    for number in range(500):
        host = choose_host(pair(number, "e1"), edges, DUEL, promises)
        assert host is not None
        hosted[host] += 1
        promises.setdefault(host, Counter())[EdgeId("e1")] += 2
    assert 200 <= hosted[EdgeId("e2")] <= 300


def test_who_is_calm_plays_where_the_members_are() -> None:
    edges = {EdgeId("e1"): process("e1", players=40), EdgeId("e2"): process("e2", players=10)}
    assert choose_host(pair(1, "e1"), edges, DUEL, {}) == "e1"
    assert choose_host(pair(1, "e2"), edges, DUEL, {}) == "e2"


def test_full_and_draining_processes_host_nothing() -> None:
    edges = {EdgeId("e1"): process("e1", free_matches=0), EdgeId("e2"): process("e2", free_entities=1)}
    assert choose_host(pair(1, "e1"), edges, DUEL, {}) is None


def test_equals_take_turns() -> None:
    """Nobody is connected to either: the one with fewer matches hosts, not the first by name."""
    edges = {EdgeId("e1"): process("e1", matches=3), EdgeId("e2"): process("e2", matches=2)}
    assert choose_host(pair(1, "e9"), edges, DUEL, {}) == "e2"
    assert choose_host(pair(1, "e9"), edges, DUEL, {EdgeId("e2"): Counter({EdgeId("e9"): 2})}) == "e1"


async def reap(on: Bench, matcher: Matcher, now_ms: float) -> None:
    await on.store.edge_beat(beat(), 60_000)
    for pool in matcher._pools.values():
        pool.fence = 1
    matcher.reaper._matches_ms = -1e12
    matcher.reaper._clock = _Clock(now_ms)  # type: ignore[assignment]
    await matcher.reaper.reap()


class _Clock:
    def __init__(self, now_ms: float) -> None:
        self.now_ms = now_ms

    def monotonic_ms(self) -> float:
        return self.now_ms

    def unix_ms(self) -> int:
        return int(self.now_ms)


async def test_a_match_that_its_dead_host_never_opened_is_queued_again() -> None:
    async with bench() as on:
        (_, _, ada), (_, _, bob) = on.connect("ada"), on.connect("bob")
        await on.claim(on.record("m_unread", ada, host=OTHER))
        await on.claim(on.record("m_read", bob, host=OTHER))
        events = await on.store.inbox_read(OTHER, 0)
        await on.store.inbox_post(OTHER, events[:1])  # it read the second and died
        matcher = on.edge.matcher
        await reap(on, matcher, 10_000.0)
        assert len(await on.store.matches("duel")) == 2, "one missed beat is no death"
        await reap(on, matcher, 10_000.0 + MISSING_MS + 1)
        assert await on.store.matches("duel") == []
        assert [ticket.player for ticket in await on.store.tickets("duel")] == ["ada"]


async def test_after_an_outage_everybody_has_time_to_beat() -> None:
    async with bench() as on:
        _, _, ada = on.connect("ada")
        await on.claim(on.record("m_1", ada, host=OTHER))
        matcher = on.edge.matcher
        matcher.reaper._store_back_ms = 10_000.0
        await reap(on, matcher, 10_100.0)
        await reap(on, matcher, 10_200.0 + MISSING_MS)
        assert len(await on.store.matches("duel")) == 1
        await on.store.edge_beat(EdgeRecord(edge=OTHER, region=REGION, url="ws://o", pid=2, started_ms=1), 60_000)
        await reap(on, matcher, 10_300.0 + limits.EDGE_DEAD_MS + MISSING_MS)
        assert len(await on.store.matches("duel")) == 1, "it beat again"


async def test_a_process_that_was_asleep_does_not_open_what_was_given_to_others() -> None:
    """It had taken the event, slept, and its match went back to the queue: nobody is seated twice."""
    async with bench() as on:
        connection, _, ada = on.connect("ada")
        record = on.record("m_1", ada)
        await on.claim(record)
        assert await on.store.match_unclaim(record)
        await on.edge.matches.open(record)
        assert on.edge.host.get(record.match) is None
        assert connection.said() == []
        assert [ticket.player for ticket in await on.store.tickets("duel")] == ["ada"]


async def test_a_silent_process_gets_its_unopened_matches_taken_before_it_is_dead() -> None:
    """One beat was stored, long ago by the store's clock: what it has not taken goes back, what it runs stays."""
    async with bench() as on:
        (_, _, ada), (_, _, bob) = on.connect("ada"), on.connect("bob")
        silent = EdgeRecord(edge=OTHER, region=REGION, url="ws://o", pid=2, started_ms=1)
        await on.store.edge_beat(silent, int(limits.EDGE_DEAD_MS - UNOPENED_MS - 1))
        for name, player in (("m_unread", ada), ("m_read", bob)):
            await on.claim(on.record(name, player, host=OTHER))
        events = await on.store.inbox_read(OTHER, 0)
        asked = InboxEvent(kind="rejoin", match_id=events[1].match_id, mode="duel")
        await on.store.inbox_post(OTHER, [events[0], asked])
        await reap(on, on.edge.matcher, 100_000.0)
        assert [record.match for record in await on.store.matches("duel")] == ["m_read"]
        assert [ticket.player for ticket in await on.store.tickets("duel")] == ["ada"]
        assert [event.kind for event in await on.store.inbox_read(OTHER, 0)] == ["rejoin"], "what else it was told is kept"


async def look(on: Bench, matcher: Matcher) -> None:
    """One round of the one who leads."""
    await on.store.edge_beat(msgspec.structs.replace(beat(), free_matches=100, free_entities=1_000), 60_000)
    matcher.processes._looked_ms = -1e12
    assert await matcher._lease("duel")
    await matcher._look("duel")


async def test_a_ticket_that_completes_a_match_is_matched_in_the_same_round() -> None:
    async with bench(fill_ms=0) as on:
        matcher = on.edge.matcher
        await on.store.ticket_add(lone(1), 10)
        await look(on, matcher)
        assert matcher.claimed == 0
        assert matcher.queued == {"duel": 1}
        await on.store.ticket_add(lone(2), 10)
        await look(on, matcher)
        assert matcher.claimed == 1
        assert matcher.queued == {}


async def test_a_ticket_that_moved_unseen_is_a_collision_and_is_matched_by_the_next_round() -> None:
    async with bench(fill_ms=0) as on:
        matcher = on.edge.matcher
        for number in (1, 2, 3):
            await on.store.ticket_add(lone(number, trust=number == 3), 10)
        pool = matcher._pools["duel"]
        assert await matcher._lease("duel")
        await pool.mirror.read(on.store)
        before = pool.mirror.at
        await on.store.ticket_move("duel", TicketId("t_1"), SessionId("s_new"), ME)
        pool.mirror.at, kept = (await on.store.pool_read("duel", before)).at, before  # the change is not seen
        await look(on, matcher)
        assert (matcher.claimed, matcher.collisions) == (0, 0 if not pool.again else 1)
        assert matcher.collisions == 1
        pool.mirror.at = kept
        await look(on, matcher)
        assert matcher.claimed == 1
        assert [ticket.id for ticket in await on.store.tickets("duel")] == ["t_3"]


async def test_who_lost_the_lease_claims_nothing_and_forgets_the_pool() -> None:
    async with bench(fill_ms=0) as on:
        matcher = on.edge.matcher
        await look(on, matcher)
        for number in (1, 2):
            await on.store.ticket_add(lone(number), 10)
        await on.store.lease_release("matcher-duel", ME)
        assert await on.store.lease("matcher-duel", OTHER, 60_000)
        with pytest.raises(RefusedError) as caught:
            await matcher._look("duel")  # it does not know yet
        assert caught.value.reason is Reason.OUT_OF_ORDER
        assert not await matcher._lease("duel")
        assert matcher.queued == {}
        assert len(await on.store.tickets("duel")) == 2
        assert matcher.claimed == 0


async def test_a_clock_that_steps_back_stops_nobody() -> None:
    """Tickets from the future wait for nothing: they count as new."""
    async with bench(fill_ms=0) as on:
        for number in (1, 2):
            await on.store.ticket_add(msgspec.structs.replace(lone(number), created_ms=on.edge.clock.unix_ms() + 3_600_000), 10)
        waits: list[float] = []
        on.edge.matcher._waited = lambda mode, wait_ms: waits.append(wait_ms)
        await look(on, on.edge.matcher)
        assert waits == [0, 0]


def lone(number: int, *, trust: int = 0) -> Ticket:
    return Ticket(id=TicketId(f"t_{number}"), player=PlayerId(f"p{number}"), session=SessionId(f"s{number}"), edge=ME, mode="duel",
                  created_ms=1, trust=trust)  # fmt: skip


async def test_a_mode_that_breaks_the_matcher_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matcher_module, "FAILED_MS", 1.0)
    async with bench() as on:
        matcher, looks = on.edge.matcher, Counter[str]()

        async def look(mode: str) -> None:
            looks[mode] += 1
            await asyncio.sleep(0.001)
            if mode == "duel":
                raise RuntimeError("a ticket that nobody thought of")

        monkeypatch.setattr(matcher, "_look", look)
        leading = asyncio.create_task(matcher.run())
        try:
            async with asyncio.timeout(60):
                while looks["duel"] < 3 or looks["squads"] < 3:
                    await asyncio.sleep(0.01)
            assert not leading.done()
            assert on.edge.metrics.value("errors_total", where="matcher") >= 2
        finally:
            leading.cancel()
            await asyncio.gather(leading, return_exceptions=True)
