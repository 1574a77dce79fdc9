"""`gameedge admin models`: what plays the NPCs and watches the players, region by region."""

import typer

from gameedge.admin import views
from gameedge.admin.asking import AS_JSON, ask, show
from gameedge.admin.client import path

app = typer.Typer(help="Models: which artifact answers, trials, the way back.", no_args_is_help=True)

_REGION = typer.Option([], "--region", help="this region; none: all")
_SHARE = typer.Option(0.05, "--share", min=0.0, max=1.0, help="of the matches (canary) or the calls (shadow); 0 ends the trial")


@app.command("list")
def list_(context: typer.Context, as_json: bool = AS_JSON) -> None:
    """Every model of every process."""
    show(ask(context, "GET", path("models")), as_json, views.models)


@app.command()
def status(context: typer.Context, model: str, as_json: bool = AS_JSON) -> None:
    """One model: what was asked for and what runs."""
    answer = ask(context, "GET", path("models"))
    answer = {
        "wishes": [wish for wish in answer["wishes"] if wish["model"] == model],
        "edges": [edge for edge in answer["edges"] if edge["report"]["model"] == model],
    }
    show(answer, as_json, views.models)


@app.command()
def deploy(context: typer.Context, model: str, artifact: str, region: list[str] = _REGION, as_json: bool = AS_JSON) -> None:
    """Run an artifact for everybody. Where it fails, a process goes back by itself."""
    body = {"artifact": artifact, "regions": region}
    show(ask(context, "POST", path("models", model, "deploy"), body=body), as_json, views.models)


@app.command()
def canary(
    context: typer.Context,
    model: str,
    artifact: str,
    share: float = _SHARE,
    shadow: bool = typer.Option(False, "--shadow", help="compare without acting"),
    region: list[str] = _REGION,
    as_json: bool = AS_JSON,
) -> None:
    """Try an artifact on a share of the matches."""
    body = {"artifact": artifact, "share": share, "shadow": shadow, "regions": region}
    show(ask(context, "POST", path("models", model, "canary"), body=body), as_json, views.models)


@app.command()
def rollback(
    context: typer.Context,
    model: str,
    to: str = typer.Option("", "--to", help="this artifact; none: what the processes are configured with"),
    region: list[str] = _REGION,
    as_json: bool = AS_JSON,
) -> None:
    """End trials and go back."""
    show(ask(context, "POST", path("models", model, "rollback"), body={"artifact": to, "regions": region}), as_json, views.models)
