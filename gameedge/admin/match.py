"""`gameedge match`: matchmaking's rules, tried before players meet them."""

import json
import sys
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from gameedge.core.errors import ConfigError

app = typer.Typer(
    name="match", help="Rules of matchmaking: check them, replay arrivals.", no_args_is_help=True, add_completion=False,
    pretty_exceptions_enable=False,
)  # fmt: skip
SHOWN_MAX = 20  # errors and warnings on the terminal; the summary has all
UNMATCHED_SHOWN = 5  # the summary has all
_RULES = typer.Option(..., "--rules", help="TOML file; docs/matchmaking.md lists its keys", dir_okay=False)
_TICKETS = typer.Option(..., "--tickets", help="one JSON object a line; - reads from standard input", allow_dash=True)
_OUT = typer.Option(..., "--json", help="matches as lines, then the summary; - writes to standard output", allow_dash=True)
_SHADOW = typer.Option(None, "--shadow", help="a second rule file, run beside the first and compared", dir_okay=False)
_LOOK = typer.Option(50, "--look-ms", min=1, max=60_000, help="between two looks at a pool")


@app.callback()
def _match() -> None:
    """Commands only."""


@app.command()
def check(rules: Path = _RULES) -> None:
    """Read a rule file and say what is wrong with it."""
    modes = _load(rules)
    typer.echo(f"{rules}: {', '.join(f'{name} {mode.teams} x {mode.team_size}' for name, mode in modes.items())}")


@app.command()
def simulate(
    rules: Path = _RULES,
    tickets: Path = _TICKETS,
    out: Path = _OUT,
    shadow: Path | None = _SHADOW,
    look_ms: int = _LOOK,
) -> None:
    """Replay arrivals on a virtual clock through the code that matches live. Exit status 1: lines were left out, and said."""
    from gameedge.core.matchmaking import simulate as code
    from gameedge.core.matchmaking.arrivals import read

    modes = _load(rules)
    others = _load(shadow) if shadow is not None else None
    if others is not None and (missing := modes.keys() - others.keys()):
        raise ConfigError(f"{shadow}: has no mode {', '.join(sorted(missing))}, which {rules} has")
    try:
        if str(tickets) == "-":
            arrivals = read(sys.stdin, modes)
        else:
            with tickets.open(encoding="utf-8", errors="replace") as file:
                arrivals = read(file, modes)
    except OSError as error:
        raise ConfigError(f"{tickets}: cannot be read ({error.strerror})") from error
    for text in [*arrivals.errors, *arrivals.warnings][:SHOWN_MAX]:
        typer.echo(f"{tickets}: {text}", err=True)
    live = code.simulate(arrivals.tickets, modes, look_ms=look_ms)
    last: dict[str, Any] = {"summary": code.summary(live, arrivals)}
    if others is not None:
        ghost = code.simulate(arrivals.tickets, others, look_ms=look_ms)
        last["summary"]["shadow"] = {**code.compare(live, ghost), "modes": code.summary(ghost, arrivals)["modes"]}
    _write(out, [*code.lines(live, arrivals), last])
    _show(last["summary"])
    if arrivals.errors:
        raise typer.Exit(1)


def _show(summary: dict[str, Any]) -> None:
    """The summary as a table on stderr (waits in seconds): the lines may go to stdout."""
    console = Console(stderr=True, highlight=False)
    table = Table(*("mode", "rules"), title=f"{summary['matched']} of {summary['people']} people matched in {summary['matches']} matches")
    for name in ("matches", "people", "p50 s", "p90 s", "p99 s", "max s", "quality"):
        table.add_column(name, justify="right")
    for rules in ("live", "shadow"):
        of = summary if rules == "live" else summary.get("shadow", {"modes": {}})
        for mode, found in of["modes"].items():
            waits = [f"{found['wait_ms'][q] / 1000:.2f}" for q in ("p50", "p90", "p99", "max")]
            table.add_row(mode, rules, str(found["matches"]), str(found["people"]), *waits, f"{found['quality']['mean']:.3f}")
    console.print(table)
    for ticket in summary["unmatched"][:UNMATCHED_SHOWN]:
        console.print(f"{ticket['id']} waited {ticket['waited_ms'] / 1000:.1f} s: {ticket['reason']}", markup=False, soft_wrap=True)
    if (more := len(summary["unmatched"]) - UNMATCHED_SHOWN) > 0:
        console.print(f"and {more} more; the summary has them all", markup=False)


def _load(path: Path) -> Any:
    from gameedge.core.matchmaking import rules

    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    return rules.load(text, name=path)


def _write(out: Path, objects: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in objects)
    if str(out) == "-":
        sys.stdout.write(text)
        return
    try:
        out.write_text(text, "utf-8")
    except OSError as error:
        raise ConfigError(f"{out}: cannot be written ({error.strerror})") from error
