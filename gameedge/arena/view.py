"""Kernels that tell players and NPCs what they may know: snapshots in `arena_v1`'s format, and observations.

Fog of war. An enemy is in a snapshot only when `shown` says so: both are alive, and

    1. the viewer sees the enemy's disc now (`combat.first_blocker`: middle or an edge, within SIGHT, no wall between), or
    2. with both moved straight on by their present velocity for t, one of these lines between the middles is clear and within
       SIGHT: (viewer t/2, enemy t/2), (viewer t, enemy t), (viewer now, enemy t), (viewer t, enemy now), t = LOOKAHEAD_S.

The second part is what lets a client draw an enemy in the moment it steps out, in spite of the delay of a snapshot. It is also
all that a cheat that reads the traffic can gain. Positions that would be outside the world or inside a wall are never clear.
"""

import numpy as np
from numpy.typing import NDArray

from gameedge.arena.combat import first_blocker
from gameedge.arena.geometry import CLEAR, Bits, blocker, free_ray, turn_of
from gameedge.arena.settings import COOLDOWN_TICKS, EVENTS, HEALTH_MAX, LOOKAHEAD_S, SIGHT, SIZE, TICK_HZ
from gameedge.arena.world import (
    ALIVE,
    COOLDOWN,
    DX,
    DY,
    END,
    EVENT_COUNT,
    FIRED,
    FREE,
    HEALTH,
    HUMAN,
    HURT,
    LEVEL,
    RESPAWN,
    SCORE,
    SEAT,
    SEATS,
    SHOWN,
    SLOT,
    SNAPPED,
    STATE,
    STYLE,
    TEAM,
    TEAMS,
    TICK,
    VX,
    VY,
    World,
    X,
    Y,
)
from gameedge.core.kernel import kernel
from gameedge.core.npc import observation as o
from gameedge.core.protocol import arena_v1 as v1

Doubles = NDArray[np.float64]
Ints = NDArray[np.int32]


@kernel
def ahead(f: Doubles, between: Bits, a: int, a_s: float, b: int, b_s: float, hint: int) -> bool:
    """Whether the line between two entities, each moved on for its own time in s, is clear and within SIGHT."""
    ax, ay = f[X, a] + f[VX, a] * a_s, f[Y, a] + f[VY, a] * a_s
    bx, by = f[X, b] + f[VX, b] * b_s, f[Y, b] + f[VY, b] * b_s
    if (bx - ax) * (bx - ax) + (by - ay) * (by - ay) > SIGHT * SIGHT:
        return False
    return bool(blocker(between, ax, ay, bx, by, hint) == CLEAR)


@kernel
def shown(f: Doubles, between: Bits, viewer: int, enemy: int, hint: int) -> bool:
    """Whether a living enemy belongs in a living viewer's snapshot (see the top of this file); `hint` as in `blocker`."""
    t = LOOKAHEAD_S
    hint = first_blocker(between, f[X, viewer], f[Y, viewer], f[X, enemy], f[Y, enemy], hint)
    return (
        hint == CLEAR
        or ahead(f, between, viewer, t, enemy, t, hint)
        or ahead(f, between, viewer, t / 2.0, enemy, t / 2.0, hint)
        or ahead(f, between, viewer, 0.0, enemy, t, hint)
        or ahead(f, between, viewer, t, enemy, 0.0, hint)
    )


@kernel
def put16(out: NDArray[np.uint8], i: int, at: int, value: float) -> None:
    """Write a rounded number as a little-endian i16 (or u16: the same bits), clipped to what 16 bits hold."""
    whole = int(np.floor(value + 0.5))
    whole = min(max(whole, -32_768), 65_535)
    out[i, at] = whole & 255
    out[i, at + 1] = (whole >> 8) & 255


@kernel
def put8(out: NDArray[np.uint8], i: int, at: int, value: float) -> None:
    """Write a rounded number as an i8, clipped."""
    out[i, at] = min(max(int(np.floor(value + 0.5)), -127), 127) & 255


@kernel
def write_self(f: Doubles, n: Ints, m: Ints, scores: Ints, e: int, slot: int, out: NDArray[np.uint8], i: int) -> None:
    """The viewer's own part of a snapshot and the team scores."""
    out[i, 0], out[i, 1] = n[SEAT, e], n[ALIVE, e]
    out[i, 2], out[i, 3] = int(np.ceil(f[HEALTH, e])), n[COOLDOWN, e]
    put16(out, i, 4, f[X, e] * v1.POSITION_SCALE)
    put16(out, i, 6, f[Y, e] * v1.POSITION_SCALE)
    put16(out, i, 8, f[VX, e] * v1.POSITION_SCALE)
    put16(out, i, 10, f[VY, e] * v1.POSITION_SCALE)
    put16(out, i, 12, max(m[END, slot] - m[TICK, slot], 0) * 10.0 / TICK_HZ)
    out[i, 14], out[i, 15] = min(max(n[RESPAWN, e], 0), 255), m[TEAMS, slot]
    put16(out, i, 16, min(n[SCORE, e], 65_535))
    for team in range(m[TEAMS, slot]):
        put16(out, i, v1.SELF_SIZE + 2 * team, min(scores[slot, team], 32_767))


@kernel
def write_other(f: Doubles, n: Ints, other: int, since: int, out: NDArray[np.uint8], i: int, at: int) -> None:
    """One visible entity; `since` is the tick of the viewer's last snapshot."""
    flags = n[TEAM, other] | (n[ALIVE, other] << 3) | ((1 - n[HUMAN, other]) << 4)
    out[i, at] = n[SEAT, other]
    out[i, at + 1] = flags | 32 if n[FIRED, other] > since else flags
    put16(out, i, at + 2, f[X, other] * v1.POSITION_SCALE)
    put16(out, i, at + 4, f[Y, other] * v1.POSITION_SCALE)
    put8(out, i, at + 6, f[VX, other] * v1.OTHER_SPEED_SCALE)
    put8(out, i, at + 7, f[VY, other] * v1.OTHER_SPEED_SCALE)
    turn = int(turn_of(f[DX, other], f[DY, other]) * v1.TURN) & 65_535
    out[i, at + 8], out[i, at + 9] = turn & 255, turn >> 8
    out[i, at + 10], out[i, at + 11] = int(np.ceil(f[HEALTH, other])), 0


@kernel
def concerns(events: NDArray[np.uint8], n: Ints, rows: Ints, slot: int, e: int, at: int) -> bool:
    """Whether an event is told to a viewer: its own hits, all kills, its team's returns."""
    kind, by, of = events[slot, at, 0], events[slot, at, 1], events[slot, at, 2]
    seat = n[SEAT, e]
    if kind == v1.HIT:
        return bool(by == seat or of == seat)
    if kind == v1.RESPAWN:
        return bool(n[TEAM, rows[slot, of]] == n[TEAM, e])
    return True


@kernel
def write_events(
    events: NDArray[np.uint8], n: Ints, rows: Ints, count: int, e: int, slot: int, out: NDArray[np.uint8], i: int, at: int
) -> int:
    """The newest EVENTS_MAX of a match's `count` events that this viewer was not sent yet; returns how many."""
    first = max(n[SHOWN, e], count - EVENTS)
    n[SHOWN, e] = count
    concerned = 0
    for event in range(first, count):
        concerned += concerns(events, n, rows, slot, e, event & (EVENTS - 1))
    skip, written = max(concerned - v1.EVENTS_MAX, 0), 0
    for event in range(first, count):
        ring = event & (EVENTS - 1)
        if not concerns(events, n, rows, slot, e, ring):
            continue
        if skip > 0:
            skip -= 1
            continue
        for k in range(v1.EVENT_SIZE):
            out[i, at + v1.EVENT_SIZE * written + k] = events[slot, ring, k]
        written += 1
    return written


@kernel
def snapshot(w: World, viewers: Ints, out: NDArray[np.uint8], sizes: Ints, processed: NDArray[np.int64]) -> None:
    """See Game.snapshot. Viewers that are in no open match get size 0."""
    f, n, m, rows, between, hidden_by = w.f, w.n, w.m, w.rows, w.between, w.hidden_by
    for i in range(viewers.shape[0]):
        e = viewers[i]
        sizes[i], processed[i] = 0, 0
        if e < 0 or e >= n.shape[1] or n[SLOT, e] < 0:
            continue
        slot, since = n[SLOT, e], n[SNAPPED, e]
        n[SNAPPED, e] = m[TICK, slot]
        write_self(f, n, m, w.scores, e, slot, out, i)
        others, at = 0, v1.SELF_SIZE + 2 * m[TEAMS, slot]
        alive = n[ALIVE, e] == 1
        for seat in range(m[SEATS, slot]):
            other = rows[slot, seat]
            if other == e:
                continue
            fogged = n[TEAM, other] != n[TEAM, e]
            if fogged and not (alive and n[ALIVE, other] == 1 and shown(f, between, e, other, hidden_by[e, seat])):
                continue
            write_other(f, n, other, since, out, i, at)
            others, at = others + 1, at + v1.OTHER_SIZE
        events = write_events(w.events, n, rows, m[EVENT_COUNT, slot], e, slot, out, i, at)
        out[i, 18], out[i, 19] = others, events
        sizes[i] = at + v1.EVENT_SIZE * events
        processed[i] = w.processed[e]


@kernel
def spectate(w: World, slot: int, since: int, shown_events: int, out: NDArray[np.uint8]) -> int:
    """A whole match as a snapshot without fog in row 0 of `out`; its size, 0 where `slot` is not open.

    `since` is the tick of the snapshot before, `shown_events` how many events had been told then.
    """
    f, n, m, rows, events = w.f, w.n, w.m, w.rows, w.events
    if slot < 0 or slot >= m.shape[1] or m[STATE, slot] == FREE:
        return 0
    out[0, : v1.SELF_SIZE] = 0
    out[0, 0], out[0, 15] = v1.SPECTATOR, m[TEAMS, slot]
    put16(out, 0, 4, SIZE / 2.0 * v1.POSITION_SCALE)
    put16(out, 0, 6, SIZE / 2.0 * v1.POSITION_SCALE)
    put16(out, 0, 12, max(m[END, slot] - m[TICK, slot], 0) * 10.0 / TICK_HZ)
    for team in range(m[TEAMS, slot]):
        put16(out, 0, v1.SELF_SIZE + 2 * team, min(w.scores[slot, team], 32_767))
    others, at = 0, v1.SELF_SIZE + 2 * m[TEAMS, slot]
    for seat in range(m[SEATS, slot]):
        row = rows[slot, seat]
        if n[ALIVE, row] == 0 and n[RESPAWN, row] < 0:
            continue  # waits for its wave: it is nowhere yet
        write_other(f, n, row, since, out, 0, at)
        others, at = others + 1, at + v1.OTHER_SIZE
    count = m[EVENT_COUNT, slot]
    first = max(shown_events, count - min(EVENTS, v1.EVENTS_MAX))
    for event in range(first, count):
        for k in range(v1.EVENT_SIZE):
            out[0, at + k] = events[slot, event & (EVENTS - 1), k]
        at += v1.EVENT_SIZE
    out[0, 18], out[0, 19] = others, max(count - first, 0)
    return int(at)


@kernel
def clip(value: float) -> float:
    """To -1 to 1."""
    return min(max(value, -1.0), 1.0)


@kernel
def write_own(w: World, e: int, slot: int, row: NDArray[np.float32]) -> None:
    """The OWN and RAYS parts of an observation."""
    f, n, m = w.f, w.n, w.m
    tick = m[TICK, slot]
    row[o.ALIVE] = 1.0
    row[o.X] = (f[X, e] - o.POSITION_UNIT) / o.POSITION_UNIT
    row[o.Y] = (f[Y, e] - o.POSITION_UNIT) / o.POSITION_UNIT
    row[o.VX], row[o.VY] = f[VX, e] / o.SPEED_UNIT, f[VY, e] / o.SPEED_UNIT
    row[o.HEALTH] = f[HEALTH, e] / HEALTH_MAX
    row[o.COOLDOWN] = n[COOLDOWN, e] / COOLDOWN_TICKS
    row[o.FACING_X], row[o.FACING_Y] = f[DX, e], f[DY, e]
    row[o.HURT] = clip((tick - n[HURT, e]) / (o.HURT_S * TICK_HZ))
    row[o.LEFT] = clip((m[END, slot] - tick) / (o.LEFT_S * TICK_HZ))
    best = 0
    for team in range(m[TEAMS, slot]):
        if team != n[TEAM, e]:
            best = max(best, w.scores[slot, team])
    row[o.LEAD] = clip((w.scores[slot, n[TEAM, e]] - best) / o.LEAD_UNIT)
    for ray in range(o.RAY_COUNT):
        row[o.RAYS + ray] = free_ray(f[X, e], f[Y, e], ray) / o.RAY_UNIT


@kernel
def insert(near: NDArray[np.float64], who: NDArray[np.int64], size: int, key: float, seat: int) -> None:
    """Keep the `size` smallest keys in ascending order."""
    if key >= near[size - 1]:
        return
    k = size - 1
    while k > 0 and near[k - 1] > key:
        near[k], who[k] = near[k - 1], who[k - 1]
        k -= 1
    near[k], who[k] = key, seat


@kernel
def write_enemy(w: World, e: int, slot: int, seat: int, row: NDArray[np.float32], at: int) -> None:
    """One enemy slot: where it is, or where it was last seen."""
    f, enemy = w.f, w.rows[slot, seat]
    row[at + o.E_PRESENT] = 1.0
    if w.since[e, seat] >= 0:
        row[at + o.E_DX] = (f[X, enemy] - f[X, e]) / o.DISTANCE_UNIT
        row[at + o.E_DY] = (f[Y, enemy] - f[Y, e]) / o.DISTANCE_UNIT
        row[at + o.E_VX], row[at + o.E_VY] = f[VX, enemy] / o.SPEED_UNIT, f[VY, enemy] / o.SPEED_UNIT
        row[at + o.E_HEALTH] = f[HEALTH, enemy] / HEALTH_MAX
        row[at + o.E_VISIBLE] = 1.0
    else:
        row[at + o.E_DX] = (w.seen_at[e, seat, 0] - f[X, e]) / o.DISTANCE_UNIT
        row[at + o.E_DY] = (w.seen_at[e, seat, 1] - f[Y, e]) / o.DISTANCE_UNIT
        row[at + o.E_SINCE] = (w.m[TICK, slot] - w.seen[e, seat]) / (o.MEMORY_S * TICK_HZ)


@kernel
def write_ally(w: World, e: int, ally: int, row: NDArray[np.float32], at: int) -> None:
    """One ally slot."""
    f = w.f
    row[at + o.A_PRESENT] = 1.0
    row[at + o.A_DX] = (f[X, ally] - f[X, e]) / o.DISTANCE_UNIT
    row[at + o.A_DY] = (f[Y, ally] - f[Y, e]) / o.DISTANCE_UNIT
    row[at + o.A_VX], row[at + o.A_VY] = f[VX, ally] / o.SPEED_UNIT, f[VY, ally] / o.SPEED_UNIT
    row[at + o.A_HEALTH] = f[HEALTH, ally] / HEALTH_MAX


@kernel
def observe(w: World, entities: Ints, out: NDArray[np.float32]) -> None:
    """See Game.observe; the layout is core/npc/observation.py. Entities that are in no open match get zeros."""
    f, n, m = w.f, w.n, w.m
    enemy_key, enemy_who = np.empty(o.ENEMY_SLOTS, np.float64), np.empty(o.ENEMY_SLOTS, np.int64)
    ally_key, ally_who = np.empty(o.ALLY_SLOTS, np.float64), np.empty(o.ALLY_SLOTS, np.int64)
    for i in range(entities.shape[0]):
        e, row = entities[i], out[i]
        row[:] = 0.0
        if e < 0 or e >= n.shape[1] or n[SLOT, e] < 0:
            continue
        slot = n[SLOT, e]
        row[o.LEVEL], row[o.SEAT] = n[LEVEL, e] / 10.0, n[SEAT, e] / 32.0
        row[o.STYLE] = n[STYLE, e] / o.STYLE_UNIT
        if n[ALIVE, e] == 0:
            continue
        write_own(w, e, slot, row)
        enemy_key[:] = np.inf
        ally_key[:] = np.inf
        for seat in range(m[SEATS, slot]):
            other = w.rows[slot, seat]
            if other == e or n[ALIVE, other] == 0:
                continue
            if n[TEAM, other] == n[TEAM, e] or w.since[e, seat] >= 0:
                dx, dy = f[X, other] - f[X, e], f[Y, other] - f[Y, e]
                key = dx * dx + dy * dy
                if n[TEAM, other] == n[TEAM, e]:
                    insert(ally_key, ally_who, o.ALLY_SLOTS, key, seat)
                else:
                    insert(enemy_key, enemy_who, o.ENEMY_SLOTS, key, seat)
            elif m[TICK, slot] - w.seen[e, seat] <= o.MEMORY_S * TICK_HZ:
                dx, dy = w.seen_at[e, seat, 0] - f[X, e], w.seen_at[e, seat, 1] - f[Y, e]
                insert(enemy_key, enemy_who, o.ENEMY_SLOTS, 1e6 + dx * dx + dy * dy, seat)  # after those in sight
        for k in range(o.ENEMY_SLOTS):
            if enemy_key[k] < np.inf:
                write_enemy(w, e, slot, enemy_who[k], row, o.ENEMIES + k * o.ENEMY_SIZE)
        for k in range(o.ALLY_SLOTS):
            if ally_key[k] < np.inf:
                write_ally(w, e, w.rows[slot, ally_who[k]], row, o.ALLIES + k * o.ALLY_SIZE)
