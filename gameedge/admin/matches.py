"""`gameedge admin matches`: the open matches of all regions; one of them live; and its early end."""

import json
import sys
import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live

from gameedge.admin import views
from gameedge.admin.asking import AS_JSON, REASON, REGION, YES, ask, show, sure, target_of
from gameedge.admin.client import ABSENT, NOT_FOUND, AdminError, call, path

app = typer.Typer(help="Open matches.", no_args_is_help=True)
Match = Annotated[str, typer.Argument(help="the match's id, see `matches list`", metavar="MATCH")]
AWAY_MAX = 5  # looks in a row that fail


@app.command("list")
def list_(
    context: typer.Context, region: str = REGION, limit: int = typer.Option(50, "--limit", min=1, max=500), as_json: bool = AS_JSON
) -> None:
    """Open matches, newest first."""
    show(ask(context, "GET", path("matches"), params={"region": region, "limit": limit}), as_json, views.matches)


@app.command("show")
def show_match(context: typer.Context, match: Match, region: str = REGION, as_json: bool = AS_JSON) -> None:
    """One match: score, seats, who plays them."""
    show(ask(context, "GET", path("matches", match), params={"region": region}), as_json, views.match)


@app.command()
def watch(
    context: typer.Context,
    match: Match,
    region: str = REGION,
    every_s: float = typer.Option(1.0, "--every", min=0.2, max=60.0, help="seconds between two looks"),
    as_json: bool = AS_JSON,
) -> None:
    """Live scores until the match is over (or Ctrl-C). With --json one line for each look."""
    looks = _looks(context, match, region, every_s)
    first = next(looks)
    if as_json:
        for answer in _with(first, looks):
            sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
            sys.stdout.flush()
        return
    console = Console()
    with Live(views.match_screen(first), console=console, auto_refresh=False) as live:
        for answer in looks:
            live.update(views.match_screen(answer), refresh=True)
    console.print("the match is over", highlight=False)


def _with(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


def _looks(context: typer.Context, match: str, region: str, every_s: float) -> Iterator[Any]:
    """Answers until the match is not there any more. The first failure of the first look ends the command."""
    answer = ask(context, "GET", path("matches", match), params={"region": region})
    to, away, region = target_of(context), 0, answer["region"]
    while True:
        yield answer
        time.sleep(every_s)
        try:
            answer, away = call(to.url, to.token, "GET", path("matches", match), params={"region": region}), 0
        except AdminError as error:
            if error.status == NOT_FOUND:
                return
            away += 1
            if error.status != ABSENT or away >= AWAY_MAX:
                ask(context, "GET", path("matches", match), params={"region": region})  # says it, and leaves


@app.command()
def end(context: typer.Context, match: Match, region: str = REGION, reason: str = REASON, yes: bool = YES, as_json: bool = AS_JSON) -> None:
    """Stop a match: it ends as it stands, is rated for nobody, and its players are told and may queue again."""
    sure(f"End the match {views.clean(match)} as it stands, unrated?", yes)
    answer = ask(context, "POST", path("matches", match, "end"), params={"region": region}, body={"reason": reason})
    show(answer, as_json, views.stopped)
