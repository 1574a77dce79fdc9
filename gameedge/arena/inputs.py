"""Kernels that take what players and NPCs want, and the movement that follows from it."""

import numpy as np
from numpy.typing import NDArray

from gameedge.arena.geometry import NEAR_WALLS, WALLS, cell_of
from gameedge.arena.settings import (
    ACCELERATION,
    BUFFER_KEEP,
    CURSOR_MAX,
    DT,
    FLIP,
    HISTORY,
    RADIUS,
    REPEAT_TICKS,
    REWIND_TICKS_MAX,
    SEEN_TICKS_MAX,
    SIZE,
    SPEED_MAX,
    TICK_MS,
)
from gameedge.arena.world import (
    AGO,
    ALIVE,
    AX,
    AY,
    COOLDOWN,
    COUNT,
    DX,
    DY,
    FIRE,
    FRESH,
    HEAD,
    HUMAN,
    MX,
    MY,
    R_AX,
    R_AY,
    R_FIRE,
    R_MX,
    R_MY,
    R_SEEN,
    REWIND,
    RUNNING,
    SEATS,
    SLOT,
    STALE,
    STATE,
    TICK,
    VX,
    VY,
    World,
    X,
    Y,
)
from gameedge.core.game import ACCEPTED, BAD_PAYLOAD, MOVE_BOUND, TURN_BOUND
from gameedge.core.kernel import kernel
from gameedge.core.limits import INPUT_BUFFER_SUBTICKS
from gameedge.core.npc import action
from gameedge.core.protocol.arena_v1 import AIM_SCALE, SUBTICKS

_SUBTICK_BYTES = 8


@kernel
def signed16(payloads: NDArray[np.uint8], i: int, at: int) -> int:
    """A little-endian i16 of row i."""
    value = int(payloads[i, at]) | (int(payloads[i, at + 1]) << 8)
    return value - 65_536 if value >= 32_768 else value


@kernel
def signed8(payloads: NDArray[np.uint8], i: int, at: int) -> int:
    """An i8 of row i."""
    value = int(payloads[i, at])
    return value - 256 if value >= 128 else value


@kernel
def refusal(payloads: NDArray[np.uint8], i: int) -> int:
    """Why row i is no command that a client can make (game.ACCEPTED: it is one)."""
    last_x, last_y, last_dx, last_dy = 0.0, 0.0, 0.0, 0.0
    for k in range(SUBTICKS):
        at = k * _SUBTICK_BYTES
        if payloads[i, at + 6] > 1:
            return BAD_PAYLOAD
        if payloads[i, at + 4] == 128 or payloads[i, at + 5] == 128:  # -128: encoders stop at -127
            return MOVE_BOUND
        x, y = signed16(payloads, i, at) / AIM_SCALE, signed16(payloads, i, at + 2) / AIM_SCALE
        if x * x + y * y > CURSOR_MAX * CURSOR_MAX:
            return TURN_BOUND
        if k > 0:
            dx, dy = x - last_x, y - last_y
            far = dx * dx + dy * dy > FLIP * FLIP and last_dx * last_dx + last_dy * last_dy > FLIP * FLIP
            if far and dx * last_dx + dy * last_dy < 0.0:
                return TURN_BOUND
            last_dx, last_dy = dx, dy
        last_x, last_y = x, y
    return ACCEPTED


@kernel
def receive(
    w: World,
    entities: NDArray[np.int32],
    payloads: NDArray[np.uint8],
    sequence: NDArray[np.int64],
    rewind_ms: NDArray[np.float32],
    reasons: NDArray[np.uint8],
) -> None:
    """See Game.receive. Rows of entities that nobody plays as a human are dropped silently: the seat was just handed over."""
    n = w.n
    for i in range(entities.shape[0]):
        e = entities[i]
        if reasons[i] != 0:
            continue
        if e < 0 or e >= n.shape[1]:
            reasons[i] = BAD_PAYLOAD
            continue
        reasons[i] = refusal(payloads, i)
        if reasons[i] != 0 or n[SLOT, e] < 0 or n[HUMAN, e] == 0:
            continue
        rewind = rewind_ms[i] / TICK_MS
        if not rewind > 0.0:  # NaN too
            rewind = 0.0
        rewind = min(rewind, float(SEEN_TICKS_MAX))
        for k in range(SUBTICKS):
            if n[COUNT, e] == INPUT_BUFFER_SUBTICKS:  # drop oldest
                w.processed[e] = max(w.processed[e], w.ring_sequence[e, n[HEAD, e]])
                n[HEAD, e] = (n[HEAD, e] + 1) % INPUT_BUFFER_SUBTICKS
                n[COUNT, e] -= 1
            at = k * _SUBTICK_BYTES
            tail = (n[HEAD, e] + n[COUNT, e]) % INPUT_BUFFER_SUBTICKS
            w.ring[e, tail, R_AX] = signed16(payloads, i, at) / AIM_SCALE
            w.ring[e, tail, R_AY] = signed16(payloads, i, at + 2) / AIM_SCALE
            w.ring[e, tail, R_MX] = signed8(payloads, i, at + 4) / 127.0
            w.ring[e, tail, R_MY] = signed8(payloads, i, at + 5) / 127.0
            # The moment that the client saw, so that waiting in this buffer does not move its targets: back from the coming step.
            w.ring[e, tail, R_SEEN] = w.m[TICK, n[SLOT, e]] + 1 - rewind
            w.ring[e, tail, R_FIRE] = payloads[i, at + 6]
            w.ring_sequence[e, tail] = sequence[i] if k == SUBTICKS - 1 else 0
            n[COUNT, e] += 1


@kernel
def act(w: World, entities: NDArray[np.int32], actions: NDArray[np.float32]) -> None:
    """See Game.act. Rows of entities that no NPC plays are ignored."""
    f, n = w.f, w.n
    for i in range(entities.shape[0]):
        e = entities[i]
        if e < 0 or e >= n.shape[1] or n[SLOT, e] < 0 or n[HUMAN, e] == 1:
            continue
        finite = True
        for k in range(action.ACTION_SIZE):
            finite = finite and abs(actions[i, k]) <= 1e6
        n[FRESH, e] = 1
        if not finite:
            f[MX, e], f[MY, e] = 0.0, 0.0
            n[FIRE, e] = 0
            continue
        f[MX, e] = actions[i, action.MOVE_X]
        f[MY, e] = actions[i, action.MOVE_Y]
        ax, ay = actions[i, action.AIM_X] * action.AIM_UNIT, actions[i, action.AIM_Y] * action.AIM_UNIT
        length = np.sqrt(ax * ax + ay * ay)
        shrink = CURSOR_MAX / length if length > CURSOR_MAX else 1.0
        f[AX, e], f[AY, e] = ax * shrink, ay * shrink
        n[FIRE, e] = 1 if actions[i, action.FIRE] > 0.5 else 0


@kernel
def take_input(
    f: NDArray[np.float64],
    n: NDArray[np.int32],
    ring: NDArray[np.float32],
    ring_sequence: NDArray[np.int64],
    processed: NDArray[np.int64],
    e: int,
    tick: int,
) -> None:
    """Move one sub-tick of a human, or an NPC's action, into use; without one go on for REPEAT_TICKS and then stop."""
    if n[HUMAN, e] == 1 and n[COUNT, e] > 0:
        fire = 0
        for _ in range(2 if n[COUNT, e] > BUFFER_KEEP else 1):
            head = n[HEAD, e]
            f[AX, e], f[AY, e] = ring[e, head, R_AX], ring[e, head, R_AY]
            f[MX, e], f[MY, e] = ring[e, head, R_MX], ring[e, head, R_MY]
            f[AGO, e] = min(max(tick - ring[e, head, R_SEEN], 0.0), float(SEEN_TICKS_MAX))
            f[REWIND, e] = min(f[AGO, e], float(REWIND_TICKS_MAX))
            fire |= int(ring[e, head, R_FIRE])
            processed[e] = max(processed[e], ring_sequence[e, head])
            n[HEAD, e] = (head + 1) % INPUT_BUFFER_SUBTICKS
            n[COUNT, e] -= 1
        n[FIRE, e] = fire
        n[STALE, e] = 0
    elif n[HUMAN, e] == 0 and n[FRESH, e] == 1:
        n[FRESH, e] = 0
        n[STALE, e] = 0
        f[REWIND, e] = f[AGO, e] = 0.0
    else:
        n[FIRE, e] = 0
        n[STALE, e] += 1
        if n[STALE, e] > REPEAT_TICKS:
            f[MX, e], f[MY, e] = 0.0, 0.0
    length = np.sqrt(f[AX, e] * f[AX, e] + f[AY, e] * f[AY, e])
    if length > 1e-6:
        f[DX, e], f[DY, e] = f[AX, e] / length, f[AY, e] / length


@kernel
def collide(f: NDArray[np.float64], e: int) -> None:
    """Push a disc out of walls and the world's edge, and take away the part of its velocity that goes into them."""
    bits = NEAR_WALLS[cell_of(f[X, e], f[Y, e])]
    wall = 0
    while bits != 0:
        if bits & 1:
            x, y = f[X, e], f[Y, e]
            dx = x - min(max(x, WALLS[wall, 0]), WALLS[wall, 2])
            dy = y - min(max(y, WALLS[wall, 1]), WALLS[wall, 3])
            square = dx * dx + dy * dy
            if 1e-18 < square < RADIUS * RADIUS:  # a centre cannot get inside: a tick's way is a fifth of the radius
                distance = np.sqrt(square)
                nx, ny = dx / distance, dy / distance
                f[X, e] += nx * (RADIUS - distance)
                f[Y, e] += ny * (RADIUS - distance)
                into = f[VX, e] * nx + f[VY, e] * ny
                if into < 0.0:
                    f[VX, e] -= into * nx
                    f[VY, e] -= into * ny
        bits >>= 1
        wall += 1
    if f[X, e] < RADIUS or f[X, e] > SIZE - RADIUS:
        f[X, e] = min(max(f[X, e], RADIUS), SIZE - RADIUS)
        f[VX, e] = 0.0
    if f[Y, e] < RADIUS or f[Y, e] > SIZE - RADIUS:
        f[Y, e] = min(max(f[Y, e], RADIUS), SIZE - RADIUS)
        f[VY, e] = 0.0


@kernel
def move(f: NDArray[np.float64], e: int) -> None:
    """One tick of acceleration towards the wanted velocity, movement and collision."""
    mx, my = f[MX, e], f[MY, e]
    length = np.sqrt(mx * mx + my * my)
    if length > 1.0:
        mx, my = mx / length, my / length
    dvx, dvy = mx * SPEED_MAX - f[VX, e], my * SPEED_MAX - f[VY, e]
    change = np.sqrt(dvx * dvx + dvy * dvy)
    if change > ACCELERATION * DT:
        dvx, dvy = dvx * (ACCELERATION * DT / change), dvy * (ACCELERATION * DT / change)
    f[VX, e] += dvx
    f[VY, e] += dvy
    f[X, e] += f[VX, e] * DT
    f[Y, e] += f[VY, e] * DT
    collide(f, e)


@kernel
def advance(w: World) -> None:
    """Begin a tick in every running match: inputs, movement, history."""
    f, n, m, rows, history, cursor = w.f, w.n, w.m, w.rows, w.history, w.cursor
    ring, ring_sequence, processed = w.ring, w.ring_sequence, w.processed
    for slot in range(m.shape[1]):
        if m[STATE, slot] != RUNNING:
            continue
        m[TICK, slot] += 1
        now = m[TICK, slot] & (HISTORY - 1)
        for seat in range(m[SEATS, slot]):
            e = rows[slot, seat]
            take_input(f, n, ring, ring_sequence, processed, e, m[TICK, slot])
            if n[ALIVE, e] == 1:
                n[COOLDOWN, e] = max(n[COOLDOWN, e] - 1, 0)
                move(f, e)
            history[e, now, 0], history[e, now, 1] = f[X, e], f[Y, e]
            cursor[e, now, 0], cursor[e, now, 1] = f[X, e] + f[AX, e], f[Y, e] + f[AY, e]
