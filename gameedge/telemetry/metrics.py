"""Metrics that cost an addition on the hot path and a copy at the scrape.

A series is a plain object with a number in it (`counter.value += 1`), held by whoever counts; `Registry` finds all of them
when Prometheus asks. The table of what exists is `declared.py`: a name or label that is not declared there is a `KeyError` at
start-up, not a silent new series.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from gameedge.core import limits
from gameedge.telemetry.declared import COORDINATOR, EDGE, PREFIX, Kind, Metric

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
OTHER: Final = "other"  # the label value that takes what is over the bound

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


class Counter:
    """`value` only grows. Not thread-safe: one loop owns it."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0

    def add(self, n: float = 1) -> None:
        self.value += n


class Gauge:
    """`value` is whatever was set last."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0

    def set(self, value: float) -> None:
        self.value = value


class Histogram:
    """Counts by upper bound (inclusive), and the sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = list(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def observe_many(self, values: NDArray[np.float32] | NDArray[np.float64]) -> None:
        """Any number of finite values in one call."""
        found = np.bincount(np.searchsorted(self.bounds, values), minlength=len(self.counts))
        self.counts = [a + int(b) for a, b in zip(self.counts, found, strict=True)]
        self.sum += float(values.sum())


Series = Counter | Gauge | Histogram


class Registry(Collector):
    """All series of one process. `counter`, `gauge` and `histogram` give the same object for the same name and labels."""

    def __init__(self, table: Iterable[Metric], *, process: bool = True) -> None:
        self._metrics = {metric.name: metric for metric in table}
        self._series: dict[str, dict[tuple[str, ...], Series]] = {name: {} for name in self._metrics}
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        if process:  # memory, CPU, file descriptors, garbage collection
            ProcessCollector(registry=self._registry)
            GCCollector(registry=self._registry)

    def counter(self, name: str, **labels: str) -> Counter:
        series = self._find(name, Kind.COUNTER, labels)
        assert isinstance(series, Counter)
        return series

    def gauge(self, name: str, **labels: str) -> Gauge:
        series = self._find(name, Kind.GAUGE, labels)
        assert isinstance(series, Gauge)
        return series

    def histogram(self, name: str, **labels: str) -> Histogram:
        series = self._find(name, Kind.HISTOGRAM, labels)
        assert isinstance(series, Histogram)
        return series

    def value(self, name: str, **labels: str) -> float:
        """A counter or gauge now; without labels, the sum over all of them. For reports and tests."""
        found = self._series[name]
        if labels:
            series = found.get(tuple(labels[key] for key in self._metrics[name].labels))
            return series.value if isinstance(series, Counter | Gauge) else 0
        return sum(series.value for series in found.values() if isinstance(series, Counter | Gauge))

    def text(self) -> bytes:
        """Everything in Prometheus' text form; `CONTENT_TYPE` goes with it."""
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Family]:
        for name, found in self._series.items():
            family = _family(self._metrics[name])
            for labels, series in list(found.items()):
                _add(family, labels, series)
            yield family

    def _find(self, name: str, kind: Kind, labels: dict[str, str]) -> Series:
        metric = self._metrics.get(name)
        if metric is None or metric.kind is not kind or set(labels) != set(metric.labels):
            raise KeyError(f"{kind} {name}{{{', '.join(sorted(labels))}}} is not declared: add it to gameedge/telemetry/declared.py")
        found = self._series[name]
        values = tuple(labels[key] for key in metric.labels)
        if values not in found and len(found) >= limits.METRIC_SERIES_MAX:
            values = (OTHER,) * len(values)  # a label that a peer could grow must not grow our memory
        if values not in found:
            found[values] = _make(metric)
        return found[values]


def edge_registry() -> Registry:
    """The registry of an edge process."""
    return Registry(EDGE)


def coordinator_registry() -> Registry:
    """The registry of a coordinator."""
    return Registry(COORDINATOR)


def _make(metric: Metric) -> Series:
    if metric.kind is Kind.COUNTER:
        return Counter()
    return Gauge() if metric.kind is Kind.GAUGE else Histogram(metric.bounds)


def _family(metric: Metric) -> Family:
    name, text, labels = PREFIX + metric.name, metric.help, metric.labels
    if metric.kind is Kind.COUNTER:
        return CounterMetricFamily(name, text, labels=labels)
    return GaugeMetricFamily(name, text, labels=labels) if metric.kind is Kind.GAUGE else HistogramMetricFamily(name, text, labels=labels)


def _add(family: Family, labels: tuple[str, ...], series: Series) -> None:
    if isinstance(family, HistogramMetricFamily):
        assert isinstance(series, Histogram)
        running, buckets = 0, []
        for bound, count in zip([*series.bounds, float("inf")], series.counts, strict=True):
            running += count
            buckets.append((repr(bound) if bound != float("inf") else "+Inf", running))
        family.add_metric(labels, buckets, series.sum)
    else:
        assert isinstance(series, Counter | Gauge)
        family.add_metric(labels, series.value)
