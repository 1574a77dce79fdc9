"""kill -9 of a process full of live matches: how soon its players see their match again.

Real processes: a Redis, a broker, three edges. Players are of the load generator in C, which resumes as the SDK does (or, where it
cannot be built, fewer sessions of the SDK), each with a running match, receiving 20 snapshots a second and sending commands. One
edge is killed. Back is who receives a snapshot of its match again. All share the cores of one machine.
"""

import asyncio
import contextlib
import json
import os
import secrets
import tempfile
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

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
from gameedge.state.base_global import Account
from gameedge.state.memory_global import MemoryGlobalStore
from gameedge_client import GameEdgeError, Match, Session
from loadtest.bench.report import Row, row, say
from loadtest.bench.servers import EXCLUSIVE, BenchError, compile_native, quantile, read_samples

PLAYERS: Final = 300  # of the SDK
FULL: Final = 2_000  # in C
HOSTED: Final = 200  # in C, of the processes that are left
SPAN_S: Final = 300  # from the moment that all play, at most
AFTER_S: Final = 12.0  # from the kill until figures are asked for
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
    """Rows of one kill: of a full process where the load generator in C can be built, else (and for a quick look) of a few players."""
    if EXCLUSIVE in os.environ:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))  # children inherit it
    if quick:
        return asyncio.run(_run(notes, 60))
    with tempfile.TemporaryDirectory() as name:
        try:
            load = compile_native(Path(name))["load"]
        except BenchError as error:
            notes.append(f"{PLAYERS} players of the SDK instead of {FULL:,} in C: {error}")
            return asyncio.run(_run(notes, PLAYERS))
        return asyncio.run(_run_full(notes, load, Path(name)))


async def _run_full(notes: list[str], load: Path, folder: Path) -> list[Row]:
    """One process takes all players; two come and get a few of their own; the full one is killed."""
    async with contextlib.AsyncExitStack() as stack:
        redis, broker = redis_server(folder / "redis", name="redis"), broker_server(folder / "broker")
        for server in (redis, broker):
            stack.push_async_callback(server.stop)
        await together(redis.start(), broker.start())
        signer = await load_signer(MemoryGlobalStore())
        nodes = [_edge(folder, i, redis.url, broker.url, signer) for i in range(3)]
        for node in nodes:
            stack.push_async_callback(node.child.kill)
        await nodes[0].start()
        ports = [_port(node) for node in nodes]

        async def crowd(name: str, count: int, *options: str) -> tuple[asyncio.subprocess.Process, int]:
            tokens = folder / name
            tokens.write_text("".join(_person(i, ["ws://-"], signer).token + "\n" for i in range(count)), "utf-8")
            command = [str(load), *options, "--clients", str(count), "--tokens", str(tokens), "--modes", "duel"]
            command += ["--ramp", "200", "--patience", "60", "--seconds", str(SPAN_S)]
            generator = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
            stack.callback(_kill_if_alive, generator)
            return generator, int((await _line(generator, 120.0))["steady"])

        generator, steady = await crowd("tokens", FULL, "--ports", ",".join(map(str, ports)), "--first", "1", "--resume", "1")
        await together(*(node.start() for node in nodes[1:]))
        others, theirs = await crowd("others", HOSTED, "--ports", ",".join(map(str, ports[1:])))
        await asyncio.sleep(1.0)
        say(f"{steady} players play on one process, {theirs} on the others; killing the one")
        before = await asyncio.to_thread(_samples, nodes[1:])
        unix_ms = time.time() * 1000
        spent = Spent(
            {
                "processes": [node.child.pid for node in nodes[1:]],
                "redis": [redis.child.pid] if redis.child else [],
                "load": [generator.pid],
            }
        )
        spending = asyncio.create_task(spent.run(), name="cpu")
        await nodes[0].child.kill()
        await asyncio.sleep(AFTER_S)
        spending.cancel()
        late_ms = quantile(_grown(before, await asyncio.to_thread(_samples, nodes[1:])), "gameedge_tick_lateness_ms", 0.99)
        for each in (others, generator):
            each.terminate()
        seen, found = await _line(others, 30.0), await _line(generator, 30.0)
        noticed, adopted, age_ms = _told(folder, (1, 2), 0, unix_ms)
        lost = int(found["lost"])
        notes.append(f"{steady:,} players on one process, {lost:,} connections died with it, {adopted} matches adopted by two")
        if found["trouble"]:
            notes.append(f"the first trouble that a client met: {found['trouble']}")
        rows = _rows(
            noticed,
            age_ms,
            there=lost,
            back=int(found["back"]),
            p50_s=found["back_ms_p50"] / 1000,
            p99_s=found["back_ms_p99"] / 1000,
            forgotten=int(found["forgotten"]) + int(found["died"]),
            holes=int(found["holes"]),
        )
        rows += [
            row(f"{theirs} players of the other processes: between two snapshots, p99 of {AFTER_S:.0f} s", seen["gap_ms_p99"], "ms"),
            row("the same, longest", seen["gap_ms_max"], "ms"),
            row(f"ticks of the other processes begin late by, p99 of {AFTER_S:.0f} s", late_ms, "ms"),
        ]
        cpu_s = spent.until(found["back_ms_max"] / 1000)
        for name, what in (("processes", "the processes that took over"), ("redis", "the store"), ("load", "the load generator")):
            rows.append(row(f"CPU a player until the last is back, {what}", 1000 * cpu_s[name] / max(1, lost), "ms"))
        return rows


def _samples(nodes: Sequence[Node]) -> list[dict[str, float]]:
    return [read_samples(f"{node.address['ops']}/metrics") for node in nodes]


def _grown(before: list[dict[str, float]], after: list[dict[str, float]]) -> dict[str, float]:
    """By how much each sample of all processes together has grown."""
    found: dict[str, float] = {}
    for old, new in zip(before, after, strict=True):
        for name, value in new.items():
            found[name] = found.get(name, 0.0) + value - old.get(name, 0.0)
    return found


class Spent:
    """CPU time of groups of processes, user and system, from when it was made."""

    def __init__(self, groups: dict[str, list[int]]) -> None:
        self._groups, self._began_s = groups, time.monotonic()
        self._seen: list[tuple[float, dict[str, float]]] = [(0.0, self._look())]

    async def run(self) -> None:
        while True:
            await asyncio.sleep(0.05)
            self._seen.append((time.monotonic() - self._began_s, self._look()))

    def _look(self) -> dict[str, float]:
        found = dict.fromkeys(self._groups, 0.0)
        for name, pids in self._groups.items():
            for pid in pids:
                columns = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                found[name] += (int(columns[11]) + int(columns[12])) / os.sysconf("SC_CLK_TCK")
        return found

    def until(self, seconds: float) -> dict[str, float]:
        """Seconds that each group took in the first `seconds`."""
        last = next((seen for at, seen in self._seen if at >= seconds), self._seen[-1][1])
        return {name: last[name] - self._seen[0][1][name] for name in self._groups}


def _kill_if_alive(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()


async def _line(process: asyncio.subprocess.Process, seconds: float) -> dict[str, Any]:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(seconds):
            said = await process.stdout.readline()
    except TimeoutError:
        raise BenchError(f"the load generator said nothing for {seconds:.0f} s") from None
    if not said:
        raise BenchError("the load generator ended early")
    return dict(json.loads(said))


def _port(node: Node) -> int:
    """Of a process that may not have been started."""
    return int(tomllib.loads(Path(node.child.argv[-1]).read_text("utf-8"))["players"]["port"])


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
    noticed, adopted, age_ms = _told(folder, [i for i in range(3) if i != victim], victim, unix_ms)
    faults = sorted({person.fault for person in people if person.fault})
    notes.append(f"{len(people)} players on three processes, {len(there)} of them on the one that was killed, {adopted} matches adopted")
    notes.extend(f"fault: {fault}" for fault in faults[:3])
    forgotten = sum(bool(person.fault) for person in people)
    p50_s, p99_s = _quantile(back, 0.5), _quantile(back, 0.99)
    return _rows(noticed, age_ms, there=len(there), back=len(back), p50_s=p50_s, p99_s=p99_s, forgotten=forgotten, holes=0)


def _told(folder: Path, living: Sequence[int], victim: int, unix_ms: float) -> tuple[list[float], int, float]:
    """From the logs of the living: when they noticed, with how many matches they went on, and how old the oldest state was, ms."""
    lines = [json.loads(line) for i in living for line in (folder / f"e{i}.log").read_text().splitlines() if line[:1] == "{"]
    noticed = [_ms(line["t"]) - unix_ms for line in lines if line["event"] == "process_is_dead" and line["name"] == f"e{victim}"]
    adopted = [line for line in lines if line["event"] == "matches_adopted"]
    return noticed, sum(int(line["count"]) for line in adopted), max((float(line["ms"]) for line in adopted), default=float("inf"))


def _rows(
    noticed: list[float], age_ms: float, *, there: int, back: int, p50_s: float, p99_s: float, forgotten: int, holes: int
) -> list[Row]:
    return [
        row("killed process noticed, first", min(noticed, default=float("inf")), "ms", at_most=300.0),
        row("killed process noticed, last", max(noticed, default=float("inf")), "ms", at_most=300.0),
        row("players on the killed process", float(there), "players", at_least=float(FULL)),
        row("players back in their match", 100.0 * back / max(1, there), "%", at_least=100.0),
        row("back in their match, p50", p50_s, "s"),
        row("back in their match, p99", p99_s, "s", at_most=2.0),
        row("state they go on from, worst age", age_ms / 1000, "s", at_most=1.0),
        row("sessions that were lost", float(forgotten), "sessions", at_most=0.0),
        row("critical messages missing", float(holes), "messages", at_most=0.0),
    ]


def _quantile(values: list[float], share: float) -> float:
    return float(np.quantile(values, share)) if values else float("inf")


def _ms(text: str) -> float:
    return datetime.fromisoformat(text).timestamp() * 1000
