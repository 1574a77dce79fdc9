"""What a few pings say of a round trip, and what they cannot say: the estimate and the floors under it.

Problem. A placement has about three samples a region. Each is the path's round trip plus queueing that only ever adds: jitter
    of the last mile, a stall of the client, a retransmission of 200 ms. A client may also lie.
Method. Additive noise leaves the smallest sample nearest to the path (as NTP's clock filter does), and what a player feels
    beyond it is the typical excess: `min + weight * (median - min)`. One wild sample among three moves neither. Nothing that
    was measured may be faster than light in fibre: below the distance to a region from where the client says it is, and, for
    any two regions, below the distance between them, since a path over the client joins them. Where one pair breaks the
    second rule neither side is believed; where the fastest region breaks it with several, that one is not.
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
