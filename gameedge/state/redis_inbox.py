"""Inboxes of processes on Redis.

Problem: a claim must put its `host` event down atomically with the match, so in the pool's slot of a cluster, while a process
can wait in one slot at a time only. Method: each pool has a stream for each process, written by the claim; each process has a
stream of its own, where everything else goes, and where the claimer rings a bell right after the claim. A process waits on its
own stream, and takes from all. Guarantee: the event is there if the match is, and a lost bell costs one wait, no event.

Events are deleted once they were read. What could not be deleted (a server may refuse every write while it cannot keep them) is
remembered, not given twice, and no reason to stop waiting.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from gameedge.core import limits
from gameedge.core.errors import UnavailableError
from gameedge.core.ids import EdgeId
from gameedge.state.base import InboxEvent
from gameedge.state.records import Codec, Counter, encode
from gameedge.state.redis_client import Command, RedisClient

MODES: Final = "ge:modes"
_Entry = tuple[tuple[int, int], str, bytes, InboxEvent | None]  # position, stream, its name there, event (None: nothing to give)


def own(edge: EdgeId) -> str:
    return f"ge:{{edge-{edge}}}:inbox"


def of_pool(mode: str, edge: EdgeId) -> str:
    return f"ge:{{{mode}}}:inbox:{edge}"


def ring(edge: EdgeId) -> list[Command]:
    """Wake a process that waits."""
    return _add(own(edge), [("b", b"")])


def _add(stream: str, fields: Iterable[tuple[str, bytes]]) -> list[Command]:
    commands: list[Command] = [("XADD", stream, "MAXLEN", limits.INBOX_EVENTS_MAX, "*", *field) for field in fields]
    return [*commands, ("PEXPIRE", stream, limits.INBOX_LIFE_MS)]


class Inboxes:
    def __init__(self, client: RedisClient, counter: Counter) -> None:
        self._client = client
        self._codec = Codec(InboxEvent, counter)
        self._modes: set[str] = set()
        self._taken: dict[str, set[bytes]] = {}  # given, but not known to be deleted

    async def post(self, edge: EdgeId, events: Sequence[InboxEvent]) -> None:
        if events:
            await self._client.pipe(_add(own(edge), (("e", encode(event)) for event in events)))

    async def read(self, edge: EdgeId, block_ms: int) -> list[InboxEvent]:
        if (events := await self._take(edge)) or block_ms <= 0:
            return events
        block_ms = min(block_ms, limits.STORE_BLOCK_MS_MAX)
        after = max(self._taken.get(own(edge), ()), key=_position, default=b"0")
        await self._client.block(("XREAD", "COUNT", 1, "BLOCK", block_ms, "STREAMS", own(edge), after), block_ms)
        return await self._take(edge)

    async def _take(self, edge: EdgeId) -> list[InboxEvent]:
        streams = [own(edge), *(of_pool(mode, edge) for mode in sorted(self._modes))]
        modes, *answers = await self._client.pipe([("SMEMBERS", MODES), *map(_range, streams)])
        new = {name.decode(errors="replace") for name in modes} - self._modes
        if new:
            self._modes |= new
            more = [of_pool(mode, edge) for mode in sorted(new)]
            streams += more
            answers += await self._client.pipe(list(map(_range, more)))
        entries = self._entries(streams, answers)
        await self._delete(entries)
        return [event for _, _, _, event in entries if event is not None]

    def _entries(self, streams: Sequence[str], answers: Sequence[Any]) -> list[_Entry]:
        """The oldest of all streams, together at most one read's worth."""
        entries: list[_Entry] = []
        for stream, answer in zip(streams, answers, strict=True):
            taken = self._taken.get(stream, set())
            taken.intersection_update([at for at, _ in answer])  # they are the oldest: what is not listed is gone from the server
            for at, fields in answer:
                event = None if at in taken or not fields or b"b" in fields else self._codec.one(fields.get(b"e", b""))
                entries.append((_position(at), stream, at, event))
        entries.sort(key=lambda entry: entry[:3])
        return entries[: limits.INBOX_READ_MAX]

    async def _delete(self, entries: Sequence[_Entry]) -> None:
        names: dict[str, list[bytes]] = {}
        for _, stream, at, _ in entries:
            names.setdefault(stream, []).append(at)
        if not names:
            return
        for stream, given in names.items():
            self._taken.setdefault(stream, set()).update(given)
        try:
            await self._client.pipe([("XDEL", stream, *given) for stream, given in names.items()])
        except UnavailableError:
            return  # deleted with the next read
        for stream, given in names.items():
            self._taken[stream].difference_update(given)


def _range(stream: str) -> Command:
    return ("XRANGE", stream, "-", "+", "COUNT", limits.INBOX_READ_MAX)


def _position(at: bytes) -> tuple[int, int]:
    ms, _, sequence = at.partition(b"-")
    return int(ms), int(sequence or b"0")
