"""What each stage of the real tick costs, sockets left out, for 256 to 4,096 entities in one process.

The edge process's own `Tick` runs 60 ticks a second of virtual time: five sixths of the entities are people (nine tenths of them
in 5v5, the rest in co-op) who send 20 commands a second each, one sixth NPCs. Connections swallow what they are sent. What it
costs to hand frames to and from connections one by one (where the express lane cannot be used) stands apart; what sockets cost is
in `bench transport`. The baseline of `step` is the same
movement and line of sight in plain numpy (plain.py), of the whole tick none: nobody wrote this game twice.
"""

from time import perf_counter_ns
from typing import Final

import numpy as np

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
from loadtest.bench.plain import numpy_step_us
from loadtest.bench.report import Row, row

ENTITIES: Final = (256, 1_024, 2_000, 4_096)
PEOPLE: Final = 5 / 6
TARGET_AT: Final = 2_000
ROOM: Final = limits.ENTITIES_MAX + 64  # the last match is not full
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


def build(entities: int) -> tuple[Tick, list[int]]:
    """The tick of a full process, and the connection slots of its people."""
    game = Arena(entities_max=ROOM)
    people = open_matches(game, int(entities * PEOPLE))
    table = ConnectionTable(limits.CONNECTIONS_MAX, ROOM, game.spec.snapshot_every)
    watch = Watch(ROOM, _aim_model())
    slots = []
    for entity in people.tolist():
        slot = table.take(Swallow())
        assert slot is not None, "more people than connections"
        table.seat(slot, entity)
        table.rtt_ms[slot] = 40.0
        watch.enter(entity, PlayerId(f"p{entity}"))
        slots.append(slot)
    engine = Engine(entities_max=ROOM)
    engine.register(NPC_MODEL, ScriptedPolicy(entities_max=ROOM), ROOM, deadline_ms=2.0, fallback=None)
    inbox = Inbox(limits.INBOX_COMMANDS_MAX, game.spec.command_size)
    return Tick(game, table, inbox, Gate(limits.CONNECTIONS_MAX), engine, watch, lambda outcomes: None), slots


def _aim_model() -> AimModel | None:
    """The model that the edge process watches with, where its weights are there."""
    try:
        return load_aim()
    except ArtifactError:
        return None


def run(notes: list[str], *, quick: bool = False) -> list[Row]:
    return [one for entities in ENTITIES for one in _measure(entities, notes, 60 if quick else 900)]


def _measure(entities: int, notes: list[str], ticks: int) -> list[Row]:
    """Rows of one size; every figure is the median of `ticks` ticks (snapshots are spread evenly over them)."""
    tick, slots = build(entities)
    commands = payloads()
    pattern = [bytes(commands[i]) for i in range(PATTERNS)]
    _play(tick, slots, pattern, 60, 0)  # compile and fill
    figures = tick.figures
    refused, counted = figures.refused.copy(), figures.commands
    took: list[list[int]] = []
    for number in range(60, 60 + ticks):
        before = list(figures.stage_ns.values())
        put_ns = _play(tick, slots, pattern, 1, number)
        took.append([after - began for after, began in zip(figures.stage_ns.values(), before, strict=True)] + [put_ns])
    us = np.median(np.array(took), axis=0) / 1000
    stages = dict(zip(figures.stage_ns, us[:-1].tolist(), strict=True))
    one_by_one = stages.pop("write") + float(us[-1])
    total = sum(stages.values())
    if bad := int((figures.refused - refused)[1:].sum()):
        notes.append(f"{bad} of {figures.commands - counted} commands were refused: the crowd breaks a rule of the gate")
    if figures.snapshots == 0:
        raise AssertionError("nobody was sent a snapshot")
    at = f"{entities:,} entities"
    plain = numpy_step_us(entities)
    rows = [row(f"stage {name}, {at}", cost, "us a tick", baseline=plain if name == "step" else None) for name, cost in stages.items()]
    most = BUDGET_SHARE * BUDGET_US if entities == TARGET_AT else None
    rows.append(row(f"frames in and out one by one, {at}", one_by_one, "us a tick"))
    rows.append(row(f"whole tick but sockets, {at}", total, "us a tick", at_most=most))
    rows.append(row(f"share of a core, {at}", total / BUDGET_US, "share", at_most=BUDGET_SHARE if entities == TARGET_AT else None))
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
