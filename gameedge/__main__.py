"""The `gameedge` command. Heavy parts are imported by the command that needs them."""

import os
import sys
from pathlib import Path
from typing import Annotated

from gameedge import __version__
from gameedge.core.errors import ConfigError, RefusedError

try:
    import typer
except ModuleNotFoundError:  # the light install has no command line
    sys.exit("gameedge: the command line needs the extra `edge`: pip install 'gameedge[edge]'")

app = typer.Typer(
    name="gameedge",
    help="A game backend that runs where the players are.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
_CONFIG = typer.Option(..., "--config", "-c", help="TOML file; docs/operations.md lists its keys.", dir_okay=False)


@app.command(context_settings=_PASS_ON)
def up(context: typer.Context) -> None:
    """Bring up the whole game on this machine, with bots (--help for its options)."""
    from gameedge.local.cli import up as command

    inner = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    inner.command(name="up")(command)
    inner(context.args, prog_name="gameedge up")


@app.command()
def edge(config: Path = _CONFIG) -> None:
    """Run one process of a region."""
    from gameedge.config import EdgeConfig, load
    from gameedge.edge.serve import main as serve

    raise typer.Exit(serve(load(config, EdgeConfig)))


@app.command()
def inference(config: Path = _CONFIG) -> None:
    """Run one process that runs models for the edge processes of this machine (a GPU shared)."""
    from gameedge.config import InferenceConfig, load
    from gameedge.inference.serve import main as serve

    raise typer.Exit(serve(load(config, InferenceConfig)))


@app.command()
def coordinator(config: Path = _CONFIG) -> None:
    """Run a coordinator: the API, placement, results, the admin API."""
    from gameedge.config import CoordinatorConfig, load
    from gameedge.coordinator.app import run

    run(load(config, CoordinatorConfig))


@app.command(context_settings=_PASS_ON)
def admin(context: typer.Context) -> None:
    """Look at and steer a running deployment (--help for its commands)."""
    from gameedge.admin.cli import app as inner

    inner(context.args or ["--help"], prog_name="gameedge admin")


@app.command(context_settings=_PASS_ON)
def match(context: typer.Context) -> None:
    """Check rules of matchmaking and replay arrivals through them (--help for its commands)."""
    from gameedge.admin.match import app as inner

    inner(context.args or ["--help"], prog_name="gameedge match")


@app.command()
def keys(
    config: Annotated[Path | None, typer.Option("--config", "-c", help="a coordinator's TOML file", dir_okay=False)] = None,
    redis: Annotated[str, typer.Option("--redis", help="or the URL of the global store")] = "",
) -> None:
    """Print the public key for `token_keys` of edge processes; the pair is made where there is none."""
    from gameedge.config import CoordinatorConfig, load
    from gameedge.coordinator.keys import public_key

    if (config is None) == (not redis):
        raise typer.BadParameter("give one of --config and --redis")
    typer.echo(public_key(redis if config is None else load(config, CoordinatorConfig).redis))


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def _for_completion() -> typer.Typer:
    """The commands with those of `admin`, `match` and `up` below them: usually they are loaded by who needs them."""
    from gameedge.admin.cli import app as admin_app
    from gameedge.admin.match import app as match_app
    from gameedge.local.cli import up as up_command

    whole = typer.Typer(name="gameedge", add_completion=True, pretty_exceptions_enable=False)
    whole.registered_commands = [one for one in app.registered_commands if one.callback not in (admin, match, up)]
    whole.command("up")(up_command)
    whole.add_typer(admin_app, name="admin")
    whole.add_typer(match_app, name="match")
    return whole


def main() -> None:
    """Errors that a person can mend are one line and exit status 2 (configuration) or 3 (something is not there)."""
    try:
        if "_GAMEEDGE_COMPLETE" in os.environ:
            _for_completion()(prog_name="gameedge")
        app(prog_name="gameedge")
    except ConfigError as error:
        typer.echo(f"gameedge: {error}", err=True)
        sys.exit(2)
    except RefusedError as error:
        typer.echo(f"gameedge: {error}", err=True)
        sys.exit(3)


if __name__ == "__main__":
    main()
