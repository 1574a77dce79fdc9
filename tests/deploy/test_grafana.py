"""The Grafana dashboard: every expression fits what is declared, every variable and panel is whole, and the checker sees mistakes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from gameedge.telemetry.declared import COORDINATOR, EDGE, PREFIX
from tests.deploy.promql import problems

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "gameedge.json"
WIDE = 24
SHOWN_ELSEWHERE = {"gameedge_edge_info"}  # the join of every panel


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DASHBOARD.read_text("utf-8"))
    return found


def queries(dashboard: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Panel, expression, legend, and whether it is a heatmap."""
    return [
        (panel["title"], target["expr"], target["legendFormat"], panel["type"] == "heatmap")
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
    ]


def test_every_expression_fits_the_declared_metrics(dashboard: dict[str, Any]) -> None:
    asked = queries(dashboard)
    assert len(asked) > 50
    wrong = {f"{title}: {expr}": found for title, expr, legend, heat in asked if (found := problems(expr, legend, heatmap=heat))}
    assert not wrong
    for note in dashboard["annotations"]["list"]:
        assert problems(note["expr"], note["titleFormat"]) == []


def test_variables_are_declared_and_all_that_are_used_exist(dashboard: dict[str, Any]) -> None:
    variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)\}?", json.dumps(dashboard["panels"])))
    assert used - {"__rate_interval", "__interval"} == set(variables)
    for name in ("region", "edge"):
        asked = re.fullmatch(r"label_values\((.+), (\w+)\)", variables[name]["definition"])
        assert asked is not None
        assert problems(asked[1], f"{{{{{asked[2]}}}}}") == []


def test_panels_do_not_overlap_and_have_their_own_numbers(dashboard: dict[str, Any]) -> None:
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= WIDE, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells


def test_most_of_what_is_declared_is_on_it(dashboard: dict[str, Any]) -> None:
    """A metric that nobody can see is not worth its cost; a handful is for questions alone."""
    text = json.dumps(dashboard)
    declared = {PREFIX + metric.name for metric in (*EDGE, *COORDINATOR)}
    unseen = {name for name in declared - SHOWN_ELSEWHERE if not re.search(rf"\b{name}(?:_bucket|_sum|_count)?\b", text)}
    assert len(unseen) <= 15, sorted(unseen)


@pytest.mark.parametrize(
    ("expression", "legend", "says"),
    [
        ("gameedge_playerz", "", "not declared"),
        ("rate(gameedge_players[5m])", "", "is a gauge"),
        ("gameedge_ticks_total", "", "only grows"),
        ("rate(gameedge_ticks[5m])", "", "not declared"),
        ("gameedge_tick_ms", "", "is a histogram"),
        ("rate(gameedge_tick_ms[5m])", "", "is a histogram"),
        ("histogram_quantile(0.9, sum(rate(gameedge_tick_ms_bucket[5m])))", "", "group by le"),
        ("sum by (le) (rate(gameedge_tick_ms_bucket[5m]))", "", "histogram_quantile"),
        ("rate(gameedge_players_bucket[5m])", "", "is no histogram"),
        ('gameedge_players{mode="ffa"}', "", "no label mode"),
        ("sum by (mode) (gameedge_players)", "", "groups by mode"),
        ("sum by (region) (gameedge_players)", "", "groups by region"),
        ("sum by (mode) (gameedge_matches)", "{{region}}", "legend names region"),
        ("sum(gameedge_players", "", "brackets"),
    ],
)
def test_the_check_sees_mistakes(expression: str, legend: str, says: str) -> None:
    assert any(says in problem for problem in problems(expression, legend)), problems(expression, legend)


@pytest.mark.parametrize(
    "expression",
    [
        "gameedge_players * on (instance) group_left (region) gameedge_edge_info",
        'sum by (outcome) (rate(gameedge_inputs_total{outcome!="gameedge_nothing"}[5m]))',
        "histogram_quantile(0.99, sum by (le, mode) (rate(gameedge_queue_wait_ms_bucket[1m])))",
        "rate(gameedge_tick_ms_sum[5m]) / rate(gameedge_tick_ms_count[5m])",
    ],
)
def test_the_check_lets_pass_what_is_right(expression: str) -> None:
    assert problems(expression) == []
