"""`gameedge admin config`: what may be changed of a running deployment, in versions that say who changed what, and when."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console

from gameedge.admin import tables
from gameedge.admin.asking import AS_JSON, ask, fail, show
from gameedge.admin.client import WRONG_USE, path

app = typer.Typer(help="The live policy: regions that are allowed, pinned, dear; residency; limits.", no_args_is_help=True)
NOTE = typer.Option("", "--note", help="why, for the history", metavar="TEXT")
EXPECTED = typer.Option(-1, "--expected", help="refuse unless this is the newest version", metavar="VERSION", show_default=False)


@app.command()
def get(
    context: typer.Context,
    key: Annotated[str, typer.Argument(help="only this key", show_default=False)] = "",
    as_json: bool = AS_JSON,
) -> None:
    """What holds now, and whether the live policy or the configuration file says so."""
    answer = ask(context, "GET", path("config"))
    if key:
        answer["keys"] = [entry for entry in answer["keys"] if entry["key"] == key] or _no_key(key, answer["keys"])
    show(answer, as_json, _view)


def _no_key(key: str, keys: list[dict[str, Any]]) -> list[dict[str, Any]]:
    fail(f"no such key: {key[:64]!r}; keys are {', '.join(entry['key'] for entry in keys)}", WRONG_USE)


@app.command("set")
def set_(
    context: typer.Context,
    changes: Annotated[list[str], typer.Argument(help="values are JSON, or words with commas for a list", metavar="KEY=VALUE...")] = [],  # noqa: B006
    unset: Annotated[list[str], typer.Option("--unset", help="as configured again", metavar="KEY")] = [],  # noqa: B006
    note: str = NOTE,
    expected: int = EXPECTED,
    as_json: bool = AS_JSON,
) -> None:
    """Change keys. Takes effect in every coordinator within a second, and in edge processes where it concerns them."""
    if not changes and not unset:
        fail("nothing to change: give KEY=VALUE, or --unset KEY", WRONG_USE)
    known = {entry["key"]: entry["value"] for entry in ask(context, "GET", path("config"))["keys"]} if changes else {}
    body: dict[str, Any] = {"set": dict(_change(change, known) for change in changes), "unset": unset, "note": note}
    if expected >= 0:
        body["expected"] = expected
    show(ask(context, "POST", path("config"), body=body), as_json, _changed)


def _change(text: str, known: dict[str, Any]) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        fail(f"{text[:64]!r}: use KEY=VALUE, for example deny_regions=eu-west,eu-north or fill_ms=500", WRONG_USE)
    if isinstance(known.get(key), list) and not value.lstrip().startswith("["):
        return key, [word.strip() for word in value.split(",") if word.strip()]
    if isinstance(known.get(key), str):
        return key, value
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value  # the coordinator says what the key takes


@app.command()
def history(context: typer.Context, limit: int = typer.Option(20, "--limit", min=1, max=500), as_json: bool = AS_JSON) -> None:
    """Versions, newest first: who changed what, when and why."""
    show(ask(context, "GET", path("config", "history"), params={"limit": limit}), as_json, _history)


@app.command()
def diff(
    context: typer.Context,
    before: Annotated[int, typer.Argument(min=0, help="a version; 0: as configured")],
    after: Annotated[int, typer.Argument(min=-1, help="another; none: the newest", show_default=False)] = -1,
    as_json: bool = AS_JSON,
) -> None:
    """What two versions differ in."""
    params = {"before": before} | ({"after": after} if after >= 0 else {})
    show(ask(context, "GET", path("config", "diff"), params=params), as_json, _diff)


@app.command()
def rollback(
    context: typer.Context,
    version: Annotated[int, typer.Argument(min=0, help="the version to go back to; 0: as configured")],
    note: str = NOTE,
    expected: int = EXPECTED,
    as_json: bool = AS_JSON,
) -> None:
    """A new version with the content of an old one."""
    body: dict[str, Any] = {"to": version, "note": note} | ({"expected": expected} if expected >= 0 else {})
    show(ask(context, "POST", path("config", "rollback"), body=body), as_json, _changed)


# ------------------------------------------------------------------------------------------------------------------ for people


def _text(value: Any) -> str:
    return "-" if value is None else json.dumps(value, ensure_ascii=False)


def _head(version: dict[str, Any]) -> str:
    if not version["number"]:
        return "version 0: as configured"
    back = "" if version["back_to"] is None else f", back to {version['back_to']}"
    note = f": {version['note']}" if version["note"] else ""
    return f"version {version['number']}{back}, {tables.when(version['at_ms'])} UTC, by {version['who']}{note}"


def _view(console: Console, answer: dict[str, Any]) -> None:
    console.print(tables.cell(_head(answer["version"])))
    table = tables.table("live policy", "key", "value", "from")
    for entry in answer["keys"]:
        source = "live" if entry["live"] else "each process's file" if entry["value"] is None else "file"
        tables.row(table, entry["key"], _text(entry["value"]), source)
    console.print(table)


def _changes(console: Console, changed: dict[str, list[Any]]) -> None:
    table = tables.table("changed (- : as configured)", "key", "before", "after")
    for key, (before, after) in changed.items():
        tables.row(table, key, _text(before), _text(after))
    console.print(table if changed else "no difference")


def _diff(console: Console, answer: dict[str, Any]) -> None:
    console.print(f"version {answer['before']} -> {answer['after']}", highlight=False)
    _changes(console, answer["changed"])


def _changed(console: Console, answer: dict[str, Any]) -> None:
    console.print(tables.cell(_head(answer["version"])))
    _changes(console, answer["changed"])
    for warning in answer["warnings"]:
        console.print(tables.cell(f"note: {warning}"), style="yellow")
    if answer["waiting"]:
        console.print(tables.cell(f"told once the broker is there: {', '.join(answer['waiting'])}"), style="yellow")


def _history(console: Console, answer: dict[str, Any]) -> None:
    table = tables.table("versions, newest first", "version>r", "at (UTC)", "by", "why", "overrides")
    for version in answer["versions"]:
        why = version["note"] if version["back_to"] is None else f"back to {version['back_to']} {version['note']}"
        tables.row(table, version["number"], tables.when(version["at_ms"]), version["who"], why, _text(version["overrides"]))
    console.print(table)
