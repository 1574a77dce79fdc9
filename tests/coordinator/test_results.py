"""Results: once each, whatever repeats, lies or goes away."""

import asyncio
import contextlib
import json
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gameedge.bus import topics
from gameedge.bus.memory import Faults, MemoryBroker
from gameedge.coordinator.ratings import rate
from gameedge.coordinator.results import DEAD_LETTERS_PER_MINUTE, read_result
from gameedge.core import limits
from gameedge.core.errors import UnavailableError
from gameedge.core.ids import MatchId, PlayerId, RegionId
from gameedge.state.base_global import Rating
from gameedge.state.memory_global import MemoryGlobalStore
from tests.coordinator.fleet import fleet, match_result, until

A, B, C, D = (PlayerId(name) for name in ("p_a", "p_b", "p_c", "p_d"))


async def test_a_repeated_result_is_acked_again_and_applied_once() -> None:
    async with fleet() as world:
        result = match_result("m1", [[A], [B]], [0, 1])
        await world.result(result, at="1-0")
        await until(lambda: world.acks == ["1-0"])
        after = await world.store.ratings_of("duel", [A, B])
        for _ in range(3):
            await world.result(result, at="1-0")
        await until(lambda: world.acks == ["1-0"] * 4)
        assert await world.store.ratings_of("duel", [A, B]) == after
        assert after[A].mu > 25 > after[B].mu
        assert (after[A].games, after[B].games) == (1, 1)
        assert world.running.services.results.applied_count == 1


async def test_two_coordinators_apply_each_result_once() -> None:
    store, broker = MemoryGlobalStore(), MemoryBroker()
    async with fleet(store=store, broker=broker) as one, fleet(store=store, broker=broker) as two:
        for index in range(50):
            await one.result(match_result(f"m{index}", [[A], [B]], [0, 1]), at=f"{index}-0")
        await until(lambda: len(one.acks) >= 100)  # both acknowledge each
        ratings = await store.ratings_of("duel", [A, B])
        assert (ratings[A].games, ratings[B].games) == (50, 50)
        alone = {A: Rating(), B: Rating()}
        for index in range(50):
            alone = rate(match_result(f"m{index}", [[A], [B]], [0, 1]), alone)
        assert ratings == alone
        assert one.running.services.results.applied_count + two.running.services.results.applied_count >= 50


async def test_a_lossy_bus_loses_no_result() -> None:
    """The region repeats what is not acknowledged: whatever is lost or doubled, every match counts once."""
    broker = MemoryBroker(Faults(random.Random(11), duplicate=0.2, lost=0.2, lost_ack=0.2))
    broker.faults, faults = None, broker.faults
    async with fleet(broker=broker) as world:
        broker.faults = faults
        waiting = {f"{index}-0": match_result(f"m{index}", [[A], [B]], [index % 2, 1 - index % 2]) for index in range(30)}
        async with asyncio.timeout(8):
            while waiting := {at: result for at, result in waiting.items() if at not in world.acks}:
                for at, result in waiting.items():
                    with contextlib.suppress(UnavailableError):
                        await world.result(result, at=at)
                await asyncio.sleep(0.06)
        ratings = await world.store.ratings_of("duel", [A, B])
        assert (ratings[A].games, ratings[B].games) == (30, 30)


async def test_nothing_is_acked_while_the_store_is_away() -> None:
    store = MemoryGlobalStore()
    async with fleet(store=store) as world:
        metrics = world.running.services.metrics
        store.available = False
        await world.result(match_result("m1", [[A], [B]], [0, 1]))
        await until(lambda: metrics.value("coordinator_results_total", outcome="deferred") == 1)
        assert world.acks == []
        store.available = True
        await world.result(match_result("m1", [[A], [B]], [0, 1]))
        await until(lambda: world.acks == ["1-0"])


async def test_a_fault_with_one_result_does_not_stop_the_others() -> None:
    class Cracked(MemoryGlobalStore):
        async def result_applied(self, match: MatchId) -> bool:
            if match == "cracked":
                raise ZeroDivisionError("a fault of ours")
            return await super().result_applied(match)

    async with fleet(store=Cracked()) as world:
        await world.result(match_result("cracked", [[A], [B]], [0, 1]), at="1")
        await world.result(match_result("m2", [[A], [B]], [0, 1]), at="2")
        await until(lambda: world.acks == ["2"])
        assert world.running.services.metrics.value("coordinator_errors_total") == 1


async def test_unrated_matches_and_empty_sides_are_only_marked() -> None:
    async with fleet() as world:
        await world.result(match_result("m1", [[A], [B]], [0, 1], rated=False), at="1")
        await world.result(match_result("m2", [[A], []], [0, 1]), at="2")  # the other side were NPCs
        await world.result(match_result("m3", [], []), at="3")
        await until(lambda: sorted(world.acks) == ["1", "2", "3"])
        assert await world.store.ratings_of("duel", [A, B]) == {}
        assert await world.store.result_applied(match_result("m2", [], []).match)


@pytest.mark.parametrize(
    "broken",
    [
        match_result("m1", [[A], [B]], [0]),
        match_result("m1", [[A], [A]], [0, 1]),
        match_result("m1", [[A], [B]], [0, -1]),
        match_result("m1", [[A], [B]], [0, 1], mode="../x"),
        match_result("", [[A], [B]], [0, 1]),
        match_result("m1", [[PlayerId(f"p{i}") for i in range(limits.SEATS_PER_MATCH_MAX)], [B]], [0, 1]),
        match_result("m1", [[PlayerId("p" * 65)], [B]], [0, 1]),
        match_result("m1", [[A], [B]], [0, 1], reason="r" * 65),  # or the others would refuse all that they are told with it
        match_result("m1", [[A], [B]], [0, 1], reason=""),
        match_result("m1", [[A], [B]], [0, 1], scores=[0] * (limits.SEATS_PER_MATCH_MAX + 1)),
    ],
)
def test_results_that_make_no_sense(broken: object) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_result(RegionId("eu"), msgspec.msgpack.encode(broken))


@given(st.binary(max_size=200))
def test_no_bytes_raise_otherwise(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_result(RegionId("eu"), data)


async def test_malformed_results_are_kept_for_people_and_acked() -> None:
    async with fleet() as world:
        await world.raw_result("eu", "7-0", b"\xc1broken")
        await world.result(match_result("m1", [[A], [B]], [0, 1]), at="8-0", topic_region="us")  # another region's name
        await until(lambda: sorted(world.acks) == ["7-0", "8-0"])
        entries = [json.loads(entry) for entry in await world.store.audit_list(10)]
        assert [(entry["action"], entry["at"]) for entry in entries] == [
            ("result_malformed", "8-0"),
            ("result_malformed", "7-0"),
        ]
        assert entries[1]["raw"] == "wWJyb2tlbg=="
        assert await world.store.ratings_of("duel", [A, B]) == {}


async def test_a_broken_region_cannot_wash_the_audit_log_away() -> None:
    async with fleet() as world:
        for index in range(DEAD_LETTERS_PER_MINUTE + 20):
            await world.raw_result("eu", f"{index}-0", b"\xc1")
        await world.result(match_result("m1", [[A], [B]], [0, 1]), at="good")
        await until(lambda: "good" in world.acks)
        assert len(world.acks) == DEAD_LETTERS_PER_MINUTE + 1  # the rest waits in the region's outbox
        assert len(await world.store.audit_list(1_000)) == DEAD_LETTERS_PER_MINUTE


async def test_envelopes_that_are_none_are_counted() -> None:
    async with fleet() as world:
        for payload in (b"", b"{}", b"\xff", b'{"at":1,"result":""}', b"[" * 5_000):
            await world.bus.publish(topics.results(RegionId("eu")), payload)
        await world.result(match_result("m1", [[A], [B]], [0, 1]))
        await until(lambda: world.acks == ["1-0"])
        assert world.running.services.metrics.value("coordinator_results_total", outcome="bad") == 5


def test_draws_teams_and_free_for_all() -> None:
    draw = rate(match_result("m", [[A], [B]], [0, 0]), {})
    assert draw[A].mu == pytest.approx(draw[B].mu)
    assert draw[A].sigma < Rating().sigma
    squads = rate(match_result("m", [[A, B], [C, D]], [1, 0]), {A: Rating(mu=30.0, sigma=2.0)})
    assert squads[A].mu < 30
    assert squads[B].mu < 25 < squads[C].mu
    assert abs(squads[A].mu - 30) < abs(squads[B].mu - 25)  # who is known well moves less
    all_four = rate(match_result("m", [[A], [B], [C], [D]], [0, 1, 2, 3]), {})
    assert all_four[A].mu > all_four[B].mu > all_four[C].mu > all_four[D].mu
