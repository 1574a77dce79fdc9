"""`gameedge admin regions`: what runs where, and taking regions or processes out."""

import typer

from gameedge.admin import views
from gameedge.admin.asking import AS_JSON, ask, fail, show
from gameedge.admin.client import NOT_FOUND, path

app = typer.Typer(help="Regions and their processes.", no_args_is_help=True)
EDGE = typer.Option("", "--edge", help="this process alone", metavar="EDGE")


@app.command("list")
def list_(context: typer.Context, as_json: bool = AS_JSON) -> None:
    """Regions with what their processes last reported."""
    show(ask(context, "GET", path("status"))["regions"], as_json, views.regions)


@app.command("show")
def show_region(context: typer.Context, region: str, as_json: bool = AS_JSON) -> None:
    """One region: its processes in full, models, queues and newest matches."""
    found = next((each for each in ask(context, "GET", path("status"))["regions"] if each["region"] == region), None)
    if found is None:
        fail(f"no such region: {region!r}; `gameedge admin regions list` shows them", NOT_FOUND)
    show(found, as_json, views.region)


@app.command()
def drain(context: typer.Context, region: str, edge: str = EDGE, as_json: bool = AS_JSON) -> None:
    """Send no new players to a region (or one process); running matches are played to their end, then its processes stop."""
    show(ask(context, "POST", _steer(region, edge, "drain")), as_json, views.desired)


@app.command()
def resume(context: typer.Context, region: str, edge: str = EDGE, as_json: bool = AS_JSON) -> None:
    """Open a region (or one process) again. Processes that stopped must be started."""
    show(ask(context, "POST", _steer(region, edge, "resume")), as_json, views.desired)


def _steer(region: str, edge: str, what: str) -> str:
    return path("regions", region, "edges", edge, what) if edge else path("regions", region, what)
