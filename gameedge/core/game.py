"""The seam: what a game must offer to be hosted.

A `Game` holds *all* matches of a process as arrays, so that one call steps, observes or encodes everything alive. It is pure:
no clock, no I/O, randomness from the seeds it is given. The edge process knows nothing else about the game, so another game is
hosted by passing another object (see `examples/` and docs/host-your-game.md).

Vocabulary. A *slot* is a match's index, a *seat* a place within a match, an *entity* the row that a seat has in the game's
arrays (unique in the process while the match is open). Arrays that the caller passes are written in place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gameedge.core.ids import PlayerId

Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Bools = NDArray[np.bool_]

# Reasons that `receive` writes, one a command. 0 is accepted; the rest are counted by name and shown to the gate's ladder.
ACCEPTED: Final = 0
BAD_PAYLOAD: Final = 1  # not a command of this game
MOVE_BOUND: Final = 2  # a movement that no client can make
TURN_BOUND: Final = 3  # aim that leaves the screen
COOLDOWN: Final = 4  # fired again before the weapon was ready
REFUSAL_NAMES: Final = ("accepted", "bad_payload", "move_bound", "turn_bound", "cooldown")


@dataclass(frozen=True, slots=True)
class ModeSpec:
    """How a match of one mode is made up. People fill `teams * team_size` seats; `npc_seats` more belong to NPCs."""

    name: str
    teams: int
    team_size: int
    duration_ms: int
    npc_seats: int = 0  # NPCs that are part of the mode (waves); they sit after the players
    npc_fill: bool = True  # seats that stay empty are played by NPCs
    rated: bool = True
    title: str = ""

    @property
    def players(self) -> int:
        return self.teams * self.team_size

    @property
    def seats(self) -> int:
        return self.players + self.npc_seats


@dataclass(frozen=True, slots=True)
class GameSpec:
    """The fixed figures of a game. Sizes are bytes or float32 counts."""

    name: str
    modes: Mapping[str, ModeSpec]
    command_size: int  # bytes of one command's payload, after the protocol's own header
    snapshot_size_max: int  # bytes of the largest snapshot payload, after the protocol's own header
    observation_size: int  # float32 values an NPC sees a tick; 0: no NPCs
    action_size: int  # float32 values an NPC answers a tick
    tick_hz: int = 60
    snapshot_every: int = 3  # ticks: 20 Hz
    npc_styles: Sequence[str] = ()  # ways an NPC may play; a seat without a wish is given one of them


@dataclass(frozen=True, slots=True)
class Seat:
    """Who starts in a seat. `player` None: an NPC."""

    team: int
    player: PlayerId | None = None
    npc_level: int = 5  # 1 to 10, where an NPC plays
    npc_style: str = ""  # how it plays, one of the game's styles; "" or unknown: the game's default


@dataclass(frozen=True, slots=True)
class Outcome:
    """A match that ended. `ranks` and `scores` are by team, rank 0 the winner (equal ranks: a draw)."""

    slot: int
    ranks: Sequence[int]
    scores: Sequence[int]
    seat_scores: Sequence[int]
    reason: str = "finished"


@dataclass(slots=True)
class Shots:
    """Shots since the last call, for the anti-cheat. Rows `0:count` are valid.

    `aim_path[i, t]` is where shooter i's cursor was, relative to the shot's target, in world units, `t` running at the game's
    tick rate with the last sample at the shot; samples from before the target was in reach are NaN. `line_path[i, t]` is how far
    the target's centre was from the line of fire then, signed: what decides a hit where shots fly on beyond the cursor.
    """

    shooter: Int32s
    target: Int32s  # -1: nobody was near the line of fire
    hit: Bools
    tick: Int64s
    distance: Floats  # world units
    visible_ms: Floats  # how long the shooter could see the target before this shot
    on_target_ms: Floats  # how long the cursor had been on the target before this shot
    aim_path: NDArray[np.float32]  # [capacity, T, 2]
    line_path: NDArray[np.float32]  # [capacity, T]
    count: int = 0

    @classmethod
    def empty(cls, capacity: int, samples: int) -> "Shots":
        return cls(
            shooter=np.full(capacity, -1, np.int32),
            target=np.full(capacity, -1, np.int32),
            hit=np.zeros(capacity, np.bool_),
            tick=np.zeros(capacity, np.int64),
            distance=np.zeros(capacity, np.float32),
            visible_ms=np.zeros(capacity, np.float32),
            on_target_ms=np.zeros(capacity, np.float32),
            aim_path=np.full((capacity, samples, 2), np.nan, np.float32),
            line_path=np.full((capacity, samples), np.nan, np.float32),
        )


# Columns of `Gaze.rows`.
GAZE_TARGET: Final = 0  # and 1: the target relative to the player, as the player's client showed it, 1/256 of a world unit
GAZE_SPEED: Final = 2  # and 3: its velocity relative to the player's, as that client was told it, 1/4096 of a unit a tick
GAZE_CURSOR: Final = 4  # and 5: the cursor relative to the player, 1/256 of a unit
GAZE_SEEN: Final = 6  # the tick that the client saw others at, modulo 32,768
GAZE_SIGHT: Final = 7  # ticks since when the target is in sight
GAZE_FIRE: Final = 8  # 1: the trigger is held
GAZE_COOLDOWN: Final = 9  # ticks until the weapon is ready
GAZE_LEFT: Final = 10  # inputs that wait: how much the network held up
# What part of the cursor's way went towards the target in the 150 ms before it came into sight, 1/1000, -1000 to 1000; 0: nothing
# to say. No player can know where a hidden enemy is.
GAZE_BEFORE: Final = 11
# How many of the last presses of the trigger were like a press, pause and length to a tick: a mean over presses, 1/16.
GAZE_REPEAT: Final = 12
GAZE_LINE: Final = 13  # the distance of the line of fire from the nearest enemy in sight, whichever that is, 1/256 of a unit
# Not the game's: the watch writes here how the player's presses of the trigger have gone with the line of fire until this block, 1/1000.
GAZE_PRESSED: Final = 14
GAZE_LET_GO: Final = 15
GAZE_SIZE: Final = 16
GAZE_SCALE: Final = 256.0
GAZE_SPEED_SCALE: Final = 4096.0


@dataclass(slots=True)
class Gaze:
    """Everybody's cursor in one tick, for the anti-cheat. Row i is entity i; whole numbers, so that evidence is exact and small."""

    target: Int32s  # [capacity] entity of the visible enemy nearest to the cursor, -1: none
    fresh: Bools  # [capacity] input of the player came into use in this tick, and there is a target
    rows: NDArray[np.int16]  # [capacity, GAZE_SIZE] where fresh

    @classmethod
    def empty(cls, capacity: int) -> "Gaze":
        return cls(np.full(capacity, -1, np.int32), np.zeros(capacity, np.bool_), np.zeros((capacity, GAZE_SIZE), np.int16))


@dataclass(slots=True)
class MatchInfo:
    """What a lobby, a spectator list or a dashboard shows of a running match."""

    mode: str
    tick: int
    remaining_ms: int
    scores: Sequence[int] = field(default_factory=tuple)


class Game(Protocol):
    """All matches of one process. Methods that take `entities` are vectorised: one call for everyone concerned."""

    @property
    def spec(self) -> GameSpec: ...

    def open_match(self, mode: str, seed: int, seats: Sequence[Seat]) -> int:
        """Start a match and return its slot. Raises RefusedError(SERVER_FULL or UNSUPPORTED)."""
        ...

    def close_match(self, slot: int) -> None:
        """Free the slot and its entities. Unknown slots are ignored: closing twice is harmless."""
        ...

    def entity(self, slot: int, seat: int) -> int:
        """The entity row of a seat of an open match."""
        ...

    def seat(self, slot: int, seat: int, *, human: bool) -> None:
        """Hand a seat to a human (its commands count) or to an NPC (it is observed and acts)."""
        ...

    def npcs(self) -> Int32s:
        """Entities that an NPC plays now, in ascending order, int32 [N]. A view that is valid until the next call."""
        ...

    def receive(self, entities: Int32s, payloads: Bytes, sequence: Int64s, rewind_ms: Floats, reasons: Bytes) -> None:
        """Take commands in order of arrival.

        entities: int32 [N] (an entity may occur several times); payloads: uint8 [N, command_size]; sequence: int64 [N], the
        command's number (echoed in snapshots for client prediction); rewind_ms: float32 [N], how far before the coming step
        this client saw others, bounded by the caller; reasons: uint8 [N], in: non-zero rows are skipped, out: why a row was refused.
        """
        ...

    def observe(self, entities: Int32s, out: Floats) -> None:
        """Write what these entities may know into `out[: len(entities)]`, float32 [capacity, observation_size]."""
        ...

    def act(self, entities: Int32s, actions: Floats) -> None:
        """Take NPC actions for the next step, float32 [N, action_size]. Not-finite values mean: stand still."""
        ...

    def step(self) -> None:
        """Advance every open match by one tick."""
        ...

    def snapshot(self, viewers: Int32s, out: Bytes, sizes: Int32s, processed: Int64s) -> None:
        """Encode for each viewer only what it may see: row i of `out`, uint8 [capacity, snapshot_size_max], and its size.

        `processed[i]` is the sequence of the last command of viewer i that the simulation has used up (0: none). The payload
        leaves out the protocol's header, which the caller writes.
        """
        ...

    def shots(self) -> Shots:
        """Shots since the last call (the same object each time, refilled)."""
        ...

    def ended(self) -> Sequence[Outcome]:
        """Matches that ended since the last call; their slots stay open until `close_match`."""
        ...

    def info(self, slot: int) -> MatchInfo: ...


@runtime_checkable
class Watchable(Protocol):
    """What a game offers beside `Game` where its matches may be watched by people who do not play in them."""

    @property
    def spectate_size_max(self) -> int:
        """Bytes of the largest payload of `spectate`."""
        ...

    def spectate(self, slot: int, cursor: tuple[int, int] | None, out: Bytes) -> tuple[int, tuple[int, int]]:
        """Write the whole of an open match into `out`, uint8 [1, spectate_size_max], in the format of snapshots; its size.

        `cursor` is what the call before for the same broadcast returned (None: the first), so that events are told once. 0 bytes
        for a slot that is not open.
        """
        ...


@runtime_checkable
class Gazing(Protocol):
    """What a game offers beside `Game` where aiming is to be watched every tick and not at shots alone."""

    def gaze(self) -> Gaze:
        """Of the last step (the same object each time, refilled)."""
        ...


@runtime_checkable
class Movable(Protocol):
    """What a game offers beside `Game` where its matches shall outlive their process. A game without it loses them with it."""

    def pack_match(self, slot: int) -> bytes:
        """All that another process of the same version needs to go on with an open match; called about twice a second for
        each match between two steps, so it should take tens of microseconds."""
        ...

    def unpack_match(self, slot: int, data: bytes) -> None:
        """Set a match that was just opened with the same mode, seed and seats to a packed state. Raises RefusedError(MALFORMED)
        for data that is damaged or of another version, and leaves the match as it was."""
        ...
