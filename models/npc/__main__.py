"""`python -m models.npc train|build|evaluate`."""

import sys

USAGE = "use: python -m models.npc train|build|evaluate [--help]"


def main(arguments: list[str]) -> int:
    command, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if command == "train":
        from models.npc.train import main as run
    elif command == "build":
        from models.npc.build import main as run
    elif command == "evaluate":
        from models.npc.evaluate import main as run
    else:
        sys.stderr.write(USAGE + "\n")
        return 2
    return run(rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
