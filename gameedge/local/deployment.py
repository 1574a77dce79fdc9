"""Everything that `gameedge up` runs: started in order, watched, restarted where it falls, stopped so that nothing is lost.

Order of start: stores and broker, the signing key, coordinator and edges, bots. Order of stop: bots, edges (they drain and store
their results), coordinator, broker, stores. A result that no coordinator has applied by then stays in its store's append-only file.
"""

import asyncio
import contextlib
import importlib.util
import os
import re
import secrets
import sys
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from gameedge.admin.found import Part
from gameedge.config import CoordinatorConfig, EdgeConfig, Listen, Section
from gameedge.coordinator.tokens import load_signer
from gameedge.core import limits
from gameedge.core.errors import ConfigError, RefusedError
from gameedge.core.ids import RegionId
from gameedge.local import toml
from gameedge.local.child import ChildError, ChildProcess, free_port, is_free
from gameedge.local.node import Node, child_env, json_lines
from gameedge.local.regions import REGIONS, LocalRegion
from gameedge.local.servers import Server, broker_server, redis_server
from gameedge.state.open import open_global_store, open_region_store

FILL_MS: Final = 300  # a demo's regions have twenty players each: NPCs come soon
SCALE_HOLD_S: Final = 20.0  # a demo lasts minutes, not evenings
SCALE_COOL_S: Final = 10.0
EDGE_DRAIN_MS: Final = 3_000  # of a stop here: matches are short, and the players are bots
BOTS_STOP_S: Final = 10.0
RESTART_S: Final = (0.2, 5.0)  # first and longest pause before a child is started again
ARENA: Final = "gameedge.arena:Arena"  # the game that the bots play
_CHEATS: Final = re.compile(r"[a-z]{1,32}(:\d{1,4})?(,[a-z]{1,32}(:\d{1,4})?){0,15}")  # which there are, the bots know
CALM_S: Final = 30.0  # a child that ran this long begins at the first pause again


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked for."""

    regions: int = 3
    edges_per_region: int = 1
    bots: int = 60
    cheaters: float = 0.1
    cheats: str = ""  # kinds of cheaters, `kind` or `kind:weight`, with commas between; empty: the harness's own mix
    port: int = 8080
    seed: int = 1
    game: str = ARENA
    processes_max: int = 0  # of a region: the scaler starts and stops them in between; 0: it is off
    slots: int = 0  # players of one process; 0: as many as a process takes


class Teller(Protocol):
    """Who hears what happens."""

    def say(self, text: str) -> None:
        """Something went as it should."""
        ...

    def fault(self, text: str) -> None:
        """Something did not: it counts as an error."""
        ...


class Startable(Protocol):
    async def start(self) -> None: ...


class Deployment:
    """One deployment in one folder. `start`, then `stop` in every case."""

    def __init__(self, plan: Plan, folder: Path, teller: Teller, hear_bots: Callable[[dict[str, object]], None]) -> None:
        check_plan(plan)
        self.plan, self.folder = plan, folder
        self.operator_token = secrets.token_urlsafe(24)
        self.outbox_left = 0
        self._teller = teller
        self._hear_bots = hear_bots
        self._stopping = False
        self._watchers: list[asyncio.Task[None]] = []
        self._regions = REGIONS[: plan.regions]
        self._global = redis_server(folder / "redis-global", name="redis-global")
        self._redis = {region.name: redis_server(folder / f"redis-{region.name}", name=f"redis-{region.name}") for region in self._regions}
        self._broker = broker_server(folder / "broker")
        self._coordinator: Node | None = None
        self._edges: list[Node] = []
        self._leaving: set[str] = set()  # nodes that are stopped on purpose
        self._key_text = ""
        self.bots: ChildProcess | None = None

    @property
    def url(self) -> str:
        """Of the coordinator."""
        return self._coordinator.address.get("url", "") if self._coordinator else ""

    @property
    def children(self) -> list[ChildProcess]:
        """All that were started, in the order of start."""
        servers = [server.child for server in (self._global, *self._redis.values(), self._broker) if server.child is not None]
        nodes = [node.child for node in ([self._coordinator] if self._coordinator else []) + self._edges]
        return servers + nodes + ([self.bots] if self.bots else [])

    def parts(self) -> list[Part]:
        """Where everything is, for `gameedge admin doctor`."""
        found = [Part(name="redis-global", kind="redis", url=self._global.url, **_child(self._global.child))]
        found += [Part(name=s.name, kind="redis", url=s.url, **_child(s.child)) for s in self._redis.values()]
        found.append(Part(name="broker", kind="broker", url=self._broker.url, **_child(self._broker.child)))
        for node in ([self._coordinator] if self._coordinator else []) + self._edges:
            kind = "coordinator" if node is self._coordinator else "edge"
            config = str(self.folder / f"{node.name}.toml")
            found.append(Part(name=node.name, kind=kind, config=config, url=node.address.get("url", ""), **_child(node.child)))
        if self.bots is not None:
            found.append(Part(name="bots", kind="bots", **_child(self.bots)))
        return found

    # -- start

    async def start(self) -> None:
        """Everything but the bots. Raises ChildError or ConfigError; call `stop` then, too."""
        stores = [self._global, *self._redis.values()]
        await together(*(server.start() for server in (*stores, self._broker)))
        for server in (*stores, self._broker):
            self._watch(server.name, server, lambda server=server: server.child)  # type: ignore[misc]
        self._teller.say(f"{len(stores)} stores and the broker are up")
        key = self._key_text = await self._key()
        self._coordinator = self._node("coordinator", "coordinator", self._coordinator_config())
        self._edges = [
            self._node("edge", f"{region.name}-{number}", self._edge_config(region, number, key))
            for region in self._regions
            for number in range(1, self.plan.edges_per_region + 1)
        ]
        nodes = [self._coordinator, *self._edges]
        # One edge process first: where kernels must be compiled it does, and the others load what it compiled.
        await together(*(self._start_node(node) for node in nodes[:2]))
        await together(*(self._start_node(node) for node in nodes[2:]))
        for node in nodes:
            self._watch(node.name, node, lambda node=node: node.child)  # type: ignore[misc]

    # -- scale

    def edges_of(self, region: str) -> list[Node]:
        """Processes of a region, in the order of start."""
        return [node for node in self._edges if node.name.rpartition("-")[0] == region]

    async def scale(self, region: RegionId, processes: int) -> None:
        """`Scaling`: start or drain processes of a region until it has so many, one after the other."""
        found = next((local for local in self._regions if local.name == region), None)
        while found is not None and not self._stopping:
            nodes = self.edges_of(region)
            if len(nodes) < processes:
                if not await self._grow(found):
                    return
            elif len(nodes) > max(1, processes):
                await self._shrink(nodes[-1])
            else:
                return

    async def _grow(self, region: LocalRegion) -> bool:
        taken = {node.name for node in self._edges}
        number = next(n for n in range(1, len(taken) + 2) if f"{region.name}-{n}" not in taken)
        node = self._node("edge", f"{region.name}-{number}", self._edge_config(region, number, self._key_text))
        self._edges.append(node)
        self._leaving.discard(node.name)
        try:
            await self._start_node(node)
        except ChildError as error:
            self._edges.remove(node)
            self._teller.fault(str(error))
            return False
        except asyncio.CancelledError:
            await node.child.kill()
            self._edges.remove(node)
            raise
        self._watch(node.name, node, lambda: node.child)
        return True

    async def _shrink(self, node: Node) -> None:
        """Its matches move to the region's other processes and its players follow."""
        self._leaving.add(node.name)
        await node.child.stop(EDGE_DRAIN_MS / 1000 + 12)
        self._edges.remove(node)
        self._teller.say(f"{node.name} is drained")

    async def start_bots(self) -> None:
        """They play until `stop`. Raises ChildError."""
        plan = self.plan
        argv = [sys.executable, "-m", "loadtest", "run", "--coordinator", self.url, "--players", str(plan.bots)]
        argv += ["--cheaters", str(plan.cheaters), "--seed", str(plan.seed)]
        argv += ["--cheats", plan.cheats] if plan.cheats else []
        log = self.folder / "logs" / "bots.log"
        self.bots = ChildProcess("bots", argv, log=log, on_line=json_lines(self._hear_bots), env=child_env())
        await self.bots.start()
        self._watchers.append(asyncio.create_task(self._watch_bots(self.bots), name="watch bots"))

    async def _start_node(self, node: Node) -> None:
        await node.start()
        self._teller.say(f"{node.name} is up at {node.address.get('url', '?')}")

    async def _key(self) -> str:
        """The public key that edges trust; the pair is made on the first start of this folder."""
        store = open_global_store(self._global.url)
        try:
            return (await load_signer(store)).public_text
        finally:
            await store.close()

    def _coordinator_config(self) -> CoordinatorConfig:
        port = self.plan.port or free_port()  # chosen here, so that a restart keeps it
        if not is_free(port):
            raise ConfigError(f"--port {port}: taken by another program; stop it, or use --port 0 for a free one")
        listen = Listen(host="127.0.0.1", port=port)
        return CoordinatorConfig(
            redis=self._global.url,
            bus=self._broker.url,
            listen=listen,
            operator_token=self.operator_token,
            scale_hold_s=SCALE_HOLD_S,
            scale_cool_s=SCALE_COOL_S,
        )

    def _edge_config(self, region: LocalRegion, number: int, key: str) -> EdgeConfig:
        return EdgeConfig(
            region=region.name,
            edge=f"e{number}",
            region_title=region.title,
            latitude=region.lat,
            longitude=region.lon,
            redis=self._redis[region.name].url,
            bus=self._broker.url,
            token_keys=[key],
            game=self.plan.game,
            demo=True,
            drain_ms=EDGE_DRAIN_MS,
            fill_ms=FILL_MS,
            connections_max=self.plan.slots or limits.CONNECTIONS_MAX,
            ping_regions=False,  # all regions are on this machine: a ping would show that none is where it says
        )

    def _node(self, command: str, name: str, config: Section) -> Node:
        path = self.folder / f"{name}.toml"
        path.touch(mode=0o600)  # the operator token is in one of them
        path.write_text(toml.dumps(config), "utf-8")
        return Node(name, [command, "--config", str(path)], self.folder / "logs" / f"{name}.log")

    # -- watch

    def _watch(self, name: str, startable: Startable, child: Callable[[], ChildProcess | None]) -> None:
        self._watchers.append(asyncio.create_task(self._keep_up(name, startable, child), name=f"watch {name}"))

    async def _keep_up(self, name: str, startable: Startable, find: Callable[[], ChildProcess | None]) -> None:
        """Start it again whenever it dies: nothing here keeps state but the stores, and theirs is on disk."""
        pause_s = RESTART_S[0]
        loop = asyncio.get_running_loop()
        while True:
            child, began = find(), loop.time()
            if child is None:
                return
            status = await child.wait()
            if self._stopping or name in self._leaving:
                return
            pause_s = RESTART_S[0] if loop.time() - began > CALM_S else pause_s
            self._teller.fault(f"{name} died ({describe(status)}); starting it again in {pause_s:.1f} s{last_lines(child)}")
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, RESTART_S[1])
            try:
                await (child.start() if isinstance(startable, Server) else startable.start())
                self._teller.say(f"{name} is back")
            except ChildError as error:
                self._teller.fault(str(error))

    async def _watch_bots(self, bots: ChildProcess) -> None:
        status = await bots.wait()
        if not self._stopping:
            self._teller.fault(f"the bots ended ({describe(status)}){last_lines(bots)}")

    # -- stop

    async def stop(self) -> None:
        """In order; never raises for a child's fault."""
        self._stopping = True
        if self.bots is not None:
            self._teller.say("stopping the bots")
            await self.bots.stop(BOTS_STOP_S)
        if any(edge.child.alive for edge in self._edges):
            self._teller.say("draining the edges")
            await together(*(edge.child.stop(EDGE_DRAIN_MS / 1000 + 12) for edge in self._edges))
        self.outbox_left = await self._outbox()
        self._teller.say("stopping coordinator, broker and stores")
        if self._coordinator is not None:
            await self._coordinator.child.stop()
        await self._broker.stop()
        await together(*(server.stop() for server in (self._global, *self._redis.values())))
        await self._end_watchers()

    async def kill(self) -> None:
        """At once; what was acknowledged is on disk all the same."""
        self._stopping = True
        await together(*(child.kill() for child in reversed(self.children)))
        await self._end_watchers()

    async def _end_watchers(self) -> None:
        for task in self._watchers:
            task.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)

    async def _outbox(self) -> int:
        """Results that no coordinator has acknowledged yet; they stay in the stores and leave with the next start."""
        left = 0
        for name, server in self._redis.items():
            if server.child is None or not server.child.alive:
                continue
            store = open_region_store(server.url)
            try:
                left += await store.outbox_size()
            except RefusedError as error:
                self._teller.fault(f"the outbox of {name} cannot be read: {error}")
            finally:
                await store.close()
        return left


def _child(child: ChildProcess | None) -> dict[str, Any]:
    return {"pid": child.pid, "log": str(child.log)} if child is not None else {"pid": 0}


def check_plan(plan: Plan) -> None:
    """Raises ConfigError naming the option."""
    if not 1 <= plan.regions <= len(REGIONS):
        raise ConfigError(f"--regions {plan.regions}: 1 to {len(REGIONS)}")
    if not 1 <= plan.edges_per_region <= 16:
        raise ConfigError(f"--edges-per-region {plan.edges_per_region}: 1 to 16")
    if plan.processes_max and not plan.edges_per_region <= plan.processes_max <= 16:
        raise ConfigError(f"--processes-max {plan.processes_max}: --edges-per-region ({plan.edges_per_region}) to 16, or 0 for no scaling")
    if plan.slots and not 2 <= plan.slots <= limits.CONNECTIONS_MAX:
        raise ConfigError(f"--slots {plan.slots}: 2 to {limits.CONNECTIONS_MAX}, or 0 for as many as a process takes")
    if not 0 <= plan.bots <= 2_000:
        raise ConfigError(f"--bots {plan.bots}: 0 to 2000")
    if not 0.0 <= plan.cheaters <= 1.0:
        raise ConfigError(f"--cheaters {plan.cheaters}: a share, 0 to 1")
    if plan.cheats and not _CHEATS.fullmatch(plan.cheats):
        raise ConfigError(f"--cheats {plan.cheats[:64]!r}: kinds of cheaters, such as homing:2,recordings")
    if plan.bots and plan.game != ARENA:
        raise ConfigError(f"--game {plan.game}: the bots play {ARENA} only; add --bots 0")
    if plan.bots and not has_bots():
        raise ConfigError("--bots: the harness `loadtest` is not installed here; run from a checkout, or use --bots 0")


def has_bots() -> bool:
    """Whether `python -m loadtest run` can be started."""
    try:
        return importlib.util.find_spec("loadtest.run") is not None
    except ModuleNotFoundError:
        return False


async def together(*jobs: Coroutine[Any, Any, object] | Awaitable[object]) -> None:
    """All of them to their end, at the same time; then the first exception, unwrapped."""
    results = await asyncio.gather(*jobs, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


def describe(status: int) -> str:
    """An exit status in words."""
    return f"signal {-status}" if status < 0 else f"exit status {status}"


def last_lines(child: ChildProcess) -> str:
    """For a message; empty where the log is."""
    lines = child.tail(6)
    return "; last lines of its log:\n  " + "\n  ".join(lines) if lines else ""


@contextlib.contextmanager
def own_folder(folder: Path) -> Any:
    """Hold the folder's lock: two deployments on the same append-only files would destroy them. Raises ConfigError."""
    import fcntl

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(f"--data {folder}: another `gameedge up` uses it") from error
        yield
    finally:
        os.close(descriptor)
