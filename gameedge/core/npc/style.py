"""The ways an NPC may play. A style is rewarded in training (models/npc), never scripted; an unknown one plays as a roamer."""

from typing import Final

STYLES: Final = ("aggressive", "careful", "flanker", "guardian", "roamer", "sniper", "support", "swarm")
STYLE_DEFAULT: Final = "roamer"
STYLE_COUNT: Final = len(STYLES)
LEVEL_MIN: Final = 1
LEVEL_MAX: Final = 10
