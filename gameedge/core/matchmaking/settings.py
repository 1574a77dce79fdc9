"""What the matcher may weigh, in the units of the ratings (openskill: mu about 25, sigma 25/3 for a newcomer)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MatchSettings:
    """Windows are half widths: a player accepts ratings from `rating - window` to `rating + window`."""

    window_start: float = 4.0  # accepted at once: about one standard deviation of a match's outcome
    window_per_s: float = 2.0  # accepted more for each second of waiting
    window_max: float = 100.0  # wider than any ladder: after a long wait everybody is company
    rating_default: float = 25.0  # stands in for a rating that is not a number
    rating_bound: float = 1_000.0  # ratings are clipped to +- this
    looks_per_seat: int = 8  # candidates looked at for each seat before a seed gives up: bounds the cost
    beta: float = 25.0 / 6.0  # the gap of team means at which quality has fallen to 0.61

    def window(self, wait_ms: float) -> float:
        """How far from its own rating a player who waited this long accepts others."""
        return min(self.window_start + self.window_per_s * max(0.0, wait_ms) / 1000.0, self.window_max)


DEFAULT = MatchSettings()
