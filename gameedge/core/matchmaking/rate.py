"""How many came lately: what the gathering window is held against (policy.py)."""

from typing import Final

OVER_MS: Final = 4_000  # arrivals are counted over this long
BUCKET_MS: Final = 250
BUCKETS_MAX: Final = 64  # drop the older half


class Rate:
    """Arrivals by their own times, in buckets."""

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}

    def one(self, at_ms: int) -> None:
        """Somebody came."""
        bucket = at_ms // BUCKET_MS
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1
        if len(self._buckets) > BUCKETS_MAX:
            for old in sorted(self._buckets)[: BUCKETS_MAX // 2]:
                del self._buckets[old]

    def per_s(self, now_ms: int) -> float:
        last = now_ms // BUCKET_MS
        return sum(self._buckets.get(last - i, 0) for i in range(OVER_MS // BUCKET_MS)) * 1000.0 / OVER_MS
