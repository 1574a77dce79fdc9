"""`python -m loadtest bench ...` measures the parts; `python -m loadtest claim ...` measures the whole against a central cloud;
`python -m loadtest run ...` lets bots play against a running region."""

import importlib
import sys
from typing import Final

COMMANDS: Final = {"claim": "loadtest.claim.report", "bench": "loadtest.bench.cli", "run": "loadtest.run"}


def main(argv: list[str]) -> int:
    """Hand over to the command's own `main(argv)`; only that command's modules are imported."""
    if not argv or argv[0] not in COMMANDS:
        asked = argv[:1] in (["-h"], ["--help"])
        print("usage: python -m loadtest {bench,claim,run} [-h] ...\n\n" + (__doc__ or ""), file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    status: int = importlib.import_module(COMMANDS[argv[0]]).main(argv[1:])
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
