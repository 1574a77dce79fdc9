"""`gameedge admin`: what operators do most, from a terminal or a script (`--json`).

Exit statuses: 0 done; 2 wrong use; 3 no coordinator, or its store or broker is away; 4 wrong token; 5 not found; 6 refused.
"""

import typer

from gameedge.admin import models, queue, review, views
from gameedge.admin.asking import AS_JSON as _JSON
from gameedge.admin.asking import Target
from gameedge.admin.asking import ask as _ask
from gameedge.admin.asking import show as _show
from gameedge.admin.client import path

app = typer.Typer(
    name="admin",
    help="Look at and steer a running deployment.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
regions = typer.Typer(help="Regions and their processes.", no_args_is_help=True)
placing = typer.Typer(help="Placements.", no_args_is_help=True)
players = typer.Typer(help="Accounts.", no_args_is_help=True)
app.add_typer(regions, name="regions")
app.add_typer(players, name="players")
app.add_typer(placing, name="place")
app.add_typer(models.app, name="models")
app.add_typer(review.app, name="review")
app.add_typer(queue.app, name="queue")


_LIMIT = typer.Option(50, "--limit", min=1, max=1000, help="how many, newest first")
_REASON = typer.Option("", "--reason", help="for the audit log")


@app.callback()
def target(
    context: typer.Context,
    url: str = typer.Option("http://127.0.0.1:8080", "--url", envvar="GAMEEDGE_URL", help="a coordinator"),
    token: str = typer.Option("", "--token", envvar="GAMEEDGE_TOKEN", help="the operator token", show_default=False),
) -> None:
    """Where to and as whom."""
    context.obj = Target(url, token)


@app.command()
def status(context: typer.Context, as_json: bool = _JSON) -> None:
    """Regions, processes, players and matches."""
    _show(_ask(context, "GET", path("status")), as_json, views.status)


@app.command()
def verdicts(context: typer.Context, limit: int = _LIMIT, as_json: bool = _JSON) -> None:
    """Flags that the anti-cheat raised. It recommends; people decide."""
    _show(_ask(context, "GET", path("verdicts"), params={"limit": limit}), as_json, views.verdicts)


@app.command()
def audit(context: typer.Context, limit: int = _LIMIT, as_json: bool = _JSON) -> None:
    """What operators did."""
    _show(_ask(context, "GET", path("audit"), params={"limit": limit}), as_json, views.audit)


@app.command()
def drain(
    context: typer.Context,
    region: str,
    edge: str = typer.Option("", "--edge", help="this process alone"),
    as_json: bool = _JSON,
) -> None:
    """Send no new players to a region (or one process); running matches are played to their end."""
    _show(_ask(context, "POST", _steer(region, edge, "drain")), as_json, views.desired)


@app.command()
def resume(
    context: typer.Context,
    region: str,
    edge: str = typer.Option("", "--edge", help="this process alone"),
    as_json: bool = _JSON,
) -> None:
    """Open a region (or one process) again."""
    _show(_ask(context, "POST", _steer(region, edge, "resume")), as_json, views.desired)


@regions.command("list")
def regions_list(context: typer.Context, as_json: bool = _JSON) -> None:
    """Regions with what their processes last reported."""
    _show(_ask(context, "GET", path("status"))["regions"], as_json, views.regions)


@players.command("show")
def players_show(context: typer.Context, player: str, as_json: bool = _JSON) -> None:
    """One account, its ratings and its flags."""
    _show(_ask(context, "GET", path("players", player)), as_json, views.player)


@placing.command("explain")
def place_explain(context: typer.Context, player: str, as_json: bool = _JSON) -> None:
    """Why a player was last placed where it was: each region's terms."""
    _show(_ask(context, "GET", path("players", player, "placement")), as_json, views.placement)


@players.command("ban")
def players_ban(context: typer.Context, player: str, reason: str = _REASON, as_json: bool = _JSON) -> None:
    """No placement any more."""
    _show(_ask(context, "POST", path("players", player, "ban"), body={"reason": reason}), as_json, views.player)


@players.command("unban")
def players_unban(context: typer.Context, player: str, reason: str = _REASON, as_json: bool = _JSON) -> None:
    """Placements again."""
    _show(_ask(context, "POST", path("players", player, "unban"), body={"reason": reason}), as_json, views.player)


def _steer(region: str, edge: str, what: str) -> str:
    return path("regions", region, "edges", edge, what) if edge else path("regions", region, what)
