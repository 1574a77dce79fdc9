"""What a count says of a share."""

import math


def at_most(count: int, of: int, confidence: float = 0.95) -> float:
    """The largest share that is compatible with `count` of `of` at this confidence (Clopper and Pearson 1934), one-sided, two digits.

    count: 0 .. of; large counts take a while. of = 0: 1."""
    if count >= of:
        return 1.0
    ways = [math.lgamma(of + 1) - math.lgamma(k + 1) - math.lgamma(of - k + 1) for k in range(count + 1)]
    low, high = count / of, 1.0
    for _ in range(60):
        share = 0.5 * (low + high)
        # P(at most `count` of `of` at this share), from logarithms: `of` is large.
        chance = sum(math.exp(log + k * math.log(share) + (of - k) * math.log1p(-share)) for k, log in enumerate(ways))
        low, high = (share, high) if chance > 1.0 - confidence else (low, share)
    return float(f"{high:.2g}")
