"""What an NPC knows each tick: float32 [N, OBSERVATION_SIZE], about -1 to 1, declared once for serving, scripts and training.

    OWN       alive, position, velocity, health, cooldown, level, facing, time since hurt, match left, score lead, seat, style
    RAYS      free way in eight directions (0 degrees = +x, then every 45 degrees counter-clockwise)
    ENEMIES   ENEMY_SLOTS rows, those in sight first, then by distance; out of sight: where they were last seen
    ALLIES    ALLY_SLOTS rows, by distance

Rows of dead entities are zero except for ALIVE, LEVEL, SEAT and STYLE. Nothing here is known to an NPC that a player in its place
would not know: enemies out of sight are remembered for MEMORY_S and then left out.
"""

from typing import Final

# -- scales: a value of 1.0 means this much
POSITION_UNIT: Final = 32.0  # world units from the middle of the map
DISTANCE_UNIT: Final = 40.0  # world units, of relative positions
SPEED_UNIT: Final = 6.0  # world units a second
RAY_UNIT: Final = 16.0  # world units; farther walls read 1.0
MEMORY_S: Final = 5.0  # s since an enemy was seen
HURT_S: Final = 2.0  # s since damage was taken; longer reads 1.0
LEFT_S: Final = 60.0  # s of the match; more reads 1.0
LEAD_UNIT: Final = 10.0  # score of the own team over the best other, clipped to -1 to 1

# -- own
ALIVE: Final = 0
X: Final = 1
Y: Final = 2
VX: Final = 3
VY: Final = 4
HEALTH: Final = 5
COOLDOWN: Final = 6  # 0: ready
LEVEL: Final = 7  # 0.1 to 1.0
FACING_X: Final = 8  # unit vector
FACING_Y: Final = 9
HURT: Final = 10  # 0: just now
LEFT: Final = 11
LEAD: Final = 12
SEAT: Final = 13  # seat / 32: lets a script differ between members of a team
STYLE: Final = 14  # index in core/npc/style.py / STYLE_UNIT: how this NPC was asked to play
OWN_SIZE: Final = 15
STYLE_UNIT: Final = 8.0

# -- rays
RAYS: Final = OWN_SIZE
RAY_COUNT: Final = 8

# -- enemies
ENEMIES: Final = RAYS + RAY_COUNT
ENEMY_SLOTS: Final = 4
ENEMY_SIZE: Final = 8
E_PRESENT: Final = 0
E_DX: Final = 1
E_DY: Final = 2
E_VX: Final = 3  # 0 when out of sight
E_VY: Final = 4
E_HEALTH: Final = 5  # 0 when out of sight
E_VISIBLE: Final = 6
E_SINCE: Final = 7  # since it was last seen

# -- allies
ALLIES: Final = ENEMIES + ENEMY_SLOTS * ENEMY_SIZE
ALLY_SLOTS: Final = 4
ALLY_SIZE: Final = 6
A_PRESENT: Final = 0
A_DX: Final = 1
A_DY: Final = 2
A_VX: Final = 3
A_VY: Final = 4
A_HEALTH: Final = 5

OBSERVATION_SIZE: Final = ALLIES + ALLY_SLOTS * ALLY_SIZE

_OWN_NAMES: Final = (
    "alive", "x", "y", "vx", "vy", "health", "cooldown", "level", "facing_x", "facing_y", "hurt", "left", "lead", "seat", "style",
)  # fmt: skip
_ENEMY_NAMES: Final = ("present", "dx", "dy", "vx", "vy", "health", "visible", "since")
_ALLY_NAMES: Final = ("present", "dx", "dy", "vx", "vy", "health")
NAMES: Final = (
    *_OWN_NAMES,
    *(f"ray_{45 * ray}" for ray in range(RAY_COUNT)),
    *(f"enemy{slot}_{name}" for slot in range(ENEMY_SLOTS) for name in _ENEMY_NAMES),
    *(f"ally{slot}_{name}" for slot in range(ALLY_SLOTS) for name in _ALLY_NAMES),
)
