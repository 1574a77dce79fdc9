"""How many active players one core holds, and what a player costs: the real edge process beside bare servers, same traffic.

Everybody sends a 40-byte command and gets the state of ten players, both 20 times a second. A server *holds* N players when in
five seconds p99 of its ticks' lateness stays under 10 ms, nothing is lost (at least 97% of the frames due arrive) and nobody is
disconnected. The server has one core, the load generator (C, native/load.c) another. CPU is that of the server process, the
kernel's share included, at a number of players that all servers hold.
"""

import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from loadtest.bench.report import Row, row, say
from loadtest.bench.servers import (
    Bare,
    BenchError,
    Child,
    Edge,
    compile_native,
    cores,
    edge_config,
    stopping,
    write_tokens,
)

LATE_MS_MAX: Final = 10.0
DELIVERED_MIN: Final = 0.97
STATE_BYTES: Final = 152  # header, own state, two team scores, nine others
COMPARED_AT: Final = 500  # players
HZ: Final = 20
STEP: Final = 1.15
TRIALS_MAX: Final = 7
PLAYERS_MAX: Final = 8000
MODES: Final = "squads,squads,squads,squads,squads,squads,squads,squads,squads,coop"  # a tenth fights waves of NPCs
TARGET_PLAYERS: Final = {"picows": 2000, "websockets": 700}
TARGET_RATIO: Final = 1.5

Start = Callable[[], Sequence[Bare] | Sequence[Edge]]


@dataclass(frozen=True, slots=True)
class Trial:
    """One run. `why` is empty where the players were held. Figures of several processes: the worst; CPU: the sum."""

    players: int
    cpu_us: float  # a player and second
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
            before = 0.0
            for server in servers:
                server.begin()
                before += server.cpu_us()
            found = load.line(setting.seconds + 30)
            cpu_us = sum(server.cpu_us() for server in servers) - before
            figures = [server.end() for server in servers]
    playing, seconds = int(found["playing"]), float(found["seconds"])
    late = max(float(figure["late_ms_p99"]) for figure in figures)
    result = Trial(players, cpu_us / max(playing, 1) / seconds, late, found, figures, _why_not(players, found, late))
    say(f"    {players} players: {'held' if not result.why else result.why}; {result.cpu_us:.0f} us, late p99 {late:.2f} ms")
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


def most(start: Start, guess: int, setting: Setting, *, real: bool) -> Trial | None:
    """The largest trial that was held: steps of 15% up or down from a guess, then halfway once."""
    best: Trial | None = None
    failed: int | None = None
    players = guess
    for _ in range(TRIALS_MAX):
        last = trial(start, players, setting, real=real)
        if not last.why:
            best = last
            if failed is not None or players >= PLAYERS_MAX:
                break
            players = min(PLAYERS_MAX, round(players * STEP / 10) * 10)
        else:
            failed = players
            if best is not None:
                break
            players = max(10, round(players / STEP / 10) * 10)
    if best is not None and failed is not None and failed > best.players:
        between = trial(start, (best.players + failed) // 20 * 10, setting, real=real)
        best = best if between.why else between
    return best


def _bare(setting: Setting, kind: str) -> Start:
    if kind == "c":
        command = [str(setting.tools["echo"]), str(STATE_BYTES)]
    else:
        command = [sys.executable, "-m", "loadtest.bench.bare", kind, str(STATE_BYTES)]
    return lambda: [Bare(kind, command, cores()[0])]


BARE: Final = (  # kind, what people call it, a first guess
    ("c", "C with epoll", 2500),
    ("picows", "picows", 2000),
    ("picows-shell", "picows through our shell", 2000),
    ("websockets", "websockets", 700),
    ("websockets-shell", "websockets through our shell", 900),
)


def run(notes: list[str], *, quick: bool = False) -> list[Row]:
    """All rows; where something cannot be measured its rows are missing and a note says why."""
    rows: list[Row] = []
    server_core, load_core = cores()
    if server_core == load_core:
        notes.append("one core only: server and load generator share it, so every figure is too low")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gameedge-bench-")))
        try:
            tools = compile_native(folder)
        except BenchError as error:
            notes.append(f"nothing measured: {error}")
            return rows
        tokens, public = write_tokens(folder, PLAYERS_MAX)
        setting = Setting(tools, tokens, 2.0 if quick else 5.0)
        compared, held = _run_bare(rows, notes, setting, quick)
        for name in ("picows", "websockets"):
            with _noting(notes, f"whole game, {name}"):
                _run_edge(rows, notes, setting, folder, public, name, compared, held, quick)
    return rows


@contextlib.contextmanager
def _noting(notes: list[str], what: str) -> Iterator[None]:
    try:
        yield
    except BenchError as error:
        notes.append(f"{what}: not measured: {error}")


def _run_bare(rows: list[Row], notes: list[str], setting: Setting, quick: bool) -> tuple[dict[str, float], dict[str, float]]:
    compared: dict[str, float] = {}
    held: dict[str, float] = {}
    for kind, title, guess in BARE:
        say(f"  bare: {title}")
        with _noting(notes, f"bare {title}"):
            start = _bare(setting, kind)
            compared[kind] = trial(start, COMPARED_AT, setting, real=False).cpu_us
            cost = f"CPU a player-second at {COMPARED_AT} players, bare {title}"
            rows.append(row(cost, compared[kind], "us", baseline=compared.get("c")))
            best = None if quick else most(start, guess, setting, real=False)
            if best is not None:
                held[kind] = best.players
                rows.append(row(f"players held, bare {title}", best.players, "players", baseline=held.get("c")))
                rows.append(row(f"CPU a player-second at most players, bare {title}", best.cpu_us, "us"))
    return compared, held


def _run_edge(
    rows: list[Row],
    notes: list[str],
    setting: Setting,
    folder: Path,
    public: str,
    name: str,
    compared: dict[str, float],
    held: dict[str, float],
    quick: bool,
) -> None:
    say(f"  whole game: {name}")
    config = edge_config(folder, f"bench-{name}", public, transport=name)

    def start() -> Sequence[Edge]:
        return [Edge(name, config, cores()[0])]

    first = trial(start, COMPARED_AT, setting, real=True)
    cost = f"CPU a player-second at {COMPARED_AT} players, whole game, {name}"
    rows.append(row(cost, first.cpu_us, "us", baseline=compared.get("c"), ratio_at_most=TARGET_RATIO))
    best = first if quick else most(start, TARGET_PLAYERS[name], setting, real=True)
    if best is None:
        notes.append(f"whole game, {name}: no number of players was held; the last trial says why on stderr")
        return
    title = f"players held, whole game, {name}"
    rows.append(row(title, best.players, "players", baseline=held.get(name), at_least=TARGET_PLAYERS[name]))
    at = f"at {best.players} players, whole game, {name}"
    rows.append(row(f"CPU a player-second {at}", best.cpu_us, "us"))
    rows.append(row(f"tick lateness p99 {at}", best.late_ms_p99, "ms", at_most=LATE_MS_MAX))
    rows.append(row(f"input to snapshot p50 {at}", best.load["input_to_snapshot_ms_p50"], "ms"))
    rows.append(row(f"input to snapshot p99 {at}", best.load["input_to_snapshot_ms_p99"], "ms"))
    rows.append(row(f"NPCs {at}", best.server[0]["npcs"], "entities"))
    for stage, us in best.server[0]["stage_us"].items():
        rows.append(row(f"tick stage {stage} {at}", us, "us a tick"))
