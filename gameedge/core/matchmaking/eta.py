"""How much longer somebody in a queue will wait, from those who were matched lately."""

from collections.abc import Sequence


def eta_ms(recent_waits_ms: Sequence[float], waited_ms: float) -> int | None:
    """The median of what was left to wait, at `waited_ms`, for those who waited longer than that.

    Nobody did: the median of all waits, as for a newcomer. None: nobody was matched lately. Waits that are not finite or
    negative are left out.
    """
    waits = sorted(wait for wait in recent_waits_ms if 0 <= wait < float("inf"))
    if not waits:
        return None
    left = [wait - waited_ms for wait in waits if wait > waited_ms] or waits
    return round(left[len(left) // 2])
