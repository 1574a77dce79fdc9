"""A region's desired state when several coordinators change it, whatever the order in which they hear of each other."""

import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gameedge.bus import topics
from gameedge.bus.base import BusMessage
from gameedge.bus.memory import MemoryBroker
from gameedge.bus.payloads import Codec, Desired, ModelWish, encode
from gameedge.coordinator.desired import KEPT_MS, _keys, drained, merge, with_blocked, with_model, with_settings
from gameedge.coordinator.registry import Registry
from gameedge.core import limits
from gameedge.core.ids import RegionId

EU = RegionId("eu")
DAY_MS = 86_400_000


def test_each_change_counts_and_revisions_grow() -> None:
    first = drained(Desired(), 1_000, "e1", True)
    assert (first.revision, first.draining_edges, first.draining) == (1_000, ["e1"], False)
    second = drained(first, 500, None, True)  # a clock behind
    assert (second.revision, second.draining_edges, second.draining) == (1_001, ["e1"], True)
    assert drained(second, 2_000, "e1", False).draining_edges == []
    settled = with_settings(second, 3_000, 500, None)
    assert settled is not None
    assert with_settings(settled, 4_000, 500, None) is None
    wished = with_model(settled, 5_000, "npc", ModelWish(stable="npc-1"))
    assert wished.models == {"npc": ModelWish(stable="npc-1")}
    assert with_model(wished, 6_000, "npc", ModelWish()).models == {}
    assert Codec(Desired).decode(encode(wished)) == wished


def test_those_turned_away_are_bounded_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BLOCKED_MAX", 3)
    now = Desired()
    for number in range(5):
        now = with_blocked(now, 1_000, f"p_{number}", 2_000 + 1_000 * number)
    assert set(now.blocked) == {"p_2", "p_3", "p_4"}
    assert set(with_blocked(now, 5_500, "p_9", 60_000).blocked) == {"p_4", "p_9"}
    assert with_blocked(now, 1_500, "p_3", None).blocked == {"p_2": 4_000, "p_4": 6_000}


def test_the_largest_document_goes_over_the_bus() -> None:
    now, long = Desired(), "x" * 60
    for number in range(max(limits.BLOCKED_MAX, limits.DESIRED_CHANGES_MAX) + 10):
        now = with_blocked(now, 1_000, f"{number:04}{long}", DAY_MS)
    for number in range(limits.EDGES_PER_REGION_MAX):
        now = drained(now, 1_000, f"{number:04}{long}", True)
    assert len(now.blocked) == limits.BLOCKED_MAX
    assert len(now.changed) == limits.DESIRED_CHANGES_MAX
    assert len(encode(now)) < limits.BUS_PAYLOAD_BYTES_MAX
    assert Codec(Desired).decode(encode(now)) == now


def test_an_older_release_replaces_the_whole_document() -> None:
    ours = drained(Desired(), 1_000, "e1", True)
    theirs = Desired(revision=2_000, draining=True)
    assert merge(ours, theirs) == merge(theirs, ours) == theirs
    assert merge(drained(theirs, 3_000, "e1", True), Desired(revision=2_500)).draining, "and ours replaces an older one of theirs"


def test_what_changed_long_ago_is_settled() -> None:
    old = drained(Desired(), 1_000, "e1", True)
    new = drained(old, 1_001 + KEPT_MS, "e2", True)
    assert set(new.changed) == {"edge/e2"}
    assert new.draining_edges == ["e1", "e2"]


class Coordinator:
    """The part of one that has to do with a region's desired state."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.hear(Desired())

    def hear(self, desired: Desired) -> None:
        self.registry.hear(BusMessage(topics.desired(EU), encode(desired), retained=False), 0)

    @property
    def now(self) -> Desired:
        return self.registry.regions[EU].desired

    def steer(self, desired: Desired) -> Desired:
        self.registry.steer(EU, desired)
        return desired

    def repeat(self) -> list[Desired]:
        """What it says again."""
        outdated, self.registry.outdated = self.registry.outdated, set()
        return [self.now] if outdated else []


def changed(now: Desired, at_ms: int, what: int) -> tuple[Desired, str]:
    """One of many changes, and the key that it changes."""
    kind, number, on = what % 4, what // 8 % 3, bool(what // 4 % 2)
    if kind == 0:
        return drained(now, at_ms, f"e{number}", on), f"edge/e{number}"
    if kind == 1:
        return drained(now, at_ms, None, on), "draining"
    if kind == 2:
        return with_blocked(now, at_ms, f"p{number}", DAY_MS + at_ms if on else None), f"blocked/p{number}"
    return with_model(now, at_ms, f"m{number}", ModelWish(stable=f"m-{at_ms}") if on else ModelWish()), f"model/m{number}"


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 200), st.integers(0, 23), st.booleans()), max_size=14), st.integers(0, 2**32))
def test_coordinators_agree_and_no_change_is_lost(steps: Iterable[tuple[int, int, int, bool]], seed: int) -> None:
    """Each step is a change by one of three with a clock of its own; what they say is heard late, in any order and perhaps twice."""
    rng, clock = random.Random(seed), 10_000
    there = [Coordinator() for _ in range(3)]
    waiting: list[tuple[int, Desired]] = []
    wanted: dict[str, tuple[int, set[str]]] = {}  # key -> the revision of its last change, and what it may be

    def say(desired: Desired) -> None:
        waiting.extend((to, desired) for to in range(3) for _ in range(rng.choice((1, 1, 2))))

    def hear_one() -> None:
        to, desired = waiting.pop(rng.randrange(len(waiting)))
        there[to].hear(desired)
        for again in there[to].repeat():
            say(again)

    for who, off_ms, what, hears in steps:
        clock += 10
        made, key = changed(there[who].now, clock + off_ms, what)
        at, values = wanted.get(key, (0, set()))
        value = repr(_keys(made).get(key))
        if made.revision >= at:
            wanted[key] = made.revision, ({value} if made.revision > at else values | {value})
        say(there[who].steer(made))
        for again in there[who].repeat():
            say(again)
        if hears and waiting:
            hear_one()
    for _ in range(10_000):
        if not waiting:
            break
        hear_one()
    assert not waiting, "they go on saying it for ever"
    assert there[0].now == there[1].now == there[2].now
    for key, (_, values) in wanted.items():
        assert repr(_keys(there[0].now).get(key)) in values, key


async def test_two_that_say_it_at_once_over_a_bus() -> None:
    """The document that a region is left with has both changes, though each coordinator wrote without the other's."""
    broker, one, two = MemoryBroker(), Coordinator(), Coordinator()
    async with (
        broker.factory("a") as a,
        broker.factory("b") as b,
        broker.factory("edge") as edge,
        edge.subscribe(topics.desired(EU)) as messages,
    ):
        await a.publish(topics.desired(EU), encode(one.steer(drained(one.now, 1_000, "e1", True))), retain=True)
        await b.publish(topics.desired(EU), encode(two.steer(with_blocked(two.now, 1_000, "p_1", DAY_MS))), retain=True)
        said: list[Desired] = []
        async for message in messages:
            found = Codec(Desired).decode(message.payload)
            assert found is not None
            said.append(found)
            for each, bus in ((one, a), (two, b)):
                each.hear(found)
                for again in each.repeat():
                    await bus.publish(topics.desired(EU), encode(again), retain=True)
            if said[-1].draining_edges and said[-1].blocked:
                break
    last = max(said, key=lambda each: each.revision)
    assert (last.draining_edges, set(last.blocked)) == (["e1"], {"p_1"})
    assert one.now == two.now == last
