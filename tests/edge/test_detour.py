"""The round trip that a socket shows: it cannot be forged downwards, and a detour is told once, between two matches."""

import msgspec

from gameedge.core.protocol.messages import MatchEnded, Reroute
from gameedge.edge.player import PINGS_OPEN_MAX, RTTS_LEAST, Link, Player

from .parts import FakeConnection, bench
from .test_seating import _outcome


class Pinged(FakeConnection):
    """Remembers what it was pinged with."""

    def __init__(self) -> None:
        super().__init__()
        self.nonces: list[bytes] = []

    def send_ping(self, payload: bytes) -> None:
        self.nonces.append(bytes(payload))


def watched(link: Link) -> Pinged:
    connection = Pinged()
    link.connection = connection  # type: ignore[assignment]
    link._pings.clear()
    link.rtts_ms.clear()
    return connection


async def test_only_answers_to_our_pings_count() -> None:
    async with bench() as on:
        _, link, _ = on.connect("ada")
        connection = watched(link)
        now_ms = on.edge.clock.monotonic_ms()
        link.ping(now_ms - 100.0)
        (nonce,) = connection.nonces
        for forged in (b"", b"\0" * 8, int(now_ms * 1000).to_bytes(8, "little"), nonce[:-1], nonce + b"\0"):
            link.on_pong(forged)
        assert not link.rtts_ms
        link.on_pong(nonce)
        assert 100.0 <= link.rtts_ms[0] < 1_000.0
        link.on_pong(nonce)
        assert len(link.rtts_ms) == 1, "an answer counts once"
        for i in range(3 * PINGS_OPEN_MAX):
            link.ping(now_ms + i)
        assert len(link._pings) == PINGS_OPEN_MAX
        link.on_pong(connection.nonces[1])
        assert len(link.rtts_ms) == 1, "too old to be known"


def slow(link: Link, player: Player, placed_ms: float, path_ms: float) -> None:
    player.claims = msgspec.structs.replace(player.claims, rtt_ms={player.claims.region: placed_ms})
    link.rtts_ms.clear()
    link.rtts_ms.extend([path_ms + i for i in range(RTTS_LEAST)])


async def test_a_detour_is_told_once_after_a_match() -> None:
    async with bench() as on:
        edge = on.edge
        connection, link, ada = on.connect("ada")
        said: list[object] = []
        for number, (placed_ms, path_ms) in enumerate(((0.0, 300.0), (40.0, 60.0), (40.0, 90.0), (40.0, 90.0))):
            slow(link, ada, placed_ms, path_ms)
            record = on.record(f"m_{number}", ada)
            ada.match = record.match
            await on.claim(record)
            await edge.matches.open(record)
            match = edge.host.get(record.match)
            assert match is not None
            (ended,) = edge.host.ended([_outcome(match.slot)], 5)
            connection.said()
            edge.seating.match_over(ended)
            edge.seating.match_stored(ended)
            assert await on.store.match_close(record.mode, record.match, None), "else its ticket is still in it"
            said = connection.said()
            assert isinstance(said[0], MatchEnded)
            assert [type(message) for message in said[1:]] == ([Reroute] if number == 2 else []), (placed_ms, path_ms)
        assert edge.metrics.value("reroutes_total") == 1


async def test_a_few_slow_answers_are_no_route() -> None:
    async with bench() as on:
        _, link, ada = on.connect("ada")
        slow(link, ada, 40.0, 200.0)
        link.rtts_ms.append(45.0)
        assert not ada.detour, "one answer came by the short way: queues, not the route"
        link.rtts_ms.clear()
        link.rtts_ms.extend([200.0] * (RTTS_LEAST - 1))
        assert ada.path_ms is None
