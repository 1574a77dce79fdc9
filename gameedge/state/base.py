"""What a region's store offers: sessions, tickets, matches, results on their way out, evidence. Two implementations pass one contract
suite, `memory.py` and `redis_*.py`; the coordinator's store is on its own page, `base_global.py`. For both holds:

Every method is one round trip; every change that must not be torn is one server-side function.
Times are given by the caller (`now_ms`, Unix milliseconds), except time-to-live, which the server counts.
All methods raise UnavailableError while the server cannot be reached, within about limits.STORE_WAIT_MS_MAX, and recover by
themselves afterwards. A change whose answer was lost may have been made: every change can be sent again without harm.
A record that cannot be decoded is skipped and counted in `corrupt`; it never raises.

How durable is an acknowledged change? As durable as the server is set up to be. With `appendfsync always` it survives a
crash of the machine; with `everysec` it survives a killed server process, and a crash of the machine may cost the last second.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

import msgspec

from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError
from gameedge.core.ids import EdgeId, FlagId, MatchId, PlayerId, RegionId, SessionId, TicketId
from gameedge.core.matchmaking.ticket import Ticket as Ticket


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
    queued_ms: int = 0  # since when (Unix) the ticket waits
    token_hash: str = ""  # sha-256 hex of the session token whose signature was checked last


class MatchRecord(Record, frozen=True, kw_only=True):
    match: MatchId
    mode: str
    host: EdgeId
    fence: int
    teams: list[list[TicketId]]
    tickets: list[Ticket]
    created_ms: int
    seed: int
    accept_ms: int = 0  # not 0: its members have so long to accept it, and it is no match until all have
    joins: int = 0  # how often people were given seats of it while it ran
    late: list[TicketId] = []  # they: the match does not rate them
    left: list[tuple[int, PlayerId]] = []  # team and player of those who gave up a seat that somebody took: the match rates them
    epoch: int = 0  # grows each time another process takes the match over: whoever has an older one may not write
    away: RegionId = RegionId("")  # no match: a grant of its one ticket to a match in that region (docs/decisions/0019)
    guests: bool = False  # a match across regions: its tickets are of no pool of this store, and never go back into one


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


EVIDENCE_STATES = ("open", "recommended", "cleared", "upheld")
EVIDENCE_DECISIONS = ("cleared", "upheld")  # what a person may decide


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
    crossing: int = 0  # what it speaks of matches across regions; 0: nothing


class InboxEvent(Record, frozen=True, kw_only=True):
    """What one process tells another in the region.

    `host`: open this match. `adopt`: go on with this match from its checkpoint. `found`: tell this session of its match.
    `lost`: tell it that the match is gone. `rejoin`: this session, now on `edge`, had a seat in your match: answer with
    `found` or `lost`. `offer`: ask this session whether it accepts the match, within `ms`. `accept`, `decline`: its answer to the
    host. `withdrawn`: the match that it was offered is off, its ticket is queued again. `dequeued`: its ticket ended, for `reason`.
    `vacancies`: say which of your matches of the mode have seats for people. `vacant`: such a match, for `ms` more. `fill`: people
    were given seats of your match.
    `cross`: your player's ticket, which its region granted, has a seat in a match of another region (`detail`: edge/exchange.py).
    `crossed`: it has taken that seat; with a `reason`: that match is off. `held`: your player's ticket is granted; it comes back
    within `ms`, unless the player goes.
    `compare`: how do shadow rules of your modes compare; `compared`: the answer, in `detail`.
    `explain`: say why this ticket of your pool is not matched. `explained`: the answer, in `detail`; empty where
    nobody could say.
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
    reason: str = ""
    ms: int = 0


class PoolRead(msgspec.Struct, frozen=True, kw_only=True):
    """What a mirror of a pool must do to be the pool: begin anew with `tickets` where it is the `whole` pool; else put `tickets`
    in (they are new, or have moved), and take those that are `gone` out. `more`: read on at once."""

    at: str  # the next read's `after`
    whole: bool = False
    tickets: list[Ticket] = []
    gone: list[TicketId] = []
    more: bool = False


Claimed = list[TicketId] | RefusedError  # the tickets that were missing (none: it is a match now), or why nothing was claimed


class RegionStore(Protocol):
    """A region's Redis."""

    @property
    def corrupt(self) -> int:
        """Records that could not be decoded, so far."""
        ...

    async def ping(self) -> float:
        """Round trip in ms."""
        ...

    # -- sessions
    async def session_put(self, record: SessionRecord, ttl_ms: int) -> None: ...
    async def session_get(self, resume_hash: str) -> SessionRecord | None: ...
    async def sessions_put(self, records: Sequence[SessionRecord], ttl_ms: int) -> None:
        """`session_put` for many at once. Not atomic over all of them."""
        ...

    async def sessions_get(self, resume_hashes: Sequence[str]) -> list[SessionRecord | None]:
        """`session_get` for many at once, in the order given."""
        ...

    async def session_delete(self, resume_hash: str) -> None: ...
    async def sessions_of(self, player: PlayerId) -> list[SessionRecord]:
        """Sessions of a player that may still be resumed, by session id."""
        ...

    # -- tickets of one mode ("pool")
    async def modes(self) -> list[str]:
        """Those that ever had a ticket or a match, by name."""
        ...

    async def ticket_add(self, ticket: Ticket, pool_max: int) -> None:
        """Raises RefusedError(POOL_FULL) at `pool_max`, RefusedError(ALREADY_QUEUED) when the player has another ticket there.
        Idempotent by ticket id, also where an open match has the ticket by now: a call whose answer was lost may be sent again."""
        ...

    async def tickets_add(self, mode: str, tickets: Sequence[Ticket], pool_max: int) -> list[Reason | None]:
        """The same for many at once, in the order given; why each was refused, None where it is queued. Not atomic over all of
        them. ValueError for a ticket of another mode."""
        ...

    async def ticket_of_player(self, mode: str, player: PlayerId) -> TicketId | None: ...
    async def tickets_there(self, mode: str, tickets: Sequence[TicketId]) -> tuple[int, set[TicketId]]:
        """How many tickets the pool holds, and which of these are among them."""
        ...

    async def ticket_cancel(self, mode: str, ticket: TicketId) -> bool:
        """True: removed. False: it is not there (matched or cancelled before)."""
        ...

    async def ticket_move(self, mode: str, ticket: TicketId, session: SessionId, edge: EdgeId) -> bool:
        """The player resumed on another process: later events go to its inbox. False: the ticket is gone."""
        ...

    async def tickets(self, mode: str) -> list[Ticket]:
        """All tickets of the pool, oldest first (equal age: by id)."""
        ...

    async def tickets_of_edge_gone(
        self, mode: str, live: Collection[EdgeId], now_ms: int, keep_ms: int = limits.RESUME_MS_MAX
    ) -> list[Ticket]:
        """Remove and return the tickets of processes that have not been among `live` for `keep_ms`.

        The first call that misses a process starts its clock, and a call that sees it again resets it: call it about once a
        second, from the holder of the pool's lease. Until then the tickets keep their age: whoever proposes must leave out
        tickets whose edge is not alive. Several round trips."""
        ...

    async def tickets_gone(
        self, mode: str, tickets: Iterable[Ticket], live: Collection[EdgeId], now_ms: int, keep_ms: int = limits.RESUME_MS_MAX
    ) -> list[Ticket]:
        """`tickets_of_edge_gone` for who has the pool's tickets already: a mirror that lags keeps a ticket a little longer."""
        ...

    async def pool_read(self, mode: str, after: str) -> PoolRead:
        """What changed since the read that answered `after` (""; or one that is too long ago: the whole pool). A mirror that
        applied every answer in order equals the pool. A whole pool takes several round trips."""
        ...

    async def pool_wait(self, mode: str, after: str, block_ms: int) -> None:
        """Until the pool has changed since the read that answered `after`, or for `block_ms`."""
        ...

    async def pool_version(self, mode: str) -> int:
        """Grows with every change of the pool."""
        ...

    # -- leases with fencing
    async def lease(self, name: str, owner: EdgeId, ttl_ms: int) -> int | None:
        """Take or renew. The fence (grows with every new holder) where `owner` holds it now, else None."""
        ...

    async def lease_owner(self, name: str) -> EdgeId | None:
        """Who holds it now."""
        ...

    async def lease_release(self, name: str, owner: EdgeId) -> None: ...

    # -- matches
    async def claim(self, record: MatchRecord, lease_name: str) -> list[TicketId]:
        """Atomically: check the fence of `lease_name` (0: no check) and that all tickets are there, remove them, store the
        match, and put a `host` event into the host's inbox. Returns the tickets that were missing, or had moved to another
        session or process since they were read; empty: claimed. Idempotent by match id.

        Raises RefusedError(OUT_OF_ORDER) for a stale fence, RefusedError(SERVER_FULL) where the mode's open matches and
        waiting results together reach limits.OUTBOX_RESULTS_MAX: an open match has its place in the outbox, so that
        `match_close` never has to refuse a result. ValueError for a ticket named twice or a lease of another pool."""
        ...

    async def claim_many(self, records: Sequence[MatchRecord], lease_name: str) -> list[Claimed]:
        """The same for many matches of one mode and fence: each is all or nothing, what is refused is answered, not raised. A match
        that shares a ticket with an earlier one finds it missing."""
        ...

    async def match_guests(self, record: MatchRecord) -> bool:
        """Store an open match of `guests`, whose tickets other stores granted; none of this pool changes, and a ticket that is granted
        here stays its grant's (`match_of_ticket`): else its player could sit down before the grant has ended. Idempotent by match id.
        False: another match has its name. Raises RefusedError(SERVER_FULL) as `claim` does."""
        ...

    async def match_get(self, mode: str, match: MatchId) -> MatchRecord | None: ...
    async def matches_get(self, mode: str, matches: Sequence[MatchId]) -> list[MatchRecord | None]:
        """`match_get` for many of one mode at once, in the order given."""
        ...

    async def match_of_ticket(self, mode: str, ticket: TicketId) -> MatchRecord | None:
        """The open match that a ticket was claimed for: where a player who resumed elsewhere belongs."""
        ...

    async def matches(self, mode: str) -> list[MatchRecord]:
        """Open matches, oldest first. A dead process's matches are those whose host is not in `edges()`."""
        ...

    async def match_unclaim(self, record: MatchRecord, out: Collection[TicketId] = ()) -> bool:
        """The host could not open it, or somebody did not accept it: its tickets, as they are in `record`, are queued again with their
        age (except of players who queued again meanwhile, those that are `out`, and guests). False: it was not there, or has another
        host, epoch or number of joins by now than in `record`."""
        ...

    async def match_join(self, before: MatchRecord, after: MatchRecord, lease_name: str, fence: int) -> list[TicketId] | None:
        """Atomically give people who wait seats of an open match: check the fence of `lease_name` (0: no check), that the match still
        has the host, epoch and joins of `before`, and that the tickets which `after` has beyond it are in the pool; take them out, store
        `after`, and put a `fill` event into the host's inbox. The tickets that were missing, as `claim` has it; None: the match is
        over or has changed. Raises RefusedError(OUT_OF_ORDER) for a stale fence."""
        ...

    async def match_close(self, mode: str, match: MatchId, result: Result | None, *, by: MatchRecord | None = None) -> bool:
        """Atomically forget the match and append its result to the outbox. False: it was closed before (nothing is added), or
        it has another host or epoch by now than in `by`, whoever hosts it then closes it."""
        ...

    async def checkpoint_put(self, host: EdgeId, mode: str, states: Sequence[tuple[MatchRecord, bytes]]) -> list[bool]:
        """Keep the state of matches of one mode. False for each that has another host or epoch by now: its state is not kept.
        A state is forgotten with its match."""
        ...

    async def checkpoint_get(self, mode: str, match: MatchId) -> bytes | None: ...
    async def match_adopt(self, record: MatchRecord, host: EdgeId, *, tell: bool = False) -> MatchRecord | None:
        """Atomically give the match another host (or, once all have accepted it, the same) and the next epoch, where it still has
        those of `record`: its new record, or
        None where somebody was faster or it is over. `tell`: put an `adopt` event into the new host's inbox."""
        ...

    async def matches_adopt(self, mode: str, records: Sequence[MatchRecord], host: EdgeId) -> list[tuple[MatchRecord, bytes] | None]:
        """`match_adopt` for many of one mode at once, each for itself: its new record and its state. None also where there is no
        state: nobody can go on with such a match, and it stays as it is."""
        ...

    # -- inboxes of processes
    async def inbox_post(self, edge: EdgeId, events: Sequence[InboxEvent]) -> None: ...

    async def inbox_read(self, edge: EdgeId, block_ms: int) -> list[InboxEvent]:
        """Take (at most limits.INBOX_READ_MAX) events, waiting up to `block_ms` for the first; 0: do not wait.

        Events are removed as they are taken; each is given once, except around a lost connection, when it may be given to
        the process's next life again. Events of one claimer or poster keep their order. One reader a process. Full inboxes
        drop their oldest event; inboxes that nobody writes to are forgotten after limits.INBOX_LIFE_MS."""
        ...

    # -- outbox of results
    async def outbox_read(self, after: str, count: int) -> list[StoredResult]:
        """From the oldest (`after=""`), without removing. Oldest first within a mode. A reader that goes on with `after` must
        start again from "" now and then: modes do not share one clock."""
        ...

    async def outbox_ack(self, at: Sequence[str]) -> None:
        """Remove. Positions that are unknown or not positions at all are ignored."""
        ...

    async def outbox_size(self) -> int: ...

    # -- processes of the region
    async def edge_beat(self, record: EdgeRecord, ttl_ms: int) -> None: ...
    async def edges(self) -> list[EdgeRecord]:
        """Processes whose beat has not expired, by name."""
        ...

    async def edge_ages(self) -> dict[EdgeId, float]:
        """Milliseconds since the last beat of each process, by the store's own clock; those beaten with limits.EDGE_DEAD_MS."""
        ...

    async def edge_forget(self, edge: EdgeId) -> None: ...

    # -- evidence
    async def evidence_add(self, evidence: Evidence) -> None:
        """Once a flag. The oldest of the player goes over limits.EVIDENCE_PER_PLAYER_MAX, the oldest of the region over
        EVIDENCE_TOTAL_MAX, all after EVIDENCE_LIFE_MS. Raises RefusedError(TOO_LARGE) over EVIDENCE_BYTES_MAX."""
        ...

    async def evidence_list(self, limit: int) -> list[Evidence]:
        """Last stored first, without clips."""
        ...

    async def evidence_get(self, flag: FlagId) -> Evidence | None: ...
    async def evidence_set_state(self, flag: FlagId, state: str) -> bool: ...
    async def evidence_decide(self, flag: FlagId, state: str, expected: str) -> str | None:
        """Atomically set the state where it still is `expected`. The state before the call: another than `expected` means that
        somebody was faster and nothing was changed. None: no such flag."""
        ...

    async def erase_player(self, player: PlayerId) -> int:
        """Remove all evidence and sessions of a player; how many records went."""
        ...

    async def close(self) -> None: ...
