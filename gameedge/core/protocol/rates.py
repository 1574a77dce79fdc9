"""Rate budgets as token buckets: pure float arithmetic, time as an argument."""

from typing import Final

from gameedge.core import limits

CONTROL_TAGS: Final = ("ack", "queue", "cancel", "explain", "accept", "decline", "join", "leave", "ping")


class TokenBucket:
    """`rate` tokens a second, at most `burst` saved up. A clock that jumps back adds nothing and takes nothing away."""

    __slots__ = ("_at_ms", "_burst", "_per_ms", "_tokens")

    def __init__(self, rate: float, burst: float, now_ms: float) -> None:
        self._per_ms = rate / 1000.0
        self._burst = float(burst)
        self._tokens = float(burst)
        self._at_ms = now_ms

    def take(self, now_ms: float) -> bool:
        """Take one token where there is one."""
        elapsed = now_ms - self._at_ms
        tokens = self._tokens
        if elapsed > 0.0:
            tokens += elapsed * self._per_ms
            if tokens > self._burst:
                tokens = self._burst
        self._at_ms = now_ms
        if tokens < 1.0:
            self._tokens = tokens
            return False
        self._tokens = tokens - 1.0
        return True

    def wait_ms(self) -> int:
        """From the last `take`, how long until there is a token; at least 1."""
        return max(1, int((1.0 - self._tokens) / self._per_ms) + 1)


class Window:
    """Counts events within the last ten seconds in two half windows: never under, at most five seconds too long."""

    __slots__ = ("_before", "_half", "_now")
    HALF_MS: Final = 5_000

    def __init__(self) -> None:
        self._half = 0
        self._now = 0
        self._before = 0

    def add(self, now_ms: float, count: int = 1) -> int:
        """Add events and return how many there were in the window."""
        half = int(now_ms // self.HALF_MS)
        if half != self._half:
            self._before = self._now if half == self._half + 1 else 0
            self._now = 0
            self._half = half
        self._now += count
        return self._now + self._before


def control_bucket(now_ms: float) -> TokenBucket:
    """The budget of one message type."""
    return TokenBucket(limits.CONTROL_PER_S, limits.CONTROL_BURST, now_ms)
