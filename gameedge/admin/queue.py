"""`gameedge admin queue`: who waits in a region's queues, and why somebody is not matched.

Both ask the region itself: the store for what is there, and the process that leads a mode's matching for an explanation, by the rules
that it matches by. Run them where the region's store can be reached.
"""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from gameedge.admin.client import ABSENT, NOT_FOUND, REFUSED
from gameedge.config import EdgeConfig, load
from gameedge.core.errors import ConfigError, RefusedError
from gameedge.core.ids import EdgeId, PlayerId, TicketId
from gameedge.state.base import InboxEvent, RegionStore
from gameedge.state.open import open_region_store

app = typer.Typer(help="Queues of one region: who waits, and why.", no_args_is_help=True)
ANSWER_S: Final = 3.0
AGAIN_S: Final = 0.3  # between two questions, where nobody could answer the first
_JSON = typer.Option(False, "--json", help="print JSON")
_MODE = typer.Option("", "--mode", help="only this mode")
_CONFIG = typer.Option(None, "--config", help="or the configuration file of one of its processes")
T = TypeVar("T")


@app.callback()
def region(
    context: typer.Context,
    redis: str = typer.Option("", "--redis", envvar="GAMEEDGE_REGION_REDIS", help="the region's store: redis://...", show_default=False),
    config: Path | None = _CONFIG,
) -> None:
    """Which region."""
    try:
        url = redis or (load(config, EdgeConfig).redis if config is not None else "")
        if not url:
            raise ConfigError("which region? give --redis URL (or GAMEEDGE_REGION_REDIS), or --config FILE of one of its processes")
        open_region_store(url)  # its form; connects with the first call
    except ConfigError as error:
        _fail(str(error), REFUSED)
    context.meta["gameedge.redis"] = url


def _fail(text: str, status: int) -> NoReturn:
    Console(stderr=True, highlight=False).print(f"gameedge admin queue: {text}", markup=False, soft_wrap=True)
    raise typer.Exit(status)


def _ask(context: typer.Context, question: Callable[[RegionStore], Awaitable[T]]) -> T:
    async def run() -> T:
        store = open_region_store(context.meta["gameedge.redis"])
        try:
            return await question(store)
        finally:
            await store.close()

    try:
        return asyncio.run(run())
    except (RefusedError, OSError) as error:
        _fail(f"the region's store does not answer: {error}", ABSENT)


@app.command()
def show(context: typer.Context, mode: str = _MODE, as_json: bool = _JSON) -> None:
    """Each queue: how many wait, since when, connected to which processes, and who matches them."""
    answer = _ask(context, lambda store: _queues(store, mode))
    if as_json:
        sys.stdout.write(json.dumps(answer, ensure_ascii=False, indent=2) + "\n")
        return
    table = Table("mode", "waiting", "parties", "oldest", "open matches", "matched by", "connected to")
    for queue in answer:
        oldest = "" if queue["oldest_ms"] is None else f"{queue['oldest_ms'] / 1000:.1f} s"
        where = ", ".join(f"{edge} {count}" for edge, count in queue["edges"].items())
        table.add_row(
            queue["mode"], str(queue["tickets"]), str(queue["parties"]), oldest, str(queue["matches"]), queue["leader"] or "nobody", where
        )
    Console().print(table)


async def _queues(store: RegionStore, only: str) -> list[dict[str, Any]]:
    found, now_ms = [], time.time() * 1000
    for mode in await store.modes():
        if only and mode != only:
            continue
        tickets = await store.tickets(mode)
        found.append(
            {
                "mode": mode,
                "tickets": len(tickets),
                "parties": len({ticket.party for ticket in tickets if ticket.party is not None}),
                "oldest_ms": max(0, round(now_ms - tickets[0].created_ms)) if tickets else None,
                "matches": len(await store.matches(mode)),
                "leader": await store.lease_owner(f"matcher-{mode}"),
                "edges": dict(Counter(ticket.edge for ticket in tickets).most_common()),
            }
        )
    return found


@app.command()
def shadow(context: typer.Context, as_json: bool = _JSON) -> None:
    """Rules that run in shadow beside the live ones (`match_rules_shadow`): what they would have done."""
    answer = _ask(context, _compared)
    if as_json:
        sys.stdout.write(json.dumps(answer, ensure_ascii=False, indent=2) + "\n")
        return
    table = Table("mode", "rules", "matches", "people", "mean wait", "longest", "mean quality", "overtaken")
    for mode in answer:
        for of in ("live", "shadow"):
            seen = mode[of]
            cells = (f"{seen['wait_ms_mean'] / 1000:.2f} s", f"{seen['wait_ms_max'] / 1000:.2f} s", f"{seen['quality_mean']:.3f}")
            table.add_row(
                mode["mode"], of, str(seen["matches"]), str(seen["people"]), *cells, str(mode["overtaken"]) if of == "shadow" else ""
            )
    Console().print(table)


async def _compared(store: RegionStore) -> list[dict[str, Any]]:
    """By mode, from each process that leads one."""
    leaders = {await store.lease_owner(f"matcher-{mode}") for mode in await store.modes()} - {None}
    me = EdgeId(f"admin-{os.getpid()}-{time.monotonic_ns()}")
    for leader in leaders:
        assert leader is not None
        await store.inbox_post(leader, [InboxEvent(kind="compare", edge=me)])
    found: list[dict[str, Any]] = []
    deadline, answers = time.monotonic() + ANSWER_S, 0
    while answers < len(leaders) and (left := deadline - time.monotonic()) > 0:
        for event in await store.inbox_read(me, max(1, int(left * 1000))):
            if event.kind == "compared":
                answers += 1
                found += json.loads(event.detail)
    return sorted(found, key=lambda mode: str(mode["mode"]))


@app.command()
def explain(
    context: typer.Context,
    who: str = typer.Argument(help="a ticket or a player"),
    mode: str = _MODE,
    as_json: bool = _JSON,
) -> None:
    """Why a ticket is not matched: which rule excludes how many of its queue, and what widens when."""
    found = _ask(context, lambda store: _explain(store, who, mode))
    if isinstance(found, str):
        _fail(found, NOT_FOUND)
    if as_json:
        sys.stdout.write(json.dumps(found, ensure_ascii=False, indent=2) + "\n")
        return
    console = Console(highlight=False)
    console.print(f"{found['ticket']}: {found['text']}", markup=False, soft_wrap=True)
    if found.get("rules"):
        table = Table("rule", "excludes", "it alone", "admits more in")
        for rule in found["rules"]:
            widens = "never by waiting" if rule.get("next_ms") is None else f"{rule['next_ms'] / 1000:.1f} s"
            table.add_row(rule["rule"], str(rule["excludes"]), str(rule["alone"]), widens)
        console.print(table)


async def _explain(store: RegionStore, who: str, only: str) -> dict[str, Any] | str:
    """The leader's explanation, or what is wrong. Where nobody can say just now (a process takes over, or explained much lately) it
    asks again, for ANSWER_S in all."""
    deadline, said = time.monotonic() + ANSWER_S, ""
    while True:
        found = await _explain_once(store, who, only, deadline)
        if not isinstance(found, _NotNow):
            return found
        said = str(found)
        if time.monotonic() + AGAIN_S >= deadline:
            return said
        await asyncio.sleep(AGAIN_S)


class _NotNow(str):
    """What is wrong, and may not be in a moment."""


async def _explain_once(store: RegionStore, who: str, only: str, deadline: float) -> dict[str, Any] | str:
    for mode in [only] if only else await store.modes():
        _, there = await store.tickets_there(mode, [TicketId(who)])
        ticket = TicketId(who) if there else await store.ticket_of_player(mode, PlayerId(who))
        if ticket is None:
            continue
        leader = await store.lease_owner(f"matcher-{mode}")
        if leader is None:
            return _NotNow(f"nobody matches {mode} just now: no edge process of the region runs, or one took over a moment ago; ask again")
        me = EdgeId(f"admin-{os.getpid()}-{time.monotonic_ns()}")
        await store.inbox_post(leader, [InboxEvent(kind="explain", mode=mode, ticket=ticket, edge=me)])
        while (left := deadline - time.monotonic()) > 0:
            for event in await store.inbox_read(me, max(1, int(left * 1000))):
                if event.kind == "explained" and event.detail:
                    return {"mode": mode, "matched_by": leader, **json.loads(event.detail)}
                if event.kind == "explained":
                    return _NotNow(f"{leader} cannot say just now: it explained much lately, or another process leads by now; ask again")
        return f"{leader} leads {mode} and did not answer within {ANSWER_S:.0f} s; `gameedge admin status` says whether it lives"
    return f"{who!r} does not wait in any queue of this region{f' of mode {only}' if only else ''}; it may be matched already"
