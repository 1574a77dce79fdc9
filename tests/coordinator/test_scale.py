"""Scale signals from reports: up with a surge, nothing said of regions that say nothing."""

from gameedge.coordinator.registry import Registry
from gameedge.coordinator.scale import Scale
from gameedge.core.ids import RegionId
from tests.coordinator.test_registry import presence, report

EU = RegionId("eu")


def test_a_growing_region_is_told_to_grow_and_a_silent_one_nothing() -> None:
    registry = Registry()
    scale = Scale(registry)
    scale.look(0)
    assert scale.desired == {}
    registry.hear(presence(), 0)
    scale.look(100)
    assert scale.desired == {}
    counts = []
    for second in range(1, 60):
        registry.hear(report(players=second * 4, players_max=100, free_matches=5), second * 1000)
        scale.look(second * 1000)
        counts.append(scale.desired[EU])
    assert counts[0] == 1
    assert counts[-1] >= 5, "236 players, four more a second, 100 slots a process"
    assert counts == sorted(counts)
    scale.look(60_000 + 10_000_000)
    scale.look(1_000)  # a clock that went back


def test_absurd_reports_do_no_harm() -> None:
    registry = Registry()
    scale = Scale(registry)
    registry.hear(presence(), 0)
    registry.hear(report(players=2**52, players_max=1, queued={"duel": 2**52}), 0)
    for at in (0, 1, 2):
        scale.look(at)
    assert scale.desired[EU] == 64
