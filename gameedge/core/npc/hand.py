"""An NPC's hand: what a decision becomes when it passes through the limits of a person.

Problem. A network that puts the cursor itself aims like an aimbot: unbeatable, and flagged by every anti-cheat worth its name.
Method. The network decides whom to aim at, where to go and whether to shoot. The hand does the rest as people do: it reacts to
    a target that appears or is switched to after an ex-Gaussian delay, makes one minimum-jerk movement to where the target was
    *seen* (short of it, scattered in proportion to its length, sometimes astray), corrects it, pursues a moving target late, and
    trembles; the finger has a delay of its own. `handicap` (0: as good as people get, 1 and above: poor) makes reaction, sight,
    movement and finger worse together, and `person` draws each individual around that.
    The same method as loadtest/motion.py with the same limits (core/motion.py), as kernels over arrays.
Guarantee. Whatever the network answers: no movement towards a target earlier than REACTION_MS_MIN after it appeared, none
    shorter than SUBMOVEMENT_MS_MIN, no shot earlier than TRIGGER_MS_MIN after the cursor came to be on target.
Cost. About 0.15 us an entity and tick. Deterministic: random numbers are a hash of a counter kept with each entity.

Times are ticks (60 a second) since the entity began; positions are world units relative to the entity.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from gameedge.core import motion
from gameedge.core.kernel import kernel
from gameedge.core.npc import observation as o
from gameedge.core.npc.scripted import chance, scramble

Floats = NDArray[np.float32]

TICK_MS: Final = 1000.0 / 60.0
SIGHTINGS: Final = 8  # remembered, one a decision: 400 ms at 20 Hz
MOVES: Final = 2  # submovements at one time
LOOK_AT: Final = 9.0  # world units ahead, where the cursor idles
SAME: Final = 2.0  # world units: what is farther from where the target should be is another target

# -- columns of the state, float32 [entities, STATE]
TICK: Final = 0
PERSON: Final = 1  # a number that draws this individual
HANDICAP: Final = 2
AIM_X: Final = 3  # where the hand has put the cursor, without tremor
AIM_Y: Final = 4
CURSOR_X: Final = 5  # with it
CURSOR_Y: Final = 6
TRACKING: Final = 7  # 0: nothing, 1: a place where a target was, 2: a target in sight
T_X: Final = 8  # the tracked target when it was last looked at
T_Y: Final = 9
T_VX: Final = 10  # relative to the own velocity, u/s
T_VY: Final = 11
T_TICK: Final = 12
READY: Final = 13  # the reaction is over then
PLAN: Final = 14  # the next submovement may be planned then
PRIMARY: Final = 15
PURSUIT_X: Final = 16
PURSUIT_Y: Final = 17
PHASE: Final = 18
DRIFT_X: Final = 19
DRIFT_Y: Final = 20
PRESS: Final = 21  # the finger goes down then; -1: it was not told to
RELEASE: Final = 22  # and up then
FIRING: Final = 23
SEEN: Final = 24  # sightings since the target is tracked
RING: Final = 25  # SIGHTINGS x (tick, x, y, vx, vy)
MOVE: Final = RING + 5 * SIGHTINGS  # MOVES x (start, duration, dx, dy, bow, done x, done y); duration 0: none
TRAITS: Final = MOVE + 7 * MOVES  # what makes this individual, drawn once (`individual`)
TRAIT_COUNT: Final = 13
BOW: Final = 8  # the trait that bends movements
HAND: Final = TRAITS + TRAIT_COUNT  # columns of the hand; the policy's own follow

_PERSON_SALT: Final = 100
_BITS = np.uint64(0x1FFFFF)
_S6, _S20, _S42, _S72 = 1.0 / 6.0, 1.0 / 20.0, 1.0 / 42.0, 1.0 / 72.0  # of the sine's series; a division costs four products
_jerk = kernel(motion.minimum_jerk)
_fitts = kernel(motion.fitts_ms)


@kernel
def normal(e: int, tick: int, salt: int) -> float:
    """About a standard normal: three uniform numbers, 21 bits each, have its first moments and no tails to speak of."""
    z = scramble(e, tick, salt)
    whole = (z & _BITS) + ((z >> np.uint64(21)) & _BITS) + ((z >> np.uint64(42)) & _BITS)
    return float(np.int64(whole)) / 1_048_576.0 - 3.0


@kernel
def individual(s: Floats, person: int) -> None:
    """Make this entity the individual of this number. Its traits are kept: drawn each tick they were half of the hand's cost."""
    s[PERSON] = person
    for k in range(TRAIT_COUNT):
        s[TRAITS + k] = normal(person, 7, _PERSON_SALT + k)


@kernel
def trait(s: Floats, which: int, share: float) -> float:
    """This individual's factor for one figure, around 1."""
    return 1.0 + share * float(s[TRAITS + which])


@kernel
def sine(x: float) -> float:
    """sin(x) for -pi/2 <= x <= 5 pi / 2, to 4e-6: without a library, so the same bits everywhere."""
    if x > 4.71238898038469:
        x -= 6.283185307179586
    elif x > 1.5707963267948966:
        x = 3.141592653589793 - x
    q = x * x
    return x * (1.0 - q * _S6 * (1.0 - q * _S20 * (1.0 - q * _S42 * (1.0 - q * _S72))))


@kernel
def ticks(ms: float, ms_min: float) -> float:
    """A time, at least ms_min, as whole ticks rounded up: a limit is never undercut by rounding."""
    return float(np.ceil(max(ms, ms_min) / TICK_MS))


@kernel
def react(s: Floats, e: int) -> float:
    """A reaction in ticks: ex-Gaussian around the person's, never under REACTION_MS_MIN."""
    tick = int(s[TICK])
    mode = (162.0 + 350.0 * s[HANDICAP]) * trait(s, 0, 0.06)
    tail = -(18.0 + 90.0 * s[HANDICAP]) * np.log(0.5 - 0.499 * chance(e, tick, 11))
    return ticks(mode + 18.0 * normal(e, tick, 12) + tail, motion.REACTION_MS_MIN)


@kernel
def same(row: Floats, s: Floats) -> int:
    """The enemy slot that holds the tracked target, slot 0 where it is none of them or nothing is tracked."""
    if s[TRACKING] < 0.5:
        return 0
    ahead = (s[TICK] - s[T_TICK]) * TICK_MS / 1000.0
    best, best_off = 0, SAME * SAME
    for slot in range(o.ENEMY_SLOTS):
        at = o.ENEMIES + slot * o.ENEMY_SIZE
        if row[at + o.E_PRESENT] < 0.5:
            break
        off_x = row[at + o.E_DX] * o.DISTANCE_UNIT - s[T_X] - s[T_VX] * ahead
        off_y = row[at + o.E_DY] * o.DISTANCE_UNIT - s[T_Y] - s[T_VY] * ahead
        if off_x * off_x + off_y * off_y < best_off:
            best, best_off = slot, off_x * off_x + off_y * off_y
    return best


@kernel
def sight(row: Floats, s: Floats, e: int, choice: int) -> None:
    """Look at whom a decision points at: 0 goes on with the one that is tracked, k with enemy slot k - 1 of the observation.

    A slot that is empty means the last one that is not.
    """
    now = s[TICK]
    if row[o.ENEMIES + o.E_PRESENT] < 0.5:
        s[TRACKING] = 0.0
        return
    slot = choice - 1 if choice > 0 else same(row, s)
    while slot > 0 and row[o.ENEMIES + slot * o.ENEMY_SIZE + o.E_PRESENT] < 0.5:
        slot -= 1
    at = o.ENEMIES + slot * o.ENEMY_SIZE
    x, y = row[at + o.E_DX] * o.DISTANCE_UNIT, row[at + o.E_DY] * o.DISTANCE_UNIT
    visible = row[at + o.E_VISIBLE] > 0.5
    vx = vy = 0.0
    if visible:
        vx, vy = (row[at + o.E_VX] - row[o.VX]) * o.SPEED_UNIT, (row[at + o.E_VY] - row[o.VY]) * o.SPEED_UNIT
    ahead = (now - s[T_TICK]) * TICK_MS / 1000.0
    off_x, off_y = x - s[T_X] - s[T_VX] * ahead, y - s[T_Y] - s[T_VY] * ahead
    other = s[TRACKING] < 0.5 or off_x * off_x + off_y * off_y > SAME * SAME
    if other or (visible and s[TRACKING] < 1.5):  # another one, or it came into sight
        s[READY] = now + react(s, e)
        s[PRIMARY] = 1.0
        s[SEEN] = 0.0
        s[PRESS] = -1.0
    s[TRACKING] = 2.0 if visible else 1.0
    s[T_X], s[T_Y], s[T_VX], s[T_VY], s[T_TICK] = x, y, vx, vy, now
    ring = RING + 5 * (int(s[SEEN]) % SIGHTINGS)
    s[ring], s[ring + 1], s[ring + 2], s[ring + 3], s[ring + 4] = now, x, y, vx, vy
    s[SEEN] += 1.0


@kernel
def perceived(s: Floats) -> tuple[float, float, float, float]:
    """Where the target seems to be: what was seen a visual delay ago, carried on by part of its speed."""
    now = s[TICK]
    delay = ticks((84.0 + 128.0 * s[HANDICAP]) * trait(s, 1, 0.06), motion.VISUAL_DELAY_MS_MIN)
    seen = int(s[SEEN])
    best = max(seen - SIGHTINGS, 0)
    for k in range(seen - 1, max(seen - SIGHTINGS, 0) - 1, -1):
        if s[RING + 5 * (k % SIGHTINGS)] <= now - delay:
            best = k
            break
    ring = RING + 5 * (best % SIGHTINGS)
    # Between two looks the eye goes on along the line: that is free. Making up for the delay itself is a skill.
    stale = max(now - s[ring] - delay, 0.0) * TICK_MS / 1000.0
    foresight = max(0.1, 0.9 - 0.6 * s[HANDICAP]) * trait(s, 2, 0.15)
    ahead = stale + min(now - s[ring], delay) * TICK_MS / 1000.0 * min(foresight, 1.0)
    return s[ring + 1] + s[ring + 3] * ahead, s[ring + 2] + s[ring + 4] * ahead, s[ring + 3], s[ring + 4]


@kernel
def plan(s: Floats, e: int, x: float, y: float) -> None:
    """Begin a submovement towards (x, y) if what movements under way will leave is worth it."""
    now, tick, h = s[TICK], int(s[TICK]), s[HANDICAP]
    if now < s[PLAN]:
        return
    free, left_x, left_y = -1, 0.0, 0.0
    for k in range(MOVES):
        m = MOVE + 7 * k
        if s[m + 1] == 0.0:
            free = m
        else:
            left_x += s[m + 2] - s[m + 5]
            left_y += s[m + 3] - s[m + 6]
    if free < 0:
        return
    ex, ey = x - s[AIM_X] - left_x, y - s[AIM_Y] - left_y
    distance = np.sqrt(ex * ex + ey * ey)
    if distance <= (0.14 + 0.96 * h) * trait(s, 3, 0.12) * (1.0 + 0.3 * chance(e, tick, 21)):
        s[PRIMARY] = 0.0
        s[PLAN] = now + 3.0
        return
    primary = s[PRIMARY] > 0.5
    ms = _fitts((72.0 + 76.0 * h) * trait(s, 4, 0.15), (24.0 + 36.0 * h) * trait(s, 5, 0.15), distance) * (1.0 + 0.1 * normal(e, tick, 22))
    if not primary:
        ms *= 1.5
    reach = 0.92 - 0.06 * h if primary else 0.96 - 0.04 * h
    along = reach + (0.05 + 0.19 * h) * trait(s, 6, 0.15) * normal(e, tick, 23)
    across = (0.035 + 0.155 * h) * trait(s, 7, 0.15) * normal(e, tick, 24)
    if primary and chance(e, tick, 25) > 0.92 - 0.36 * h:  # astray
        along, across = along * (0.6 + 0.3 * chance(e, tick, 26)), 0.5 * normal(e, tick, 27)
    bow = 0.07 * s[TRAITS + BOW] + 0.07 * normal(e, tick, 28)
    duration = ticks(ms, motion.SUBMOVEMENT_MS_MIN)
    s[free], s[free + 1] = now, duration
    s[free + 2], s[free + 3], s[free + 4] = ex * along - ey * across, ey * along + ex * across, bow
    s[free + 5], s[free + 6] = 0.0, 0.0
    s[PLAN] = now + max(6.0 + 2.0 * chance(e, tick, 29), duration * (0.97 + 0.17 * chance(e, tick, 30)))
    s[PRIMARY] = 0.0


@kernel
def advance(s: Floats) -> None:
    """Movements under way, one tick on."""
    now = s[TICK]
    for k in range(MOVES):
        m = MOVE + 7 * k
        if s[m + 1] == 0.0:
            continue
        share = (now - s[m]) / s[m + 1]
        along = _jerk(share)
        side = s[m + 4] * 16.0 * (along * (1.0 - along)) ** 2 if share < 1.0 else 0.0
        x, y = s[m + 2] * along - s[m + 3] * side, s[m + 3] * along + s[m + 2] * side
        s[AIM_X] += x - s[m + 5]
        s[AIM_Y] += y - s[m + 6]
        s[m + 5], s[m + 6] = x, y
        if share >= 1.0:
            s[m + 1] = 0.0


@kernel
def tremble(s: Floats, e: int, vx: float, vy: float) -> None:
    """Smooth pursuit, tremor and drift of one tick."""
    tick, h = int(s[TICK]), s[HANDICAP]
    pursuit = min((0.97 - 0.37 * h) * trait(s, 9, 0.06), 1.0)
    s[PURSUIT_X] += 0.28 * (vx * pursuit - s[PURSUIT_X])
    s[PURSUIT_Y] += 0.28 * (vy * pursuit - s[PURSUIT_Y])
    s[AIM_X] += s[PURSUIT_X] * TICK_MS / 1000.0
    s[AIM_Y] += s[PURSUIT_Y] * TICK_MS / 1000.0
    phase = s[PHASE] + (10.0 + 2.0 * trait(s, 10, 0.3)) * 0.105 + 0.25 * chance(e, tick, 41)
    s[PHASE] = phase - 6.2831853 if phase >= 6.2831853 else phase
    step = (0.006 + 0.02 * h) * trait(s, 11, 0.15)
    s[DRIFT_X] = 0.979 * s[DRIFT_X] + step * normal(e, tick, 42)
    s[DRIFT_Y] = 0.979 * s[DRIFT_Y] + step * normal(e, tick, 43)
    if chance(e, tick, 44) < 0.96:  # else the mouse repeats its last sample
        s[CURSOR_X] = s[AIM_X] + 0.014 * sine(s[PHASE]) + s[DRIFT_X]
        s[CURSOR_Y] = s[AIM_Y] + 0.014 * sine(0.93 * s[PHASE] + 1.5707963267948966) + s[DRIFT_Y]


@kernel
def press(s: Floats, e: int, error: float, tolerance: float) -> None:
    """The finger: some time after the cursor seems on target, now and then too early; once down it stays for a while."""
    now, tick, h = s[TICK], int(s[TICK]), s[HANDICAP]
    s[FIRING] = 0.0
    if now < s[RELEASE]:
        s[FIRING] = 1.0
    elif s[PRESS] < 0.0:
        rash = error < 4.0 * tolerance and chance(e, tick, 51) > 0.97 - 0.06 * h
        if error < tolerance or rash:
            ms = (54.0 + 162.0 * h) * trait(s, 12, 0.1) * (1.0 + 0.25 * normal(e, tick, 52))
            s[PRESS] = now + ticks(ms, motion.TRIGGER_MS_MIN)
    elif now >= s[PRESS]:
        s[PRESS] = -1.0
        s[RELEASE] = now + 6.0 - 8.0 * np.log(0.5 - 0.499 * chance(e, tick, 53))
        s[FIRING] = 1.0


@kernel
def work(s: Floats, e: int, go_x: float, go_y: float, shoot: bool) -> None:
    """One tick of the hand and the finger; (go_x, go_y) is where the entity walks: where it looks with nobody to aim at."""
    now = s[TICK]
    if s[TRACKING] < 0.5:
        if s[SEEN] > 0.0 or s[READY] < now - 30.0:  # look elsewhere, and not at once
            s[READY] = now + 12.0
            s[SEEN] = 0.0
        if now >= s[READY] and go_x * go_x + go_y * go_y > 0.01:
            plan(s, e, LOOK_AT * go_x, LOOK_AT * go_y)
        s[PRESS] = -1.0
        s[RELEASE] = min(s[RELEASE], now)
        s[FIRING] = 0.0
        advance(s)
        tremble(s, e, 0.0, 0.0)
        return
    x, y, vx, vy = perceived(s)
    ready = now >= s[READY]
    if ready:
        plan(s, e, x, y)
    advance(s)
    tremble(s, e, vx if ready else 0.0, vy if ready else 0.0)
    s[FIRING] = 0.0
    if ready and shoot and s[TRACKING] > 1.5:
        dx, dy = x - s[CURSOR_X], y - s[CURSOR_Y]
        press(s, e, np.sqrt(dx * dx + dy * dy), 0.5 + 0.4 * s[HANDICAP])
    else:
        s[PRESS] = -1.0
        s[RELEASE] = min(s[RELEASE], now)
