"""A clock that steps back (NTP, a virtual machine that was moved): nothing waits until it is as late again as it was."""

import asyncio

from gameedge.bus.memory import MemoryBroker
from gameedge.bus.payloads import Waiting
from gameedge.coordinator.alarms import HOLD_MS, Alarms
from gameedge.coordinator.exchange import BEATS_MS, FRESH_MS, Crossing, Heard
from gameedge.coordinator.flows import FEW, SLICE_MS, SLICES, Flows
from gameedge.coordinator.registry import LOST_MS, SUSPECTED_MS, Registry
from gameedge.coordinator.scale import Scale
from gameedge.core.ids import EdgeId, MatchId, RegionId, TicketId
from gameedge.core.routing.scaling import ScaleSettings
from gameedge.state.memory_global import MemoryGlobalStore
from tests.coordinator.fleet import AUTH, fleet
from tests.coordinator.test_registry import E1, EU, doubt, presence, report, started

HOUR_MS = 3_600_000


def test_a_process_that_dies_after_a_step_back_is_missed() -> None:
    late = 2 * HOUR_MS
    registry = started(late)
    early = late - HOUR_MS
    registry.note_bus(True, early)
    assert doubt(registry, early) == ""
    registry.hear(report(), early)
    assert doubt(registry, early + SUSPECTED_MS + 1) == "silent"
    assert doubt(registry, early + LOST_MS + 1) == "offline"


def test_a_process_that_died_just_before_the_step_is_missed() -> None:
    late = 2 * HOUR_MS
    registry = started(late)
    registry.note_bus(True, late + 500)
    early = late - HOUR_MS
    registry.note_bus(True, early)
    assert doubt(registry, early + SUSPECTED_MS + 1) == "silent"
    assert doubt(registry, early + LOST_MS + 1) == "offline"


def test_who_was_there_first_stays_so() -> None:
    registry = started(HOUR_MS)
    registry.note_bus(True, HOUR_MS + 1_000)
    registry.note_bus(True, 0)
    registry.hear(presence(edge="a1", latitude=-33.0, url="ws://elsewhere:1"), 0)
    registry.hear(report(edge="a1"), 0)
    assert registry.regions[EU].latitude == 50.0
    assert "name" in doubt(registry, 0, EdgeId("a1"))


def test_alarms_that_hold_are_still_shown() -> None:
    alarms, registry = Alarms(), Registry()

    def look(now_ms: int) -> list[str]:
        return [alarm.what for alarm in alarms.look(registry, now_ms, bus_online=False, store_ms=1.0)]

    look(HOUR_MS)
    assert look(HOUR_MS + HOLD_MS) == ["the broker is not connected"]
    look(0)
    assert look(HOLD_MS) == ["the broker is not connected"]


def test_flows_go_on_turning() -> None:
    flows = Flows()
    for _ in range(FEW):
        flows.note(52.5, 13.5, EU, HOUR_MS)
    assert [count for _, _, count in flows.largest(HOUR_MS)] == [FEW]
    flows.largest(0)
    assert flows.largest(SLICES * SLICE_MS) == []


def test_a_region_still_shrinks() -> None:
    registry = started(HOUR_MS)
    scale = Scale(registry, ScaleSettings(hold_s=10, cool_s=1))
    for second in range(10):  # four more a second, a hundred slots a process
        registry.hear(report(players=200 + 4 * second, players_max=100), HOUR_MS + second * 1_000)
        scale.look(HOUR_MS + second * 1_000)
    most = scale.desired[EU]
    assert most > 2
    registry.note_bus(True, 0)
    for second in range(120):
        registry.hear(report(players=0, players_max=100), second * 1_000)
        scale.look(second * 1_000)
    assert scale.desired[EU] < most


async def test_what_was_heard_before_the_step_is_old() -> None:
    async with fleet() as world:
        services = world.running.services
        exchange, now_ms = services.exchange, services.now_ms()
        ahead = now_ms + HOUR_MS
        exchange._heard[EU, "duel"] = Heard(ahead, "", Waiting(edge=E1, rules=b""))
        exchange._others["a-coordinator-that-is-gone"] = ahead
        exchange._avoid[EU, TicketId("t1")] = ahead
        await exchange._say()
        await exchange._look()
        assert (exchange._heard, exchange._others, exchange._avoid) == ({}, {}, {})
        exchange._others["another"] = services.now_ms() - BEATS_MS // 2
        exchange._heard[RegionId("us"), "duel"] = Heard(services.now_ms() - FRESH_MS // 2, "", Waiting(edge=E1, rules=b""))
        await exchange._say()
        await exchange._look()
        assert list(exchange._others) == ["another"]
        assert list(exchange._heard) == [("us", "duel")]
        crossing = Crossing(MatchId("m"), "duel", "", None, E1, {}, tickets={TicketId("t1"): None})  # type: ignore[arg-type,dict-item]
        async with asyncio.timeout(5):
            assert await exchange._watch(crossing, services.now_ms() + HOUR_MS) == "nobody_came"


async def test_a_ban_outlives_a_token_of_a_coordinator_whose_clock_is_ahead() -> None:
    store, broker = MemoryGlobalStore(), MemoryBroker()
    async with fleet(store=store, broker=broker) as ahead, fleet(store=store, broker=broker) as other:
        ahead.clock.ahead_ms = 30_000
        guest = await ahead.sign_up()
        expires_ms = (await ahead.place(guest)).json()["expires_ms"]
        assert (await other.http.post(f"/v1/admin/players/{guest['player']}/ban", headers=AUTH)).status_code == 200
        assert other.running.services.registry.regions[EU].desired.blocked[guest["player"]] >= expires_ms
