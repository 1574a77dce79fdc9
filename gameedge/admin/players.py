"""`gameedge admin players`: accounts, where their players are, and the end of either."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from gameedge.admin import views
from gameedge.admin.asking import AS_JSON, REASON, YES, ask, fail, show, sure
from gameedge.admin.client import REFUSED, path

app = typer.Typer(help="Accounts and their players.", no_args_is_help=True)
Player = Annotated[str, typer.Argument(help="the player's id, see `players find`", metavar="PLAYER")]
SLOW_S = 25.0  # every region is asked


@app.command()
def find(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="how the name, or the id, begins")],
    limit: int = typer.Option(20, "--limit", min=1, max=100),
    as_json: bool = AS_JSON,
) -> None:
    """Accounts by the beginning of their name (in whatever case) or id."""
    if len(text) > 64:
        show({"players": []}, as_json, views.found)  # no name is that long
        return
    show(ask(context, "GET", path("players"), params={"text": text, "limit": limit}), as_json, views.found)


@app.command("show")
def show_player(context: typer.Context, player: Player, as_json: bool = AS_JSON) -> None:
    """One account, its ratings and flags, and where the player is now."""
    account = ask(context, "GET", path("players", player))
    live = ask(context, "GET", path("players", player, "live"), timeout_s=SLOW_S)
    show({**account, "live": live}, as_json, views.player)


@app.command()
def kick(context: typer.Context, player: Player, reason: str = REASON, as_json: bool = AS_JSON) -> None:
    """End the player's sessions, in whatever region. It may come back with a new placement."""
    answer = ask(context, "POST", path("players", player, "kick"), body={"reason": reason}, timeout_s=SLOW_S)
    show(answer, as_json, views.kicked)


@app.command()
def ban(context: typer.Context, player: Player, reason: str = REASON, as_json: bool = AS_JSON) -> None:
    """No placement any more, and its sessions end now, in every region."""
    show(ask(context, "POST", path("players", player, "ban"), body={"reason": reason}), as_json, views.player)


@app.command()
def unban(context: typer.Context, player: Player, reason: str = REASON, as_json: bool = AS_JSON) -> None:
    """Placements again."""
    show(ask(context, "POST", path("players", player, "unban"), body={"reason": reason}), as_json, views.player)


@app.command()
def erase(context: typer.Context, player: Player, reason: str = REASON, yes: bool = YES, as_json: bool = AS_JSON) -> None:
    """Remove account, ratings, sessions and evidence of a player in every region; prints the receipt."""
    sure(f"Erase everything that is held about {views.clean(player)}?", yes)
    body = {"confirm": player, "reason": reason}
    show(ask(context, "POST", path("players", player, "erase"), body=body, timeout_s=SLOW_S), as_json, views.receipt)


@app.command()
def export(
    context: typer.Context,
    player: Player,
    out: Annotated[Path | None, typer.Option("--out", help="into this file; none: to standard output", dir_okay=False)] = None,
) -> None:
    """Everything that is held about a player, in every region, as JSON."""
    import json

    answer: dict[str, Any] = ask(context, "POST", path("players", player, "export"), timeout_s=SLOW_S)
    text = json.dumps(answer, ensure_ascii=False, indent=2) + "\n"
    if out is None:
        sys.stdout.write(text)
    else:
        try:
            out.touch(mode=0o600)
            out.write_text(text, "utf-8")
        except OSError as error:
            fail(f"{out}: cannot be written ({error.strerror})", REFUSED)
    for silent in answer["silent"]:
        where = "/".join(filter(None, (silent["region"], silent["edge"])))
        Console(stderr=True).print(f"not complete: {where} did not answer: {silent['why']}", markup=False, soft_wrap=True)
