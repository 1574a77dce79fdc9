"""`gameedge admin queue`: who waits in the regions' queues, and why somebody is not matched.

The process that leads a mode's matching explains, by the rules that it matches by. Asked through the coordinator; with --redis or
--config (of one of a region's processes) straight from the region's store.
"""

import typer

from gameedge.admin import sources, views
from gameedge.admin.asking import AS_JSON, REGION, show

app = typer.Typer(help="Queues: who waits, and why.", no_args_is_help=True)
_MODE = typer.Option("", "--mode", help="only this mode")
app.callback()(sources.choose_store)


@app.command("show")
def show_queues(context: typer.Context, mode: str = _MODE, region: str = REGION, as_json: bool = AS_JSON) -> None:
    """Each queue: tickets, the oldest one's wait, open matches, who matches, and where its players are connected."""
    show(sources.queues(context, region, mode), as_json, views.queues)


@app.command()
def shadow(context: typer.Context, region: str = REGION, as_json: bool = AS_JSON) -> None:
    """Rules that run in shadow beside the live ones (`match_rules_shadow`): what they would have done."""
    show(sources.shadows(context, region), as_json, views.shadows)


@app.command()
def explain(
    context: typer.Context,
    who: str = typer.Argument(help="a ticket or a player"),
    mode: str = _MODE,
    region: str = REGION,
    as_json: bool = AS_JSON,
) -> None:
    """Why a ticket is not matched: which rule excludes how many of its queue, and what widens when."""
    show(sources.explain(context, who, region, mode), as_json, views.waiting)
