"""The table of regions: what is believed, for how long, and what is dropped."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gameedge.bus import topics
from gameedge.bus.base import BusMessage
from gameedge.bus.payloads import Desired, EdgeReport, Presence, encode
from gameedge.config import CoordinatorConfig
from gameedge.coordinator import app
from gameedge.coordinator.alarms import HOLD_MS, OFFLINE_SHOWN_MS, Alarms
from gameedge.coordinator.placing import Placing
from gameedge.coordinator.registry import LOST_MS, SUSPECTED_MS, Registry
from gameedge.core import limits
from gameedge.core.errors import ConfigError, UnavailableError
from gameedge.core.ids import EdgeId, RegionId
from gameedge.core.routing.placement import Seen
from tests.coordinator.fleet import config, fleet, until

EU, E1 = RegionId("eu"), EdgeId("e1")


def presence(region: str = "eu", edge: str = "e1", **more: Any) -> BusMessage:
    values: dict[str, Any] = {"online": True, "region": region, "url": "ws://h:1", "latitude": 50.0, **more}
    return BusMessage(topics.presence(RegionId(region), EdgeId(edge)), encode(Presence(**values)), retained=False)


def report(region: str = "eu", edge: str = "e1", *, retained: bool = False, **more: Any) -> BusMessage:
    values: dict[str, Any] = {"at_ms": 1, "players": 3, "players_max": 100, "free_matches": 5, **more}
    return BusMessage(topics.report(RegionId(region), EdgeId(edge)), encode(EdgeReport(**values)), retained)


def desired(revision: int, **more: Any) -> BusMessage:
    return BusMessage(topics.desired(EU), encode(Desired(revision=revision, **more)), retained=True)


TOO_MANY_QUEUES = json.dumps({"at_ms": 1, "queued": dict.fromkeys(map(str, range(65)), 1)}).encode()
ELSEWHERE = encode(Presence(online=True, region="us", url="ws://h:1"))


def started(now_ms: int = 1_000) -> Registry:
    registry = Registry()
    registry.note_bus(True, now_ms)
    registry.hear(presence(), now_ms)
    registry.hear(report(), now_ms)
    return registry


def doubt(registry: Registry, now_ms: int, edge: EdgeId = E1) -> str:
    return registry.doubt(registry.regions[EU].edges[edge], now_ms)


def test_a_process_is_fine_then_silent_then_gone() -> None:
    registry = started(1_000)
    assert doubt(registry, 1_000) == ""
    assert doubt(registry, 1_000 + SUSPECTED_MS) == ""
    assert doubt(registry, 1_001 + SUSPECTED_MS) == "silent"
    assert registry.online(1_001 + SUSPECTED_MS)
    assert doubt(registry, 1_001 + LOST_MS) == "offline"
    assert not registry.online(1_001 + LOST_MS)
    registry.hear(report(), 90_000)
    assert doubt(registry, 90_000) == ""


def test_the_last_will_ends_it_at_once() -> None:
    registry = started()
    registry.hear(presence(online=False), 1_100)
    assert doubt(registry, 1_100) == "offline"
    assert registry.loads(1_100)[0].edges == []
    registry.hear(presence(), 1_200)
    assert doubt(registry, 1_200) == "no report yet"


def test_a_retained_report_is_not_a_sign_of_life() -> None:
    registry = Registry()
    registry.note_bus(True, 0)
    registry.hear(presence(), 0)
    registry.hear(report(retained=True, players=77), 0)
    assert doubt(registry, 0) == "no report yet"
    assert registry.loads(0)[0].edges[0].players == 77
    assert doubt(registry, LOST_MS + 1) == "offline"  # a ghost that nobody's will removed


def test_silence_proves_nothing_while_the_broker_is_away() -> None:
    registry = started(0)
    registry.note_bus(False, 1_000)
    assert doubt(registry, 10 * LOST_MS) == "silent"
    registry.note_bus(True, 10 * LOST_MS)
    assert doubt(registry, 11 * LOST_MS) == "silent"
    assert doubt(registry, 11 * LOST_MS + 1) == "offline"


def test_a_process_without_its_store_is_doubtful() -> None:
    registry = started()
    registry.hear(report(store_ok=False), 1_000)
    assert "store" in doubt(registry, 1_000)


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (presence(url="http://h:1"), "bad_presence"),
        (presence(url="ws://h\n:1"), "bad_presence"),
        (presence(region_title="a\x1b[2J"), "bad_presence"),
        (BusMessage(topics.presence(EU, E1), ELSEWHERE, False), "bad_presence"),
        (BusMessage(topics.presence(RegionId("EU!"), E1), encode(Presence(online=True, url="ws://h")), False), "bad_topic"),
        (BusMessage(topics.presence(EU, E1), b'{"online":true,"latitude":91,"url":"ws://h"}', False), "bad_presence"),
        (BusMessage(topics.report(EU, E1), b'{"at_ms":-1}', False), "bad_report"),
        (BusMessage(topics.report(EU, E1), b'{"at_ms":1,"tick_busy":NaN}', False), "bad_report"),
        (BusMessage(topics.report(EU, E1), TOO_MANY_QUEUES, False), "bad_report"),
        (BusMessage(topics.desired(EU), b"[]", False), "bad_desired"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_dropped_and_counted(message: BusMessage, why: str) -> None:
    registry = Registry()
    registry.hear(message, 0)
    assert registry.dropped == {why: 1}
    assert not any(region.edges for region in registry.regions.values())


@given(st.lists(st.tuples(st.sampled_from(["presence", "report", "desired", "x/y"]), st.binary(max_size=60), st.booleans())))
def test_no_payload_raises(messages: list[tuple[str, bytes, bool]]) -> None:
    registry = started()
    for kind, payload, retained in messages:
        topic = f"gameedge/v1/region/eu/edge/e1/{kind}" if kind != "desired" else topics.desired(EU)
        registry.hear(BusMessage(topic, payload, retained), 1_000)
    registry.loads(1_000)


def test_tables_are_bounded_and_forget_who_left_first() -> None:
    registry = Registry()
    for index in range(limits.EDGES_PER_REGION_MAX + 5):
        registry.hear(presence(edge=f"e{index}"), index)
    assert len(registry.regions[EU].edges) == limits.EDGES_PER_REGION_MAX
    assert registry.dropped == {"too_many_edges": 5}
    registry.hear(presence(edge="e7", online=False), 2_000)
    registry.hear(presence(edge="e3", online=False), 2_001)
    registry.hear(presence(edge="new"), 2_002)
    assert EdgeId("e7") not in registry.regions[EU].edges
    assert EdgeId("new") in registry.regions[EU].edges
    for index in range(limits.REGIONS_MAX + 3):
        registry.hear(presence(region=f"r{index}"), 3_000)
    assert len(registry.regions) == limits.REGIONS_MAX


def test_offline_processes_that_were_never_there_take_no_room() -> None:
    registry = Registry()
    registry.hear(presence(online=False), 0)
    assert registry.regions == {}


def test_a_cleared_presence_is_forgotten() -> None:
    registry = started()
    registry.hear(BusMessage(topics.presence(EU, E1), b"", False), 1_000)
    assert registry.regions == {}


def test_desired_states_only_grow_and_steer_placement() -> None:
    registry = started()
    registry.hear(desired(5, draining=True), 1_000)
    assert registry.loads(1_000)[0].draining
    assert registry.online(1_000) == []
    registry.hear(desired(4), 1_000)
    assert registry.regions[EU].desired.draining
    assert registry.outdated == {EU}  # the bus holds less than is known here
    registry.hear(desired(6, draining_edges=["e1"]), 1_000)
    assert registry.outdated == set()
    assert registry.loads(1_000)[0].edges[0].draining


def test_those_on_their_way_count_until_reports_show_them() -> None:
    registry = started()
    for _ in range(8):
        registry.placed(EU, E1)
    assert registry.loads(1_000)[0].edges[0].arriving == 8
    for expected in (4, 2, 1, 0):
        registry.hear(report(), 1_000)
        assert registry.loads(1_000)[0].edges[0].arriving == expected


def test_heartbeats_that_stop_are_noticed_and_come_back() -> None:
    registry = Registry()
    registry.note_bus(True, 0)
    registry.hear(presence(), 0)
    registry.hear(report(), 0)
    topic = topics.beat(RegionId("eu"), EdgeId("e1"))
    for at in range(0, 4_000, 100):
        registry.hear(BusMessage(topic, b"%d" % at, False), at)
        if at % 500 == 0:
            registry.hear(report(), at)
    edge = registry.regions[RegionId("eu")].edges[EdgeId("e1")]
    assert registry.doubt(edge, 3_950) == ""
    assert registry.doubt(edge, 4_200) == "no heartbeat", "within 300 ms of the last one"
    registry.hear(BusMessage(topic, b"x", False), 4_300)
    assert registry.doubt(edge, 4_350) == ""


def test_absurd_capacity_is_bounded() -> None:
    registry = Registry()
    registry.hear(presence(), 0)
    registry.hear(report(players_max=2**52, free_matches=2**52), 0)
    assert registry.loads(1)[0].edges[0].players_max == 100_000


def test_two_regions_with_one_name_do_not_move_each_other() -> None:
    registry = started(1_000)
    registry.hear(presence(edge="e2", latitude=50.2, url="ws://h:2"), 2_000)
    registry.hear(report(edge="e2"), 2_000)
    registry.hear(presence(edge="x1", latitude=-33.0, url="ws://elsewhere:1", region_title="Sydney"), 3_000)
    registry.hear(report(edge="x1"), 3_000)
    region = registry.regions[EU]
    assert (region.latitude, region.title) == (50.0, "eu"), "the place of who was there first"
    assert doubt(registry, 3_000) == doubt(registry, 3_000, EdgeId("e2")) == ""
    assert "name" in doubt(registry, 3_000, EdgeId("x1"))
    for edge in ("e1", "e2"):  # a move of the whole region is told process by process, as these restart
        registry.hear(presence(edge=edge, latitude=-33.0, url="ws://h:3"), 4_000)
    assert region.latitude == -33.0
    assert {doubt(registry, 4_000, EdgeId(edge)) for edge in ("e1", "e2", "x1")} == {""}


@pytest.mark.parametrize("skew_ms", [-600_000, 600_000])
def test_the_clocks_of_regions_do_not_matter(skew_ms: int) -> None:
    registry = Registry()
    registry.note_bus(True, 10_000_000)
    registry.hear(presence(started_ms=10_000_000 + skew_ms), 10_000_000)
    registry.hear(report(at_ms=10_000_000 + skew_ms), 10_000_000)
    assert doubt(registry, 10_000_000 + SUSPECTED_MS) == ""
    assert doubt(registry, 10_000_001 + SUSPECTED_MS) == "silent"


def test_releases_before_and_after_this_one_are_understood() -> None:
    """An old process says less, a new one more; an old coordinator says less of what it wants."""
    registry = started(1_000)
    old = json.dumps({"at_ms": 1, "players": 7, "players_max": 10, "free_matches": 1}).encode()
    new = json.dumps({"at_ms": 1, "players": 8, "players_max": 10, "free_matches": 1, "moon": {"phase": [1, 2]}}).encode()
    for data, players in ((old, 7), (new, 8)):
        registry.hear(BusMessage(topics.report(EU, E1), data, retained=False), 2_000)
        assert registry.loads(2_000)[0].edges[0].players == players
    for revision, data in ((5, b'{"revision":5,"draining":true}'), (6, b'{"revision":6,"draining":true,"weather":"fine"}')):
        registry.hear(BusMessage(topics.desired(EU), data, retained=True), 2_000)
        assert (registry.regions[EU].desired.revision, registry.regions[EU].desired.draining) == (revision, True)
    assert registry.dropped == {}


def test_round_trips_between_regions_are_kept_bounded_and_forgotten() -> None:
    registry = started(1_000)
    registry.hear(presence("us", url="ws://us:1"), 1_000)
    registry.hear(report("us", regions_ms={"eu": 90.0, "us": 1.0, "nowhere": 5.0}), 1_000)
    registry.hear(report(regions_ms={"us": 95.0}), 1_000)
    pings = registry.between.matrix(registry.regions, 1_000)
    assert pings == {("us", "eu"): 90.0, ("eu", "us"): 95.0}
    assert registry.between.matrix(registry.regions, 1_001) is pings, "a table may keep what it made of it"
    registry.hear(report(regions_ms={"us": 300.0}), 2_000)  # a busy moment
    assert registry.between.matrix(registry.regions, 2_000) == pings
    registry.hear(report(regions_ms={"us": 300.0}), 200_000)  # another cable
    assert registry.between.matrix(registry.regions, 200_000)[EU, RegionId("us")] == 300.0
    assert list(registry.between.matrix(registry.regions, 700_000)) == [("eu", "us")]
    assert registry.between.matrix(registry.regions, 2_000_000) == {}
    for bad in (b'{"at_ms":1,"regions_ms":{"us":-1}}', b'{"at_ms":1,"regions_ms":{"us":NaN}}', b'{"at_ms":1,"regions_ms":{"us":1e99}}'):
        registry.hear(BusMessage(topics.report(EU, E1), bad, retained=False), 2_000_000)
    assert registry.dropped == {"bad_report": 3}


def test_a_process_that_comes_back_is_there_before_its_first_report() -> None:
    """Its name was known long before: that it was silent while it was away says nothing."""
    registry = started(0)
    registry.hear(presence(online=False), 60_000)
    registry.hear(presence(), 600_000)
    assert doubt(registry, 600_000) == "no report yet"
    assert doubt(registry, 600_001 + LOST_MS) == "offline"


def test_a_table_that_was_made_before_a_process_was_forgotten_is_not_used() -> None:
    registry = started(1_000)
    placing = Placing(CoordinatorConfig(redis="memory://", bus="memory://"), registry)
    assert placing.place(Seen(), [], None, 1_000, lambda: 0.5)[0].region == EU
    registry.hear(BusMessage(topics.presence(EU, E1), b"", False), 1_010)
    with pytest.raises(UnavailableError, match="no region is online"):
        placing.place(Seen(), [], None, 1_020, lambda: 0.5)


def test_a_lost_process_is_an_alarm_until_it_was_away_for_long() -> None:
    """Nobody's will said that it is gone (its host lost power while the broker was restarted): silence alone does."""
    registry, alarms = started(0), Alarms()

    def look(now_ms: int) -> list[tuple[str, str]]:
        return [(alarm.what, alarm.edge) for alarm in alarms.look(registry, now_ms, bus_online=True, store_ms=1.0)]

    registry.hear(presence(edge="e2", url="ws://h:2"), 0)
    for at in range(0, LOST_MS + 20_000, 500):
        registry.hear(report(), at)
        shown = look(at)
        if at > SUSPECTED_MS + 5_000 and not 0 <= at - LOST_MS <= HOLD_MS + 500:  # there it becomes another alarm
            assert [edge for _, edge in shown] == ["e2"], at
    assert shown == [("is offline", "e2")]
    registry.hear(report(), 2 * OFFLINE_SHOWN_MS)
    assert look(2 * OFFLINE_SHOWN_MS) == []


async def test_gauges_of_a_region_that_was_forgotten_are_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "WATCH_S", 0.01)
    async with fleet() as world:
        await world.report("eu", players=17)
        metrics = world.running.services.metrics
        await until(lambda: metrics.value("coordinator_players", region="eu") == 17)
        await world.bus.publish(topics.presence(EU, E1), b"", retain=True)
        await until(lambda: metrics.value("coordinator_players", region="eu") == metrics.value("coordinator_edges", region="eu") == 0)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"allow_regions": ["EU West"]}, "allow_regions: 'EU West' is no name of a region"),
        ({"residency": {"de": ["eu_west"]}}, "residency de: 'eu_west' is no name"),
        ({"residency": {"x" * 33: ["eu"]}}, "a label has 1 to 32"),
        ({"pin_region": "eu", "deny_regions": ["eu"]}, "pin_region eu is not allowed"),
    ],
)
async def test_a_file_by_which_nobody_could_be_placed_is_refused_at_the_start(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        async with fleet(config(**wrong)):
            pass
