"""What a few pings say of a round trip, and what they cannot say: the estimate and the floors under it.

Problem. A placement has about three samples a region. Each is the path's round trip plus queueing that only ever adds: jitter
    of the last mile, a stall of the client, a retransmission of 200 ms. A client may also lie.
Method. Additive noise leaves the smallest sample nearest to the path (as NTP's clock filter does), and what a player feels
    beyond it is the typical excess: `min + weight * (median - min)`. One wild sample among three moves neither. The round
    trips to two regions are together never below light's in fibre between them, since a path over the client joins them.
    Where one pair breaks this rule neither side is believed; where the fastest region breaks it with several, that one is not.
    What regions say of their own places is held against their pings of each other first.
Guarantee. Never decreasing in any sample, for all inputs; None where nothing plausible was measured; floors never raise an
    honest measurement.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Final

RTT_SAMPLE_MS_MAX: Final = 10_000.0  # a slower sample is a timeout: ignored
LIGHT_KM_PER_MS: Final = 100.0  # of round trip, in fibre laid as the crow flies
POSITION_SLACK_KM: Final = 500.0  # how far off a client's own position may honestly be (a country's middle, a carrier's exit)


def robust_rtt_ms(samples: Iterable[float], jitter_weight: float = 0.25) -> float | None:
    """The smallest plausible sample plus a share of the median's excess over it, or None where no sample is plausible."""
    return robust_rtts_ms([samples], jitter_weight)[0]


def robust_rtts_ms(each: Iterable[Iterable[float] | None], jitter_weight: float = 0.25) -> list[float | None]:
    """`robust_rtt_ms` of many regions in one loop, since a call for each would cost as much as the rest of a decision."""
    found: list[float | None] = []
    for samples in each:
        ordered = sorted(samples) if samples is not None else []
        # NaN breaks the order of a sort, so one look at a sum tells whether all are numbers; what is unclean is filtered.
        if not ordered or not (ordered[0] > 0.0 and ordered[-1] <= RTT_SAMPLE_MS_MAX and sum(ordered) < math.inf):
            ordered = sorted(s for s in ordered if 0.0 < s <= RTT_SAMPLE_MS_MAX)
            if not ordered:
                found.append(None)
                continue
        low, at = ordered[0], len(ordered) >> 1
        median = ordered[at] if len(ordered) & 1 else 0.5 * (ordered[at - 1] + ordered[at])
        found.append(low + jitter_weight * (median - low))
    return found


def light_floors_ms(rtt_ms: Sequence[float | None], apart_ms: Sequence[Sequence[float]]) -> dict[int, float]:
    """Floors by pairs. `apart_ms[a][b]`: light's round trip between regions a and b. All are held against the fastest region
    that was measured, since who lies about several at once is held by the fastest of them. Only regions with a floor are
    named: nobody, for those whose measurements are possible."""
    measured = [rtt for rtt in rtt_ms if rtt is not None]
    if not measured:
        return {}
    low = min(measured)
    fastest = rtt_ms.index(low)
    apart = apart_ms[fastest]
    impossible = [i for i, rtt in enumerate(rtt_ms) if rtt is not None and rtt + low < apart[i]]
    floors: dict[int, float] = {}
    for i in impossible:
        floors[fastest] = max(floors.get(fastest, 0.0), apart[i] - (rtt_ms[i] or 0.0))
        if len(impossible) == 1:  # one word against another; against several, the fastest is the lie
            floors[i] = apart[i] - low
    return floors


def misplaced(pings_ms: Sequence[Sequence[float | None]], apart_ms: Sequence[Sequence[float]]) -> list[int]:
    """Regions that are not where they say: each time the one that breaks the speed of light with most others, until none does.

    Of 241 cities of a public table 13 were not where it said, some by an ocean: a position is a claim."""
    left = set(range(len(pings_ms)))
    wrong: list[int] = []
    while True:
        breaks = {i: sum(_faster(pings_ms[i][k], apart_ms[i][k]) or _faster(pings_ms[k][i], apart_ms[i][k]) for k in left) for i in left}
        worst = max(left, key=lambda i: breaks[i], default=None)
        if worst is None or not breaks[worst]:
            return wrong
        wrong.append(worst)
        left.discard(worst)


def _faster(ping_ms: float | None, light_ms: float) -> bool:
    return ping_ms is not None and 0.0 < ping_ms < light_ms - POSITION_SLACK_KM / LIGHT_KM_PER_MS
