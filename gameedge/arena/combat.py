"""Kernels of shooting, dying, coming back, winning and seeing."""

import numpy as np
from numpy.typing import NDArray

from gameedge.arena.geometry import CLEAR, OUTSIDE, SPAWNS, blocker, free_way, uniform
from gameedge.arena.inputs import advance
from gameedge.arena.settings import (
    COOLDOWN_TICKS,
    DAMAGE_FAR,
    DAMAGE_NEAR,
    EVENTS,
    HEALTH_MAX,
    HISTORY,
    NEAR,
    NEAR_LINE,
    NPC_LOOK_TICKS,
    PATH,
    RADIUS,
    RANGE,
    SIGHT,
    SPEED_MAX,
    SPREAD_MOVING,
    SPREAD_STILL,
    TICK_MS,
    WAVE_FIRST,
    WAVE_PAUSE_TICKS,
    WAVES_RULE,
)
from gameedge.arena.world import (
    AGO,
    ALIVE,
    COOLDOWN,
    DELAY,
    DX,
    DY,
    DYING,
    END,
    EVENT_COUNT,
    FIRE,
    FIRED,
    HEALTH,
    HUMAN,
    HURT,
    LEVEL,
    LIMIT,
    NEVER,
    OVER,
    PLAYERS,
    RESPAWN,
    REWIND,
    RULE,
    RUNNING,
    SCORE,
    SEATS,
    SPAWNED,
    STATE,
    TEAM,
    TEAMS,
    TICK,
    VX,
    VY,
    WAVE,
    WAVE_AT,
    WAVES,
    WON,
    ShotLog,
    World,
    X,
    Y,
)
from gameedge.core.kernel import kernel
from gameedge.core.protocol import arena_map
from gameedge.core.protocol.arena_v1 import HIT, KILL
from gameedge.core.protocol.arena_v1 import RESPAWN as RESPAWNED

# Salts of the random numbers: one a use, so that uses do not correlate.
_SPREAD_A, _SPREAD_B, _PLACE, _WAVE_LEVEL = 1, 2, 3, 40
_PER_TEAM = arena_map.SPAWNS_PER_TEAM


@kernel
def push_event(w: World, slot: int, kind: int, by: int, of: int, value: int) -> None:
    """Remember an event of a match."""
    at = w.m[EVENT_COUNT, slot] & (EVENTS - 1)
    w.events[slot, at, 0], w.events[slot, at, 1] = kind, by
    w.events[slot, at, 2], w.events[slot, at, 3] = of, value
    w.m[EVENT_COUNT, slot] += 1


@kernel
def place(w: World, slot: int, seat: int) -> None:
    """Bring a seat to life at the spawn point of its side that is farthest from its enemies, with some chance in it."""
    f, n, m = w.f, w.n, w.m
    e, tick = w.rows[slot, seat], m[TICK, slot]
    first, count = (n[TEAM, e] * _PER_TEAM, _PER_TEAM) if m[TEAMS, slot] == 2 else (0, SPAWNS.shape[0])
    best, best_worth = first, -1e9
    for point in range(first, first + count):
        worth = 8.0 * uniform(w.seeds[slot], tick, seat, _PLACE + point)
        for other in range(m[SEATS, slot]):
            o = w.rows[slot, other]
            if o == e or n[ALIVE, o] == 0:
                continue
            dx, dy = f[X, o] - SPAWNS[point, 0], f[Y, o] - SPAWNS[point, 1]
            square = dx * dx + dy * dy
            if square < 2.25:
                worth -= 100.0  # taken
            elif n[TEAM, o] != n[TEAM, e] and square < 900.0:
                worth -= 30.0 - np.sqrt(square)
        if worth > best_worth:
            best, best_worth = point, worth
    f[X, e], f[Y, e] = SPAWNS[best, 0], SPAWNS[best, 1]
    f[VX, e], f[VY, e] = 0.0, 0.0
    f[HEALTH, e] = HEALTH_MAX
    n[ALIVE, e], n[RESPAWN, e], n[COOLDOWN, e] = 1, 0, 0
    n[SPAWNED, e] = tick
    now = tick & (HISTORY - 1)
    w.history[e, now, 0], w.history[e, now, 1] = f[X, e], f[Y, e]


@kernel
def begin(w: World, slot: int) -> None:
    """Place the players of a match that was just opened; waves come later."""
    for seat in range(w.m[PLAYERS, slot]):
        place(w, slot, seat)


@kernel
def rewound(history: NDArray[np.float32], spawned: int, e: int, tick: int, rewind: float) -> tuple[float, float]:
    """Where an entity was `rewind` ticks before `tick`, not before it came to life, between two samples of the history."""
    at = float(tick) - rewind
    if at < spawned:
        at = float(spawned)
    whole = int(at)
    part = at - whole
    a = whole & (HISTORY - 1)
    x, y = float(history[e, a, 0]), float(history[e, a, 1])
    if part > 0.0:
        b = (whole + 1) & (HISTORY - 1)
        x += (history[e, b, 0] - x) * part
        y += (history[e, b, 1] - y) * part
    return x, y


@kernel
def aim_path(w: World, log: ShotLog, row: int, shooter: int, target: int, tick: int) -> None:
    """Write the cursor relative to the target as the shooter saw it, newest last, and how long it has been on the target."""
    n = w.n
    rewind = w.f[AGO, shooter]
    on, unbroken, reach = -1, True, True
    for back in range(PATH):
        at = tick - back
        sample = PATH - 1 - back
        reach = reach and at >= n[SPAWNED, shooter] and float(at) - rewind >= n[SPAWNED, target]
        if reach:
            s = at & (HISTORY - 1)
            x, y = rewound(w.history, n[SPAWNED, target], target, at, rewind)
            away_x, away_y = x - w.history[shooter, s, 0], y - w.history[shooter, s, 1]
            reach = away_x * away_x + away_y * away_y <= RANGE * RANGE
            dx, dy = w.cursor[shooter, s, 0] - x, w.cursor[shooter, s, 1] - y
            log.path[row, sample, 0], log.path[row, sample, 1] = dx, dy
            ray_x, ray_y = away_x + dx, away_y + dy  # from the shooter to the cursor
            ray = max(np.sqrt(ray_x * ray_x + ray_y * ray_y), 0.001)
            off = (away_x * ray_y - away_y * ray_x) / ray
            if away_x * ray_x + away_y * ray_y < 0.0:  # the target is behind
                off = np.sqrt(away_x * away_x + away_y * away_y)
            log.line[row, sample] = off
            unbroken = unbroken and reach and dx * dx + dy * dy <= RADIUS * RADIUS
            on += 1 if unbroken else 0
        if not reach:
            log.path[row, sample, 0], log.path[row, sample, 1] = np.nan, np.nan
            log.line[row, sample] = np.nan
    log.on_target_ms[row] = max(on, 0) * TICK_MS


@kernel
def log_shot(w: World, log: ShotLog, shooter: int, target: int, seat: int, hit: bool, distance: float, tick: int) -> None:
    """Note a human's shot for the anti-cheat."""
    row = log.totals[0]
    if row >= log.shooter.shape[0]:
        log.totals[1] += 1  # drop
        return
    log.totals[0] = row + 1
    log.shooter[row], log.target[row] = shooter, target
    log.hit[row], log.tick[row], log.distance[row] = hit, tick, distance
    log.visible_ms[row] = 0.0
    log.on_target_ms[row] = 0.0
    if target < 0:
        log.path[row] = np.nan
        log.line[row] = np.nan
        return
    if w.since[shooter, seat] >= 0:
        log.visible_ms[row] = (tick - w.since[shooter, seat]) * TICK_MS
    aim_path(w, log, row, shooter, target, tick)


@kernel
def shoot(w: World, log: ShotLog, slot: int, seat: int) -> None:
    """One shot: spread, wall, the nearest enemy on the line as the shooter saw it, damage."""
    f, n, m = w.f, w.n, w.m
    e, tick = w.rows[slot, seat], m[TICK, slot]
    x, y = f[X, e], f[Y, e]
    speed = np.sqrt(f[VX, e] * f[VX, e] + f[VY, e] * f[VY, e])
    random = uniform(w.seeds[slot], tick, seat, _SPREAD_A) - uniform(w.seeds[slot], tick, seat, _SPREAD_B)
    off = (SPREAD_STILL + SPREAD_MOVING * speed / SPEED_MAX) * random
    dx, dy = f[DX, e] - f[DY, e] * off, f[DY, e] + f[DX, e] * off
    length = np.sqrt(dx * dx + dy * dy)
    dx, dy = dx / length, dy / length
    reach = free_way(x, y, dx, dy, RANGE)
    struck, struck_seat, struck_at = -1, -1, reach
    near, near_seat, near_off, near_at = -1, -1, NEAR_LINE, 0.0
    for other in range(m[SEATS, slot]):
        o = w.rows[slot, other]
        if n[ALIVE, o] == 0 or n[TEAM, o] == n[TEAM, e]:
            continue
        ox, oy = rewound(w.history, n[SPAWNED, o], o, tick, f[REWIND, e])
        rx, ry = ox - x, oy - y
        along, off = rx * dx + ry * dy, abs(rx * dy - ry * dx)
        square = rx * rx + ry * ry
        if square < RADIUS * RADIUS:
            along, off = max(along, 0.0), 0.0
        if along < 0.0 or off > NEAR_LINE:
            continue
        if off <= RADIUS:
            at = max(along - np.sqrt(RADIUS * RADIUS - off * off), 0.0)
            if at < struck_at:
                struck, struck_seat, struck_at = o, other, at
        if off < near_off and along <= RANGE and w.since[e, other] >= 0:
            near, near_seat, near_off, near_at = o, other, off, np.sqrt(square)
    n[COOLDOWN, e] = COOLDOWN_TICKS
    n[FIRED, e] = tick
    if n[HUMAN, e] == 1:
        if struck >= 0:
            log_shot(w, log, e, struck, struck_seat, True, struck_at, tick)
        else:
            log_shot(w, log, e, near, near_seat, False, near_at if near >= 0 else reach, tick)
    if struck >= 0:
        wound(w, slot, seat, struck_seat, struck_at)


@kernel
def wound(w: World, slot: int, seat: int, struck_seat: int, distance: float) -> None:
    """Damage by distance, and the score of a kill."""
    f, n, m = w.f, w.n, w.m
    e, o = w.rows[slot, seat], w.rows[slot, struck_seat]
    part = min(max((distance - NEAR) / (RANGE - NEAR), 0.0), 1.0)
    damage = DAMAGE_NEAR + (DAMAGE_FAR - DAMAGE_NEAR) * part
    n[HURT, o] = m[TICK, slot]
    push_event(w, slot, HIT, seat, struck_seat, int(damage + 0.5))
    if f[HEALTH, o] <= 0.0:  # already killed in this tick
        return
    f[HEALTH, o] = max(f[HEALTH, o] - damage, 0.0)
    if f[HEALTH, o] <= 0.0:
        n[DYING, o] = 1
        n[SCORE, e] += 1
        w.scores[slot, n[TEAM, e]] += 1
        push_event(w, slot, KILL, seat, struck_seat, 0)


@kernel
def fight(w: World, log: ShotLog) -> None:
    """All shots of a tick. They are simultaneous: who dies in this tick still shoots in it, so that no seat has an edge."""
    n, m = w.n, w.m
    for slot in range(m.shape[1]):
        if m[STATE, slot] != RUNNING:
            continue
        for seat in range(m[SEATS, slot]):
            e = w.rows[slot, seat]
            if n[ALIVE, e] == 1 and n[FIRE, e] == 1 and n[COOLDOWN, e] == 0:
                shoot(w, log, slot, seat)


@kernel
def next_wave(w: World, slot: int) -> None:
    """Start the next wave when the last is beaten and the pause is over; the match is won after the last wave."""
    n, m = w.n, w.m
    players, size = m[PLAYERS, slot], m[SEATS, slot] - m[PLAYERS, slot]
    if m[WAVE_AT, slot] < 0:
        for seat in range(players, players + size):
            if n[ALIVE, w.rows[slot, seat]] == 1:
                return
        if m[WAVE, slot] == m[WAVES, slot]:
            m[WON, slot] = 1
            m[END, slot] = m[TICK, slot]
            return
        m[WAVE_AT, slot] = m[TICK, slot] + WAVE_PAUSE_TICKS
    elif m[TICK, slot] >= m[WAVE_AT, slot]:
        m[WAVE, slot] += 1
        m[WAVE_AT, slot] = -1
        for seat in range(players, players + min(size, WAVE_FIRST + m[WAVE, slot] - 1)):
            level = m[WAVE, slot] + int(3.0 * uniform(w.seeds[slot], m[TICK, slot], seat, _WAVE_LEVEL))
            n[LEVEL, w.rows[slot, seat]] = min(level, 10)
            place(w, slot, seat)
            push_event(w, slot, RESPAWNED, seat, seat, 0)


@kernel
def settle(w: World) -> None:
    """End a tick: deaths, respawns, waves and the end of matches."""
    n, m = w.n, w.m
    for slot in range(m.shape[1]):
        if m[STATE, slot] != RUNNING:
            continue
        standing = 0
        for seat in range(m[SEATS, slot]):
            e = w.rows[slot, seat]
            if n[DYING, e] == 1:
                n[DYING, e], n[ALIVE, e] = 0, 0
                n[RESPAWN, e] = m[DELAY, slot] if seat < m[PLAYERS, slot] else -1
            elif n[ALIVE, e] == 0 and n[RESPAWN, e] > 0:
                n[RESPAWN, e] -= 1
                if n[RESPAWN, e] == 0:
                    place(w, slot, seat)
                    push_event(w, slot, RESPAWNED, seat, seat, 0)
            if seat < m[PLAYERS, slot]:
                standing += n[ALIVE, e]
        if m[RULE, slot] == WAVES_RULE:
            if standing == 0:
                m[END, slot] = m[TICK, slot]
            else:
                m[WON, slot] = 1 if m[TICK, slot] >= m[END, slot] else 0  # still standing at the end
                next_wave(w, slot)
        elif m[LIMIT, slot] > 0:
            for team in range(m[TEAMS, slot]):
                if w.scores[slot, team] >= m[LIMIT, slot]:
                    m[END, slot] = m[TICK, slot]
        if m[TICK, slot] >= m[END, slot]:
            m[STATE, slot] = OVER


@kernel
def first_blocker(between: NDArray[np.int32], x: float, y: float, to_x: float, to_y: float, hint: int) -> int:
    """CLEAR where a disc at (to_x, to_y) is seen from (x, y): middle or an edge, within SIGHT; else what hides it."""
    dx, dy = to_x - x, to_y - y
    square = dx * dx + dy * dy
    if square > SIGHT * SIGHT:
        return OUTSIDE
    middle = blocker(between, x, y, to_x, to_y, hint)
    if middle == CLEAR or square == 0.0:
        return middle
    distance = np.sqrt(square)
    ex, ey = -dy / distance * RADIUS, dx / distance * RADIUS
    if blocker(between, x, y, to_x + ex, to_y + ey, middle) == CLEAR:
        return CLEAR
    return middle if blocker(between, x, y, to_x - ex, to_y - ey, middle) != CLEAR else CLEAR


@kernel
def look(w: World) -> None:
    """Who sees whom. Humans see others where their own client shows them (rewound), NPCs where they are, less often."""
    f, n, m, rows = w.f, w.n, w.m, w.rows  # the whole tuple is never passed on in here: see world.py
    history, between, hidden_by, since, seen, seen_at = w.history, w.between, w.hidden_by, w.since, w.seen, w.seen_at
    for slot in range(m.shape[1]):
        if m[STATE, slot] != RUNNING:
            continue
        tick = m[TICK, slot]
        for seat in range(m[SEATS, slot]):
            e = rows[slot, seat]
            human = n[HUMAN, e] == 1
            looks = human or (tick + seat) % NPC_LOOK_TICKS == 0
            for other in range(m[SEATS, slot]):
                o = rows[slot, other]
                if n[TEAM, o] == n[TEAM, e]:
                    continue
                if n[ALIVE, o] == 0 or n[ALIVE, e] == 0:
                    since[e, other] = -1
                    seen[e, other] = NEVER
                    continue
                if not looks:
                    continue
                ox, oy = f[X, o], f[Y, o]
                if human:
                    ox, oy = rewound(history, n[SPAWNED, o], o, tick, f[REWIND, e])
                hidden = first_blocker(between, f[X, e], f[Y, e], ox, oy, hidden_by[e, other])
                hidden_by[e, other] = hidden
                if hidden != CLEAR:
                    since[e, other] = -1
                    continue
                if since[e, other] < 0:
                    since[e, other] = tick
                seen[e, other] = tick
                seen_at[e, other, 0], seen_at[e, other, 1] = ox, oy


@kernel
def step(w: World, log: ShotLog) -> None:
    """One tick of every running match."""
    advance(w)
    fight(w, log)
    settle(w)
    look(w)
