"""Opening, closing, seats, modes, results: what a host does with the game."""

import numpy as np
import pytest

from gameedge.arena import Arena
from gameedge.arena import world as at
from gameedge.core.errors import Reason, RefusedError
from gameedge.core.game import Game, Seat
from gameedge.core.ids import PlayerId
from gameedge.core.protocol import arena_v1
from tests.arena import play


def small(demo: bool = True) -> Arena:
    return Arena(matches_max=3, entities_max=24, demo=demo)


def test_it_is_a_game() -> None:
    game: Game = small()
    assert game.spec.command_size == arena_v1.COMMAND_SIZE
    assert game.spec.snapshot_size_max == arena_v1.SNAPSHOT_SIZE_MAX
    assert {mode.name: mode.seats for mode in game.spec.modes.values()} == {"duel": 2, "squads": 10, "ffa": 8, "coop": 12}
    assert all(mode.duration_ms <= 12_000 for mode in game.spec.modes.values())
    assert all(mode.duration_ms >= 60_000 for mode in small(demo=False).spec.modes.values())


@pytest.mark.parametrize(
    ("mode", "seats", "reason"),
    [
        ("chess", [], Reason.UNSUPPORTED),
        ("duel", [Seat(0)], Reason.UNSUPPORTED),
        ("duel", [Seat(0), Seat(2)], Reason.UNSUPPORTED),
        ("duel", [Seat(-1), Seat(1)], Reason.UNSUPPORTED),
        ("duel", [Seat(0), Seat(1), Seat(1)], Reason.UNSUPPORTED),
    ],
)
def test_what_cannot_be_opened(mode: str, seats: list[Seat], reason: Reason) -> None:
    arena = small()
    with pytest.raises(RefusedError) as refused:
        arena.open_match(mode, 1, seats)
    assert refused.value.reason == reason
    assert len(arena.npcs()) == 0


def test_full_and_free_again() -> None:
    arena = small()
    slots = [arena.open_match("squads", 1, play.seats_of(arena, "squads")) for _ in range(2)]
    with pytest.raises(RefusedError) as refused:  # entities
        arena.open_match("squads", 1, play.seats_of(arena, "squads"))
    assert refused.value.reason == Reason.SERVER_FULL
    slots.append(arena.open_match("duel", 1, play.seats_of(arena, "duel")))
    with pytest.raises(RefusedError):  # slots
        arena.open_match("duel", 1, play.seats_of(arena, "duel"))
    rows = [arena.entity(slot, seat) for slot in slots for seat in range(arena._world.m[at.SEATS, slot])]
    assert len(set(rows)) == len(rows) == 22
    arena.close_match(slots[0])
    arena.close_match(slots[0])
    for unknown in (-1, 3, 10**9):
        arena.close_match(unknown)
    again = arena.open_match("ffa", 1, play.seats_of(arena, "ffa"))
    assert again == slots[0]
    for slot in (slots[1], slots[2], again):
        arena.close_match(slot)
    assert sorted(arena._free_slots) == [0, 1, 2]
    assert sorted(arena._free_rows) == list(range(24))


def test_unknown_slots_and_seats_are_refused() -> None:
    arena = small()
    slot = arena.open_match("duel", 1, play.seats_of(arena, "duel"))
    for call in (
        lambda: arena.entity(slot, 2),
        lambda: arena.entity(slot, -1),
        lambda: arena.entity(2, 0),
        lambda: arena.entity(-1, 0),
        lambda: arena.seat(2, 0, human=True),
        lambda: arena.info(99),
    ):
        with pytest.raises(RefusedError) as refused:
            call()
        assert refused.value.reason == Reason.NOT_FOUND


def test_seats_change_hands() -> None:
    arena = small()
    slot = arena.open_match("squads", 1, play.seats_of(arena, "squads", humans=3))
    rows = [arena.entity(slot, seat) for seat in range(10)]
    assert arena.npcs().tolist() == sorted(rows[3:])
    assert arena.npcs().dtype == np.int32
    play.send(arena, rows[0], 1, arena_v1.Subtick(5.0, 0.0, 1.0, 0.0, True))
    arena.seat(slot, 0, human=False)
    arena.seat(slot, 9, human=True)
    assert arena.npcs().tolist() == sorted([rows[0], *rows[3:9]])
    assert arena._world.n[at.COUNT, rows[0]] == 0  # the one who left plays no more
    flags = {other.seat: other.npc for other in play.look(arena, rows[1])[0].others}
    assert flags[0]
    assert not flags[2]


@pytest.mark.parametrize("mode", ["duel", "squads", "ffa", "coop"])
def test_a_whole_match_of_npcs_ends_once_and_on_time(mode: str) -> None:
    arena, spec = small(), small().spec.modes[mode]
    slot = arena.open_match(mode, 11, play.seats_of(arena, mode, humans=0, level=9))
    npcs = play.Npcs(arena)
    ticks = spec.duration_ms * 60 // 1000
    assert arena.info(slot).remaining_ms == spec.duration_ms
    outcomes = []
    for _ in range(ticks + 5):
        npcs.play()
        arena.step()
        outcomes += arena.ended()
    assert len(outcomes) == 1
    outcome = outcomes[0]
    assert outcome.slot == slot
    assert len(outcome.seat_scores) == spec.seats
    assert len(outcome.ranks) == len(outcome.scores) == spec.teams + (1 if spec.npc_seats else 0)
    assert sum(outcome.seat_scores) == sum(outcome.scores)
    assert arena.info(slot).tick <= ticks  # frozen
    assert arena.info(slot).remaining_ms == 0
    assert play.look(arena, arena.entity(slot, 0))[0].remaining_ms == 0
    if mode in ("duel", "squads", "ffa"):
        best = max(outcome.scores)
        assert [rank == 0 for rank in outcome.ranks] == [score == best for score in outcome.scores]
        assert arena.info(slot).tick == ticks
    if mode in ("squads", "ffa", "coop"):
        assert sum(outcome.scores) > 0  # somebody was shot


def test_ranks_and_draws() -> None:
    arena = small()
    slot = arena.open_match("ffa", 1, play.seats_of(arena, "ffa"))
    arena._world.scores[slot] = [3, 0, 5, 5, 1, 0, 0, 2]
    arena._world.m[at.END, slot] = 1
    arena.step()
    (outcome,) = arena.ended()
    assert list(outcome.ranks) == [2, 5, 0, 0, 4, 5, 5, 3]
    assert outcome.reason == "finished"
    assert arena.ended() == ()


def test_the_score_limit_ends_a_match() -> None:
    arena = small(demo=False)
    slot = arena.open_match("duel", 1, play.seats_of(arena, "duel"))
    arena.step()
    assert not arena.ended()
    arena._world.scores[slot, 1] = 10
    arena.step()
    (outcome,) = arena.ended()
    assert list(outcome.ranks) == [1, 0]


def coop() -> tuple[Arena, int, list[int]]:
    arena = Arena(matches_max=1, entities_max=12, demo=False)
    slot = arena.open_match("coop", 3, play.seats_of(arena, "coop"))
    return arena, slot, [arena.entity(slot, seat) for seat in range(12)]


def kill(arena: Arena, entities: list[int]) -> None:
    w = arena._world
    living = [e for e in entities if w.n[at.ALIVE, e]]
    w.n[at.DYING, living] = 1
    w.f[at.HEALTH, living] = 0.0


def test_waves_come_grow_and_are_won() -> None:
    arena, _, rows = coop()
    players, wave = rows[:4], rows[4:]
    n = arena._world.n
    sizes, levels = [], []
    for _ in range(6):
        for _ in range(200):
            arena.step()
            if n[at.ALIVE, wave].any():
                break
        sizes.append(int(n[at.ALIVE, wave].sum()))
        levels.append(int(n[at.LEVEL, wave][n[at.ALIVE, wave] == 1].min()))
        assert not arena.ended()
        kill(arena, wave)
        arena.step()
    assert sizes == [3, 4, 5, 6, 7, 8]
    assert levels == sorted(levels)
    assert levels[-1] > levels[0]
    (outcome,) = arena.ended()
    assert list(outcome.ranks) == [0, 1]
    assert outcome.reason == "survived"
    assert n[at.ALIVE, players].all()


def test_waves_are_lost_when_nobody_stands_and_won_by_holding_out() -> None:
    arena, _, rows = coop()
    play.steps(arena, 60)
    kill(arena, rows[:4])
    arena.step()
    (outcome,) = arena.ended()
    assert list(outcome.ranks) == [1, 0]
    assert outcome.reason == "overrun"
    arena, slot, rows = coop()
    play.steps(arena, 60)
    kill(arena, rows[:3])
    arena._world.m[at.END, slot] = 70
    play.steps(arena, 10)
    (outcome,) = arena.ended()
    assert list(outcome.ranks) == [0, 1]


def test_players_are_placed_apart_and_on_their_side() -> None:
    arena = Arena(matches_max=8, entities_max=128, demo=False)
    for seed in range(8):
        slot = arena.open_match("squads", seed, play.seats_of(arena, "squads"))
        spots = [tuple(arena._world.f[[at.X, at.Y], arena.entity(slot, seat)].tolist()) for seat in range(10)]
        assert len(set(spots)) == 10
        assert all((x < 32.0) == (seat < 5) for seat, (x, _) in enumerate(spots))
    slot = 0
    for slot in range(8):
        arena.close_match(slot)
    places = set()
    for seed in range(8):
        slot = arena.open_match("duel", seed, play.seats_of(arena, "duel"))
        places.add(tuple(arena._world.f[[at.X, at.Y], arena.entity(slot, 0)].tolist()))
    assert len(places) > 2  # the seed matters


def test_shots_of_a_closed_match_are_dropped_and_those_of_others_kept() -> None:
    arena = Arena(matches_max=2, entities_max=8, demo=False)
    first, a, _ = play.duel(arena, (20.0, 5.0), (25.0, 5.0))
    _, c, _ = play.duel(arena, (20.0, 5.0), (25.0, 5.0))
    for e in (a, c):
        play.send(arena, e, 1, arena_v1.Subtick(5.0, 0.0, 0.0, 0.0, True))
    arena.step()
    arena.close_match(first)
    shots = arena.shots()
    assert shots.count == 1
    assert shots.shooter[0] == c
    assert shots.hit[0]


def test_any_integer_is_a_seed_and_levels_are_bounded() -> None:
    arena = small()
    for seed in (-1, 2**64 + 5, -(2**80)):
        slot = arena.open_match("duel", seed, [Seat(0, PlayerId("p"), 5), Seat(1, None, 99)])
        assert arena._world.n[at.LEVEL, arena.entity(slot, 1)] == 10
        arena.close_match(slot)
