"""kill -9 of a process full of live matches: how soon its players see their match again.

Real processes: a Redis, a broker, three edges; players are SDK sessions of this process, each with a running match, receiving
20 snapshots a second and sending commands. One edge is killed. Back is who receives a snapshot of the same match again.
"""

import asyncio
import contextlib
import json
import secrets
import tempfile
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np

from gameedge.config import EdgeConfig, Listen
from gameedge.coordinator.tokens import Signer, load_signer
from gameedge.core.errors import RefusedError
from gameedge.core.ids import PlayerId, RegionId, encode
from gameedge.core.protocol.arena_v1 import Subtick
from gameedge.local import toml
from gameedge.local.child import free_port
from gameedge.local.deployment import together
from gameedge.local.node import Node
from gameedge.local.servers import broker_server, redis_server
from gameedge.state.base import Account
from gameedge.state.memory_global import MemoryGlobalStore
from gameedge_client import GameEdgeError, Match, Session
from loadtest.bench.report import Row, row, say
from loadtest.bench.servers import BenchError

PLAYERS: Final = 300
REGION: Final = "bench"
WAIT_S: Final = 90.0
TRIES: Final = 5
BACK_S_MAX: Final = 15.0
STEP: Final = Subtick(10.0, 0.0, 1.0, 0.0, False)


@dataclass
class Person:
    """One player and what it saw."""

    name: str
    token: str
    edges: list[str]
    url: str = ""
    match: str = ""
    last_s: float = 0.0  # the newest snapshot
    gap_s: float = 0.0  # silence after the kill
    killed_s: float = 0.0
    fault: str = ""
    resumes: int = 0
    playing: asyncio.Event = field(default_factory=asyncio.Event)

    async def live(self) -> None:
        try:
            async with Session(self.token, self.edges, client="bench") as session:
                match = await self._begin(session)
                self.url, self.match = session.url, match.info.match
                self.playing.set()
                ticks = 0
                async for _ in match:
                    now = time.monotonic()
                    if self.killed_s and not self.gap_s and session.url != self.url:
                        self.gap_s = now - self.killed_s
                        self.resumes = session.resumes
                    self.last_s = now
                    ticks += 1
                    if ticks % 4 == 0:  # five a second: the cost of sending is this process's, not the region's
                        match.command((STEP, STEP, STEP))
        except GameEdgeError as error:
            self.fault = f"{type(error).__name__}: {error}"

    @staticmethod
    async def _begin(session: Session) -> Match:
        """A match; a busy start may refuse or lose one, which is asked for again."""
        for _ in range(TRIES - 1):
            with contextlib.suppress(RefusedError):
                return await session.play("duel")
            await asyncio.sleep(0.5)
        return await session.play("duel")


def run(notes: list[str], *, quick: bool = False) -> list[Row]:
    """Rows of one kill."""
    return asyncio.run(_run(notes, 60 if quick else PLAYERS))


async def _run(notes: list[str], count: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with contextlib.AsyncExitStack() as stack:
            redis, broker = redis_server(folder / "redis", name="redis"), broker_server(folder / "broker")
            for server in (redis, broker):
                stack.push_async_callback(server.stop)
            await together(redis.start(), broker.start())
            signer = await load_signer(MemoryGlobalStore())
            nodes = [_edge(folder, i, redis.url, broker.url, signer) for i in range(3)]
            for node in nodes:
                stack.push_async_callback(node.child.kill)
            await together(*(node.start() for node in nodes))
            urls = [node.address["url"] for node in nodes]
            people = [_person(i, urls, signer) for i in range(count)]
            tasks = [asyncio.create_task(person.live(), name=person.name) for person in people]
            try:
                deadline = time.monotonic() + WAIT_S
                while not all(person.playing.is_set() for person in people):
                    if time.monotonic() > deadline:
                        missing = [person.fault or "no match" for person in people if not person.playing.is_set()]
                        raise BenchError(f"{len(missing)} of {count} players have no match after {WAIT_S:.0f} s: {missing[0]}")
                    await asyncio.sleep(0.1)
                await asyncio.sleep(2.0)
                return await _kill(nodes, urls, people, folder, notes)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


def _edge(folder: Path, number: int, redis: str, broker: str, signer: Signer) -> Node:
    config = EdgeConfig(
        region=REGION,
        edge=f"e{number}",
        redis=redis,
        bus=broker,
        players=Listen(port=free_port()),
        ops=Listen(port=free_port()),
        token_keys=[signer.public_text],
    )
    path = folder / f"e{number}.toml"
    path.write_text(toml.dumps(config), "utf-8")
    return Node(f"e{number}", ["edge", "--config", str(path)], folder / f"e{number}.log")


def _person(number: int, urls: list[str], signer: Signer) -> Person:
    account = Account(player=PlayerId(encode("p", secrets.token_bytes(16))), secret_hash="", name=f"p{number}", created_ms=0)
    token, _ = signer.session_token(account, RegionId(REGION), {}, time.time_ns() // 1_000_000, 600_000)
    turn = number // 2 % len(urls)
    return Person(f"p{number}", token, urls[turn:] + urls[:turn])


async def _kill(nodes: list[Node], urls: list[str], people: list[Person], folder: Path, notes: list[str]) -> list[Row]:
    hosts = [sum(person.url == url for person in people) for url in urls]
    victim = int(np.argmax(hosts))
    there = [person for person in people if person.url == urls[victim]]
    say(f"{len(people)} players play on {hosts}; killing e{victim}")
    unix_ms, now = time.time() * 1000, time.monotonic()
    for person in there:
        person.killed_s = now
    await nodes[victim].child.kill()
    deadline = now + BACK_S_MAX
    while time.monotonic() < deadline and not all(person.gap_s or person.fault for person in there):
        await asyncio.sleep(0.02)
    back = [person.gap_s for person in there if person.gap_s]
    lines = [
        json.loads(line) for i in range(3) if i != victim for line in (folder / f"e{i}.log").read_text().splitlines() if line[:1] == "{"
    ]
    noticed = [_ms(line["t"]) - unix_ms for line in lines if line["event"] == "process_is_dead"]
    ages = [line["ms"] for line in lines if line["event"] == "match_adopted"]
    faults = sorted({person.fault for person in people if person.fault})
    notes.append(f"{len(people)} players on three processes, {len(there)} of them on the one that was killed, {len(ages)} matches adopted")
    notes.extend(f"fault: {fault}" for fault in faults[:3])
    return [
        row("killed process noticed, first", min(noticed, default=float("inf")), "ms", at_most=300.0),
        row("killed process noticed, last", max(noticed, default=float("inf")), "ms", at_most=300.0),
        row("players back in their match", 100.0 * len(back) / max(1, len(there)), "%", at_least=100.0),
        row("back in their match, p50", _quantile(back, 0.5), "s"),
        row("back in their match, p99", _quantile(back, 0.99), "s", at_most=2.0),
        row("state they go on from, worst age", max(ages, default=float("inf")) / 1000, "s", at_most=1.0),
        row("sessions that were lost", float(sum(bool(person.fault) for person in people)), "sessions", at_most=0.0),
        row("players on the killed process", float(len(there)), "players"),
    ]


def _quantile(values: list[float], share: float) -> float:
    return float(np.quantile(values, share)) if values else float("inf")


def _ms(text: str) -> float:
    return datetime.fromisoformat(text).timestamp() * 1000
