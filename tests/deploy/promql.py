"""As much of PromQL as it takes to hold an expression against the declared metrics: names, labels, and what fits which kind.

No parser: expressions of dashboards and alert rules are short, and what is checked here (a name, its matchers, the function around
it, the labels that are grouped by) can be seen by patterns. What a pattern cannot see (types of arguments) is Prometheus' to say.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gameedge.telemetry.declared import COORDINATOR, EDGE, PREFIX, Kind, Metric

DECLARED: Final = {PREFIX + metric.name: metric for metric in (*EDGE, *COORDINATOR)}
SCRAPED: Final = frozenset({"instance", "job"})  # labels that Prometheus adds
FOREIGN: Final = frozenset({"process_resident_memory_bytes", "process_cpu_seconds_total"})  # the client library's own
SUFFIXES: Final = ("_bucket", "_sum", "_count")
GROWTH: Final = ("rate", "increase", "irate")

_NAME: Final = re.compile(rf"\b(?:{PREFIX}|process_)\w+")
_BY: Final = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^()]*)\)")
_GROUP: Final = re.compile(r"\bgroup_(?:left|right)\s*\(([^()]*)\)")
_MATCHER: Final = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_TEXT: Final = re.compile(r'"(?:[^"\\]|\\.)*"')


@dataclass(frozen=True)
class Use:
    """One metric where an expression names it."""

    name: str
    metric: Metric
    suffix: str  # of a histogram's series
    matchers: frozenset[str]
    function: str  # the function whose range it is; empty: none


def problems(expression: str, legend: str = "", *, heatmap: bool = False) -> list[str]:
    """What is wrong with an expression, in words; empty: nothing that can be seen here."""
    found: list[str] = []
    if expression.count("(") != expression.count(")") or expression.count("{") != expression.count("}"):
        found.append("brackets do not match")
    uses = list(_uses(expression, found))
    joined = _words(_GROUP, expression)
    known = SCRAPED | joined | {label for use in uses for label in use.metric.labels}
    if any(use.suffix == "_bucket" for use in uses):
        known |= {"le"}
    grouped = _words(_BY, expression)
    found += [f"groups by {label}, which no metric here has" for label in sorted(grouped - known)]
    for use in uses:
        found += _fits(use, expression, grouped, heatmap=heatmap)
    shown = set(re.findall(r"\{\{\s*(\w+)\s*\}\}", legend))
    there = known if not re.search(r"\b(?:sum|min|max|avg|count)\b", expression) else _words(re.compile(r"\bby\s*\(([^()]*)\)"), expression)
    found += [f"the legend names {label}, which the result does not have" for label in sorted(shown - there)]
    return found


def _uses(expression: str, found: list[str]) -> Iterator[Use]:
    for match in _NAME.finditer(_TEXT.sub(lambda text: '"' + " " * (len(text[0]) - 2) + '"', expression)):
        name = match[0]
        if name in FOREIGN:
            continue
        suffix = next((s for s in SUFFIXES if name.endswith(s) and name.removesuffix(s) in DECLARED), "")
        metric = DECLARED.get(name.removesuffix(suffix))
        if metric is None:
            found.append(f"{name} is not declared in gameedge/telemetry/declared.py")
            continue
        rest = expression[match.end() :]
        selector = re.match(r"\s*\{([^}]*)\}", rest)
        matchers = frozenset(_MATCHER.findall(_TEXT.sub('""', selector[1]))) if selector else frozenset()
        after = rest[selector.end() :] if selector else rest
        called = re.search(r"(\w+)\s*\(\s*$", expression[: match.start()])
        yield Use(name, metric, suffix, matchers, called[1] if called and re.match(r"\s*\[", after) else "")


def _fits(use: Use, expression: str, grouped: set[str], *, heatmap: bool) -> Iterator[str]:
    metric, name = use.metric, use.name
    has = set(metric.labels) | SCRAPED | ({"le"} if use.suffix == "_bucket" else set())
    for label in sorted(use.matchers - has):
        yield f"{name} has no label {label}"
    if metric.kind is Kind.HISTOGRAM and not use.suffix:
        yield f"{name} is a histogram: its series end in {', '.join(SUFFIXES)}"
    if metric.kind is not Kind.HISTOGRAM and use.suffix:
        yield f"{name} is no histogram"
    if metric.kind is Kind.GAUGE and use.function in GROWTH:
        yield f"{name} is a gauge: {use.function} of it means nothing"
    if (metric.kind is Kind.COUNTER or use.suffix) and use.function not in GROWTH:
        yield f"{name} only grows: use {' or '.join(GROWTH[:2])}"
    if use.suffix == "_bucket":
        if "le" not in grouped:
            yield f"{name}: group by le"
        if not heatmap and "histogram_quantile" not in expression:
            yield f"{name}: buckets are for histogram_quantile or a heatmap"


def _words(pattern: re.Pattern[str], expression: str) -> set[str]:
    return {label.strip() for words in pattern.findall(expression) for label in words.split(",") if label.strip()}
