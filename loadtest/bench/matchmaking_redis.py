"""`python -m loadtest bench matchmaking-redis`: tickets and claims through a real server, and the live matcher on top of it.

A Redis or Valkey of its own on loopback with its append-only file (`everysec`; rows that say `fsync` write through at every call).
Baselines do the same work the usual way: one ticket a call under WATCH and MULTI, one match a call under WATCH and MULTI.
"""

import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from gameedge.core import limits
from gameedge.core.game import ModeSpec
from gameedge.core.ids import EdgeId, MatchId, PlayerId, RegionId, SessionId, TicketId
from gameedge.core.matchmaking.propose import Proposal, rules_of, warm
from gameedge.core.matchmaking.settings import DEFAULT
from gameedge.edge.clock import SystemClock
from gameedge.edge.ingest import Ingest
from gameedge.edge.matcher import Matcher, PoolState
from gameedge.edge.mirror import Mirror
from gameedge.local.servers import Fsync, redis_server
from gameedge.state.base import EdgeRecord, MatchRecord, RegionStore, Ticket
from gameedge.state.records import encode
from gameedge.state.redis_region import RedisRegionStore
from loadtest.bench.report import Row, row

SQUADS: Final = ModeSpec("squads", teams=2, team_size=5, duration_ms=60_000)
DUEL: Final = ModeSpec("duel", teams=2, team_size=1, duration_ms=60_000)
HOST: Final = EdgeId("host")
INGEST_PER_S, MATCHED_PER_S, CLAIM_MS, ADDED_MS, DEAD_MS = 10_000.0, 20_000.0, 1.0, 250.0, 2_000.0  # the targets
ARRIVALS_PER_S: Final = 500  # pairs
ASKERS: Final = 512  # players who ask at the same time


def run(notes: list[str], *, quick: bool) -> list[Row]:
    warm()
    return asyncio.run(_run(notes, quick))


async def _run(notes: list[str], quick: bool) -> list[Row]:
    size = 20_000 if quick else 100_000
    rows: list[Row] = []
    async with _server("everysec") as store:
        rows += await _ingest(store, size)
        rows += await _reading(store)
        rows += await _claims(store, 200 if quick else 2_000, "")
    async with _server("always") as store:
        rows += await _written_through(store, 200 if quick else 2_000)
    async with _server("everysec") as store:
        rows += await _matched(store, size, notes)
    async with _server("everysec") as store:
        rows += await _added_wait(store, 2.0 if quick else 6.0)
    async with _server("everysec") as store:
        rows += await _deaths(store, 2 if quick else 5)
    return rows


@contextlib.asynccontextmanager
async def _server(fsync: Fsync) -> AsyncIterator[RedisRegionStore]:
    with tempfile.TemporaryDirectory(prefix="gameedge-bench-") as folder:
        async with redis_server(Path(folder), fsync=fsync) as server:
            store = RedisRegionStore(server.url)
            try:
                yield store
            finally:
                await store.close()


def _ticket(number: int, mode: str = "squads", *, rating: float | None = None, **fields: Any) -> Ticket:
    """Ids as long as real ones."""
    spread = ((number * 7_919) % 4_000) / 100.0 if rating is None else rating
    name = f"{number:026d}"
    return Ticket(
        id=TicketId(f"t_{name}"),
        player=PlayerId(f"p_{name}"),
        session=SessionId(f"s_{name}"),
        edge=HOST,
        mode=mode,
        name=f"player {number}",
        rating=spread,
        created_ms=int(time.time() * 1000),
        **fields,
    )


def _record(number: int, tickets: Sequence[Ticket]) -> MatchRecord:
    half = len(tickets) // 2
    return MatchRecord(
        match=MatchId(f"m_{number:026d}"),
        mode=tickets[0].mode,
        host=HOST,
        fence=0,
        teams=[[t.id for t in tickets[:half]], [t.id for t in tickets[half:]]],
        tickets=list(tickets),
        created_ms=1,
        seed=1,
    )


# ------------------------------------------------------------------------------------------------------------- the store


async def _per_s(count: int, work: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await work()
    return count / (time.perf_counter() - started)


async def _ingest(store: RedisRegionStore, size: int) -> list[Row]:
    """Players who ask at the same time, through the gatherer of an edge process, until `size` are queued."""
    part = size // 10
    rates = []
    for first in range(0, size, part):
        door = Ingest(store)
        numbers = iter(range(first, first + part))

        async def ask(door: Ingest = door, numbers: "Any" = numbers) -> None:
            for number in numbers:
                await door.add(_ticket(number))

        rates.append(await _per_s(part, lambda ask=ask: asyncio.gather(*(ask() for _ in range(ASKERS)))))  # type: ignore[misc]
    naive = await _naive_ingest(store, 1_000)
    return [
        row("ingest, the first tenth of 100,000", rates[0], "tickets/s", baseline=naive, at_least=INGEST_PER_S),
        row("ingest, the last tenth of 100,000", rates[-1], "tickets/s", baseline=naive, at_least=INGEST_PER_S),
        row("ingest, last tenth over first", rates[-1] / rates[0], "ratio"),
    ]


def _redis(store: RedisRegionStore) -> Any:
    return store._client._links.calls


async def _naive_ingest(store: RedisRegionStore, count: int) -> float:
    redis: Any = _redis(store)

    async def work() -> None:
        for number in range(count):
            ticket = _ticket(10_000_000 + number, "naive")
            async with redis.pipeline(transaction=True) as pipe:
                await pipe.watch("naive:players", "naive:tickets")
                if await pipe.hexists("naive:players", ticket.player) or await pipe.hlen("naive:tickets") > limits.POOL_TICKETS_MAX:
                    continue
                pipe.multi()
                pipe.hset("naive:tickets", ticket.id, encode(ticket))
                pipe.hset("naive:players", ticket.player, ticket.id)
                pipe.incr("naive:version")
                await pipe.execute()

    return await _per_s(count, work)


async def _reading(store: RedisRegionStore) -> list[Row]:
    """A look at the pool after a thousand changes: by the feed, and the whole of it."""
    read = await store.pool_read("squads", "")
    feeds, wholes = [], []
    for number in range(5):
        first = 1_000_000 + 1_000 * number
        await store.tickets_add("squads", [_ticket(first + i) for i in range(1_000)], limits.POOL_TICKETS_MAX)
        started = time.perf_counter()
        read = await store.pool_read("squads", read.at)
        feeds.append((time.perf_counter() - started) * 1000)
        started = time.perf_counter()
        await store.tickets("squads")
        wholes.append((time.perf_counter() - started) * 1000)
    return [row("reading 1,000 changes of the pool", statistics.median(feeds), "ms", baseline=statistics.median(wholes))]


async def _timed(calls: Sequence[Callable[[], Awaitable[object]]]) -> list[float]:
    """Milliseconds of each, one behind the other, ascending."""
    took = []
    for call in calls:
        started = time.perf_counter()
        await call()
        took.append((time.perf_counter() - started) * 1000)
    return sorted(took)


def _p99(took: Sequence[float]) -> float:
    return took[min(len(took) - 1, len(took) * 99 // 100)]


async def _claims(store: RedisRegionStore, count: int, what: str) -> list[Row]:
    tickets = (await store.tickets("squads"))[: 20 * count]
    records = [_record(number, tickets[10 * number : 10 * number + 10]) for number in range(2 * count)]
    took = await _timed([lambda record=record: store.claim(record, "") for record in records[:count]])  # type: ignore[misc]
    naive = sorted([await _naive_claim(store, record) for record in records[count : count + count // 4]])
    several = records[count + count // 4 :]
    rate = 10 * await _per_s(len(several), lambda: store.claim_many(several, ""))
    return [
        row(f"claim of ten tickets{what}, p50", statistics.median(took), "ms", baseline=statistics.median(naive)),
        row(f"claim of ten tickets{what}, p99", _p99(took), "ms", baseline=_p99(naive), at_most=CLAIM_MS),
        row(f"claims many to a call{what}", rate, "tickets/s", baseline=10_000 / statistics.mean(naive), at_least=MATCHED_PER_S),
    ]


async def _naive_claim(store: RedisRegionStore, record: MatchRecord) -> float:
    redis: Any = _redis(store)
    pool, names = f"ge:{{{record.mode}}}:", [ticket.id for ticket in record.tickets]
    started = time.perf_counter()
    async with redis.pipeline(transaction=True) as pipe:
        await pipe.watch(f"{pool}naive")
        there = [await pipe.hexists(f"{pool}tickets", name) for name in names]
        if all(there):
            pipe.multi()
            pipe.hdel(f"{pool}tickets", *names)
            pipe.hdel(f"{pool}players", *(ticket.player for ticket in record.tickets))
            pipe.hset(f"{pool}matches", record.match, encode(record))
            pipe.xadd(f"{pool}inbox:{record.host}", {"e": encode(record)})
            pipe.incr(f"{pool}naive")
            await pipe.execute()
    return (time.perf_counter() - started) * 1000


async def _written_through(store: RedisRegionStore, count: int) -> list[Row]:
    """What it costs when every call is on the disk before it is answered."""
    many = [_ticket(number) for number in range(20 * count)]
    rate = await _per_s(len(many), lambda: store.tickets_add("squads", many, limits.POOL_TICKETS_MAX))
    rows = [row("ingest, fsync at every call", rate, "tickets/s", at_least=INGEST_PER_S)]
    return [*rows, *(await _claims(store, count, ", fsync at every call"))]


# ----------------------------------------------------------------------------------------------------------- the matcher


class _Timed(Matcher):
    """Says when each match was claimed."""

    def __init__(self, store: RegionStore, mode: ModeSpec, name: str = "matcher") -> None:
        numbers = iter(range(10**9))
        super().__init__(
            store,
            {mode.name: mode},
            {mode.name: rules_of(mode, DEFAULT)},
            EdgeId(name),
            SystemClock(),
            fill_ms=0,
            new_match=lambda: (MatchId(f"m_{name}_{next(numbers)}"), 1),
            waited=lambda mode, wait_ms: None,
        )
        self.done: dict[TicketId, float] = {}
        self.first_look: float | None = None  # the pool is mirrored, the first proposal begins

    async def _propose(self, mirror: Mirror, unix_ms: int) -> Sequence[Proposal]:
        self.first_look = self.first_look or time.perf_counter()
        return await super()._propose(mirror, unix_ms)

    def _was_claimed(self, pool: PoolState, proposal: Proposal, record: MatchRecord, unix_ms: int) -> None:
        super()._was_claimed(pool, proposal, record, unix_ms)
        now = time.perf_counter()
        self.done.update((ticket.id, now) for ticket in record.tickets)


def _beat(name: EdgeId = HOST) -> EdgeRecord:
    return EdgeRecord(
        edge=name, region=RegionId("bench"), url="ws://127.0.0.1:1", pid=1, started_ms=1, free_matches=10**6, free_entities=10**7
    )


@contextlib.asynccontextmanager
async def _running(*jobs: Awaitable[object]) -> AsyncIterator[list["asyncio.Task[object]"]]:
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _beats(store: RegionStore, *names: EdgeId) -> None:
    while True:
        for name in names:
            await store.edge_beat(_beat(name), limits.EDGE_DEAD_MS)
        await asyncio.sleep(limits.EDGE_BEAT_MS / 1000)


async def _matched(store: RedisRegionStore, size: int, notes: list[str]) -> list[Row]:
    """A full pool, and one matcher that reads it, proposes and claims until nobody is left."""
    await store.tickets_add("squads", [_ticket(number) for number in range(size)], limits.POOL_TICKETS_MAX)
    matcher = _Timed(store, SQUADS)
    async with _running(_beats(store, HOST)):
        await asyncio.sleep(0.2)
        started = time.perf_counter()
        async with _running(matcher.run()):
            while len(matcher.done) < size * 0.98 and time.perf_counter() - started < 60:
                await asyncio.sleep(0.05)
        looked = matcher.first_look or started
        took = max(matcher.done.values(), default=looked) - looked
    notes.append(f"a matcher that takes over {size:,} tickets has read them after {looked - started:.2f} s")
    return [row("proposed and claimed, 5v5, one matcher", len(matcher.done) / max(took, 1e-9), "tickets/s", at_least=MATCHED_PER_S)]


async def _added_wait(store: RedisRegionStore, seconds: float) -> list[Row]:
    """Pairs of which the second completes a match the moment it is stored, beside 5,000 who fit nobody (half of a party each)."""
    idle = [_ticket(20_000_000 + i, "squads", party=f"x{i}", party_size=2) for i in range(5_000)]
    await store.tickets_add("squads", idle, limits.POOL_TICKETS_MAX)
    mode = ModeSpec("squads", teams=2, team_size=2, duration_ms=60_000)
    matcher = _Timed(store, mode)
    complete: dict[TicketId, float] = {}
    async with _running(_beats(store, HOST), matcher.run()):
        await asyncio.sleep(0.5)
        started = time.perf_counter()
        number = 0
        while (now := time.perf_counter() - started) < seconds:
            due = int(now * ARRIVALS_PER_S)
            rated = {i: -900.0 + 20.0 * (i % 90) for i in range(number, due)}
            batch = [_ticket(4 * i + k, rating=rated[i], party=f"p{i}{k // 2}", party_size=2) for i in range(number, due) for k in range(4)]
            if batch:
                await store.tickets_add("squads", batch, limits.POOL_TICKETS_MAX)
                stored = time.perf_counter()
                complete.update((ticket.id, stored) for ticket in batch)
            number = due
            await asyncio.sleep(0.01)
        await asyncio.sleep(1.0)
    added = sorted(max(0.0, (matcher.done[name] - at) * 1000) for name, at in complete.items() if name in matcher.done)
    return [
        row("added wait at 2,000 tickets/s, p50", statistics.median(added), "ms"),
        row("added wait at 2,000 tickets/s, p99", _p99(added), "ms", at_most=ADDED_MS),
        row("tickets of them not matched", float(len(complete) - len(added)), "tickets", at_most=0.0),
    ]


async def _deaths(store: RedisRegionStore, times: int) -> list[Row]:
    """A matcher that falls silent with its lease held; a host that dies before it opened what it was given."""
    takeovers, returned, number = [], [], 0
    for turn in range(times):
        first, second = _Timed(store, DUEL, f"a{turn}"), _Timed(store, DUEL, f"b{turn}")
        async with _running(_beats(store, HOST, EdgeId(f"a{turn}"), EdgeId(f"b{turn}")), first.run(), second.run()) as tasks:
            await asyncio.sleep(0.7)
            leader, other, task = (first, second, tasks[1]) if first._pools["duel"].leads else (second, first, tasks[2])
            task.cancel()  # it gives nothing back: the lease runs out
            started = time.perf_counter()
            pair = [_ticket(30_000_000 + number + i, "duel", rating=25.0) for i in range(2)]
            number += 2
            await store.tickets_add("duel", pair, 100)
            while not other.done and time.perf_counter() - started < 10:
                await asyncio.sleep(0.005)
            takeovers.append((time.perf_counter() - started) * 1000)
            assert not leader.done
            # The match went to a host that nobody runs any more: its tickets come back.
            dead = EdgeId(f"dead-{turn}")
            await store.edge_beat(_beat(dead), limits.EDGE_DEAD_MS)
            again = [_ticket(40_000_000 + number + i, "duel", party=f"z{number}{i}", party_size=2) for i in range(2)]
            await store.tickets_add("duel", again, 100)
            await store.claim(msgspec.structs.replace(_record(50_000_000 + number, again), host=dead), "")
            started = time.perf_counter()
            while not await store.tickets("duel") and time.perf_counter() - started < 10:
                await asyncio.sleep(0.01)
            returned.append((time.perf_counter() - started) * 1000)
            for ticket in again:
                await store.ticket_cancel("duel", ticket.id)
    return [
        row("a silent matcher's pool is matched again", max(takeovers), "ms", at_most=DEAD_MS),
        row("tickets of a dead host are searchable again", max(returned), "ms", at_most=DEAD_MS),
    ]
