"""Events that coordinators tell each other, and what a message that is none does."""

import asyncio

import msgspec
import pytest

from gameedge.bus import topics
from gameedge.bus.memory import MemoryBroker
from gameedge.bus.payloads import Told, ToldEvent
from gameedge.coordinator.events import TOLD_BYTES_MAX, Event, Events
from gameedge.core import limits
from gameedge.state.memory_global import MemoryGlobalStore
from tests.coordinator.fleet import AUTH, Fleet, fleet, match_result, until


def kept(world: Fleet) -> list[Event]:
    return world.running.services.events.after(0, lambda _: True, 10_000)[0]


def named(world: Fleet) -> list[str]:
    return [f"{event.kind} {event.what}" for event in kept(world)]


async def test_what_one_coordinator_does_all_tell() -> None:
    store, broker = MemoryGlobalStore(), MemoryBroker()
    async with fleet(store=store, broker=broker) as one, fleet(store=store, broker=broker) as other:
        guest = await one.sign_up()
        assert (await one.place(guest)).is_success
        await one.http.post(f"/v1/admin/players/{guest['player']}/ban", headers=AUTH)
        await until(lambda: {"placement placed", "operator ban"} <= set(named(other)))
        heard = next(event for event in kept(other) if event.kind == "placement")
        told = next(event for event in kept(one) if event.kind == "placement")
        assert (heard.player, heard.region, heard.at_ms, heard.by) == (told.player, told.region, told.at_ms, one.running.services.name)
        assert told.by == ""
        assert named(one).count("operator ban") == named(other).count("operator ban") == 1

        erase = one.http.post(f"/v1/admin/players/{guest['player']}/erase", headers=AUTH, json={"confirm": guest["player"]})
        erasing = asyncio.create_task(erase)  # the region is messages only: it does not answer
        await until(lambda: all("operator erase" in named(world) and "placement placed" not in named(world) for world in (one, other)))
        erasing.cancel()


async def test_a_match_that_one_coordinator_applied_ended_for_all() -> None:
    store, broker = MemoryGlobalStore(), MemoryBroker()
    async with fleet(store=store, broker=broker) as one, fleet(store=store, broker=broker) as other:
        await one.result(match_result("m1", [["p_1"], ["p_2"]], [1, 2]))
        await until(lambda: all(any(event.match == "m1" for event in kept(world)) for world in (one, other)))
        for world in (one, other):
            assert sum(event.match == "m1" for event in kept(world)) == 1


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"\xff\xfe",
        b'{"events": [{"at_ms": -1, "kind": "placement", "what": "placed"}]}',
        b'{"events": [{"at_ms": 1, "kind": "flag", "what": "raised"}]}',  # of kinds that no coordinator tells
        b'{"events": [{"at_ms": 1, "kind": "operator", "what": "ban", "fields": [1]}]}',
        msgspec.json.encode({"events": [{"at_ms": 1, "kind": "match", "what": "x"}] * (limits.EVENTS_TOLD_MAX + 1)}),
    ],
)
async def test_a_message_that_tells_nothing_is_counted(payload: bytes) -> None:
    async with fleet() as world:
        before = len(kept(world))
        await world.bus.publish(topics.told("somebody"), payload)
        dropped = world.running.services.metrics.counter("coordinator_bus_dropped_total", why="bad_told")
        await until(lambda: dropped.value == 1)
        assert len(kept(world)) == before


async def test_while_the_broker_is_away_what_the_others_miss_is_counted() -> None:
    store, broker = MemoryGlobalStore(), MemoryBroker()
    async with fleet(store=store, broker=broker) as one, fleet(store=store, broker=broker) as other:
        guest = await one.sign_up()
        broker.down()
        await until(lambda: not one.running.services.bus.online)
        await one.http.post(f"/v1/admin/players/{guest['player']}/ban", headers=AUTH)
        assert "operator ban" in named(one)
        await until(lambda: one.running.services.events.lost)
        broker.up()
        lost = other.running.services.metrics.counter("coordinator_events_lost_total")
        await until(lambda: lost.value)
        assert "operator ban" not in named(other)


def test_what_is_too_much_to_tell_is_bounded_and_counted() -> None:
    events = Events(lambda: 5)
    for number in range(limits.EVENTS_TOLD_MAX + 10):
        events.add_own("match", "ended", match=f"m{number}")
    told = events.untold()
    assert told is not None
    assert (len(told.events), told.lost, told.events[0].match) == (limits.EVENTS_TOLD_MAX, 10, "m10")
    assert events.untold() is None

    big = "x" * (TOLD_BYTES_MAX // 2)
    for text in (big, big, big * 3, "small"):
        events.add_own("config", "config", text=text)
    parts = []
    while (part := events.untold()) is not None:
        parts.append(part)
    assert sum(len(part.events) for part in parts) == 3
    assert sum(part.lost for part in parts) == 1
    assert all(len(msgspec.json.encode(part)) <= limits.BUS_PAYLOAD_BYTES_MAX for part in parts)


def test_who_is_erased_is_in_no_event() -> None:
    events = Events(lambda: 5)
    events.add_own("placement", "placed", player="p_1")
    events.add_own("match", "ended", match="m", players=["p_1", "p_2"])
    events.add_own("operator", "erase", player="p_1")
    events.hear("coordinator-2", Told(events=[ToldEvent(at_ms=1, kind="placement", what="placed", player="p_1")]))
    events.forget("p_1")
    found = events.after(0, lambda _: True, 10)[0]
    assert [(event.kind, event.player, event.fields.get("players")) for event in found] == [
        ("match", "", ["p_2"]),
        ("operator", "p_1", None),
    ]
    told = events.untold()
    assert told is not None
    assert [event.kind for event in told.events] == ["match", "operator"]
