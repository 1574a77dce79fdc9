"""What a batch costs, learned while serving: a moving average of ms a row for each batch size (powers of two). Where not all rows
run, three figures more: to choose among the rows, to let one coast or hold its last action, and to have the fallback answer for one,
which may cost as much as the model itself. Were all one figure, a moment of overload would feed itself: few rows run, so many fall
back, so each that runs seems dear."""

from typing import Final

LEARN: Final = 0.1  # weight of the newest run
RETRY: Final = 0.002  # a call, how fast the cost of sizes that are shed is forgotten: halved in six seconds
JUMP_MAX: Final = 4.0  # one run counts as at most this many times what is known: a stall says nothing of the next


class Average:
    """ms a row over the newest runs, large ones counting more. The first is cold (pages, compilation) and says nothing of the next."""

    def __init__(self) -> None:
        self.ms, self._rows, self._took_ms, self._warm = 0.0, 0.0, 0.0, False

    def learn(self, rows: int, took_ms: float) -> None:
        if not rows:
            return
        if self._warm:
            known = min(took_ms, JUMP_MAX * self.ms * rows) if self.ms else took_ms
            self._rows = (1.0 - LEARN) * self._rows + rows
            self._took_ms = (1.0 - LEARN) * self._took_ms + known
            self.ms = self._took_ms / self._rows
        self._warm = True


class CostTable:
    """Of one backend. Plain lists: a numpy scalar costs more than all the arithmetic here."""

    def __init__(self, buckets: int) -> None:
        self.row_ms: list[float] = [0.0] * buckets  # 0: not measured yet
        self._warm = [False] * buckets
        self.choose, self.hold, self.fall_back = Average(), Average(), Average()

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

    def fits(self, n: int, ms: float, least: int, hold_calls: int) -> int:
        """How many of n rows can run for all n to be answered within `ms`, at least `least`; who was not run `hold_calls` long falls
        back. Running so many that nobody falls back is tried first: fewer may well take longer."""
        if n <= least or self.expected(n) <= ms:
            return n
        ms -= self.choose.ms * n
        enough = max(least, -(-n // hold_calls))
        if self.expected(enough) + self.hold.ms * (n - enough) <= ms:
            return self._most(enough, n, ms, n, self.hold.ms)
        return self._most(least, enough, ms, n, self.fall_back.ms)

    def _most(self, low: int, high: int, ms: float, n: int, rest_ms: float) -> int:
        while high - low > 1:  # the expected time grows with the rows, up to noise between buckets
            middle = (low + high) // 2
            if self.expected(middle) + rest_ms * (n - middle) <= ms:
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
        known = self.row_ms[bucket] or self.expected(n) / n  # of a size near it, where this one is new
        self.row_ms[bucket] = _towards(known, took_ms / n)


def _towards(known: float, measured: float) -> float:
    return measured if known == 0.0 else known + LEARN * (min(measured, JUMP_MAX * known) - known)
