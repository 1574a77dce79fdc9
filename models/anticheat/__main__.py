"""`python -m models.anticheat score-aim IN.npz OUT.npz` and `python -m models.anticheat evaluate [--json]`."""

import argparse
import json
import sys
from pathlib import Path

from gameedge.core.errors import ArtifactError
from models.anticheat import score


def main(argv: list[str] | None = None) -> int:
    """Exit status: 0 done, 1 what was given cannot be used, 2 wrong use."""
    parser = argparse.ArgumentParser(prog="python -m models.anticheat", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    aim = commands.add_parser("score-aim", help="score mouse paths: higher is less human", description=score.__doc__)
    aim.add_argument("source", type=Path, metavar="IN.npz")
    aim.add_argument("target", type=Path, metavar="OUT.npz")
    report = commands.add_parser("evaluate", help="measure everything, draw it, write results.json")
    report.add_argument("--json", action="store_true", help="print the report as JSON")
    report.add_argument("--careers", type=int, default=30_000, help="innocent careers of 1,000 h that are simulated")
    report.add_argument("--processes", type=int, default=2)
    report.add_argument("--no-real", action="store_true", help="leave recorded people out: what results.json says of them stays")
    report.add_argument("--no-left-out", action="store_true", help="train no models without a family each: what results.json says stays")
    report.add_argument("--only", choices=("real", "real-left-out", "arena", "innocents"), help="one part; the rest of results.json stays")
    options = parser.parse_args(argv)
    try:
        if options.command == "score-aim":
            count = score.score_file(options.source, options.target)
            print(f"{count} paths scored: {options.target}", file=sys.stderr)
            return 0
        from models.anticheat import evaluate

        match options.only:
            case "real":
                found = evaluate.real_only(left_out=not options.no_left_out)
            case "real-left-out":
                found = evaluate.left_out_only()
            case "arena":
                found = evaluate.arena_only(processes=options.processes, left_out=not options.no_left_out)
            case "innocents":
                found = evaluate.innocents_only(careers=options.careers, processes=options.processes)
            case _:
                found = evaluate.run(options.careers, options.processes, real=not options.no_real, left_out=not options.no_left_out)
        print(json.dumps(found, indent=2) if options.json else evaluate.text(found))
        return 0
    except (score.InputError, ArtifactError, OSError) as error:
        print(f"python -m models.anticheat: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
