"""What operators ask a region beside evidence, and the forms of the answers: whoever reaches the store can ask the same.

`queues` and `explain` need the store alone (the explanation comes through the inbox of the process that leads the mode's matching).
"""

import asyncio
import json
import time
from collections import Counter
from typing import Any, Final

import msgspec

from gameedge.core.errors import Reason, RefusedError
from gameedge.core.ids import EdgeId, PlayerId, TicketId
from gameedge.state.base import InboxEvent, MatchRecord, RegionStore, SessionRecord, Ticket

EXPLAIN_S: Final = 3.0
AGAIN_S: Final = 0.3  # between two questions, where nobody could answer the first


class SeatLive(msgspec.Struct, frozen=True, kw_only=True):
    """`player` empty: the seat is an NPC's. `here`: its connection plays it now, no NPC in its place."""

    seat: int
    team: int
    name: str
    player: str = ""
    here: bool = False
    npc_level: int = 0
    npc_style: str = ""


class MatchLive(msgspec.Struct, frozen=True, kw_only=True):
    """A running match as its process has it now."""

    match: str
    mode: str
    edge: str
    remaining_ms: int
    scores: list[int]  # by team
    seats: list[SeatLive]
    spectators: int = 0
    adopted: bool = False  # it came from another process


class PlayerHere(msgspec.Struct, frozen=True, kw_only=True):
    """A live session of one process."""

    player: str
    name: str
    session: str
    connected: bool  # False: it waits for a resume
    mode: str = ""
    match: str = ""
    ticket: str = ""
    rtt_ms: float | None = None
    unjudged: float | None = None  # share of the last minutes' combat that was not judged for the network's sake; None: no combat
    unjudged_s: float = 0.0  # and all of it in this process, with what was judged
    judged_s: float = 0.0
    pool: str = ""  # why it is matched in the trust pool: observe, link; empty: it is not


class PlayerRecords(msgspec.Struct, frozen=True, kw_only=True):
    """What a region's store holds of a player, evidence apart."""

    sessions: list[SessionRecord]
    tickets: list[Ticket]
    matches: list[MatchRecord]


class QueueSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One mode's pool."""

    mode: str
    tickets: int
    parties: int
    oldest_ms: int | None
    matches: int
    leader: str | None
    edges: dict[str, int]


async def queues(store: RegionStore, only: str = "") -> list[QueueSeen]:
    """The pools of a region, or one of them."""
    found, now_ms = [], time.time() * 1000
    for mode in await store.modes():
        if only and mode != only:
            continue
        tickets = await store.tickets(mode)
        found.append(
            QueueSeen(
                mode=mode,
                tickets=len(tickets),
                parties=len({ticket.party for ticket in tickets if ticket.party is not None}),
                oldest_ms=max(0, round(now_ms - tickets[0].created_ms)) if tickets else None,
                matches=sum(not record.away for record in await store.matches(mode)),
                leader=await store.lease_owner(f"matcher-{mode}"),
                edges=dict(Counter(str(ticket.edge) for ticket in tickets).most_common(32)),
            )
        )
    return found


class _NotNowError(RefusedError):
    """Nobody can say just now: a process takes over, or explained much lately. Asking again helps."""


async def explain(store: RegionStore, who: str, only: str, me: EdgeId, wait_s: float = EXPLAIN_S) -> dict[str, Any]:
    """Why a ticket (or a player's ticket) is not matched, by the process that leads its mode. `me` names an inbox for the answer.
    Where nobody can say just now it asks again, for `wait_s` in all.

    Raises RefusedError(NOT_FOUND) with what is wrong, UnavailableError.
    """
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return await _explain_once(store, who, only, me, deadline)
        except _NotNowError:
            if time.monotonic() + AGAIN_S >= deadline:
                raise
        await asyncio.sleep(AGAIN_S)


async def _explain_once(store: RegionStore, who: str, only: str, me: EdgeId, deadline: float) -> dict[str, Any]:
    for mode in [only] if only else await store.modes():
        _, there = await store.tickets_there(mode, [TicketId(who)])
        ticket = TicketId(who) if there else await store.ticket_of_player(mode, PlayerId(who))
        if ticket is None:
            continue
        leader = await store.lease_owner(f"matcher-{mode}")
        if leader is None:
            text = f"nobody matches {mode} just now: no edge process of the region runs, or one took over a moment ago; ask again"
            raise _NotNowError(Reason.NOT_FOUND, text)
        return await _ask_leader(store, mode, ticket, leader, me, deadline)
    where = f" of mode {only}" if only else ""
    raise RefusedError(Reason.NOT_FOUND, f"{who[:64]!r} does not wait in any queue of this region{where}; it may be matched already")


async def _ask_leader(store: RegionStore, mode: str, ticket: TicketId, leader: EdgeId, me: EdgeId, deadline: float) -> dict[str, Any]:
    await store.inbox_post(leader, [InboxEvent(kind="explain", mode=mode, ticket=ticket, edge=me)])
    while (left := deadline - time.monotonic()) > 0:
        for event in await store.inbox_read(me, max(1, int(left * 1000))):
            if event.kind == "explained" and event.detail:
                return {"mode": mode, "matched_by": leader, **json.loads(event.detail)}
            if event.kind == "explained":
                text = f"{leader} cannot say just now: it explained much lately, or another process leads by now; ask again"
                raise _NotNowError(Reason.NOT_FOUND, text)
    text = f"{leader} leads {mode} and did not answer in time; `gameedge admin status` says whether it lives"
    raise RefusedError(Reason.NOT_FOUND, text)


async def shadows(store: RegionStore, me: EdgeId, wait_s: float = EXPLAIN_S) -> list[dict[str, Any]]:
    """Of each mode whose leader tries rules in shadow, what they would have done beside the live ones (edge/shadow.py), by mode.
    Leaders that do not answer in time are left out. `me` names an inbox for the answers. Raises UnavailableError."""
    leaders = [leader for mode in await store.modes() if (leader := await store.lease_owner(f"matcher-{mode}")) is not None]
    waiting = set(leaders)
    for leader in waiting:
        await store.inbox_post(leader, [InboxEvent(kind="compare", edge=me)])
    found: list[dict[str, Any]] = []
    deadline, answers = time.monotonic() + wait_s, 0
    while answers < len(waiting) and (left := deadline - time.monotonic()) > 0:
        for event in await store.inbox_read(me, max(1, int(left * 1000))):
            if event.kind == "compared":
                answers += 1
                found += json.loads(event.detail)
    return sorted(found, key=lambda mode: str(mode["mode"]))


async def records(store: RegionStore, player: PlayerId) -> PlayerRecords:
    """Sessions, tickets and open matches of a player."""
    tickets: list[Ticket] = []
    matches: list[MatchRecord] = []
    for mode in await store.modes():
        wanted = await store.ticket_of_player(mode, player)
        tickets += [ticket for ticket in await store.tickets(mode) if ticket.id == wanted] if wanted is not None else []
        matches += [record for record in await store.matches(mode) if any(ticket.player == player for ticket in record.tickets)]
    return PlayerRecords(sessions=await store.sessions_of(player), tickets=tickets, matches=matches)
