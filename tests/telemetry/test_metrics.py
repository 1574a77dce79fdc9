"""Metrics: declared once, cheap to count, right when scraped."""

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gameedge.core import limits
from gameedge.telemetry.declared import COORDINATOR, EDGE, PREFIX, Kind
from gameedge.telemetry.metrics import OTHER, Registry, coordinator_registry, edge_registry


def scrape(registry: Registry) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(registry.text().decode())
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def test_declarations_are_consistent() -> None:
    names = [metric.name for metric in (*EDGE, *COORDINATOR)]
    assert len(names) == len(set(names))
    for metric in (*EDGE, *COORDINATOR):
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER), metric.name
        assert bool(metric.bounds) == (metric.kind is Kind.HISTOGRAM), metric.name
        assert list(metric.bounds) == sorted(set(metric.bounds)), metric.name
        assert metric.help.endswith("."), metric.name


def test_what_is_counted_is_scraped() -> None:
    registry = edge_registry()
    accepted = registry.counter("inputs_total", outcome="accepted")
    accepted.value += 3
    registry.gauge("players").set(7)
    lateness = registry.histogram("tick_lateness_ms")
    lateness.observe(0.5)  # bounds are inclusive
    lateness.observe(9999.0)
    lateness.observe_many(np.array([0.05, 3.0], np.float32))
    found = scrape(registry)
    assert found[PREFIX + "inputs_total", frozenset({("outcome", "accepted")})] == 3
    assert found[PREFIX + "players", frozenset()] == 7
    assert found[PREFIX + "tick_lateness_ms_bucket", frozenset({("le", "0.1")})] == 1
    assert found[PREFIX + "tick_lateness_ms_bucket", frozenset({("le", "0.5")})] == 2
    assert found[PREFIX + "tick_lateness_ms_bucket", frozenset({("le", "4.0")})] == 3
    assert found[PREFIX + "tick_lateness_ms_bucket", frozenset({("le", "+Inf")})] == 4
    assert found[PREFIX + "tick_lateness_ms_sum", frozenset()] == pytest.approx(10002.55, rel=1e-6)


def test_same_labels_are_the_same_series() -> None:
    registry = edge_registry()
    assert registry.counter("flags_total", rule="aim") is registry.counter("flags_total", rule="aim")
    registry.counter("flags_total", rule="aim").add(2)
    registry.counter("flags_total", rule="speed").add()
    assert registry.value("flags_total", rule="aim") == 2
    assert registry.value("flags_total", rule="never") == 0
    assert registry.value("flags_total") == 3


@pytest.mark.parametrize(
    ("name", "labels"), [("nope", {}), ("players", {"mode": "duel"}), ("flags_total", {}), ("inputs_total", {"outcom": "x"})]
)
def test_undeclared_series_are_refused(name: str, labels: dict[str, str]) -> None:
    with pytest.raises(KeyError, match="not declared"):
        edge_registry().counter(name, **labels)


def test_labels_cannot_grow_without_bound() -> None:
    registry = coordinator_registry()
    for index in range(limits.METRIC_SERIES_MAX + 50):
        registry.counter("coordinator_placements_total", region=f"r{index}").add()
    found = [key for key in scrape(registry) if key[0] == PREFIX + "coordinator_placements_total"]
    assert len(found) == limits.METRIC_SERIES_MAX + 1
    assert registry.value("coordinator_placements_total", region=OTHER) == 50
    assert registry.value("coordinator_placements_total") == limits.METRIC_SERIES_MAX + 50


def test_process_figures_are_there() -> None:
    assert b"process_resident_memory_bytes" in edge_registry().text()
