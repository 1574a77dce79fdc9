"""One process without sockets: its stores and bus in memory, and connections that are lists of what was sent."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import msgspec

from gameedge.bus.memory import MemoryBroker
from gameedge.config import EdgeConfig
from gameedge.coordinator.tokens import Signer
from gameedge.core.ids import EdgeId, MatchId, PlayerId, RegionId, SessionId, TicketId
from gameedge.core.protocol.messages import ServerMessage, Unknown, decode_server
from gameedge.edge.app import Edge
from gameedge.edge.clock import SystemClock
from gameedge.edge.player import Link, Player
from gameedge.edge.reports import Reports
from gameedge.edge.serve import load_game
from gameedge.state.base import MatchRecord, Ticket
from gameedge.state.base_global import Account
from gameedge.state.memory import MemoryRegionStore

REGION, ME, OTHER = RegionId("test-1"), EdgeId("e0"), EdgeId("e1")
SIGNER = Signer(bytes(range(32)))


@dataclass(eq=False)
class FakeConnection:
    """The server's end of a socket that always takes what is sent."""

    texts: list[bytes] = field(default_factory=list)
    binaries: list[bytes] = field(default_factory=list)
    closed: tuple[int, str] | None = None
    waiting: int = 0  # bytes that the socket did not take
    remote = "fake"

    @property
    def is_open(self) -> bool:
        return self.closed is None

    def send_text(self, data: bytes) -> None:
        self.texts.append(bytes(data))

    def send_binary(self, data: bytes | bytearray | memoryview) -> None:
        self.binaries.append(bytes(data))

    def send_ping(self, payload: bytes) -> None:
        pass

    def buffered(self) -> int:
        return self.waiting

    def close(self, code: int, reason: str) -> None:
        self.closed = self.closed or (code, reason)

    def abort(self) -> None:
        self.closed = self.closed or (1006, "")

    def said(self) -> list[ServerMessage | Unknown]:
        """What was sent since the last look."""
        texts, self.texts = self.texts, []
        return [decode_server(data) for data in texts]


class Bench:
    """A process on the bench: its tasks do not run, a test calls what it tests."""

    def __init__(self, edge: Edge, store: MemoryRegionStore) -> None:
        self.edge, self.store = edge, store

    def connect(self, player: str, connection: FakeConnection | None = None) -> tuple[FakeConnection, Link, Player]:
        """A player with an open session."""
        connection = connection or FakeConnection()
        link = self.edge.lobby.accept(connection)  # type: ignore[arg-type]
        assert link is not None
        account = Account(player=PlayerId(player), secret_hash="", name=player, created_ms=0)
        token, _ = SIGNER.session_token(account, REGION, {}, self.edge.clock.unix_ms(), 60_000)
        link.on_text(msgspec.json.encode({"t": "hello", "token": token}))
        connection.said()
        assert link.player is not None
        return connection, link, link.player

    def record(self, match: str, *players: Player, host: EdgeId = ME, created_ms: int | None = None) -> MatchRecord:
        """A claimed duel."""
        tickets = [ticket_of(player) for player in players]
        when = self.edge.clock.unix_ms() if created_ms is None else created_ms
        teams = [[ticket.id] for ticket in tickets]
        return MatchRecord(match=MatchId(match), mode="duel", host=host, fence=0, teams=teams, tickets=tickets, created_ms=when, seed=1)

    async def claim(self, record: MatchRecord) -> None:
        for ticket in record.tickets:
            await self.store.ticket_add(ticket, 100)
        assert await self.store.claim(record, "") == []


def ticket_of(player: Player, *, edge: EdgeId = ME) -> Ticket:
    session: SessionId = player.session.session
    return Ticket(id=TicketId(f"t_{player.id}"), player=player.id, session=session, edge=edge, mode="duel", created_ms=1)


@contextlib.asynccontextmanager
async def bench(**more: object) -> AsyncIterator[Bench]:
    store, broker = MemoryRegionStore(), MemoryBroker()
    settings = {"connections_max": 8, "matches_max": 4, "entities_max": 16, "drain_ms": 0, **more}
    config = msgspec.convert(
        {"region": REGION, "edge": ME, "redis": "memory://", "bus": "memory://", "token_keys": [SIGNER.public_text], **settings}, EdgeConfig
    )
    async with Reports.connect(broker.factory, config) as bus:
        edge = Edge(config, store, bus, load_game(config), clock=SystemClock())
        edge.seating.url = "ws://me"
        yield Bench(edge, store)
