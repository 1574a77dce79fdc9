"""When to look at a pool: at once when somebody came, else when waiting changes something. No polling.

A look matches whoever can be matched, so that a ticket which completes a match is matched with it. Only where so many people come
that better company is likely within a moment does a mode's gathering window hold a full match back, for no longer than the window
(`rules.Gather`); with few arrivals it does not.
"""

import numpy as np

from gameedge.core.matchmaking.cycle import waits_ms
from gameedge.core.matchmaking.pool import PoolArrays

CURVE_EVERY_MS = 100.0  # a window that widens along a curve is looked at so often
STEPS_LOOKED_MAX = 64


def hold_ms(pool: PoolArrays, now_ms: int) -> float:
    """How old a match's oldest member must be for a full match to be made, unless it is good already. 0: at once."""
    gather = pool.rules.gather
    expected = pool.came.per_s(now_ms) * gather.window_ms / 1000.0
    return float(gather.window_ms) if gather.window_ms and expected >= gather.arrivals_min else 0.0


def next_look_ms(pool: PoolArrays, now_ms: int, *, fill_ms: int | None = None) -> float | None:
    """In how many ms to look again if nobody comes or goes: when the next window widens, a gathering window or a wait for NPCs ends.

    None: waiting alone changes nothing. Call after a look; a new ticket or a cancelled one is a reason to look at once.
    """
    rows = np.flatnonzero(pool.ready)
    if not len(rows):
        return None
    rules = pool.rules
    waits = waits_ms(pool, rows, now_ms)
    fill = rules.fill_ms if fill_ms is None else fill_ms
    ages = [float(age) for age in (fill if rules.npc_fill else 0, hold_ms(pool, now_ms)) if age]
    ages += [float(rule.relax_ms) for rule in rules.equal if rule.relax_ms is not None]
    if rules.latency is not None and rules.latency.share is not None:
        ages.append(float(rules.latency.share.after_ms))
    curves = [rules.skill.window] if rules.skill is not None else []
    curves += [rule.window for rule in rules.distance]
    if rules.latency is not None:
        curves += [rules.latency.limit_ms, rules.latency.loss_max]
    if rules.balance is not None:
        curves.append(rules.balance.gap_max)
    soonest = np.inf
    for curve in curves:
        if curve.stepped:
            ages += curve.ages_ms[1:]
        elif curve.grows and (waits < curve.ages_ms[-1]).any():
            soonest = CURVE_EVERY_MS
    for age in set(ages):
        left = age - waits
        left = left[left > 0]
        if len(left):
            soonest = min(soonest, float(left.min()))
    return None if soonest == np.inf else max(1.0, float(np.ceil(soonest)))
