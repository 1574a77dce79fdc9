"""What an NPC answers each tick: float32 [N, ACTION_SIZE]. Not-finite values in a row mean: stand still and hold fire."""

from typing import Final

MOVE_X: Final = 0  # wanted direction, -1 to 1; vectors longer than 1 are shortened
MOVE_Y: Final = 1
AIM_X: Final = 2  # cursor relative to the own position, in units of AIM_UNIT
AIM_Y: Final = 3
FIRE: Final = 4  # above 0.5: fire is held
ACTION_SIZE: Final = 5

AIM_UNIT: Final = 40.0  # world units
NAMES: Final = ("move_x", "move_y", "aim_x", "aim_y", "fire")
