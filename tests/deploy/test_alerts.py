"""Alert rules name only metrics that are declared."""

import re
from pathlib import Path

from gameedge.telemetry.declared import COORDINATOR, EDGE, PREFIX, Kind

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "alerts.yml"


def test_every_metric_is_declared() -> None:
    known = set()
    for metric in (*EDGE, *COORDINATOR):
        endings = ("_bucket", "_sum", "_count") if metric.kind is Kind.HISTOGRAM else ("",)
        known |= {PREFIX + metric.name + ending for ending in endings}
    used = set(re.findall(rf"\b{PREFIX}\w+", re.sub(r"#.*", "", RULES.read_text("utf-8"))))
    assert len(used) >= 7
    assert used <= known, used - known
