"""The arena's payloads inside `gameedge.v1` frames: what a client of the reference game writes and reads, little-endian.

Command payload, 24 bytes: three sub-ticks (60 Hz within a 20 Hz command), oldest first, each 8 bytes:

    i16 aim_x, i16 aim_y   cursor relative to the own position, 1/32 world unit
    i8 move_x, i8 move_y   wanted direction, 127 = full speed (longer vectors are shortened to full speed)
    u8 buttons             bit 0: fire (held); others must be 0
    u8 dt_ms               time since the sub-tick before, own clock; 0 counts as 1/60 s

Snapshot payload: 20 bytes of the viewer's own state, then team scores, visible others, events:

    u8 seat, u8 flags (bit 0 alive), u8 health (0-100), u8 cooldown_ticks
    i16 x, i16 y, i16 vx, i16 vy      1/64 world unit (a second)
    u16 remaining_ds                  of the match, tenths of a second
    u8 respawn_ticks, u8 teams (T)
    u16 score, u8 others (E), u8 events (V)
    T x i16                           team scores
    E x 12: u8 seat, u8 flags (bits 0-2 team, 3 alive, 4 NPC, 5 fired since the last snapshot), i16 x, i16 y (1/64 unit),
            i8 vx, i8 vy (1/16 unit/s), u16 aim (65536 = full turn, 0 = +x, counter-clockwise), u8 health, u8 0
    V x 4:  u8 kind (1 hit, 2 kill, 3 respawn), u8 by seat, u8 of seat, u8 value (damage; 0 otherwise)

A spectator's is the same with own seat 255 and everybody among the others, not alive, in the middle of the map.
Dead players see nobody but their own team. Walls are static and never sent: clients have the map (docs/protocol.md).
"""

import struct
from typing import Final, NamedTuple

SUBTICKS: Final = 3
COMMAND_SIZE: Final = 24
SELF_SIZE: Final = 20
OTHER_SIZE: Final = 12
EVENT_SIZE: Final = 4
TEAMS_MAX: Final = 8
OTHERS_MAX: Final = 31
EVENTS_MAX: Final = 16
SPECTATOR: Final = 255  # the own seat in what a spectator sees; all seats are among the others then
SNAPSHOT_SIZE_MAX: Final = SELF_SIZE + 2 * TEAMS_MAX + OTHER_SIZE * OTHERS_MAX + EVENT_SIZE * EVENTS_MAX  # 472
SPECTATE_SIZE_MAX: Final = SNAPSHOT_SIZE_MAX + OTHER_SIZE

AIM_SCALE: Final = 32.0
POSITION_SCALE: Final = 64.0
OTHER_SPEED_SCALE: Final = 16.0
TURN: Final = 65_536
FIRE: Final = 1
HIT: Final = 1
KILL: Final = 2
RESPAWN: Final = 3

_SUBTICK: Final = struct.Struct("<hhbbBB")
_SELF: Final = struct.Struct("<BBBBhhhhHBBHBB")
_OTHER: Final = struct.Struct("<BBhhbbHBB")
_EVENT: Final = struct.Struct("<BBBB")


class Subtick(NamedTuple):
    """World units; `move` components in -1 to 1."""

    aim_x: float
    aim_y: float
    move_x: float
    move_y: float
    fire: bool
    dt_ms: int = 17


class Other(NamedTuple):
    seat: int
    team: int
    alive: bool
    npc: bool
    fired: bool
    x: float
    y: float
    vx: float
    vy: float
    aim: float  # turns, 0 to 1
    health: int


class Event(NamedTuple):
    kind: int
    by: int
    of: int
    value: int


class View(NamedTuple):
    """One snapshot in world units."""

    seat: int
    alive: bool
    health: int
    cooldown_ticks: int
    x: float
    y: float
    vx: float
    vy: float
    remaining_ms: int
    respawn_ticks: int
    score: int
    team_scores: tuple[int, ...]
    others: tuple[Other, ...]
    events: tuple[Event, ...]


def _clip(value: float, scale: float, bound: int) -> int:
    return max(-bound, min(bound, round(value * scale)))


def encode_command(subticks: tuple[Subtick, Subtick, Subtick]) -> bytes:
    """The payload of one command; values outside the format are clipped to it."""
    return b"".join(
        _SUBTICK.pack(
            _clip(s.aim_x, AIM_SCALE, 32_767),
            _clip(s.aim_y, AIM_SCALE, 32_767),
            _clip(s.move_x, 127.0, 127),
            _clip(s.move_y, 127.0, 127),
            FIRE if s.fire else 0,
            max(0, min(255, s.dt_ms)),
        )
        for s in subticks
    )


def decode_snapshot(data: bytes) -> View | None:
    """One snapshot payload, or None where it is not one."""
    if len(data) < SELF_SIZE:
        return None
    (seat, flags, health, cooldown, x, y, vx, vy, remaining, respawn, teams, score, others, events) = _SELF.unpack_from(data)
    others_at = SELF_SIZE + 2 * teams
    events_at = others_at + OTHER_SIZE * others
    if len(data) != events_at + EVENT_SIZE * events:
        return None
    return View(
        seat=seat,
        alive=bool(flags & 1),
        health=health,
        cooldown_ticks=cooldown,
        x=x / POSITION_SCALE,
        y=y / POSITION_SCALE,
        vx=vx / POSITION_SCALE,
        vy=vy / POSITION_SCALE,
        remaining_ms=remaining * 100,
        respawn_ticks=respawn,
        score=score,
        team_scores=struct.unpack_from(f"<{teams}h", data, SELF_SIZE),
        others=tuple(_other(data, others_at + OTHER_SIZE * i) for i in range(others)),
        events=tuple(Event(*_EVENT.unpack_from(data, events_at + EVENT_SIZE * i)) for i in range(events)),
    )


def _other(data: bytes, at: int) -> Other:
    seat, flags, x, y, vx, vy, aim, health, _ = _OTHER.unpack_from(data, at)
    return Other(
        seat=seat,
        team=flags & 7,
        alive=bool(flags & 8),
        npc=bool(flags & 16),
        fired=bool(flags & 32),
        x=x / POSITION_SCALE,
        y=y / POSITION_SCALE,
        vx=vx / OTHER_SPEED_SCALE,
        vy=vy / OTHER_SPEED_SCALE,
        aim=aim / TURN,
        health=health,
    )
