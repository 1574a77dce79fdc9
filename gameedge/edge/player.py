"""One connection (`Link`) and one player's presence in this process (`Player`), which outlives connections."""

from typing import TYPE_CHECKING, NamedTuple

from gameedge.core.errors import Reason
from gameedge.core.ids import EdgeId, MatchId, PlayerId, TicketId
from gameedge.core.protocol.close import CLOSE_CODES, LOST
from gameedge.core.protocol.session import ServerSession, State
from gameedge.core.tokens import Claims
from gameedge.edge.transports.base import Connection

if TYPE_CHECKING:
    from gameedge.edge.lobby import Lobby

_EWMA = 0.3


class Offer(NamedTuple):
    """A match that a player was asked about: who wants the answer, since when, and until when (monotonic ms)."""

    match: MatchId
    host: EdgeId
    asked_ms: float
    until_ms: float


class Player:
    """A session and where it stands. `link` is None while nobody is connected."""

    __slots__ = (
        "asked_ms",
        "claims",
        "explained_ms",
        "found_ms",
        "link",
        "match",
        "mode",
        "offer",
        "queued_ms",
        "resume_hash",
        "session",
        "ticket",
        "ticket_seen_ms",
    )

    def __init__(self, session: ServerSession, claims: Claims, resume_hash: str) -> None:
        self.session = session
        self.claims = claims
        self.resume_hash = resume_hash
        self.link: Link | None = None
        self.ticket: TicketId | None = None
        self.mode: str | None = None
        self.ticket_seen_ms = 0.0  # when the ticket was last seen in the pool
        self.explained_ms = -1e12  # when it last asked why it waits
        self.queued_ms = 0  # since when the ticket waits, Unix
        self.match: MatchId | None = None
        self.offer: Offer | None = None  # a match that waits for this player's yes
        self.asked_ms: float | None = None  # when the match's process was asked for the seat; None: no answer is awaited
        self.found_ms: float | None = None  # adopted with a seat that its client may not know of

    @property
    def id(self) -> PlayerId:
        return PlayerId(self.claims.sub)

    def flush(self) -> None:
        """Hand what the session wants to say to the socket."""
        if self.link is not None:
            self.link.flush()


class Link:
    """The endpoint of one connection: frames in, to the inbox or the session."""

    __slots__ = ("_closed", "_lobby", "connection", "player", "rtt_ms", "session", "slot")

    def __init__(self, lobby: "Lobby", connection: Connection, session: ServerSession) -> None:
        self._lobby = lobby
        self.connection = connection
        self.session = session
        self.player: Player | None = None
        self.slot: int | None = None
        self.rtt_ms: float | None = None
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
        if len(payload) != 8:
            return
        rtt_ms = now_ms - int.from_bytes(payload, "little") / 1000.0
        if not 0.0 <= rtt_ms < 60_000.0:
            return  # not one of our pings
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
        self.connection.send_ping(int(now_ms * 1000.0).to_bytes(8, "little"))

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
