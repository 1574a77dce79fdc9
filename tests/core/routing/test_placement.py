"""Placement: what can be promised for all inputs, and the figures a reader would check by hand."""

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gameedge.core.errors import Reason, RefusedError
from gameedge.core.ids import EdgeId, RegionId
from gameedge.core.routing.distance import EARTH_RADIUS_KM, expected_rtt_ms, haversine_km
from gameedge.core.routing.estimate import robust_rtt_ms
from gameedge.core.routing.load import LOAD_MS_MAX, EdgeLoad, RegionLoad, Settings, edge_load_ms
from gameedge.core.routing.placement import Seen, Table, place, score_region
from gameedge.core.routing.policy import Policy

NEAR_OFF = Settings(near_ms=0.0)
latitudes = st.floats(-90, 90)
longitudes = st.floats(-180, 180)
any_float = st.floats(allow_nan=True, allow_infinity=True)
plausible = st.floats(0.1, 10_000)


def names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{index}" for index in range(count)]


@st.composite
def edges(draw: st.DrawFn, name: str) -> EdgeLoad:
    players_max = draw(st.sampled_from([0, 1, 100]))
    return EdgeLoad(
        edge=EdgeId(name),
        url=f"ws://{name}",
        players=draw(st.integers(0, 120)),
        players_max=players_max,
        free_matches=draw(st.sampled_from([0, 1, 50])),
        lateness_ms_p99=draw(any_float),
        busy=draw(any_float),
        draining=draw(st.booleans()),
        doubtful=draw(st.sampled_from(["", "", "silent"])),
    )


@st.composite
def fleets(draw: st.DrawFn) -> list[RegionLoad]:
    return [
        RegionLoad(
            region=RegionId(name),
            latitude=draw(latitudes),
            longitude=draw(longitudes),
            draining=draw(st.sampled_from([False, False, True])),
            edges=[draw(edges(f"{name}-{edge}")) for edge in names("e", draw(st.integers(0, 4)))],
        )
        for name in names("r", draw(st.integers(0, 6)))
    ]


@st.composite
def sights(draw: st.DrawFn) -> Seen:
    return Seen(
        rtt_ms={
            RegionId(name): draw(st.lists(any_float, max_size=5))
            for name in draw(st.lists(st.sampled_from([*names("r", 6), "elsewhere"]), unique=True))
        },
        latitude=draw(st.none() | any_float),
        longitude=draw(st.none() | any_float),
        current=draw(st.none() | st.sampled_from([RegionId("r0"), RegionId("elsewhere")])),
    )


def usable(region: RegionLoad) -> list[EdgeLoad]:
    return [] if region.draining else [edge for edge in region.edges if not edge.draining and not edge.full]


@given(fleets(), sights(), st.randoms(use_true_random=False))
@settings(max_examples=400)
def test_never_full_draining_or_doubtful_while_another_is_there(fleet: list[RegionLoad], seen: Seen, rng: random.Random) -> None:
    table = {region.region: region for region in fleet}
    everything = [edge for region in fleet for edge in usable(region)]
    if not everything:
        with pytest.raises(RefusedError) as refused:
            place(fleet, seen, rng.random)
        assert refused.value.reason in (Reason.SERVER_FULL, Reason.UNAVAILABLE)
        assert refused.value.retry_after_ms is not None
        return
    found = place(fleet, seen, rng.random)
    allowed = usable(table[found.region])
    assert found.edges
    assert all(edge in allowed for edge in found.edges)
    assert len(found.edges) == len({edge.edge for edge in found.edges})
    if any(not edge.doubtful for edge in everything):
        assert not found.edges[0].doubtful
    assert set(found.why) == set(table)
    assert all(math.isfinite(score.total_ms) and score.total_ms >= 0 for score in found.why.values())


@given(fleets(), sights(), st.randoms(use_true_random=False))
def test_the_nearest_wins_but_for_near_equals_and_staying(fleet: list[RegionLoad], seen: Seen, rng: random.Random) -> None:
    if not any(usable(region) for region in fleet):
        return
    found = place(fleet, seen, rng.random)
    open_to = [score for score in found.why.values() if not score.excluded]
    open_to = [score for score in open_to if not score.doubtful] or open_to
    best = min(score.total_ms for score in open_to)
    margin = 2.0 + (15.0 if found.stayed else 0.0)
    assert found.why[found.region].total_ms <= best + margin + 1e-6


@given(st.lists(plausible, min_size=1, max_size=8), st.data())
def test_the_estimate_never_falls_when_a_sample_grows(samples: list[float], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(samples) - 1))
    slower = list(samples)
    slower[index] = data.draw(st.floats(samples[index], 10_000))
    before, after = robust_rtt_ms(samples), robust_rtt_ms(slower)
    assert before is not None
    assert after is not None
    assert after >= before - 1e-9
    assert min(samples) - 1e-9 <= before <= max(samples) + 1e-9


@given(fleets(), sights(), st.data())
def test_a_slower_round_trip_never_attracts(fleet: list[RegionLoad], seen: Seen, data: st.DataObject) -> None:
    """A region that was not chosen is not chosen either after its samples grew, whatever is drawn."""
    if not fleet or not any(usable(region) for region in fleet):
        return
    other = data.draw(st.sampled_from([region.region for region in fleet]))
    samples = [s for s in seen.rtt_ms.get(other, []) if math.isfinite(s) and 0 < s <= 5_000]
    seen = replace(seen, rtt_ms={**seen.rtt_ms, other: samples}, current=None)
    if not samples or place(fleet, seen, lambda: 0.0, NEAR_OFF).region == other:
        return
    slower = replace(seen, rtt_ms={**seen.rtt_ms, other: [s * 1.5 for s in samples]})
    assert place(fleet, slower, lambda: 0.0, NEAR_OFF).region != other


@given(edges("e"), st.floats(0, 1), st.floats(0, 1))
def test_load_grows_with_every_figure_and_is_bounded(edge: EdgeLoad, low: float, high: float) -> None:
    low, high = sorted((low, high))
    assert 0 <= edge_load_ms(edge) <= LOAD_MS_MAX
    assert edge_load_ms(replace(edge, busy=low)) <= edge_load_ms(replace(edge, busy=high))
    late_low, late_high = replace(edge, lateness_ms_p99=low * 900), replace(edge, lateness_ms_p99=high * 900)
    assert edge_load_ms(late_low) <= edge_load_ms(late_high)
    roomy = replace(edge, players_max=100)
    assert edge_load_ms(replace(roomy, players=int(low * 100))) <= edge_load_ms(replace(roomy, players=int(high * 100)))


@given(latitudes, longitudes, latitudes, longitudes)
def test_distance_is_a_distance(a: float, b: float, c: float, d: float) -> None:
    there = haversine_km(a, b, c, d)
    assert 0 <= there <= math.pi * EARTH_RADIUS_KM + 1e-6
    assert there == pytest.approx(haversine_km(c, d, a, b), abs=1e-6)
    assert haversine_km(a, b, a, b) == pytest.approx(0, abs=1e-3)


def test_distances_that_an_atlas_knows() -> None:
    assert haversine_km(52.52, 13.405, 48.857, 2.352) == pytest.approx(878, abs=3)  # Berlin, Paris
    assert haversine_km(-33.87, 151.21, 51.507, -0.128) == pytest.approx(16_994, abs=30)  # Sydney, London
    assert haversine_km(0, 0, 0, 180) == pytest.approx(math.pi * EARTH_RADIUS_KM)
    assert expected_rtt_ms(0) == 15.0
    assert expected_rtt_ms(5800) == 115.0


def region(name: str, *edges: EdgeLoad, latitude: float = 0.0, longitude: float = 0.0) -> RegionLoad:
    return RegionLoad(RegionId(name), latitude, longitude, edges or (good(f"{name}-1"),))


def good(name: str, players: int = 10, **more: object) -> EdgeLoad:
    return replace(EdgeLoad(EdgeId(name), f"ws://{name}", players=players, players_max=100, free_matches=9), **more)  # type: ignore[arg-type]


def test_one_stall_does_not_move_a_player_to_another_continent() -> None:
    fleet = [region("near"), region("far")]
    seen = Seen(rtt_ms={RegionId("near"): [21, 1900, 22], RegionId("far"): [95, 96, 97]})
    assert place(fleet, seen, lambda: 0.0).region == "near"


def test_absurd_samples_are_no_samples() -> None:
    assert robust_rtt_ms([math.nan, math.inf, -5.0, 0.0, 60_000.0]) is None
    assert robust_rtt_ms([math.nan, 30.0, -1.0]) == 30.0


def test_a_busy_region_loses_to_a_slightly_farther_one() -> None:
    fleet = [region("near", good("n", lateness_ms_p99=60.0)), region("next")]
    seen = Seen(rtt_ms={RegionId("near"): [20.0], RegionId("next"): [45.0]})
    found = place(fleet, seen, lambda: 0.0)
    assert found.region == "next"
    assert found.why[RegionId("near")].load_ms == pytest.approx(58.0)


def test_a_player_stays_unless_moving_is_worth_it() -> None:
    fleet = [region("here"), region("there")]
    seen = Seen(rtt_ms={RegionId("here"): [40.0], RegionId("there"): [30.0]}, current=RegionId("here"))
    found = place(fleet, seen, lambda: 0.0)
    assert (found.region, found.stayed) == ("here", True)
    much = replace(seen, rtt_ms={RegionId("here"): [80.0], RegionId("there"): [30.0]})
    assert place(fleet, much, lambda: 0.0).region == "there"


def test_position_decides_where_nothing_was_measured() -> None:
    fleet = [region("frankfurt", latitude=50.1, longitude=8.7), region("tokyo", latitude=35.7, longitude=139.7)]
    found = place(fleet, Seen(latitude=48.9, longitude=2.4), lambda: 0.0)
    assert found.region == "frankfurt"
    assert found.why[RegionId("frankfurt")].basis == "distance"
    assert found.why[RegionId("frankfurt")].distance_km == pytest.approx(480, abs=20)


def test_full_everywhere_is_told_apart_from_nothing_there() -> None:
    full = good("e", players=100)
    with pytest.raises(RefusedError) as refused:
        place([region("a", full)], Seen(), lambda: 0.0)
    assert refused.value.reason is Reason.SERVER_FULL
    with pytest.raises(RefusedError) as refused:
        place([RegionLoad(RegionId("a"), 0, 0, ())], Seen(), lambda: 0.0)
    assert refused.value.reason is Reason.UNAVAILABLE


def test_two_choices_spread_players_over_equal_regions() -> None:
    """With reports that do not change, nobody gets more than what two random choices give away."""
    fleet = [region(name) for name in ("a", "b", "c", "d")]
    rng = random.Random(7)
    seen = Seen(rtt_ms={r.region: [30.0] for r in fleet})
    chosen = [place(fleet, seen, rng.random).region for _ in range(400)]
    assert {str(name) for name in chosen} >= {"a", "b", "c"}


def test_of_two_near_equals_the_emptier_is_taken() -> None:
    fleet = [region("a", good("a1", players=60)), region("b", good("b1", players=5))]
    seen = Seen(rtt_ms={RegionId("a"): [30.0], RegionId("b"): [31.0]})
    assert place(fleet, seen, lambda: 0.0).region == "b"


def test_edges_come_in_order_of_load_and_at_most_four() -> None:
    crowd = [good(f"e{index}", players=10, lateness_ms_p99=10.0 * index) for index in range(6)]
    found = place([region("a", *reversed(crowd))], Seen(), lambda: 0.0)
    assert [edge.edge for edge in found.edges] == ["e0", "e1", "e2", "e3"]


def test_a_score_explains_itself() -> None:
    score = score_region(region("a", good("x", draining=True)), Seen())
    assert (score.excluded, score.basis) == ("draining", "unknown")


FAR = region("far", latitude=35.7, longitude=139.7)
NEAR = region("near", latitude=51.5, longitude=0.0)


def confirmed(*fleet: RegionLoad) -> Table:
    """Regions that have measured each other at 1.5 times light's time."""
    apart = {
        (a.region, b.region): haversine_km(a.latitude, a.longitude, b.latitude, b.longitude) * 0.015 + 1
        for a in fleet
        for b in fleet
        if a is not b
    }
    return Table(fleet, between_ms=apart)


def test_an_impossible_pair_is_not_believed_on_either_side() -> None:
    """London and Tokyo are 96 ms apart at the speed of light: nobody is 5 ms from both."""
    near, far, third = RegionId("near"), RegionId("far"), RegionId("third")
    seen = Seen(rtt_ms={near: [5.0], far: [1.0], third: [75.0]})
    found = confirmed(NEAR, FAR, region("third", latitude=20.0, longitude=70.0)).place(seen, lambda: 0.0)
    assert found.region == "third", "one word against another"
    assert found.why[far].rtt_ms == pytest.approx(90.7, abs=2)
    honest_but_for_tokyo = Seen(rtt_ms={near: [5.0], far: [1.0], third: [80.0]})
    found = confirmed(NEAR, FAR, region("third", latitude=40.0, longitude=-74.0)).place(honest_but_for_tokyo, lambda: 0.0)
    assert found.region == "near", "two words against one"


def test_a_position_that_measurements_rule_out_guesses_nothing() -> None:
    """Says London, is 12 ms from Tokyo: London, not measured, is not taken for near."""
    seen = Seen(rtt_ms={RegionId("far"): [12.0]}, latitude=51.5, longitude=0.0)
    found = place([NEAR, FAR], seen, lambda: 0.0)
    assert found.region == "far"
    assert found.why[RegionId("near")].rtt_ms == Settings().unknown_rtt_ms


def test_a_region_at_the_wrong_place_is_found_by_pings_between_regions() -> None:
    """`far` says Tokyo and answers everybody in Europe within 10 ms: its word is not held against players."""
    paris = region("paris", latitude=48.9, longitude=2.4)
    seen = Seen(rtt_ms={RegionId("near"): [9.0], RegionId("far"): [4.0], RegionId("paris"): [12.0]})
    pings = {
        (RegionId("near"), RegionId("far")): 6.0,
        (RegionId("paris"), RegionId("far")): 8.0,
        (RegionId("near"), RegionId("paris")): 8.0,
    }
    assert confirmed(NEAR, FAR, paris).place(seen, lambda: 0.0).region == "near"
    assert Table([NEAR, FAR, paris]).place(seen, lambda: 0.0).region == "far", "a claim alone is no evidence"
    assert Table([NEAR, FAR, paris], between_ms=pings).place(seen, lambda: 0.0).region == "far"


@given(latitudes, longitudes, st.lists(st.tuples(latitudes, longitudes, st.floats(0, 300)), min_size=1, max_size=8))
def test_floors_never_raise_what_is_possible(latitude: float, longitude: float, places: list[tuple[float, float, float]]) -> None:
    fleet = [region(f"r{i}", latitude=a, longitude=b) for i, (a, b, _) in enumerate(places)]
    true = [haversine_km(latitude, longitude, a, b) / 100.0 + 0.01 + more for a, b, more in places]
    seen = Seen(rtt_ms={r.region: [rtt] for r, rtt in zip(fleet, true, strict=True)}, latitude=latitude, longitude=longitude)
    assert confirmed(*fleet).rtts(seen) == pytest.approx(true, abs=1e-6)


def test_a_full_region_cannot_be_had_by_lying() -> None:
    fleet = [region("a", good("a1", players=100)), region("b")]
    assert place(fleet, Seen(rtt_ms={RegionId("a"): [0.1], RegionId("b"): [200.0]}), lambda: 0.0).region == "b"


def test_a_nearly_full_region_spills_before_it_refuses() -> None:
    fleet = [region("a", good("a1", players=97)), region("b", good("b1", players=10))]
    seen = Seen(rtt_ms={RegionId("a"): [10.0], RegionId("b"): [150.0]})
    assert place(fleet, seen, lambda: 0.0).region == "b"


def test_cold_start_without_anything_goes_where_there_is_room() -> None:
    fleet = [region("a", good("a1", players=85)), region("b", good("b1", players=10))]
    found = place(fleet, Seen(), lambda: 0.0)
    assert (found.region, found.why[RegionId("a")].basis) == ("b", "unknown")


def test_the_learned_map_comes_before_distance() -> None:
    seen = Seen(latitude=51.5, longitude=0.0, learned_ms={RegionId("near"): 300.0})
    found = place([NEAR, FAR], seen, lambda: 0.0)
    assert found.region == "far"
    assert found.why[RegionId("near")].basis == "learned"


def test_policy_allow_deny_pin_cost_and_residency() -> None:
    seen = Seen(rtt_ms={RegionId("near"): [10.0], RegionId("far"): [40.0]})
    near, far = RegionId("near"), RegionId("far")
    bad_positions = [region("near"), region("far")]

    def chosen(policy: Policy, who: Seen = seen) -> str:
        return place(bad_positions, who, lambda: 0.0, policy=policy).region

    assert chosen(Policy(allow=frozenset({far}))) == "far"
    assert chosen(Policy(deny=frozenset({near}))) == "far"
    assert chosen(Policy(pin=far)) == "far"
    assert chosen(Policy(pin=RegionId("gone"))) == "near"
    assert chosen(Policy(cost_ms={near: 50.0})) == "far"
    assert chosen(Policy(cost_ms={near: math.nan})) == "near"
    eu = Policy(residency={"eu": frozenset({far})})
    assert chosen(eu) == "near"
    assert chosen(eu, replace(seen, residency="eu")) == "far"
    with pytest.raises(RefusedError) as refused:
        chosen(eu, replace(seen, residency="typo"))
    assert refused.value.reason is Reason.FORBIDDEN


def test_a_party_goes_where_its_worst_member_is_best() -> None:
    fleet = [region(name) for name in ("a", "b", "c")]
    names_ = [RegionId(name) for name in ("a", "b", "c")]
    members = [Seen(rtt_ms={n: [v] for n, v in zip(names_, row, strict=True)}) for row in ([10, 200, 90], [200, 10, 100])]
    found = Table(fleet).place_party(members, lambda: 0.0)
    assert found.region == "c"
    assert found.why[RegionId("c")].rtt_ms == 100.0


def test_a_mode_that_needs_an_accelerator_goes_where_one_is() -> None:
    fleet = [region("a"), region("b", good("b1", accelerator=True))]
    seen = Seen(rtt_ms={RegionId("a"): [10.0], RegionId("b"): [80.0]})
    assert Table(fleet, accelerator=True).place(seen, lambda: 0.0).region == "b"


def test_inference_queue_and_gpu_count() -> None:
    seen = Seen(rtt_ms={RegionId("a"): [10.0], RegionId("b"): [25.0]})
    for worse in ({"inference_ms": 30.0}, {"queue_wait_ms": 20_000.0}, {"gpu": 1.0}, {"memory": 1.0}, {"inference_ms": math.nan}):
        assert place([region("a", good("a1", **worse)), region("b")], seen, lambda: 0.0).region == "b", worse


def test_regions_at_impossible_places_do_no_harm() -> None:
    fleet = [region("a", latitude=math.nan), region("b", longitude=math.inf)]
    seen = Seen(rtt_ms={RegionId("a"): [10.0]}, latitude=1.0, longitude=1.0)
    found = place(fleet, seen, lambda: 0.0)
    assert all(math.isfinite(score.total_ms) for score in found.why.values())
