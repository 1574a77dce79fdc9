"""How many active players one core holds, and what a player costs: the real edge process beside bare servers, same traffic.

Everybody sends a 40-byte command and gets the state of ten players, both 20 times a second. A server *holds* N players when in
four seconds p99 of its ticks' lateness stays under 10 ms, nothing is lost (at least 97% of the frames due arrive) and nobody is
disconnected. The server has one core, the load generator (C, native/load.c) another. CPU is that of the server process, the
kernel's share included; it is compared at the same number of players in the same run. A server that had to wait for its core
because something else ran there is late through no fault of its own: the row `waited for its core` says how much that was.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from loadtest.bench.report import Row, row, say
from loadtest.bench.servers import (
    EXCLUSIVE,
    Bare,
    BenchError,
    Child,
    Edge,
    Redis,
    compile_native,
    cores,
    edge_config,
    stopping,
    write_tokens,
)

LATE_MS_MAX: Final = 10.0
DELIVERED_MIN: Final = 0.97
STATE_BYTES: Final = 152  # header, own state, two team scores, nine others
COMPARED_AT: Final = 500  # players: the bare servers and every transport
HZ: Final = 20
STEP: Final = 1.25
TRIALS_MAX: Final = 5
PLAYERS_MAX: Final = 4000
WAITED_MAX: Final = 0.02  # share of the time; above it the machine was not quiet
SHARED_BY: Final = 2  # processes of one region
SHARED_PLAYERS: Final = 1000
MODES: Final = "squads,squads,squads,squads,squads,squads,squads,squads,squads,coop"  # a tenth fights waves of NPCs
TARGET_PLAYERS: Final = {"picows": 2000, "websockets": 700}
TARGET_RATIO: Final = 1.5

Start = Callable[[], Sequence[Bare] | Sequence[Edge]]


@dataclass(frozen=True, slots=True)
class Trial:
    """One run. `why` is empty where the players were held. Figures of several processes: the worst; CPU: the sum."""

    players: int
    cpu_us: float  # a player and second
    waited: float  # share of the time that the servers were ready to run and something else ran on their core
    late_ms_p99: float
    load: dict[str, Any]
    server: list[dict[str, Any]]
    why: str


@dataclass(frozen=True, slots=True)
class Setting:
    """What all trials of a run share."""

    tools: dict[str, Path]
    tokens: Path
    seconds: float


def trial(start: Start, players: int, setting: Setting, *, real: bool) -> Trial:
    """Start the server(s), put `players` on them, measure, stop."""
    servers = start()
    with stopping(servers):
        command = [str(setting.tools["load"]), "--clients", str(players), "--seconds", str(setting.seconds)]
        command += ["--ports", ",".join(str(server.port) for server in servers)]
        if real:
            command += ["--tokens", str(setting.tokens), "--modes", MODES, "--ramp", "400", "--patience", "15"]
        load = Child("load", command, cores()[1])
        with stopping([load]):
            load.line(60)
            for server in servers:
                server.begin()
            before = [sum(column) for column in zip(*(server.cpu_us() for server in servers), strict=True)]
            found = load.line(setting.seconds + 30)
            after = [sum(column) for column in zip(*(server.cpu_us() for server in servers), strict=True)]
            cpu_us, waited_us = after[0] - before[0], after[1] - before[1]
            figures = [server.end() for server in servers]
    playing, seconds = int(found["playing"]), float(found["seconds"])
    late = max(float(figure["late_ms_p99"]) for figure in figures)
    cost, waited = cpu_us / max(playing, 1) / seconds, waited_us / 1e6 / seconds / len(servers)
    result = Trial(players, cost, waited, late, found, figures, _why_not(players, found, late))
    held = result.why or "held"
    say(f"    {players} players: {held}; {cost:.0f} us, late p99 {late:.2f} ms, waited for its core {waited:.1%}")
    return result


def _why_not(players: int, found: dict[str, Any], late: float) -> str:
    due = players * HZ * float(found["seconds"])
    if found["send_late_ms_p99"] > LATE_MS_MAX:
        return f"the load generator itself was late ({found['send_late_ms_p99']:.1f} ms)"
    if found["playing"] < players or found["died"]:
        return f"{found['playing']} of {players} play ({found['trouble']})"
    if found["frames"] < DELIVERED_MIN * due:
        return f"{found['frames'] / due:.0%} of the frames arrived"
    return f"late p99 {late:.1f} ms" if late >= LATE_MS_MAX else ""


def most(start: Start, guess: int, setting: Setting) -> tuple[Trial, Trial | None]:
    """The trial at the guess, and the largest that was held: a few steps of 25% up or down from the guess."""
    first = last = trial(start, guess, setting, real=True)
    best = None if last.why else last
    up = not last.why
    for _ in range(TRIALS_MAX - 1):
        players = round(last.players * STEP / 10) * 10 if up else round(last.players / STEP / 10) * 10
        if not 10 <= players <= PLAYERS_MAX:
            break
        last = trial(start, players, setting, real=True)
        if not last.why and (best is None or players > best.players):
            best = last
        if up == bool(last.why):
            break
    return first, best


BARE: Final = (("c", "C with epoll"), ("picows", "picows"), ("websockets", "websockets"))


def _bare(setting: Setting, kind: str) -> Start:
    if kind == "c":
        command = [str(setting.tools["echo"]), str(STATE_BYTES)]
    else:
        command = [sys.executable, "-m", "loadtest.bench.bare", kind, str(STATE_BYTES)]
    return lambda: [Bare(kind, command, cores()[0])]


def run(notes: list[str], *, quick: bool = False) -> list[Row]:
    """All rows; where something cannot be measured its rows are missing and a note says why."""
    rows: list[Row] = []
    server_core, load_core = cores()
    if server_core == load_core:
        notes.append("one core only: server and load generator share it, so every figure is too low")
    if EXCLUSIVE in os.environ:
        notes.append("servers and load ran with real-time priority: other programs used the machine meanwhile")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gameedge-bench-")))
        try:
            tools = compile_native(folder)
        except BenchError as error:
            notes.append(f"nothing measured: {error}")
            return rows
        say("  compiling kernels, where that was not done")
        subprocess.run([sys.executable, "-m", "gameedge.arena.warm"], check=True, timeout=300)
        tokens, public = write_tokens(folder, PLAYERS_MAX)
        setting = Setting(tools, tokens, 2.0 if quick else 4.0)
        compared: dict[str, float] = {}
        for kind, title in BARE:
            say(f"  bare: {title}")
            with _noting(notes, f"bare {title}"):
                compared[kind] = trial(_bare(setting, kind), COMPARED_AT, setting, real=False).cpu_us
                cost = f"CPU a player-second at {COMPARED_AT} players, bare {title}"
                rows.append(row(cost, compared[kind], "us", baseline=compared.get("c")))
        for name in ("picows", "websockets"):
            with _noting(notes, f"whole game, {name}"):
                _run_edge(rows, notes, setting, edge_config(folder, f"bench-{name}", public, transport=name), name, compared, quick)
        with _noting(notes, "several processes of a region"):
            _run_region(rows, notes, setting, folder, public)
    return rows


@contextlib.contextmanager
def _noting(notes: list[str], what: str) -> Iterator[None]:
    try:
        yield
    except BenchError as error:
        notes.append(f"{what}: not measured: {error}")


def _run_edge(
    rows: list[Row], notes: list[str], setting: Setting, config: Path, name: str, compared: dict[str, float], quick: bool
) -> None:
    say(f"  whole game: {name}")

    def start() -> Sequence[Edge]:
        return [Edge(name, config, cores()[0])]

    target = TARGET_PLAYERS[name]
    few = trial(start, COMPARED_AT, setting, real=True)
    cost = f"CPU a player-second at {COMPARED_AT} players, whole game, {name}"
    rows.append(row(cost, few.cpu_us, "us", baseline=compared.get(name)))
    if quick:
        return
    first, best = most(start, target, setting)
    rows.append(row(f"players held, whole game, {name}", best.players if best else 0, "players", at_least=target))
    if best is None:
        notes.append(f"whole game, {name}: no trial was held; at {first.players} players: {first.why}")
        return
    if first.waited > WAITED_MAX:
        notes.append(f"{name}: at {target} players other programs took {first.waited:.0%} of the time from the server: not a quiet machine")
    same = trial(_bare(setting, "c"), best.players, setting, real=False)
    cost = f"CPU a player-second at most players, whole game, {name}, beside C with epoll"
    rows.append(row(cost, best.cpu_us, "us", baseline=same.cpu_us, ratio_at_most=TARGET_RATIO))
    rows.append(row(f"share of the core used at most players, whole game, {name}", best.cpu_us * best.players / 1e6, "share"))
    at = f"at {best.players} players, whole game, {name}"
    server = best.server[0]
    rows.append(row(f"tick lateness p99 {at}", best.late_ms_p99, "ms", at_most=LATE_MS_MAX))
    rows.append(row(f"waited for its core {at}", best.waited, "share"))
    rows.append(row(f"input to snapshot p50 {at}", best.load["input_to_snapshot_ms_p50"], "ms"))
    rows.append(row(f"input to snapshot p99 {at}", best.load["input_to_snapshot_ms_p99"], "ms"))
    rows.append(row(f"NPCs {at}", server["npcs"], "entities"))
    rows.append(row(f"bytes of a snapshot frame {at}", best.load["bytes"] / max(best.load["frames"], 1), "bytes"))
    rows += [row(f"tick stage {stage} {at}", us, "us a tick") for stage, us in server["stage_us"].items()]


def _run_region(rows: list[Row], notes: list[str], setting: Setting, folder: Path, public: str) -> None:
    """One region of several processes with one Redis, its players spread over them by the matcher."""
    say(f"  one region of {SHARED_BY} processes")
    mine = sorted(os.sched_getaffinity(0))
    own = len(mine) > SHARED_BY  # a core for each, and one for the load
    with Redis(folder, mine[-1]) as redis:

        def start() -> Sequence[Edge]:
            names = [f"share-{i}" for i in range(SHARED_BY)]
            configs = [edge_config(folder, name, public, transport="auto", redis=redis.url) for name in names]
            return [Edge(name, config, mine[i] if own else mine[0]) for i, (name, config) in enumerate(zip(names, configs, strict=True))]

        found = trial(start, SHARED_PLAYERS, setting, real=True)
    spread = [server["players"] for server in found.server]
    at = f"at {SHARED_PLAYERS} players, {SHARED_BY} processes of one region"
    rows.append(row(f"CPU a player-second {at}", found.cpu_us, "us"))
    rows.append(row(f"players of the fuller process {at}", max(spread), "players", baseline=SHARED_PLAYERS / SHARED_BY))
    rows.append(row(f"tick lateness p99 {at}", found.late_ms_p99, "ms"))
    if found.why:
        notes.append(f"{SHARED_BY} processes: {found.why}")
    if not own:
        notes.append(
            f"{len(mine)} cores: the {SHARED_BY} processes shared one and the load generator had the other. That shows that players"
            " spread over processes and what a player then costs, not that twice the cores hold twice the players"
        )
