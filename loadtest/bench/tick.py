"""What each stage of the real tick costs with 2,000 players in one process, sockets left out.

The edge process's own `Tick` runs 60 ticks a second of virtual time: 1,800 people in 5v5 and 200 in co-op against 400 NPCs,
each sending 20 commands a second. Connections swallow what they are sent, so `write` is the loop over connections alone; what
sockets add is in `bench transport`.
"""

from time import perf_counter_ns
from typing import Final

from gameedge.arena import Arena
from gameedge.core import limits
from gameedge.core.anticheat.aim import AimModel
from gameedge.core.anticheat.gate import Gate
from gameedge.core.anticheat.watch import Watch
from gameedge.core.errors import ArtifactError
from gameedge.core.ids import PlayerId
from gameedge.core.npc.scripted import ScriptedPolicy
from gameedge.core.protocol.frames import encode_command
from gameedge.edge.inbox import Inbox
from gameedge.edge.table import ConnectionTable
from gameedge.edge.tick import NPC_MODEL, Tick
from gameedge.inference.artifacts import load_aim
from gameedge.inference.engine import Engine
from loadtest.bench.crowd import PATTERNS, open_matches, payloads
from loadtest.bench.report import Row, row
from loadtest.bench.timing import us_each

PLAYERS: Final = 2_000
BUDGET_US: Final = 1e6 / 60
BUDGET_SHARE: Final = 8.0 / 50.0  # what sockets leave of a core at 2,000 players: 8 ms of each 50


class Swallow:
    """A connection that takes everything."""

    remote = "nowhere"
    is_open = True

    def send_text(self, data: bytes) -> None: ...

    def send_binary(self, data: bytes | bytearray | memoryview) -> None: ...

    def send_ping(self, payload: bytes) -> None: ...

    def buffered(self) -> int:
        return 0

    def close(self, code: int, reason: str) -> None: ...

    def abort(self) -> None: ...


def build() -> tuple[Tick, list[int]]:
    """The tick of a full process, and the connection slots of its people."""
    game = Arena()
    people = open_matches(game, PLAYERS)
    table = ConnectionTable(limits.CONNECTIONS_MAX, limits.ENTITIES_MAX, game.spec.snapshot_every)
    watch = Watch(limits.ENTITIES_MAX, _aim_model())
    slots = []
    for entity in people.tolist():
        slot = table.take(Swallow())
        assert slot is not None, "more people than connections"
        table.seat(slot, entity)
        table.rtt_ms[slot] = 40.0
        watch.enter(entity, PlayerId(f"p{entity}"))
        slots.append(slot)
    engine = Engine()
    engine.register(NPC_MODEL, ScriptedPolicy(), limits.ENTITIES_MAX, deadline_ms=2.0, fallback=None)
    inbox = Inbox(limits.INBOX_COMMANDS_MAX, game.spec.command_size)
    return Tick(game, table, inbox, Gate(limits.CONNECTIONS_MAX), engine, watch, lambda outcomes: None), slots


def _aim_model() -> AimModel | None:
    """The model that the edge process watches with, where its weights are there."""
    try:
        return load_aim()
    except ArtifactError:
        return None


def run(notes: list[str], *, quick: bool = False) -> list[Row]:
    tick, slots = build()
    commands = payloads()
    pattern = [bytes(commands[i]) for i in range(PATTERNS)]
    put_ns = _play(tick, slots, pattern, 60, 0)  # compile and fill
    figures = tick.figures
    before, ticks = dict(figures.stage_ns), 120 if quick else 1200
    refused, counted = figures.refused.copy(), figures.commands
    put_ns = _play(tick, slots, pattern, ticks, 60)
    stages = {name: (figures.stage_ns[name] - before[name]) / ticks / 1000 for name in before}
    total = sum(stages.values()) + put_ns / ticks / 1000
    bad = int((figures.refused - refused)[1:].sum())
    if bad:
        notes.append(f"{bad} of {figures.commands - counted} commands were refused: the crowd breaks a rule of the gate")
    if figures.snapshots == 0:
        raise AssertionError("nobody was sent a snapshot")
    rows = [row("inbox: copying what sockets brought", put_ns / ticks / 1000, "us a tick", baseline=None)]
    rows += [row(f"stage {name}", us, "us a tick") for name, us in stages.items()]
    rows.append(row(f"whole tick, {PLAYERS:,} players", total, "us a tick", at_most=BUDGET_SHARE * BUDGET_US))
    rows.append(row("share of the 16.7 ms of a tick", total / BUDGET_US, "share", at_most=BUDGET_SHARE))
    rows.append(row("NPCs", float(len(tick.game.npcs())), "entities"))
    step = stages["step"] / (PLAYERS + len(tick.game.npcs()))
    rows.append(row("step, an entity", step, "us a tick", baseline=_plain_step_us()))
    return rows


def _play(tick: Tick, slots: list[int], pattern: list[bytes], ticks: int, begin: int) -> int:
    """Run ticks of virtual time; nanoseconds that filling the inbox took."""
    took = 0
    for number in range(begin, begin + ticks):
        now_ms = 1000.0 + number * 1000.0 / 60.0
        frames = [
            (
                slot,
                encode_command(number // 3 + 1, int(now_ms), max(tick.tick - 3, 0), pattern[(slot + number // 9) % PATTERNS]),
            )
            for slot in slots[number % 3 :: 3]
        ]
        began = perf_counter_ns()
        put = tick.inbox.put
        for slot, frame in frames:
            put(slot, frame, now_ms)
        took += perf_counter_ns() - began
        tick.run(now_ms)
    return took


def _plain_step_us() -> float:
    """Movement of one entity in plain Python, without collision, sight or weapons."""
    state = [[0.0, 0.0, 0.0, 0.0, 0.7, 0.7] for _ in range(500)]
    dt, speed, acceleration = 1 / 60, 6.0, 60.0 / 60

    def step() -> None:
        for e in state:
            dvx, dvy = e[4] * speed - e[2], e[5] * speed - e[3]
            length = (dvx * dvx + dvy * dvy) ** 0.5
            if length > acceleration:
                dvx, dvy = dvx * acceleration / length, dvy * acceleration / length
            e[2] += dvx
            e[3] += dvy
            e[0] = min(31.5, max(-31.5, e[0] + e[2] * dt))
            e[1] = min(31.5, max(-31.5, e[1] + e[3] * dt))

    return us_each(step, items=len(state))
