"""A match goes on elsewhere: packed in one arena, unpacked in another, it plays on as the first would have."""

import numpy as np
import pytest

from gameedge.arena import Arena
from gameedge.core.errors import RefusedError
from gameedge.core.game import Movable, Seat


def seats(arena: Arena, mode: str) -> list[Seat]:
    spec = arena.spec.modes[mode]
    return [Seat(min(i // spec.team_size, spec.teams - 1)) for i in range(spec.seats)]


def think(arena: Arena, slot: int, rng: np.random.Generator) -> None:
    count = arena.spec.modes[arena.info(slot).mode].seats
    rows = np.array([arena.entity(slot, seat) for seat in range(count)], np.int32)
    arena.act(rows, rng.uniform(-1, 1, (count, arena.spec.action_size)).astype(np.float32))
    arena.step()


@pytest.mark.parametrize("mode", ["duel", "squads", "ffa", "coop"])
def test_a_packed_match_plays_on_in_another_process(mode: str) -> None:
    first, second = Arena(), Arena()
    assert isinstance(first, Movable)
    second.open_match("duel", 1, seats(second, "duel"))  # another slot and other rows than in the first
    here = first.open_match(mode, 7, seats(first, mode))
    rng = np.random.default_rng(3)
    for _ in range(200):
        think(first, here, rng)
    data = first.pack_match(here)
    there = second.open_match(mode, 7, seats(second, mode))
    second.unpack_match(there, data)
    assert second.info(there) == first.info(here)
    same = [np.random.default_rng(5), np.random.default_rng(5)]
    for _ in range(120):
        for arena, slot, dice in ((first, here, same[0]), (second, there, same[1])):
            think(arena, slot, dice)
    assert second.info(there).tick == first.info(here).tick
    assert second.info(there).scores == first.info(here).scores


def test_damage_is_refused_and_changes_nothing() -> None:
    arena = Arena()
    slot = arena.open_match("duel", 1, seats(arena, "duel"))
    data = arena.pack_match(slot)
    other = arena.open_match("ffa", 1, seats(arena, "ffa"))
    before = arena.digest(slot), arena.digest(other)
    flipped = bytearray(data)
    flipped[40] ^= 1
    for bad in (b"", data[:-1], data + b"x", bytes(flipped), b"XX" + data[2:]):
        with pytest.raises(RefusedError):
            arena.unpack_match(slot, bad)
    with pytest.raises(RefusedError):
        arena.unpack_match(other, data)
    with pytest.raises(RefusedError):
        arena.pack_match(999)
    assert (arena.digest(slot), arena.digest(other)) == before


def test_a_state_is_small() -> None:
    arena = Arena()
    slot = arena.open_match("ffa", 1, seats(arena, "ffa"))
    assert len(arena.pack_match(slot)) < 1_000 * arena.spec.modes["ffa"].seats
