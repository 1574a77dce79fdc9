"""A region of real processes: Redis, broker, coordinators and edges as children that a test may kill, and people who play on it.

Everything is what an operator runs: `python -m gameedge edge|coordinator --config FILE`. Only the game's matches are shorter.
"""

import asyncio
import contextlib
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec

from gameedge.config import CoordinatorConfig, EdgeConfig, Listen
from gameedge.coordinator.tokens import Signer, load_signer
from gameedge.core.errors import RefusedError
from gameedge.core.ids import PlayerId
from gameedge.core.protocol.arena_v1 import Subtick
from gameedge.core.protocol.messages import MatchEnded
from gameedge.local import toml
from gameedge.local.child import free_port
from gameedge.local.deployment import together
from gameedge.local.node import Node
from gameedge.local.servers import Server, broker_server, redis_server
from gameedge.state.redis_global import RedisGlobalStore
from gameedge.state.redis_region import RedisRegionStore
from gameedge_client import Client, ConnectionLostError, MatchLostError, Session, SessionLostError

REGION = "test-1"
SECOND_REGION = "test-2"
QUICK_GAME = "tests.end_to_end.quick:QuickArena"
OPERATOR = "operator-token-of-the-tests"
ROOT = Path(__file__).parents[2]
WAIT_S = 30.0  # for what must come, on a machine that does much else
STEP = Subtick(10.0, 0.0, 1.0, 0.0, False)


async def until(happens: Callable[[], Any], what: str, seconds: float = WAIT_S, said: object = "") -> None:
    """Wait for a state that must come; the error names it, and what `said` then is."""
    deadline = time.monotonic() + seconds
    while True:
        found = happens()
        if hasattr(found, "__await__"):
            found = await found
        if found:
            return
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}\n{said}"
        await asyncio.sleep(0.05)


@dataclass
class Deployed:
    """What a test holds."""

    folder: Path
    redis: Server
    global_redis: Server
    broker: Server
    coordinators: list[Node]
    edges: list[Node]
    signer: Signer
    store: RedisRegionStore
    global_store: RedisGlobalStore
    http: httpx.AsyncClient

    @property
    def url(self) -> str:
        return self.coordinators[0].address["url"]

    def edge_urls(self) -> list[str]:
        return [edge.address["url"] for edge in self.edges]

    async def ops(self, edge: int, path: str) -> httpx.Response:
        return await self.http.get(self.edges[edge].address["ops"] + path)

    async def admin(self, path: str, coordinator: int = 0) -> Any:
        url = self.coordinators[coordinator].address["url"]
        answer = await self.http.get(url + path, headers={"authorization": f"Bearer {OPERATOR}"})
        answer.raise_for_status()
        return answer.json()

    async def edges_online(self, coordinator: int = 0) -> int:
        """As a coordinator sees it; -1: it does not answer."""
        try:
            regions = (await self.admin("/v1/admin/status", coordinator))["regions"]
        except httpx.HTTPError:
            return -1
        return sum(edge["online"] and edge["report"] is not None for region in regions for edge in region["edges"])

    async def games(self, *players: "Person") -> list[int]:
        """Rated results of each that were applied to the duel's rating."""
        ids = [PlayerId(player.client.account.player) for player in players]
        ratings = await self.global_store.ratings_of("duel", ids)
        return [ratings[player].games if player in ratings else 0 for player in ids]


class Person:
    """Plays duel after duel on the edges in the order given, and keeps what it was told."""

    def __init__(self, client: Client, token: str, edges: Sequence[str]) -> None:
        self.client, self.token, self.edges = client, token, list(edges)
        self.session: Session | None = None
        self.now = "away"  # queued, found, playing
        self.url = ""  # of the connection that the running match was joined on
        self.began_s = 0.0  # the running match
        self.snapshots = 0
        self.started: list[str] = []
        self.ended: dict[str, MatchEnded] = {}
        self.lost: list[str] = []
        self.why: list[str] = []  # of those
        self.refused: Counter[str] = Counter()
        self.faults: list[str] = []
        self.resumes = 0
        self.sessions = 0
        self.leaving = asyncio.Event()  # after this match
        self.paused = False

    async def live(self) -> None:
        while not self.leaving.is_set():
            try:
                async with Session(self.token, self.edges, client="test") as session:
                    self.session, self.sessions = session, self.sessions + 1
                    await self._play(session)
            except (SessionLostError, ConnectionLostError) as error:
                self.faults.append(f"{type(error).__name__}: {error}")
            except RefusedError as error:
                self.refused[str(error.reason)] += 1
                await asyncio.sleep(0.2)
            finally:
                self.now = "away"

    async def _play(self, session: Session) -> None:
        while not self.leaving.is_set():
            if self.paused:
                await asyncio.sleep(0.05)
                continue
            self.now = "queued"
            try:
                found = await session.queue("duel")
                self.now = "found"
                match = await session.join(found)
            except RefusedError as error:
                self.refused[str(error.reason)] += 1
                self.now = "refused"
                await asyncio.sleep(0.2)
                continue
            finally:
                self.resumes = session.resumes
            self.now, self.url, self.began_s = "playing", session.url, time.monotonic()
            self.started.append(match.info.match)
            try:
                async for _ in match:
                    self.snapshots += 1
                    match.command((STEP, STEP, STEP))
            except MatchLostError as error:
                self.lost.append(match.info.match)
                self.why.append(str(error))
            if match.result is not None:
                self.ended[match.info.match] = match.result
            self.resumes = session.resumes


@contextlib.asynccontextmanager
async def deployed(
    folder: Path,
    *,
    edges: int = 2,
    coordinators: int = 1,
    fill_ms: int = 0,
    game: str = QUICK_GAME,
    match_rules: str = "",
) -> AsyncIterator[Deployed]:
    """Everything up and known to the coordinator; every child gone at the end."""
    redis = redis_server(folder / "redis", name="redis")
    global_redis = redis_server(folder / "redis-global", name="redis-global")
    broker = broker_server(folder / "broker")
    nodes: list[Node] = []
    async with contextlib.AsyncExitStack() as stack:
        for server in (redis, global_redis, broker):
            stack.push_async_callback(server.stop)
        with _children_find_this_copy():
            await together(*(server.start() for server in (redis, global_redis, broker)))
            global_store = RedisGlobalStore(global_redis.url)
            stack.push_async_callback(global_store.close)
            store = RedisRegionStore(redis.url)
            stack.push_async_callback(store.close)
            signer = await load_signer(global_store)
            gateways = []
            for number in range(coordinators):
                gateway = CoordinatorConfig(
                    redis=global_redis.url, bus=broker.url, listen=Listen(port=free_port()), operator_token=OPERATOR, log_level="debug"
                )
                gateways.append(_node(folder, f"coordinator-{number}", "coordinator", gateway))
            processes = []
            for number in range(edges):
                config = EdgeConfig(
                    region=REGION,
                    edge=f"e{number}",
                    redis=redis.url,
                    bus=broker.url,
                    players=Listen(port=free_port()),
                    ops=Listen(port=free_port()),
                    token_keys=[signer.public_text],
                    game=game,
                    connections_max=64,
                    matches_max=32,
                    entities_max=128,
                    fill_ms=fill_ms,
                    match_rules=match_rules,
                    exchange=bool(match_rules),
                    drain_ms=1_000,
                )
                processes.append(_node(folder, f"edge-{number}", "edge", config))
            nodes = [*gateways, *processes]
            for node in nodes:
                stack.push_async_callback(node.child.kill)
            await together(*(node.start() for node in nodes))
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=5.0, trust_env=False))
        made = Deployed(folder, redis, global_redis, broker, gateways, processes, signer, store, global_store, http)
        for number in range(coordinators):
            await until(lambda number=number: _all_online(made, number), f"coordinator {number} hears of all edges")  # type: ignore[misc]
        yield made


@contextlib.contextmanager
def _children_find_this_copy() -> Iterator[None]:
    paths = (str(ROOT), str(ROOT / "clients" / "python"), os.environ.get("PYTHONPATH", ""))
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


@dataclass
class SecondRegion:
    """`test-2`: one process, and a store of its own."""

    edge: Node
    redis: Server

    async def kill(self) -> None:
        await self.edge.child.kill()
        await self.redis.kill()


@contextlib.asynccontextmanager
async def second_region(made: Deployed, *, fill_ms: int = 0, match_rules: str = "") -> AsyncIterator[SecondRegion]:
    """Another region beside the one that is deployed. Its process runs; whether a coordinator knows it, the test waits for."""
    async with contextlib.AsyncExitStack() as stack:
        redis = redis_server(made.folder / "redis-2", name="redis-2")
        stack.push_async_callback(redis.stop)
        await redis.start()
        config = EdgeConfig(
            region=SECOND_REGION,
            edge="f0",
            redis=redis.url,
            bus=made.broker.url,
            players=Listen(port=free_port()),
            ops=Listen(port=free_port()),
            token_keys=[made.signer.public_text],
            game=QUICK_GAME,
            matches_max=32,
            entities_max=128,
            fill_ms=fill_ms,
            match_rules=match_rules,
            exchange=bool(match_rules),
        )
        node = _node(made.folder, "f0", "edge", config)
        stack.push_async_callback(node.child.kill)
        with _children_find_this_copy():
            await node.start()
        yield SecondRegion(node, redis)


async def _all_online(made: Deployed, coordinator: int) -> bool:
    return await made.edges_online(coordinator) == len(made.edges)


def _node(folder: Path, name: str, command: str, config: CoordinatorConfig | EdgeConfig) -> Node:
    path = folder / f"{name}.toml"
    path.write_text(toml.dumps(config), "utf-8")
    return Node(name, [command, "--config", str(path)], folder / "logs" / f"{name}.log")


@dataclass(repr=False)
class Crowd:
    people: list[Person]
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def __repr__(self) -> str:
        return "\n".join(
            f"{p.client.name}: {p.now} {p.url} close {p.session.last_close if p.session else None} sessions {p.sessions} "
            f"resumes {p.resumes} started {len(p.started)} ended {len(p.ended)} lost {p.lost} {p.why} {dict(p.refused)} {p.faults}"
            for p in self.people
        )

    def total(self, what: str) -> int:
        return sum(len(getattr(person, what)) for person in self.people)

    def fresh(self, url: str = "") -> list[Person]:
        """Who plays a match (on this process) that has just begun: it does not end before a test has killed what it kills."""
        young = time.monotonic() - 1.0
        return [p for p in self.people if p.now == "playing" and p.began_s > young and (not url or p.url == url)]

    @property
    def snapshots(self) -> int:
        return sum(person.snapshots for person in self.people)

    async def settle(self) -> None:
        """Everybody plays the running match to its end and says goodbye."""
        for person in self.people:
            person.leaving.set()

        def done() -> bool:
            for person, task in zip(self.people, self.tasks, strict=True):
                if person.now in ("queued", "refused"):
                    task.cancel()  # nobody to play with any more
            return all(task.done() for task in self.tasks)

        await until(done, "everybody leaves", said=self)
        for task in self.tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    def check(self) -> None:
        """What must be true whatever was killed: everybody was told how each match went, and nobody twice."""
        for person in self.people:
            told = [*person.ended, *person.lost]
            assert len(told) == len(set(told)), "a match that ended and was lost, or was told twice"
            assert set(told) <= set(person.started)
            if person.now != "playing":
                assert len(set(person.started) - set(told)) <= 1, f"{person.started} {told}"


@contextlib.asynccontextmanager
async def crowd(made: Deployed, routes: Sequence[Sequence[int]]) -> AsyncIterator[Crowd]:
    """People who play until the end of the context. `routes`: for each, the numbers of the edges in the order to try."""
    urls, people = made.edge_urls(), []
    for number, route in enumerate(routes):
        client = await Client.guest(made.url, name=f"p{number}")
        placement = await client.place(mode="duel")
        assert placement.region == REGION
        people.append(Person(client, placement.token, [urls[edge] for edge in route]))
    gathered = Crowd(people)
    try:
        gathered.tasks = [asyncio.create_task(person.live(), name=person.client.name) for person in people]
        yield gathered
    finally:
        for task in gathered.tasks:
            task.cancel()
        await asyncio.gather(*gathered.tasks, return_exceptions=True)


def log_events(made: Deployed, name: str) -> list[str]:
    """The `event` of every log line of a child."""
    return [str(line.get("event", "")) for line in log_lines(made, name)]


def log_lines(made: Deployed, name: str) -> list[dict[str, Any]]:
    lines = (made.folder / "logs" / f"{name}.log").read_bytes().splitlines()
    return [msgspec.json.decode(line) for line in lines if line.startswith(b"{")]
