"""Raw commands as arrays: what is taken, what is not, and what a full inbox does."""

from gameedge.core.protocol.frames import COMMAND, HEADER_SIZE, encode_command
from gameedge.core.protocol.messages import Refused
from gameedge.edge.inbox import Inbox

from .parts import bench


def test_a_frame_lands_in_its_row_unchanged() -> None:
    inbox = Inbox(3, 4)
    assert inbox.put(7, encode_command(9, 10, 11, b"abcd"), 1.5)
    assert inbox.put(2, memoryview(encode_command(2**32 + 5, 0, 0, b"efgh")), 2.5)
    assert inbox.slots.tolist() == [7, 2]
    assert inbox.arrived_ms.tolist() == [1.5, 2.5]
    assert inbox.headers["sequence"].tolist() == [9, 5]
    assert inbox.payloads.tobytes() == b"abcdefgh"


def test_other_frames_are_refused_and_full_drops_the_newest() -> None:
    inbox = Inbox(2, 4)
    good = encode_command(1, 0, 0, b"abcd")
    for bad in (b"", good[:-1], good + b"x", bytes((COMMAND + 1,)) + good[1:], bytes(HEADER_SIZE)):
        assert not inbox.put(0, bad, 0.0)
    assert (inbox.count, inbox.dropped) == (0, 0)
    assert [inbox.put(0, good, 0.0) for _ in range(4)] == [True] * 4, "nobody's fault"
    assert (inbox.count, inbox.dropped) == (2, 2)
    inbox.clear()
    assert inbox.put(1, good, 0.0)
    assert inbox.slots.tolist() == [1]


async def test_who_finds_the_inbox_full_is_not_told_that_it_sends_nonsense() -> None:
    """After a stall everybody's commands come at once; too many refusals would end the connections of those who did nothing wrong."""
    async with bench() as on:
        connection, link, _ = on.connect("ada")
        inbox = on.edge.inbox
        inbox.count = inbox.capacity
        frame = encode_command(1, 0, 0, bytes(inbox.frame_size - HEADER_SIZE))
        for _ in range(5):
            link.on_binary(memoryview(frame))
        assert connection.said() == []
        assert inbox.dropped == 5
        link.on_binary(memoryview(frame[:-1]))
        assert [type(message) for message in connection.said()] == [Refused]
