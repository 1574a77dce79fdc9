"""`python -m loadtest bench [NAME] [--json] [--save] [--quick]`: run one benchmark, or all."""

import argparse
import importlib
import json
from typing import Final

from gameedge.core.errors import ConfigError
from loadtest.bench import report, routing

BENCHES: Final = (
    "anticheat",
    "codec",
    "dashboard",
    "failover",
    "inference",
    "matchmaking",
    "matchmaking-redis",
    "routing",
    "scenarios",
    "tick",
    "transport",
    "web",
)


def main(argv: list[str]) -> int:
    """Exit status: 0 also where targets are missed; results are for reading, tests are for failing."""
    parser = argparse.ArgumentParser(prog="python -m loadtest bench", description=__doc__)
    parser.add_argument("name", nargs="?", choices=BENCHES, help="all where left out")
    parser.add_argument("--json", action="store_true", help="print one JSON object a benchmark on stdout")
    parser.add_argument("--save", action="store_true", help="keep the result under loadtest/results/")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs: for trying the benchmark itself")
    routing.arguments(parser)
    options = parser.parse_args(argv)
    if options.rtt is not None and options.name != "routing":
        parser.error("--rtt belongs to: bench routing")
    for name in [options.name] if options.name else BENCHES:
        report.say(f"bench {name}")
        notes = ["quick: shorter runs than a result that is kept should have"] if options.quick else []
        where = report.machine()
        more = {"options": options} if name == "routing" else {}
        try:
            rows = importlib.import_module(f"loadtest.bench.{name.replace('-', '_')}").run(notes, quick=options.quick, **more)
        except ConfigError as error:
            report.say(str(error))
            return 2
        found = report.result(name, rows, notes, where)
        report.say(report.table(rows))
        for note in notes:
            report.say(f"note: {note}")
        if options.save:
            report.say(f"kept: {report.save(found).name}")
        if options.json:
            print(json.dumps(found), flush=True)
    return 0
