"""`gameedge admin`: what operators do, from a terminal or a script (`--json`). Exit statuses: client.STATUSES, docs/cli.md."""

import typer

from gameedge.admin import access, config, doctor, matches, models, players, queue, regions, review, tail, views
from gameedge.admin.asking import AS_JSON, Target, ask, show
from gameedge.admin.client import path
from gameedge.admin.found import default_target

app = typer.Typer(
    name="admin",
    help="Look at and steer a running deployment.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
placing = typer.Typer(help="Placements.", no_args_is_help=True)
app.add_typer(regions.app, name="regions")
app.add_typer(players.app, name="players")
app.add_typer(matches.app, name="matches")
app.add_typer(queue.app, name="queue")
app.add_typer(placing, name="place")
app.add_typer(review.app, name="review")
app.add_typer(models.app, name="models")
app.add_typer(config.app, name="config")
app.add_typer(access.tokens, name="tokens")
app.command("tail")(tail.tail)
app.command("doctor")(doctor.doctor)
app.command("me")(access.me)
app.command("drain", hidden=True)(regions.drain)  # the words of the first releases
app.command("resume", hidden=True)(regions.resume)

_LIMIT = typer.Option(50, "--limit", min=1, max=1000, help="how many, newest first")


@app.callback()
def target(
    context: typer.Context,
    url: str = typer.Option(
        "", "--url", envvar="GAMEEDGE_URL", help="a coordinator; none: that of `gameedge up` on this machine, or http://127.0.0.1:8080"
    ),
    token: str = typer.Option("", "--token", envvar="GAMEEDGE_TOKEN", help="an operator's token", show_default=False),
) -> None:
    """Where to and as whom."""
    found_url, found_token = default_target(url)
    context.obj = Target(url or found_url, token or found_token)


@app.command()
def status(context: typer.Context, as_json: bool = AS_JSON) -> None:
    """Regions, processes, players and matches."""
    show(ask(context, "GET", path("status")), as_json, views.status)


@app.command()
def verdicts(context: typer.Context, limit: int = _LIMIT, as_json: bool = AS_JSON) -> None:
    """Flags that the anti-cheat raised. It recommends; people decide."""
    show(ask(context, "GET", path("verdicts"), params={"limit": limit}), as_json, views.verdicts)


@app.command()
def audit(context: typer.Context, limit: int = _LIMIT, as_json: bool = AS_JSON) -> None:
    """What operators did."""
    show(ask(context, "GET", path("audit"), params={"limit": limit}), as_json, views.audit)


@placing.command("explain")
def place_explain(context: typer.Context, player: str, as_json: bool = AS_JSON) -> None:
    """Why a player was last placed where it was: each region's terms."""
    show(ask(context, "GET", path("players", player, "placement")), as_json, views.placement)
