"""`python -m loadtest run`: bots from around the world play on a running deployment; one JSON line a second says how it goes.

Lines are `{"t": "bots", ...}` and at the end `{"t": "summary", ...}` with the same keys. SIGINT, SIGTERM or `--for` end the
run: bots say goodbye first. Exit status 0, or 1 where the coordinator cannot be reached, or 2 for wrong options.
"""

import argparse
import asyncio
import json
import resource
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

import msgspec

from gameedge.core.errors import ConfigError, RefusedError
from gameedge_client import Client, GuestAccount
from loadtest.bots import ground
from loadtest.bots.kinds import CHEATS
from loadtest.fleet import Fleet
from loadtest.scenario import Scenario, check, load, seconds, weights

REPORT_S: Final = 1.0
REACH_S: Final = 20.0  # how long the coordinator may take to come up
GOODBYE_S: Final = 1.6  # for all goodbyes
FILES_PER_PLAYER: Final = 24  # sockets of one bot: listeners and both sides of its link


def parser() -> argparse.ArgumentParser:
    """The command line. Options left out come from the scenario, and else from its defaults."""
    options = argparse.ArgumentParser(prog="python -m loadtest run", description=(__doc__ or "").splitlines()[0])
    options.add_argument("--coordinator", default="http://127.0.0.1:8080", metavar="URL")
    options.add_argument("--scenario", metavar="NAME", help="a file of loadtest/scenarios, or a path ending in .toml")
    options.add_argument("--players", type=int, metavar="N")
    options.add_argument("--cheaters", type=float, metavar="SHARE")
    options.add_argument(
        "--cheats", metavar="KIND[:WEIGHT],...", help=f"kinds of cheaters: {', '.join(CHEATS)}; else the first four in turn"
    )
    options.add_argument("--flaky", type=float, metavar="SHARE")
    options.add_argument("--modes", metavar="MODE[:WEIGHT],...")
    options.add_argument("--for", dest="duration", metavar="TIME", help="such as 30s; until stopped where it is left out")
    options.add_argument("--seed", type=int, metavar="N")
    options.add_argument("--no-wan", dest="wan", action="store_const", const=False, help="connect directly, without emulated distances")
    options.add_argument("--coordinator-region", metavar="REGION", help="where the coordinator stands (default us-east)")
    options.add_argument("--arrivals-per-s", type=float, metavar="N", help="bots that join a second")
    return options


def settings(given: argparse.Namespace) -> Scenario:
    """Scenario file, then options. Raises ConfigError that names what is wrong."""
    base = load(given.scenario) if given.scenario else Scenario()
    values = msgspec.to_builtins(base)
    for key in Scenario.__struct_fields__:
        value = getattr(given, key, None)
        if value is not None:
            values[key] = weights(key, value) if key in ("modes", "cheats") else value
    try:
        return check(msgspec.convert(values, Scenario))
    except msgspec.ValidationError as error:
        raise ConfigError(str(error)) from error


def main(argv: Sequence[str]) -> int:
    """See the module. Never raises for what servers do."""
    given = parser().parse_args(argv)
    try:
        scenario = settings(given)
        ground.points()  # compiles, or loads, before a bot waits for it in a match
        fleet = Fleet(given.coordinator.rstrip("/"), scenario)
    except (ConfigError, ValueError) as error:
        print(f"loadtest: {error}", file=sys.stderr)
        return 2
    _more_files(scenario.players)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_run(fleet, given.coordinator.rstrip("/"), seconds(scenario.duration)))


async def _run(fleet: Fleet, coordinator: str, duration_s: float | None) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if not await _until(stop, _reach(fleet, coordinator)):
        return 0 if stop.is_set() else 1
    playing = asyncio.create_task(fleet.run(), name="fleet")
    stopped = asyncio.create_task(stop.wait(), name="stop")
    ends = None if duration_s is None else loop.time() + duration_s
    beat = loop.time()
    try:
        while not stop.is_set() and not playing.done() and (ends is None or loop.time() < ends):
            beat += REPORT_S
            left = beat - loop.time() if ends is None else min(beat, ends) - loop.time()
            await asyncio.wait({playing, stopped}, timeout=max(0.0, left), return_when=asyncio.FIRST_COMPLETED)
            print(json.dumps(fleet.report("bots")), flush=True)
    finally:
        stopped.cancel()
    summary = fleet.report("summary")  # who was connected before the goodbyes
    playing.cancel()
    await asyncio.wait({playing, stopped}, timeout=GOODBYE_S)
    if playing.done() and not playing.cancelled() and (error := playing.exception()) is not None:
        fleet.stats.error(f"fleet: {error!r}")
    summary |= {key: value for key, value in fleet.report("summary").items() if key in ("errors", "last_errors", "matches_played")}
    print(json.dumps(summary), flush=True)
    return 0


async def _until(stop: asyncio.Event, work: Coroutine[Any, Any, bool]) -> bool:
    """The work's answer, or False as soon as the run is stopped."""
    working = asyncio.create_task(work, name="reach")
    waiting = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not working.done():
        working.cancel()
        return False
    return working.result()


async def _reach(fleet: Fleet, coordinator: str) -> bool:
    """Wait for the coordinator and learn its regions."""
    client = Client(coordinator, GuestAccount("", ""))
    loop = asyncio.get_running_loop()
    ends = loop.time() + REACH_S
    while True:
        try:
            fleet.atlas.learn(await client.regions())
            return True
        except RefusedError as error:
            if loop.time() > ends:
                print(f"loadtest: {coordinator} cannot be reached: {error}", file=sys.stderr)
                return False
        await asyncio.sleep(0.5)


def _more_files(players: int) -> None:
    """Raise the limit of open files as far as this many bots need and the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 256 + FILES_PER_PLAYER * players
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed: half the cost a packet."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
