"""The process around an `Edge`: its game, its models, its sockets, the operator's port, the event loop and the signals."""

import asyncio
import contextlib
import gc
import importlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

import msgspec

from gameedge.bus.base import BusFactory
from gameedge.bus.open import open_bus
from gameedge.config import EdgeConfig
from gameedge.core import limits
from gameedge.core.errors import ConfigError
from gameedge.core.game import Game
from gameedge.core.ids import is_name
from gameedge.core.matchmaking.propose import warm as warm_matchmaking
from gameedge.core.protocol.frames import HEADER_SIZE
from gameedge.edge import pings
from gameedge.edge.app import Edge
from gameedge.edge.machine import allow_files
from gameedge.edge.ops import OpsApp, serve_ops
from gameedge.edge.reports import Reports
from gameedge.edge.transports.base import TransportSettings
from gameedge.edge.transports.select import open_transport
from gameedge.inference import signing
from gameedge.inference.artifacts import FOLDERS, load_aim
from gameedge.inference.backends import ways
from gameedge.inference.depot import Depot, factories
from gameedge.state.base import RegionStore
from gameedge.state.open import open_region_store
from gameedge.telemetry import logs
from gameedge.telemetry.traces import open_traces

GC_THRESHOLDS: Final = (20_000, 20, 50)
SNAPSHOT_BYTES_MAX: Final = 2**16 - 1 - HEADER_SIZE  # a frame of the express lane says its size in two bytes
GAME_PARTS: Final = tuple(name for name in vars(Game) if not name.startswith("_"))  # the seam's property and methods
log = logs.get(__name__)


def load_game(config: EdgeConfig) -> Game:
    """The game that `config.game` names. Raises ConfigError."""
    module, _, attribute = config.game.partition(":")
    try:
        kind = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"game = {config.game!r}: {error}; use module:attribute, for example gameedge.arena:Arena") from error
    try:
        game = kind(matches_max=config.matches_max, entities_max=config.entities_max, demo=config.demo)
    except TypeError as error:
        raise ConfigError(f"game = {config.game!r}: cannot be made with matches_max, entities_max and demo: {error}") from error
    if problem := problem_of(game):
        raise ConfigError(f"game = {config.game!r}: {problem}; see docs/host-your-game.md")
    return cast(Game, game)


def problem_of(game: object) -> str | None:
    """Why an object cannot be hosted as a `Game`; None: nothing is missing. What its methods do is its own affair."""
    missing = [name for name in GAME_PARTS if not hasattr(game, name)]
    if missing:
        return f"is no Game, it has no {', '.join(missing)}"
    spec = cast(Game, game).spec
    if not spec.modes:
        return "has no modes"
    for name, mode in spec.modes.items():
        if name != mode.name or not is_name(name):
            return f"mode {name!r}: its key and its name must be the same, 1 to 32 of a-z, 0-9 and -"
        if not 1 <= mode.players <= limits.SEATS_PER_MATCH_MAX:
            return f"mode {name}: has seats for {mode.players} people, 1 to {limits.SEATS_PER_MATCH_MAX} are possible"
        if not 0 < mode.duration_ms <= limits.MATCH_MS_MAX:
            return f"mode {name}: duration_ms is {mode.duration_ms}, up to {limits.MATCH_MS_MAX} is possible"
    if spec.tick_hz < 1 or not 1 <= spec.snapshot_every <= spec.tick_hz:
        return f"tick_hz is {spec.tick_hz} and snapshot_every {spec.snapshot_every}: a snapshot comes every tick to once a second"
    if not 0 <= spec.command_size <= limits.FRAME_BYTES_MAX - HEADER_SIZE:
        return f"command_size is {spec.command_size}, up to {limits.FRAME_BYTES_MAX - HEADER_SIZE} fit into a frame"
    if not 0 < spec.snapshot_size_max <= SNAPSHOT_BYTES_MAX:
        return f"snapshot_size_max is {spec.snapshot_size_max}, up to {SNAPSHOT_BYTES_MAX} fit into a frame"
    return None


def warm_game(game: Game) -> None:
    """What a first match would wait for, done before players come: after a fresh installation the arena compiles kernels for most
    of a minute."""
    began = time.monotonic()
    warm_matchmaking()
    if warm := getattr(game, "warm", None):
        warm()
    log.info("game_warmed", ms=round(1000 * (time.monotonic() - began)))


def open_depot(config: EdgeConfig) -> Depot:
    """The models that this process may run. Raises ConfigError."""
    return Depot(
        [Path(config.model_folder)] if config.model_folder else FOLDERS,
        keys=signing.public_keys(config.model_keys),
        secret=signing.read_secret(config.model_secret),
        region=config.region,
        heights=signing.Heights(Path(config.model_heights) if config.model_heights else None),
        kinds=factories(config.model_kinds, config.model_backends or ways.DEFAULT),
    )


async def serve(config: EdgeConfig, store: RegionStore, bus_factory: BusFactory, *, ready: Callable[[dict[str, str]], None]) -> None:
    """Run one process with sockets until SIGTERM or SIGINT. `ready` hears the addresses once players may come."""
    transport = open_transport(config.transport)
    traces = open_traces(config.traces, 1.0, "edge", region=config.region, edge=config.edge)  # which, the coordinator decides
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(traces.close)
        game = load_game(config)
        warm_game(game)
        bus = await stack.enter_async_context(Reports.connect(bus_factory, config))
        edge = Edge(config, store, bus, game, aim_model=load_aim(), depot=open_depot(config), ping=pings.ping, traces=traces)
        settings = TransportSettings(
            host=config.players.host,
            port=config.players.port,
            frame_bytes_max=limits.FRAME_BYTES_MAX,
            certificate=config.players.certificate,
            key=config.players.key,
            handshake_ms_max=limits.HANDSHAKE_MS_MAX,
        )
        server = await transport.serve(edge.lobby.accept, settings)
        stack.push_async_callback(server.close)
        edge.lobby.door = server.hold
        scheme = "wss" if config.players.certificate else "ws"
        edge.seating.url = config.public_url or f"{scheme}://{config.players.host}:{server.port}"
        app = OpsApp(edge.metrics, edge.reports.refresh, edge.ready, edge.reports.health, edge.stop)
        ops_url = await stack.enter_async_context(serve_ops(app, config.ops))
        edge.reports.addresses(edge.seating.url, ops_url, transport.name)
        loop = asyncio.get_running_loop()
        for sign in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sign, edge.stop)
        addresses = {"ready": "edge", "edge": config.edge, "region": config.region, "url": edge.seating.url, "ops": ops_url}
        # What lives as long as the process is not looked at again, and the rest seldom: a full collection takes longer than a tick.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        await edge.run(lambda: ready(addresses))
        await store.close()


def main(config: EdgeConfig) -> int:
    """The `gameedge edge` command: exit status."""
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # its warnings are of requests that are none
    logs.configure(config.log_level, region=config.region, edge=config.edge, pid=os.getpid())
    allow_files(config.files_needed)

    def say(addresses: dict[str, str]) -> None:
        sys.stdout.write(msgspec.json.encode(addresses).decode() + "\n")
        sys.stdout.flush()

    async def run() -> None:
        await serve(config, open_region_store(config.redis), open_bus(config.bus), ready=say)

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(run())
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return cast(Callable[[], asyncio.AbstractEventLoop], uvloop.new_event_loop)
