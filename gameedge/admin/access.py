"""`gameedge admin me` and `tokens`: who may use the admin API."""

from enum import StrEnum
from typing import Annotated

import typer

from gameedge.admin import views
from gameedge.admin.asking import AS_JSON, ask, show
from gameedge.admin.client import path

tokens = typer.Typer(help="Tokens of other operators.", no_args_is_help=True)


class RoleName(StrEnum):
    viewer = "viewer"
    operator = "operator"
    owner = "owner"


def me(context: typer.Context, as_json: bool = AS_JSON) -> None:
    """Who the token says you are, and until when."""
    show(ask(context, "GET", path("me")), as_json, views.me)


@tokens.command()
def issue(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="whose it is, for the audit log")],
    role: Annotated[RoleName, typer.Argument(help="viewer sees, operator acts, owner decides who the others are")],
    hours: float = typer.Option(8.0, "--hours", min=0.001, max=168.0, help="how long it is good for"),
    as_json: bool = AS_JSON,
) -> None:
    """Give out a token. It is shown once and kept nowhere."""
    body = {"name": name, "role": role.value, "life_ms": round(hours * 3_600_000)}
    show(ask(context, "POST", path("tokens"), body=body), as_json, views.token)
