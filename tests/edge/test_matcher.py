"""Reaping: what a dead process left, and what an outage of the store must not take for a death."""

from gameedge.core import limits
from gameedge.edge.matcher import MISSING_MS, Matcher
from gameedge.state.base import EdgeRecord

from .parts import ME, OTHER, REGION, Bench, bench


def beat() -> EdgeRecord:
    return EdgeRecord(edge=ME, region=REGION, url="ws://me", pid=1, started_ms=1)


async def reap(on: Bench, matcher: Matcher, now_ms: float) -> None:
    await on.store.edge_beat(beat(), 60_000)
    for pool in matcher._pools.values():
        pool.leads = True
    matcher._clock = _Clock(now_ms)  # type: ignore[assignment]
    await matcher._reap()


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
        matcher._store_back_ms = 10_000.0
        await reap(on, matcher, 10_100.0)
        await reap(on, matcher, 10_200.0 + MISSING_MS)
        assert len(await on.store.matches("duel")) == 1
        await on.store.edge_beat(EdgeRecord(edge=OTHER, region=REGION, url="ws://o", pid=2, started_ms=1), 60_000)
        await reap(on, matcher, 10_300.0 + limits.EDGE_DEAD_MS + MISSING_MS)
        assert len(await on.store.matches("duel")) == 1, "it beat again"
