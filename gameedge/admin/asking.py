"""What all commands of `gameedge admin` share: whom to ask, how to fail, how to show, how to be sure."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import typer
from rich.console import Console

from gameedge.admin.client import REFUSED, WRONG_USE, AdminError, call

AS_JSON = typer.Option(False, "--json", help="print the API's answer as JSON")
YES = typer.Option(False, "--yes", "-y", help="do not ask; for scripts")
REASON = typer.Option("", "--reason", help="for the audit log", metavar="TEXT")
REGION = typer.Option("", "--region", help="only this region", metavar="REGION")


@dataclass
class Target:
    url: str
    token: str


def target_of(context: typer.Context) -> Target:
    """Where to and as whom, as the callback of `admin` has it."""
    found = context.find_object(Target)
    assert found is not None  # the callback ran
    return found


def ask(context: typer.Context, method: str, where: str, **more: Any) -> Any:
    """The API's answer; leaves with the exit status of the failure otherwise."""
    to = target_of(context)
    try:
        return call(to.url, to.token, method, where, **more)
    except AdminError as error:
        fail(str(error), error.status, error)


def fail(text: str, status: int, cause: BaseException | None = None) -> NoReturn:
    """One line on stderr, never markup, and the exit status."""
    Console(stderr=True, highlight=False).print(f"gameedge admin: {text}", markup=False, soft_wrap=True)
    raise typer.Exit(status) from cause


def show(answer: Any, as_json: bool, view: Callable[[Console, Any], None]) -> None:
    """As JSON or for people."""
    if as_json:
        sys.stdout.write(json.dumps(answer, ensure_ascii=False, indent=2) + "\n")
    else:
        view(Console(), answer)


def sure(question: str, yes: bool) -> None:
    """Ask before what cannot be undone. Without a terminal to ask at: exit status 2; answered with no: 6, and nothing is done."""
    if yes:
        return
    if not sys.stdin.isatty():
        fail(f"{question} This cannot be undone: add --yes where nobody can be asked", WRONG_USE)
    sys.stderr.write(f"{question} This cannot be undone. [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        fail("nothing was done", REFUSED)
