"""What all commands of `gameedge admin` share: whom to ask, how to fail, how to show."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import typer
from rich.console import Console

from gameedge.admin.client import AdminError, call

AS_JSON = typer.Option(False, "--json", help="print the API's answer as JSON")


@dataclass
class Target:
    url: str
    token: str


def ask(context: typer.Context, method: str, where: str, **more: Any) -> Any:
    """The API's answer; leaves with the exit status of the failure otherwise."""
    to = context.find_object(Target)
    assert to is not None  # the callback ran
    try:
        return call(to.url, to.token, method, where, **more)
    except AdminError as error:
        _fail(error)


def _fail(error: AdminError) -> NoReturn:
    Console(stderr=True, highlight=False).print(f"gameedge admin: {error}", markup=False, soft_wrap=True)
    raise typer.Exit(error.status) from error


def show(answer: Any, as_json: bool, view: Callable[[Console, Any], None]) -> None:
    """As JSON or for people."""
    if as_json:
        sys.stdout.write(json.dumps(answer, ensure_ascii=False, indent=2) + "\n")
    else:
        view(Console(), answer)
