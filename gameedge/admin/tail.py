"""`gameedge admin tail`: what happens, as it happens."""

import json
import sys
import time
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.text import Text

from gameedge.admin import tables
from gameedge.admin.asking import ask, fail, target_of
from gameedge.admin.client import ABSENT, AdminError, call, path

WAIT_MS: Final = 10_000
AGAIN_S: Final = (0.2, 5.0)  # first and longest pause where no coordinator answers
KINDS: Final = ("placement", "match", "flag", "drain", "process", "operator", "config")
STYLES: Final = {"flag": "red", "drain": "yellow", "process": "yellow", "operator": "cyan", "config": "cyan", "placement": "dim"}


def tail(
    context: typer.Context,
    kind: Annotated[list[str], typer.Option("--kind", help=f"only these: {', '.join(KINDS)}")] = [],  # noqa: B006
    region: Annotated[str, typer.Option("--region", help="only this region")] = "",
    player: Annotated[str, typer.Option("--player", help="only this player")] = "",
    match: Annotated[str, typer.Option("--match", help="only this match")] = "",
    since: Annotated[bool, typer.Option("--since-start", help="begin with what the coordinator still knows")] = False,
    count: Annotated[int, typer.Option("--count", min=0, help="end after so many; 0: never")] = 0,
    seconds: Annotated[float, typer.Option("--for", min=0.0, help="end after so many seconds; 0: never")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line")] = False,
) -> None:
    """Placements, matches, flags, drains, processes that come and go, what operators do; until Ctrl-C.

    Goes on where a coordinator is restarted; what it could not tell is counted. Exit status 4: the token ended meanwhile.
    """
    params: dict[str, Any] = {"kind": ",".join(kind), "region": region, "player": player, "match": match, "after": 0 if since else -1}
    until = time.monotonic() + seconds if seconds else None
    _Tail(context, params, as_json).run(count or None, until)


class _Tail:
    def __init__(self, context: typer.Context, params: dict[str, Any], as_json: bool) -> None:
        self._context, self._params, self._as_json = context, params, as_json
        self._console = Console(highlight=False)

    def run(self, left: int | None, until: float | None) -> None:
        answer = ask(self._context, "GET", path("events"), params=self._params)  # its failure ends the command
        while True:
            if answer["missed"]:
                self._note(f"{answer['missed']} events were forgotten before they could be told")
            for event in answer["events"]:
                self._print(event)
                if left is not None:
                    left -= 1
                    if left == 0:
                        return
            wait_ms = WAIT_MS if until is None else min(WAIT_MS, round(1000 * (until - time.monotonic())))
            if wait_ms <= 0:
                return
            stream = answer["stream"]
            answer = self._more(answer, wait_ms)
            if answer["stream"] != stream:
                self._note("another coordinator, or it was restarted: events begin anew")

    def _more(self, last: dict[str, Any], wait_ms: int) -> dict[str, Any]:
        to, pause_s = target_of(self._context), AGAIN_S[0]
        params = {**self._params, "after": last["next"], "stream": last["stream"], "wait_ms": wait_ms}
        while True:
            try:
                return dict(call(to.url, to.token, "GET", path("events"), params=params, timeout_s=wait_ms / 1000 + 10))
            except AdminError as error:
                if error.status != ABSENT:
                    fail(str(error), error.status, error)
                if pause_s == AGAIN_S[0]:
                    self._note(str(error))
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, AGAIN_S[1])

    def _note(self, text: str) -> None:
        sys.stderr.write(f"gameedge admin: {tables.clean(text)}\n")
        sys.stderr.flush()

    def _print(self, event: dict[str, Any]) -> None:
        if self._as_json:
            sys.stdout.write(json.dumps(event, ensure_ascii=False) + "\n")
            sys.stdout.flush()
            return
        where = "/".join(filter(None, (event.get("region", ""), event.get("edge", ""))))
        who = [event[key] for key in ("player", "match") if event.get(key)]
        fields = event.get("fields", {})
        more = [f"{key}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}" for key, value in fields.items()]
        text = f"{tables.when(event['at_ms'])} {event['kind']:9} {event['what']:10} {where:14} {' '.join(map(str, [*who, *more]))}"
        self._console.print(Text(tables.clean(text), style=STYLES.get(event["kind"], "")), soft_wrap=True)
        self._console.file.flush()
