"""What a batch costs, learned while serving: a moving average of ms a row for each batch size (powers of two)."""

from typing import Final

LEARN: Final = 0.1  # weight of the newest run
RETRY: Final = 0.002  # a call, how fast the cost of sizes that are shed is forgotten: halved in six seconds
JUMP_MAX: Final = 4.0  # one run counts as at most this many times what is known: a stall says nothing of the next


class CostTable:
    """Of one backend. Plain lists: a numpy scalar costs more than all the arithmetic here."""

    def __init__(self, buckets: int) -> None:
        self.row_ms: list[float] = [0.0] * buckets  # 0: not measured yet
        self._warm = [False] * buckets

    def expected(self, n: int) -> float:
        """ms for n rows. A size that was never measured costs what the nearest smaller one costs, else the nearest larger."""
        bucket = (n - 1).bit_length()
        known: float = self.row_ms[bucket]
        if known > 0.0:
            return known * n
        for near in (*range(bucket - 1, -1, -1), *range(bucket + 1, len(self.row_ms))):
            if self.row_ms[near] > 0.0:
                return float(self.row_ms[near] * n)
        return 0.0

    def fits(self, n: int, ms: float, least: int) -> int:
        """How many of n rows are expected to take at most `ms`, at least `least`."""
        if n <= least or self.expected(n) <= ms:
            return n
        low, high = least, n  # the expected time grows with the rows, up to noise between buckets
        while high - low > 1:
            middle = (low + high) // 2
            if self.expected(middle) <= ms:
                low = middle
            else:
                high = middle
        return low

    def learn(self, n: int, took_ms: float, *, shed: bool) -> None:
        """Take in one measured run. The first of a size is cold (pages, compilation) and says nothing of the next."""
        bucket = (n - 1).bit_length()
        if shed:  # what is not run is not measured: let larger sizes be tried again in a while
            for larger in range(bucket + 1, len(self.row_ms)):
                self.row_ms[larger] *= 1.0 - RETRY
        if not self._warm[bucket]:
            self._warm[bucket] = True
            return
        row_ms, known = took_ms / n, self.row_ms[bucket]
        if known == 0.0:
            self.row_ms[bucket] = row_ms
        else:
            self.row_ms[bucket] = known + LEARN * (min(row_ms, JUMP_MAX * known) - known)
