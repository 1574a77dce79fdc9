"""One connection (`Link`) and one player's presence in this process (`Player`), which outlives connections."""

import hashlib
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from gameedge.core.errors import Reason
from gameedge.core.ids import EdgeId, MatchId, PlayerId, TicketId
from gameedge.core.protocol.close import CLOSE_CODES, LOST
from gameedge.core.protocol.session import ServerSession, State
from gameedge.core.tokens import Claims
from gameedge.edge.transports.base import Connection
from gameedge.telemetry.traces import NO_SPAN, Span

if TYPE_CHECKING:
    from gameedge.edge.lobby import Lobby

_EWMA = 0.3
PINGS_OPEN_MAX: Final = 8  # that are not answered; drop oldest
RTTS_KEPT: Final = 8  # one a second
RTTS_LEAST: Final = 5  # before anything is concluded from them
LONGER_MS: Final = 30.0  # than a player was placed for, and by this share of it: the route is another one
LONGER_SHARE: Final = 0.5


class Offer(NamedTuple):
    """A match that a player was asked about: who wants the answer, since when, and until when (monotonic ms)."""

    match: MatchId
    host: EdgeId
    asked_ms: float
    until_ms: float


@dataclass(slots=True, eq=False)
class Away:
    """A player's ticket is granted to a match in another region (edge/crossings.py), until then (monotonic ms). `sent`: the client
    was told to go, to `match`."""

    grant: MatchId
    asked_ms: float
    until_ms: float
    sent: bool = False
    match: MatchId | None = None


class Player:
    """A session and where it stands. `link` is None while nobody is connected."""

    __slots__ = (
        "asked_ms",
        "away",
        "cancelled",
        "claims",
        "explained_ms",
        "found_ms",
        "link",
        "match",
        "mode",
        "offer",
        "queued_ms",
        "rerouted",
        "resume_hash",
        "session",
        "span",
        "ticket",
        "ticket_seen_ms",
        "token_hash",
    )

    def __init__(self, session: ServerSession, claims: Claims, resume_hash: str, token_hash: str = "") -> None:
        self.session = session
        self.claims = claims
        self.resume_hash = resume_hash
        self.token_hash = token_hash  # of the token whose signature was checked: the same one need not be checked again
        self.link: Link | None = None
        self.ticket: TicketId | None = None
        self.mode: str | None = None
        self.ticket_seen_ms = 0.0  # when the ticket was last seen in the pool
        self.explained_ms = -1e12  # when it last asked why it waits
        self.queued_ms = 0  # since when the ticket waits, Unix
        self.match: MatchId | None = None
        self.offer: Offer | None = None  # a match that waits for this player's yes
        self.away: Away | None = None  # its ticket is not in the pool: it may be on its way to another region
        self.cancelled: TicketId | None = None  # a ticket that it cancelled, and that was no longer in the pool
        self.asked_ms: float | None = None  # when the match's process was asked for the seat; None: no answer is awaited
        self.rerouted = False  # was told that its way here is a detour: once is enough
        self.span: Span = NO_SPAN  # what it waits for now, where that is traced
        self.found_ms: float | None = None  # adopted with a seat that its client may not know of

    @property
    def id(self) -> PlayerId:
        return PlayerId(self.claims.sub)

    @property
    def path_ms(self) -> float | None:
        """The socket's round trip without what queues add to it: the smallest of the last seconds; None: not known yet."""
        rtts = self.link.rtts_ms if self.link is not None else ()
        return min(rtts) if len(rtts) >= RTTS_LEAST else None

    @property
    def detour(self) -> bool:
        """Whether the way here is much longer than what the player measured when it was placed: the route changed, or it lied."""
        placed_ms, path_ms = self.claims.placed_ms, self.path_ms
        return path_ms is not None and placed_ms > 0 and path_ms > placed_ms + max(LONGER_MS, LONGER_SHARE * placed_ms)

    def flush(self) -> None:
        """Hand what the session wants to say to the socket."""
        if self.link is not None:
            self.link.flush()


class Link:
    """The endpoint of one connection: frames in, to the inbox or the session."""

    __slots__ = ("_closed", "_lobby", "_pings", "connection", "player", "rtt_ms", "rtts_ms", "session", "slot")

    def __init__(self, lobby: "Lobby", connection: Connection, session: ServerSession) -> None:
        self._lobby = lobby
        self.connection = connection
        self.session = session
        self.player: Player | None = None
        self.slot: int | None = None
        self.rtt_ms: float | None = None
        self.rtts_ms: deque[float] = deque(maxlen=RTTS_KEPT)
        self._pings: deque[tuple[bytes, float]] = deque(maxlen=PINGS_OPEN_MAX)
        self._closed = False

    # -- Endpoint

    def on_binary(self, data: memoryview) -> None:
        lobby, slot = self._lobby, self.slot
        now_ms = lobby.clock.monotonic_ms()
        if slot is None:
            self.close(Reason.OUT_OF_ORDER, "hello comes first")
        elif self.session.take_command(now_ms) and not lobby.inbox.put(slot, data, now_ms):
            self.session.refuse("frame", Reason.MALFORMED, now_ms, detail=f"a command is {lobby.inbox.frame_size} bytes of type 1")
            self.flush()

    def on_text(self, data: bytes) -> None:
        lobby = self._lobby
        events = self.session.receive_text(data, lobby.clock.monotonic_ms(), lobby.tick_now())
        for event in events:
            lobby.handle(self, event)
        self.flush()

    def on_pong(self, payload: bytes) -> None:
        now_ms = self._lobby.clock.monotonic_ms()
        self.session.heard(now_ms)
        sent_ms = next((sent_ms for nonce, sent_ms in self._pings if nonce == payload), None)
        if sent_ms is None:
            return  # not one of our pings: whoever guesses them would seem nearer than it is
        while self._pings and self._pings[0][1] <= sent_ms:
            self._pings.popleft()
        rtt_ms = max(0.0, now_ms - sent_ms)
        self.rtts_ms.append(rtt_ms)
        self.rtt_ms = rtt_ms if self.rtt_ms is None else self.rtt_ms + _EWMA * (rtt_ms - self.rtt_ms)
        if self.slot is not None:
            self._lobby.table.rtt_ms[self.slot] = self.rtt_ms
            self._lobby.rtt_heard(rtt_ms, now_ms)

    def on_close(self, code: int, reason: str) -> None:
        if not self._closed:
            self._closed = True
            self._lobby.disconnected(self, code if code else LOST)

    # -- out

    def ping(self, now_ms: float) -> None:
        nonce = self._lobby.draw(8)
        self._pings.append((nonce, now_ms))
        self.connection.send_ping(nonce)

    def flush(self) -> None:
        for data in self.session.outgoing():
            self.connection.send_text(data)
        closing = self.session.closing
        if closing is not None:
            self.connection.close(closing.code, closing.text)

    def close(self, reason: Reason, detail: str = "") -> None:
        """End the connection; an open session stays and may be resumed."""
        for data in self.session.outgoing():
            self.connection.send_text(data)
        text = f"{reason}: {detail}" if detail else str(reason)
        self.connection.close(CLOSE_CODES[reason], text[:120])

    @property
    def open(self) -> bool:
        return not self._closed and self.session.state is State.OPEN


def hash_token(token: str) -> str:
    """What the store keeps of a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
