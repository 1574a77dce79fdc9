"""The same seed and inputs give the same bits: on every machine, in every slot, beside any other match."""

import hashlib
from functools import lru_cache

import numpy as np

from gameedge.arena import Arena
from gameedge.core.protocol.arena_v1 import Subtick, encode_command
from tests.arena import play

# Changes whenever the rules, figures or map of the arena change: then run this test and copy the new number, after looking at
# why it changed. A difference without such a change means that replays and golden runs of players no longer agree.
GOLDEN = "fcaf70eb4531fadf4bacd1bd82c7e9e8"

MODES = ("duel", "squads", "ffa", "coop")


@lru_cache(maxsize=100_000)
def command(match_seed: int, seat: int, turn: int) -> bytes:
    """A command that depends on its arguments alone."""
    digest = hashlib.blake2b(f"{match_seed} {seat} {turn}".encode(), digest_size=8).digest()
    aim_x, aim_y, move_x, move_y = (byte / 127.5 - 1.0 for byte in digest[:4])
    subticks = [Subtick(20.0 * aim_x, 20.0 * aim_y + 0.1 * k, move_x, move_y, digest[4] < 160) for k in range(3)]
    return encode_command((subticks[0], subticks[1], subticks[2]))


def feed(arena: Arena, slot: int, seed: int, mode: str, tick: int) -> None:
    """The inputs of a match's humans (every second player's seat) at a tick."""
    for seat in range(0, arena.spec.modes[mode].players, 2):
        play.send(arena, arena.entity(slot, seat), tick // 3 + 1, payload=command(seed, seat, tick // 21), rewind_ms=7.0 * seat)


def open_half_human(arena: Arena, mode: str, seed: int) -> int:
    slot = arena.open_match(mode, seed, play.seats_of(arena, mode, humans=0))
    for seat in range(0, arena.spec.modes[mode].players, 2):
        arena.seat(slot, seat, human=True)
    return slot


def test_ten_thousand_ticks_hash_to_one_number() -> None:
    arena = Arena(matches_max=4, entities_max=32, demo=True)
    npcs, total = play.Npcs(arena), hashlib.blake2b(digest_size=16)
    open_matches: dict[int, tuple[str, int]] = {}
    opened = 0
    for tick in range(10_000):
        while len(open_matches) < 3:
            mode, seed = MODES[opened % 4], 1000 + opened
            slot = open_half_human(arena, mode, seed)
            npcs.policy.forget(arena._world.rows[slot])
            open_matches[slot] = (mode, seed)
            opened += 1
        if tick % 3 == 0:
            for slot, (mode, seed) in open_matches.items():
                feed(arena, slot, seed, mode, tick)
        npcs.play()
        arena.step()
        for outcome in arena.ended():
            total.update(repr((tick, outcome)).encode())
            arena.close_match(outcome.slot)
            del open_matches[outcome.slot]
        if tick % 100 == 99:
            for slot in sorted(open_matches):
                total.update(arena.digest(slot).encode())
    assert opened > 10
    assert total.hexdigest() == GOLDEN


def run(matches: list[tuple[str, int]], watched: int, *, reverse: bool = False, look: bool = False) -> list[str]:
    """Play several matches in one arena; the digests of one of them at every tenth tick."""
    arena = Arena(matches_max=8, entities_max=128, demo=False)
    if reverse:
        arena._free_slots.reverse()
        arena._free_rows.reverse()
    slots = [open_half_human(arena, mode, seed) for mode, seed in matches]
    digests = []
    actions = np.random.default_rng(matches[watched][1]).uniform(-1.0, 1.0, (900, 12, 5)).astype(np.float32)
    for tick in range(600):
        for slot, (mode, seed) in zip(slots, matches, strict=True):
            if tick % 3 == 0:
                feed(arena, slot, seed, mode, tick)
            for seat in range(arena.spec.modes[mode].seats):
                arena.act(np.array([arena.entity(slot, seat)], np.int32), actions[tick, seat : seat + 1])
        arena.step()
        if look:
            play.look(arena, arena.entity(slots[watched], 0))
            arena.shots()
        if tick % 10 == 9:
            digests.append(arena.digest(slots[watched]))
    return digests


def test_a_match_among_others_is_the_match_alone() -> None:
    matches = [("squads", 5), ("ffa", 6), ("coop", 7), ("duel", 8)]
    for watched, match in enumerate(matches):
        alone = run([match], 0)
        assert len(set(alone)) > 50  # something happens
        assert run(matches, watched) == alone
        assert run(matches, watched, reverse=True, look=True) == alone  # other rows, and somebody watches


def test_a_reused_slot_is_as_new() -> None:
    fresh = run([("squads", 5)], 0)
    arena = Arena(matches_max=1, entities_max=10, demo=False)
    rng = np.random.default_rng(1)
    slot = open_half_human(arena, "squads", 99)
    for tick in range(300):
        feed(arena, slot, 99, "squads", tick)
        arena.act(arena.npcs(), rng.uniform(-1.0, 1.0, (5, 5)).astype(np.float32))
        arena.step()
    arena.close_match(slot)
    slot = open_half_human(arena, "squads", 5)
    actions = np.random.default_rng(5).uniform(-1.0, 1.0, (900, 12, 5)).astype(np.float32)
    digests = []
    for tick in range(600):
        if tick % 3 == 0:
            feed(arena, slot, 5, "squads", tick)
        for seat in range(10):
            arena.act(np.array([arena.entity(slot, seat)], np.int32), actions[tick, seat : seat + 1])
        arena.step()
        if tick % 10 == 9:
            digests.append(arena.digest(slot))
    assert digests == fresh


def test_different_seeds_differ() -> None:
    assert run([("squads", 5)], 0) != run([("squads", 6)], 0)
