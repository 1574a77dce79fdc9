"""What the stores offer. Two implementations pass one contract suite: `memory.py` and `redis_*.py`.

A *region* store holds sessions, tickets, matches, results on their way out, and evidence. A *global* store holds accounts,
ratings and what was applied. Every method is one round trip; every change that must not be torn is one server-side function.
Times are given by the caller (`now_ms`, Unix milliseconds), except time-to-live, which the server counts.
All methods raise UnavailableError while the server cannot be reached, and recover by themselves afterwards.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from gameedge.core.ids import EdgeId, FlagId, MatchId, PlayerId, RegionId, SessionId, TicketId


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Stored as msgpack; unknown fields are ignored, so that a newer process may write for an older one."""


class SessionRecord(Record, frozen=True, kw_only=True):
    session: SessionId
    player: PlayerId
    edge: EdgeId
    resume_hash: str  # sha-256 hex of the resume token: a leaked store opens no session
    ticket: TicketId | None = None
    mode: str | None = None
    match: MatchId | None = None
    sent_s: int = 0  # last critical number sent, so that a resume on another process counts on
    received_n: int = 0


class Ticket(Record, frozen=True, kw_only=True):
    id: TicketId
    player: PlayerId
    session: SessionId
    edge: EdgeId  # whose inbox hears of the match
    mode: str
    name: str = ""
    rating: float = 25.0
    sigma: float = 25.0 / 3.0
    trust: int = 0  # the trust pool: players are matched within one
    party: str | None = None
    party_size: int = 1
    created_ms: int = 0


class MatchRecord(Record, frozen=True, kw_only=True):
    match: MatchId
    mode: str
    host: EdgeId
    fence: int
    teams: list[list[TicketId]]
    tickets: list[Ticket]
    created_ms: int
    seed: int


class Result(Record, frozen=True, kw_only=True):
    """What the coordinator learns of a match: no telemetry, no inputs."""

    match: MatchId
    region: RegionId
    mode: str
    rated: bool
    started_ms: int
    ended_ms: int
    teams: list[list[PlayerId]]  # people only
    ranks: list[int]
    scores: list[int]
    reason: str = "finished"


class StoredResult(msgspec.Struct, frozen=True):
    at: str  # the position in the outbox
    result: Result


class Evidence(Record, frozen=True, kw_only=True):
    flag: FlagId
    player: PlayerId
    match: MatchId
    at_ms: int
    rule: str
    score: float
    reasons: list[str]
    clip: bytes = b""  # msgpack, at most limits.EVIDENCE_BYTES_MAX
    state: str = "open"  # open, recommended, cleared, upheld
    model: str = ""


class EdgeRecord(Record, frozen=True, kw_only=True):
    edge: EdgeId
    region: RegionId
    url: str
    pid: int
    started_ms: int
    players: int = 0
    matches: int = 0
    free_matches: int = 0
    free_entities: int = 0
    lateness_ms_p99: float = 0.0
    draining: bool = False


class InboxEvent(Record, frozen=True, kw_only=True):
    """What one process tells another in the region.

    `host`: open this match. `found`: tell this session of its match. `lost`: tell it that the match is gone. `rejoin`: this
    session, now on `edge`, had a seat in your match: answer with `found` or `lost`.
    """

    kind: str
    match: MatchRecord | None = None
    match_id: MatchId | None = None
    mode: str = ""
    player: PlayerId | None = None
    session: SessionId | None = None
    ticket: TicketId | None = None
    edge: EdgeId | None = None
    url: str = ""
    match_token: str = ""
    detail: str = ""


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    record: MatchRecord


class RegionStore(Protocol):
    """A region's Redis."""

    async def ping(self) -> float:
        """Round trip in ms."""
        ...

    # -- sessions
    async def session_put(self, record: SessionRecord, ttl_ms: int) -> None: ...
    async def session_get(self, resume_hash: str) -> SessionRecord | None: ...
    async def session_delete(self, resume_hash: str) -> None: ...

    # -- tickets of one mode ("pool")
    async def ticket_add(self, ticket: Ticket, pool_max: int) -> None:
        """Raises RefusedError(POOL_FULL) at `pool_max`, RefusedError(ALREADY_QUEUED) when the player has a ticket there."""
        ...

    async def ticket_cancel(self, mode: str, ticket: TicketId) -> bool:
        """True: removed. False: it is not there (matched or cancelled before)."""
        ...

    async def ticket_move(self, mode: str, ticket: TicketId, session: SessionId, edge: EdgeId) -> bool:
        """The player resumed on another process: later events go to its inbox. False: the ticket is gone."""
        ...

    async def tickets(self, mode: str) -> list[Ticket]:
        """All tickets of the pool, oldest first."""
        ...

    async def pool_version(self, mode: str) -> int:
        """Grows with every change of the pool."""
        ...

    # -- leases with fencing
    async def lease(self, name: str, owner: EdgeId, ttl_ms: int) -> int | None:
        """Take or renew. The fence (grows with every new holder) where `owner` holds it now, else None."""
        ...

    async def lease_release(self, name: str, owner: EdgeId) -> None: ...

    # -- matches
    async def claim(self, record: MatchRecord, lease_name: str) -> list[TicketId]:
        """Atomically: check the fence of `lease_name` (0: no check) and that all tickets are there, remove them, store the
        match, and put a `host` event into the host's inbox. Returns the tickets that were missing; empty: claimed.
        Idempotent by match id. Raises RefusedError(OUT_OF_ORDER) for a stale fence."""
        ...

    async def match_get(self, mode: str, match: MatchId) -> MatchRecord | None: ...
    async def matches(self, mode: str) -> list[MatchRecord]: ...

    async def match_unclaim(self, record: MatchRecord) -> bool:
        """The host could not open it: its tickets are queued again with their age. False: it was not there."""
        ...

    async def match_close(self, mode: str, match: MatchId, result: Result | None) -> bool:
        """Atomically forget the match and append its result to the outbox. False: it was closed before (nothing is added)."""
        ...

    # -- inboxes of processes
    async def inbox_post(self, edge: EdgeId, events: Sequence[InboxEvent]) -> None: ...

    async def inbox_read(self, edge: EdgeId, block_ms: int) -> list[InboxEvent]:
        """Take (at most 256) events, waiting up to `block_ms` for the first. Events are removed as they are taken."""
        ...

    # -- outbox of results
    async def outbox_read(self, after: str, count: int) -> list[StoredResult]:
        """From the oldest (`after=""`), without removing."""
        ...

    async def outbox_ack(self, at: Sequence[str]) -> None: ...
    async def outbox_size(self) -> int: ...

    # -- processes of the region
    async def edge_beat(self, record: EdgeRecord, ttl_ms: int) -> None: ...
    async def edges(self) -> list[EdgeRecord]: ...
    async def edge_forget(self, edge: EdgeId) -> None: ...

    # -- evidence
    async def evidence_add(self, evidence: Evidence) -> None: ...
    async def evidence_list(self, limit: int) -> list[Evidence]:
        """Newest first, without clips."""
        ...

    async def evidence_get(self, flag: FlagId) -> Evidence | None: ...
    async def evidence_set_state(self, flag: FlagId, state: str) -> bool: ...
    async def erase_player(self, player: PlayerId) -> int:
        """Remove all evidence and sessions of a player; how many records went."""
        ...

    async def close(self) -> None: ...


class Account(Record, frozen=True, kw_only=True):
    player: PlayerId
    secret_hash: str
    name: str
    created_ms: int
    banned: bool = False
    trust: int = 0


class Rating(Record, frozen=True, kw_only=True):
    mu: float = 25.0
    sigma: float = 25.0 / 3.0
    games: int = 0


class GlobalStore(Protocol):
    """The coordinator's Redis."""

    async def ping(self) -> float: ...
    async def account_add(self, account: Account) -> None: ...
    async def account_get(self, player: PlayerId) -> Account | None: ...
    async def account_put(self, account: Account) -> None: ...
    async def ratings(self, player: PlayerId) -> dict[str, Rating]: ...
    async def ratings_of(self, mode: str, players: Sequence[PlayerId]) -> dict[PlayerId, Rating]: ...

    async def result_apply(self, result: Result, ratings: dict[PlayerId, Rating], expected: dict[PlayerId, Rating]) -> bool:
        """Atomically: once a match id, store the ratings if they still are `expected`, and mark the match applied.
        True: applied now or before. False: a rating had changed meanwhile, compute again."""
        ...

    async def result_applied(self, match: MatchId) -> bool: ...
    async def secret(self, name: str, value: bytes) -> bytes:
        """Store once: the value that is there, or `value` where there was none (signing keys)."""
        ...

    async def audit_add(self, entry: str) -> None: ...
    async def audit_list(self, limit: int) -> list[str]: ...
    async def close(self) -> None: ...
