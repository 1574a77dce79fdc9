"""Alert rules fit the declared metrics, and say what to do."""

import re
from pathlib import Path

from tests.deploy.promql import problems

PROMETHEUS = Path(__file__).parents[2] / "deploy" / "prometheus"
RULES = (PROMETHEUS / "alerts.yml").read_text("utf-8")
RULE = re.compile(r"- alert: (\w+)\n +expr: (.+)\n(?: +for: \w+\n)? +annotations: \{summary: \"(.+)\"\}")


def test_every_expression_fits_the_declared_metrics() -> None:
    rules = RULE.findall(RULES)
    assert len(rules) == RULES.count("- alert:") >= 4, "every rule has this form"
    assert {name: found for name, expression, _ in rules if (found := problems(expression))} == {}
    assert all(summary for _, _, summary in rules)


def test_the_example_reads_these_rules_and_names_the_job_of_the_dashboard() -> None:
    example = (PROMETHEUS / "prometheus.yml").read_text("utf-8")
    assert (PROMETHEUS / re.findall(r"rule_files: \[(\S+)\]", example)[0]).is_file()
    dashboard = (PROMETHEUS.parent / "grafana" / "gameedge.json").read_text("utf-8")
    assert set(re.findall(r'job=\\"(\w+)\\"', dashboard)) == set(re.findall(r"job_name: (\w+)", example))
