"""Every figure of the reference game, in world units (u), seconds or ticks (60 a second), with its unit beside it."""

from typing import Final

from gameedge.core.game import GameSpec, ModeSpec
from gameedge.core.npc.action import ACTION_SIZE
from gameedge.core.npc.observation import OBSERVATION_SIZE
from gameedge.core.npc.style import STYLES
from gameedge.core.protocol import arena_v1
from gameedge.core.protocol.arena_map import RADIUS as RADIUS
from gameedge.core.protocol.arena_map import SIZE as SIZE

TICK_HZ: Final = 60
DT: Final = 1.0 / TICK_HZ  # s
TICK_MS: Final = 1000.0 / TICK_HZ

# -- movement
SPEED_MAX: Final = 6.0  # u/s
ACCELERATION: Final = 60.0  # u/s^2: full speed in six ticks
REPEAT_TICKS: Final = 6  # without new input the last movement goes on for this long, without fire, and then stops
BUFFER_KEEP: Final = 9  # sub-ticks; above it two are used in one tick until a stall's backlog is gone

# -- weapon
RANGE: Final = 40.0  # u
COOLDOWN_TICKS: Final = 10
DAMAGE_NEAR: Final = 26.0  # up to NEAR
DAMAGE_FAR: Final = 10.0  # at RANGE, linear between
NEAR: Final = 10.0  # u
SPREAD_STILL: Final = 0.008  # rad, the most a shot leaves the aim when standing
SPREAD_MOVING: Final = 0.05  # rad, added at full speed
HEALTH_MAX: Final = 100.0
REWIND_TICKS_MAX: Final = 15  # 250 ms: the farthest that targets are put back for a shooter's delay
SEEN_TICKS_MAX: Final = 24  # 400 ms: the farthest that telemetry goes back to what a client showed its player

# -- sight
SIGHT: Final = 48.0  # u: farther entities are never seen
NPC_LOOK_TICKS: Final = 3  # NPCs look around 20 times a second
LOOKAHEAD_S: Final = 0.15  # s: who will be seen within this time is already sent (see view.shown)

# -- commands that no client can make
CURSOR_MAX: Final = 60.0  # u from the own position: off every screen
FLIP: Final = 40.0  # u within one sub-tick, there and back again within one command

# -- telemetry
HISTORY: Final = 64  # ticks of positions and cursors (a power of two, more than PATH + SEEN_TICKS_MAX)
PATH: Final = 32  # samples of an aim path
NEAR_LINE: Final = 2.5  # u from the line of fire: farther away nobody was meant

# -- waves of the co-op mode
WAVE_FIRST: Final = 3  # NPCs of the first wave; one more each wave
WAVE_PAUSE_TICKS: Final = 90

EVENTS: Final = 64  # a match remembers this many events for viewers that were not sent them yet (drop oldest)

_DEATHMATCH: Final = 0
WAVES_RULE: Final = 1

RESPAWN_TICKS: Final = {"duel": 90, "squads": 120, "ffa": 120, "coop": 240}
SCORE_LIMIT: Final = {"duel": 10, "squads": 50, "ffa": 20, "coop": 0}  # 0: none
WAVES: Final = {"coop": 6}
RULE: Final = {"duel": _DEATHMATCH, "squads": _DEATHMATCH, "ffa": _DEATHMATCH, "coop": WAVES_RULE}


def game_spec(*, demo: bool) -> GameSpec:
    """The arena's fixed figures; `demo` shortens matches so that a minute shows many of them."""
    modes = (
        ModeSpec("duel", 2, 1, 8_000 if demo else 120_000, title="Duel"),
        ModeSpec("squads", 2, 5, 12_000 if demo else 300_000, title="Squads 5v5"),
        ModeSpec("ffa", 8, 1, 10_000 if demo else 240_000, title="Free for all"),
        ModeSpec("coop", 1, 4, 12_000 if demo else 300_000, npc_seats=8, rated=False, title="Last stand"),
    )
    return GameSpec(
        name="arena",
        modes={mode.name: mode for mode in modes},
        command_size=arena_v1.COMMAND_SIZE,
        snapshot_size_max=arena_v1.SNAPSHOT_SIZE_MAX,
        observation_size=OBSERVATION_SIZE,
        action_size=ACTION_SIZE,
        tick_hz=TICK_HZ,
        snapshot_every=3,
        npc_styles=STYLES,
    )
