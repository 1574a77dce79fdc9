"""Everything of a learned NPC but the network: features from an observation, a decision from logits, actions from decisions.

    observation -> features -> [network] -> logits -> choose -> (delay) -> hand -> action

Training, evaluation and serving call these same kernels. A decision is made DECIDE_TICKS apart: a direction to walk (or to
stand), whom to aim at, and whether to shoot when on target. It takes effect after a delay that grows with the
handicap (people differ), and each tick the hand moves the cursor and the finger within human limits.

An entity's state is a row of float32 [STATE]: the hand's columns (hand.py) and those declared here. FEATURES names the layout
of the features; an artifact that was trained on another layout is refused.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from gameedge.core.kernel import kernel
from gameedge.core.npc import action as a
from gameedge.core.npc import hand
from gameedge.core.npc import observation as o
from gameedge.core.npc.scripted import chance
from gameedge.core.npc.style import STYLE_COUNT, STYLES

Floats = NDArray[np.float32]
Int32s = NDArray[np.int32]

FEATURE_VERSION: Final = 1  # of this file, hand.py and observation.py together: raise it when their meaning changes
DECIDE_TICKS: Final = 3  # 20 decisions a second, as often as an NPC looks around
REST_TICKS: Final = 6  # between decisions of an NPC that nothing concerns (level of detail)

# -- state columns after the hand's
WAIT: Final = hand.HAND  # ticks until the next decision
WALK: Final = WAIT + 1  # the decision in effect: direction 0 (stand), 1 to 8
SLOT: Final = WAIT + 2
SHOOT: Final = WAIT + 3
DELAY: Final = WAIT + 4  # ticks that decisions take longer (training and evaluation: a network's delay)
LOSS: Final = WAIT + 5  # share of decisions that are lost on the way (training and evaluation)
PENDING: Final = WAIT + 6  # decisions under way
QUEUE: Final = WAIT + 7  # QUEUE_MAX x (tick, code)
QUEUE_MAX: Final = 6
STATE: Final = QUEUE + 2 * QUEUE_MAX

# -- features
OWN: Final = o.STYLE  # the own columns without STYLE; LEVEL holds the handicap
F_STYLE: Final = OWN
F_HAND: Final = F_STYLE + STYLE_COUNT  # cursor x, y, tracking, until ready, walk x, y
HAND_SIZE: Final = 6
F_REST: Final = F_HAND + HAND_SIZE  # rays, enemies, allies as observed
FEATURE_SIZE: Final = F_REST + o.OBSERVATION_SIZE - o.RAYS
FEATURES: Final = (
    *(name if name != "level" else "handicap" for name in o.NAMES[:OWN]),
    *(f"style_{style}" for style in STYLES),
    *("cursor_x", "cursor_y", "tracking", "until_ready", "walk_x", "walk_y"),
    *o.NAMES[o.RAYS :],
)

# -- logits
WALKS: Final = 9
SLOTS: Final = 1 + o.ENEMY_SLOTS  # go on with the tracked one, or this one
L_SLOT: Final = WALKS
L_SHOOT: Final = L_SLOT + SLOTS
LOGITS: Final = L_SHOOT + 2
LOGIT_NAMES: Final = (
    *("stand", *(f"walk_{45 * k}" for k in range(8))),
    "aim_on",
    *(f"aim_enemy{k}" for k in range(o.ENEMY_SLOTS)),
    *("hold_fire", "shoot"),
)

_WAYS = np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0), (-1.0, 1.0), (-1.0, 0.0), (-1.0, -1.0), (0.0, -1.0), (1.0, -1.0)])
_WAYS[1:] /= np.sqrt((_WAYS[1:] ** 2).sum(axis=1, keepdims=True))

_LEAST, _LOG2E, _LN2, _SHIFT = np.float32(-80.0), np.float32(1.4426950408889634), np.float32(0.6931471805599453), np.float32(12_582_912.0)
_NOTHING, _UNIT, _ONE = np.float32(0.0), np.float32(1.0), np.int32(0x3F800000)  # _ONE: the bits of 1.0
_C2, _C3, _C4, _C5, _C6 = (np.float32(1.0 / factorial) for factorial in (2, 6, 24, 120, 720))


@kernel
def featurize(rows: Floats, entities: Int32s, state: Floats, out: Floats) -> None:
    """Features of each row, float32 [N, FEATURE_SIZE], from its observation and its state."""
    rest = rows.shape[1] - o.RAYS  # not a constant to the compiler: it would unroll the copy, one value at a time
    for i in range(entities.shape[0]):
        row, s, f = rows[i], state[entities[i]], out[i]
        for k in range(OWN):
            f[k] = row[k]
        f[o.LEVEL] = s[hand.HANDICAP]
        for k in range(STYLE_COUNT):
            f[F_STYLE + k] = 0.0
        f[F_STYLE + min(max(int(row[o.STYLE] * o.STYLE_UNIT + 0.5), 0), STYLE_COUNT - 1)] = 1.0
        walk = int(s[WALK])
        f[F_HAND], f[F_HAND + 1] = s[hand.CURSOR_X] / a.AIM_UNIT, s[hand.CURSOR_Y] / a.AIM_UNIT
        f[F_HAND + 2] = 0.5 * s[hand.TRACKING]
        f[F_HAND + 3] = min(max((s[hand.READY] - s[hand.TICK]) / 30.0, -1.0), 1.0)
        f[F_HAND + 4], f[F_HAND + 5] = _WAYS[walk, 0], _WAYS[walk, 1]
        for k in range(rest):
            f[F_REST + k] = row[o.RAYS + k]


@kernel
def below_top(logits: Floats, first: int, count: int, out: Floats) -> None:
    """out[first:first + count] = how far each logit is below the largest of its head."""
    top = logits[first]
    for k in range(first + 1, first + count):
        if logits[k] > top:
            top = logits[k]
    for k in range(first, first + count):
        out[k] = logits[k] - top


@kernel
def weigh(logits: Floats, n: int) -> Floats:
    """exp(logit - the largest of its head), float32 [n, LOGITS], to 1e-5 of itself; NaN where a head is not finite.

    exp(x) = 2**k exp(r) with |r| <= ln 2 / 2: k is rounded by adding _SHIFT, in whose last bits it then stands, and exp(r) is a
    polynomial. No library is called and nothing branches: the passes over all rows become SIMD, and give the same bits everywhere.
    """
    x, shifted, power = np.empty((n, LOGITS), np.float32), np.empty(n * LOGITS, np.float32), np.empty(n * LOGITS, np.int32)
    for i in range(n):
        below_top(logits[i], 0, WALKS, x[i])
        below_top(logits[i], L_SLOT, SLOTS, x[i])
        below_top(logits[i], L_SHOOT, 2, x[i])
    flat = x.ravel()
    for i in range(n * LOGITS):
        shifted[i] = flat[i] * _LOG2E + _SHIFT
    bits = shifted.view(np.int32)
    for i in range(n * LOGITS):
        power[i] = (bits[i] << 23) + _ONE
    scale = power.view(np.float32)
    for i in range(n * LOGITS):
        r = flat[i] - (shifted[i] - _SHIFT) * _LN2
        e = (((((r * _C6 + _C5) * r + _C4) * r + _C3) * r + _C2) * r + _UNIT) * r + _UNIT
        flat[i] = _NOTHING if flat[i] < _LEAST else e * scale[i]
    return x


@kernel
def draw(weights: Floats, first: int, count: int, e: int, tick: int, salt: int) -> int:
    """A choice in proportion to the weights, from a hash of a counter. The first one where a weight is not finite."""
    total = weights[first]
    for k in range(first + 1, first + count):
        total += weights[k]
        weights[k] = total
    bound = (0.5 + 0.5 * chance(e, tick, salt)) * total
    below = 0
    for k in range(first, first + count - 1):
        below += 1 if weights[k] <= bound else 0
    return below


@kernel
def choose(logits: Floats, rows: Floats, entities: Int32s, state: Floats, chosen: Int32s, rest_ticks: int) -> None:
    """Draw a decision for each row, queue it behind its delay and look at what the one in effect points at.

    logits: float32 [N, LOGITS]; rows: the observations that they answer; chosen: int32 [N, 3], out: walk, target, shoot;
    rest_ticks: until the next decision of those that see no enemy, remember none and were not hurt lately.
    """
    weights = weigh(logits, entities.shape[0])
    for i in range(entities.shape[0]):
        e = entities[i]
        s, row = state[e], rows[i]
        tick, person = int(s[hand.TICK]), int(s[hand.PERSON]) * 4096 + e
        walk = draw(weights[i], 0, WALKS, person, tick, 60)
        slot = draw(weights[i], L_SLOT, SLOTS, person, tick, 70)
        shoot = draw(weights[i], L_SHOOT, 2, person, tick, 80)
        chosen[i, 0], chosen[i, 1], chosen[i, 2] = walk, slot, shoot
        near = row[o.ENEMIES + o.E_PRESENT] > 0.5 or row[o.HURT] < 1.0
        s[WAIT] = DECIDE_TICKS if near else rest_ticks
        if row[o.ALIVE] < 0.5:
            s[PENDING] = 0.0
            s[hand.TRACKING] = 0.0
            s[WALK], s[SHOOT] = 0.0, 0.0
            continue
        count = int(s[PENDING])
        if count < QUEUE_MAX and 0.5 + 0.5 * chance(person, tick, 90) >= s[LOSS]:
            s[QUEUE + 2 * count] = s[hand.TICK] + s[DELAY] + np.floor(9.0 * s[hand.HANDICAP])
            s[QUEUE + 2 * count + 1] = (walk * SLOTS + slot) * 2 + shoot
            s[PENDING] = count + 1
        effect(s)
        hand.sight(row, s, person, int(s[SLOT]))


@kernel
def effect(s: Floats) -> None:
    """Let decisions take effect whose time has come."""
    count = int(s[PENDING])
    due = 0
    while due < count and s[QUEUE + 2 * due] <= s[hand.TICK]:
        due += 1
    if due == 0:
        return
    code = int(s[QUEUE + 2 * (due - 1) + 1])
    s[WALK], s[SLOT], s[SHOOT] = code // (2 * SLOTS), code // 2 % SLOTS, code % 2
    for k in range(2 * (count - due)):
        s[QUEUE + k] = s[QUEUE + 2 * due + k]
    s[PENDING] = count - due


@kernel
def act(entities: Int32s, state: Floats, out: Floats) -> None:
    """One tick of each entity between or at its decisions: float32 [N, ACTION_SIZE]."""
    for i in range(entities.shape[0]):
        e = entities[i]
        s = state[e]
        s[hand.TICK] += 1.0
        s[WAIT] -= 1.0
        effect(s)
        walk = int(s[WALK])
        hand.work(s, int(s[hand.PERSON]) * 4096 + e, _WAYS[walk, 0], _WAYS[walk, 1], s[SHOOT] > 0.5)
        out[i, a.MOVE_X], out[i, a.MOVE_Y] = _WAYS[walk, 0], _WAYS[walk, 1]
        out[i, a.AIM_X], out[i, a.AIM_Y] = s[hand.CURSOR_X] / a.AIM_UNIT, s[hand.CURSOR_Y] / a.AIM_UNIT
        out[i, a.FIRE] = s[hand.FIRING]


@kernel
def begin(entities: Int32s, state: Floats, first_person: int) -> None:
    """These entities begin anew, each as another individual."""
    for i in range(entities.shape[0]):
        e = entities[i]
        if 0 <= e < state.shape[0]:
            state[e, :] = 0.0
            hand.individual(state[e], (first_person + i) % 1_000_003)
            state[e, hand.PRESS] = -1.0
            state[e, WAIT] = e % DECIDE_TICKS
