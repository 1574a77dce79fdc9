"""What a match counts about its commands."""

from gameedge.core.protocol.frames import SnapshotHeader, encode_snapshot
from gameedge.core.protocol.messages import MatchStarted
from gameedge_client.match import Match

STARTED = MatchStarted(match="m_1", mode="duel", seat=0, team=0, tick=1, duration_ms=60_000, roster=[])


def snapshot(tick: int, processed: int) -> bytes:
    return encode_snapshot(SnapshotHeader(flags=0, tick=tick, processed=processed, server_ms=tick * 50), bytes(20))


def test_what_was_under_way_when_a_connection_broke_is_lost_and_not_slow() -> None:
    match = Match(STARTED, lambda frame: True, lambda: None)
    first, _, _ = (match.send_payload(bytes(24)) for _ in range(3))
    match._frame(snapshot(2, first))
    assert len(match.input_to_snapshot_ms) == 1
    match._connected_anew()
    assert match.commands_lost == 2
    later = match.send_payload(bytes(24))
    match._frame(snapshot(3, later))
    assert len(match.input_to_snapshot_ms) == 2, "only the new connection's command is timed"


def test_what_finds_no_connection_is_lost_at_once() -> None:
    match = Match(STARTED, lambda frame: False, lambda: None)
    match.send_payload(bytes(24))
    match._connected_anew()
    assert (match.commands_sent, match.commands_lost) == (0, 1)
