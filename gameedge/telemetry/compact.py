"""Histograms that fit into a report: counts of the last seconds by the same upper bounds as the Prometheus metric of that name.

Counts of several processes add up, which quantiles do not: a coordinator sums them over a region or the world.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from gameedge.telemetry.declared import DURATION_MS, LATENESS_MS, ROWS, RTT_MS, WAIT_MS

BOUNDS: Final[dict[str, tuple[float, ...]]] = {
    "tick_lateness_ms": LATENESS_MS,
    "tick_ms": DURATION_MS,
    "inference_ms": DURATION_MS,
    "inference_batch_rows": ROWS,
    "queue_wait_ms": WAIT_MS,
    "rtt_ms": RTT_MS,
}


def merge(many: Iterable[Mapping[str, list[int]]]) -> dict[str, list[int]]:
    """The sum. What has another number of counts than this version's bounds (plus one for what is above) is left out."""
    total: dict[str, list[int]] = {}
    for histograms in many:
        for name, counts in histograms.items():
            if len(counts) != len(BOUNDS.get(name, ())) + 1 or name not in BOUNDS:
                continue
            into = total.setdefault(name, [0] * len(counts))
            for at, count in enumerate(counts):
                into[at] += count
    return total
