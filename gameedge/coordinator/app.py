"""The coordinator's composition root: store, bus, tasks, HTTP server; start and stop."""

import asyncio
import contextlib
import logging
import random
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from gameedge.bus import topics
from gameedge.bus.base import Bus, BusFactory, BusMessage
from gameedge.bus.payloads import encode
from gameedge.config import CoordinatorConfig
from gameedge.coordinator import http
from gameedge.coordinator.live import Live
from gameedge.coordinator.policy import check_file
from gameedge.coordinator.registry import Registry
from gameedge.coordinator.results import Results
from gameedge.coordinator.services import Services
from gameedge.coordinator.tokens import Signer, load_signer
from gameedge.coordinator.verdicts import Verdicts
from gameedge.core.errors import RefusedError, UnavailableError
from gameedge.state.base_global import GlobalStore
from gameedge.telemetry import logs
from gameedge.telemetry.metrics import coordinator_registry
from gameedge.telemetry.traces import open_traces

WATCH_S: Final = 0.5
KEY_RETRY_S: Final = 0.5
HEARD: Final = (
    topics.ALL_PRESENCE,
    topics.ALL_BEATS,
    topics.ALL_REPORTS,
    topics.ALL_DESIRED,
    topics.ALL_RESULTS,
    topics.ALL_VERDICTS,
    topics.ALL_TOLD,
    topics.ALL_WAITING,
    topics.ALL_PROPOSING,
)

log = logs.get(__name__)


def unix_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Running:
    """A coordinator that serves."""

    url: str
    services: Services


@contextlib.asynccontextmanager
async def serve(
    config: CoordinatorConfig,
    store: GlobalStore,
    bus_factory: BusFactory,
    *,
    now_ms: Callable[[], int] = unix_ms,
    draw: Callable[[], float] = random.random,
) -> AsyncIterator[Running]:
    """A coordinator within this event loop, until the context ends. The store stays open: it is the caller's.

    Waits for the store (the signing key is there) and raises ConfigError where it cannot listen, or could place nobody as configured.
    """
    check_file(config)
    traces = open_traces(config.traces, config.traces_share, "coordinator")
    sock = http.listen(config)
    try:
        name = f"coordinator-{secrets.token_hex(4)}"
        signer = await _signer(store)
        async with bus_factory(name) as bus:
            metrics = coordinator_registry()
            verdicts = Verdicts(metrics)
            results = Results(store, bus, metrics, now_ms)
            services = Services(
                config=config,
                store=store,
                bus=bus,
                signer=signer,
                metrics=metrics,
                registry=Registry(),
                results=results,
                verdicts=verdicts,
                now_ms=now_ms,
                draw=draw,
                name=name,
                started_ms=now_ms(),
                traces=traces,
            )
            results.heard = services.heard_result
            verdicts.heard = services.heard_verdict
            live = services.live = Live(services)
            server = http.make_server(config, services)
            async with _plain(), asyncio.TaskGroup() as group:
                background = [
                    group.create_task(_hear(services, bus), name="coordinator-bus"),
                    group.create_task(services.results.run_apply(), name="coordinator-results"),
                    group.create_task(services.results.run_acks(), name="coordinator-acks"),
                    group.create_task(_watch(services), name="coordinator-watch"),
                    group.create_task(services.asking.run(), name="coordinator-asking"),
                    group.create_task(services.exchange.run(), name="coordinator-exchange"),
                    group.create_task(live.run(), name="coordinator-live"),
                    group.create_task(services.run_tell(), name="coordinator-tell"),
                    group.create_task(services.people.run(), name="coordinator-erasing"),
                ]
                serving = group.create_task(server.serve([sock]), name="coordinator-http")
                try:
                    while not server.started and not serving.done():
                        await asyncio.sleep(0.005)
                    yield Running(http.url_of(config, sock), services)
                finally:
                    server.should_exit = True  # no new requests; those that run are answered
                    with contextlib.suppress(asyncio.CancelledError):
                        await asyncio.wait([serving], timeout=http.STOP_S_MAX + 1)
                    for task in background:
                        task.cancel()
                    await services.results.flush()
    finally:
        sock.close()
        await traces.close()


@contextlib.asynccontextmanager
async def _plain() -> AsyncIterator[None]:
    """One failure is itself, not a group of one: the caller's `except` sees what the caller's code raised."""
    try:
        yield
    except BaseExceptionGroup as group:
        if len(group.exceptions) > 1:
            raise
        raise group.exceptions[0] from None


async def _signer(store: GlobalStore) -> Signer:
    while True:
        try:
            return await load_signer(store)
        except UnavailableError as error:
            log.warning("store_unavailable", error=str(error), retry_ms=int(KEY_RETRY_S * 1000))
            await asyncio.sleep(KEY_RETRY_S)


async def _hear(services: Services, bus: Bus) -> None:
    """Everything from the bus, sorted by topic. Handlers are synchronous."""
    async with bus.subscribe(*HEARD) as messages:
        async for message in messages:
            try:
                _take(services, message)
            except Exception as error:  # a fault of ours in one message must not deafen us
                services.metrics.counter("coordinator_errors_total", where="bus").add()
                log.fault("message_failed", error, topic=message.topic)


def _take(services: Services, message: BusMessage) -> None:
    if message.topic.endswith("/results"):
        services.results.hear(message)
    elif message.topic.endswith("/verdicts"):
        services.verdicts.hear(message)
    elif message.topic.endswith("/told"):
        services.hear_told(message)
    elif "/waiting/" in message.topic or message.topic.endswith("/proposing"):
        services.exchange.hear(message)
    else:
        services.registry.hear(message, services.now_ms())


async def _watch(services: Services) -> None:
    """Twice a second: is the store there, is the broker, and who is online."""
    while True:
        try:
            await _look(services)
        except Exception as error:  # a fault of ours in one look must not end all of them
            services.metrics.counter("coordinator_errors_total", where="watch").add()
            log.fault("watch_failed", error)
        await asyncio.sleep(WATCH_S)


async def _look(services: Services) -> None:
    services.registry.note_bus(services.bus.online, services.now_ms())
    await _repeat_desired(services)
    services.events.look(services.registry, services.now_ms())
    try:
        services.store_ms = await services.store.ping()
        await services.follow_policy()
        if services.bus.online:
            await services.apply_settings()  # a region that came, or another coordinator that was behind
    except RefusedError:
        services.store_ms = None
    _measure(services)


async def _repeat_desired(services: Services) -> None:
    """A broker that came back may retain nothing, or what a coordinator said that was behind. Processes of a region ignore a
    revision that they know, so repeating the newest one is harmless; two coordinators agree on the highest."""
    registry = services.registry
    while registry.outdated and services.bus.online:
        name = registry.outdated.pop()
        region = registry.regions.get(name)
        if region is None:
            continue
        try:
            await services.bus.publish(topics.desired(name), encode(region.desired), retain=True)
        except RefusedError as error:
            registry.outdated.add(name)
            log.warning("desired_not_repeated", region=name, error=str(error))
            return


def _measure(services: Services) -> None:
    metrics, now_ms = services.metrics, services.now_ms()
    metrics.gauge("coordinator_store_up").set(float(services.store_ms is not None))
    metrics.gauge("coordinator_bus_up").set(float(services.bus.online))
    regions_online = 0
    for region in services.registry.regions.values():
        there = [edge for edge in region.edges.values() if services.registry.doubt(edge, now_ms) != "offline"]
        regions_online += bool(there)
        players = sum(edge.report.players for edge in there if edge.report is not None)
        metrics.gauge("coordinator_edges", region=region.region).set(len(there))
        metrics.gauge("coordinator_players", region=region.region).set(players)
    metrics.gauge("coordinator_regions").set(regions_online)
    for name in services.measured - services.registry.regions.keys():  # forgotten: or what they had last would stand there for ever
        for gauge in ("coordinator_edges", "coordinator_players", "coordinator_processes_desired"):
            metrics.gauge(gauge, region=name).set(0)
    services.measured = set(services.registry.regions)
    services.scale.look(now_ms)
    for name, count in services.scale.desired.items():
        metrics.gauge("coordinator_processes_desired", region=name).set(count)
    for why, count in services.registry.dropped.items():
        metrics.counter("coordinator_bus_dropped_total", why=why).value = count


def run(config: CoordinatorConfig) -> None:
    """`gameedge coordinator`: until SIGTERM or SIGINT."""
    logs.configure(config.log_level)
    # Our own lines say that it starts and stops; its warnings are of requests that are none: anybody could fill the log.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    try:
        import uvloop
    except ImportError:
        asyncio.run(_run(config))
    else:
        uvloop.run(_run(config))


async def _run(config: CoordinatorConfig) -> None:
    from gameedge.bus import open_bus
    from gameedge.state.open import open_global_store

    stop, ready = asyncio.Event(), False
    loop, main = asyncio.get_running_loop(), asyncio.current_task()
    assert main is not None

    def asked_to_stop() -> None:
        stop.set()
        if not ready:  # still waiting for the store: there is nothing to finish
            main.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop)
    store = open_global_store(config.redis)
    try:
        async with serve(config, store, open_bus(config.bus)) as running:
            ready = True
            log.info("coordinator_ready", url=running.url)
            # One line for whoever started this process and waits.
            sys.stdout.write(msgspec.json.encode({"ready": "coordinator", "url": running.url}).decode() + "\n")
            sys.stdout.flush()
            await stop.wait()
            log.info("coordinator_stopping")
    except asyncio.CancelledError:
        if not stop.is_set():
            raise
    finally:
        await store.close()
