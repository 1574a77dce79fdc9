"""A process full of players without sockets: the arena with matches, and commands such as people send."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from gameedge.arena import Arena
from gameedge.core.game import Bytes, Int32s, Seat
from gameedge.core.ids import PlayerId
from gameedge.core.protocol.arena_v1 import Subtick, encode_command

PATTERNS: Final = 64


def open_matches(game: Arena, players: int, coop_share: float = 0.1) -> Int32s:
    """Fill 5v5 matches, and with a share of the people co-op matches of 4 against 8 NPCs. The people's entities, int32 [N]."""
    entities: list[int] = []
    in_coop = int(players * coop_share)
    for mode, wanted in (("coop", in_coop), ("squads", players - in_coop)):
        spec = game.spec.modes[mode]
        for begin in range(0, wanted, spec.players):
            people = min(spec.players, wanted - begin)
            seats = [Seat(i % spec.teams, PlayerId(f"p{len(entities) + i}") if i < people else None) for i in range(spec.seats)]
            slot = game.open_match(mode, seed=begin + 1, seats=seats)
            entities += [game.entity(slot, seat) for seat in range(people)]
    return np.array(entities, np.int32)


def payloads() -> Bytes:
    """Commands of people who run about, swing their cursor and fire: uint8 [PATTERNS, command_size]."""
    rng = np.random.default_rng(1)
    rows: list[bytes] = []
    for _ in range(PATTERNS):
        turn, way, fire = rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi), bool(rng.random() < 0.2)
        ticks: Sequence[Subtick] = [
            Subtick(12 * np.cos(turn + 0.05 * k), 12 * np.sin(turn + 0.05 * k), np.cos(way), np.sin(way), fire) for k in range(3)
        ]
        rows.append(encode_command((ticks[0], ticks[1], ticks[2])))
    return np.frombuffer(b"".join(rows), np.uint8).reshape(PATTERNS, -1).copy()
