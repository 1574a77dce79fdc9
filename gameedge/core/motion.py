"""What limits a human hand on a mouse: shared by the bots that play people and by NPCs that must aim no better than people.

Sources. Flash and Hogan 1985 (minimum jerk), Fitts 1954 (time by distance and width), Harris and Wolpert 1998 (the end of a
movement scatters in proportion to its length). Units: milliseconds, and world units, of which a target is TARGET_WIDTH wide.
"""

import math
from typing import Final

TARGET_WIDTH: Final = 1.0  # world units
REACTION_MS_MIN: Final = 150.0  # from a target's appearance to the first movement
SUBMOVEMENT_MS_MIN: Final = 70.0
VISUAL_DELAY_MS_MIN: Final = 80.0  # from light to a change of movement, while already moving
TRIGGER_MS_MIN: Final = 45.0  # from "on target" to the finger


def minimum_jerk(share: float) -> float:
    """How far along a minimum-jerk movement is at `share` of its time: 0 to 1, with no speed or acceleration at both ends."""
    if share <= 0.0:
        return 0.0
    if share >= 1.0:
        return 1.0
    return share * share * share * (10.0 + share * (6.0 * share - 15.0))


def fitts_ms(a_ms: float, b_ms: float, distance: float) -> float:
    """How long a movement over `distance` (world units) to a target takes; a_ms and b_ms (a bit) are the person's."""
    return max(SUBMOVEMENT_MS_MIN, a_ms + b_ms * math.log2(distance / TARGET_WIDTH + 1.0))
