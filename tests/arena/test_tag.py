"""The second game: what examples/tag.py promises, through the seam alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples.tag import SEATS, SIZE, SNAPSHOT, TagGame
from gameedge.core.errors import Reason, RefusedError
from gameedge.core.game import BAD_PAYLOAD, Game, Seat
from gameedge.core.ids import PlayerId

EAST, NORTH, WEST = 1, 2, 3


def seats(humans: int = SEATS) -> list[Seat]:
    return [Seat(team, PlayerId(f"p_{team}") if team < humans else None) for team in range(SEATS)]


def send(game: Game, entity: int, number: int, direction: int) -> int:
    reasons = np.zeros(1, np.uint8)
    payload = np.array([[direction]], np.uint8)
    game.receive(np.array([entity], np.int32), payload, np.array([number], np.int64), np.zeros(1, np.float32), reasons)
    return int(reasons[0])


def look(game: Game, *viewers: int) -> tuple[list[tuple[int, ...]], list[int]]:
    out = np.full((len(viewers) + 2, game.spec.snapshot_size_max), 255, np.uint8)
    sizes, processed = np.zeros(len(viewers) + 2, np.int32), np.zeros(len(viewers) + 2, np.int64)
    game.snapshot(np.array(viewers, np.int32), out, sizes, processed)
    count = len(viewers)
    assert (out[count:] == 255).all()
    return [SNAPSHOT.unpack(out[i, : sizes[i]].tobytes()) for i in range(count) if sizes[i]], processed[:count].tolist()


def test_commands_move_their_player_and_are_confirmed() -> None:
    game: Game = TagGame(matches_max=2, entities_max=8, demo=True)
    slot = game.open_match("tag", 1, seats())
    entity = game.entity(slot, 0)
    assert send(game, entity, 7, EAST) == 0
    assert look(game, entity)[1] == [0]
    for _ in range(30):
        game.step()
    (view,), processed = look(game, entity)
    assert processed == [7]
    assert view[0] == 0
    assert view[3:5] == (SIZE, SEATS)
    assert view[5:7] == (1 + 5, 1)
    assert view[2] == 55  # tenths of a second left
    for _ in range(120):
        game.step()
    assert look(game, entity)[0][0][5:7] == (SIZE - 1, 1)  # the edge holds


def test_being_it_is_handed_on_by_touch() -> None:
    game = TagGame(matches_max=1, entities_max=4, demo=False)
    slot = game.open_match("tag", 1, seats())
    game._it[slot] = 0
    for number, (direction, ticks) in enumerate([(NORTH, 60), (EAST, 60)], start=1):  # seat 2 is at the top left
        send(game, game.entity(slot, 0), number, direction)
        for _ in range(ticks):
            game.step()
    assert game._it[slot] == 2
    scores = game.info(slot).scores
    assert max(scores) == scores[1] == scores[3]
    assert scores[0] > 0
    assert scores[2] > 0


@pytest.mark.parametrize("humans", [0, 2])
def test_a_match_ends_once_with_ranks(humans: int) -> None:
    game = TagGame(matches_max=1, entities_max=4, demo=True)
    slot = game.open_match("tag", 3, seats(humans))
    assert game.npcs().tolist() == list(range(humans, SEATS))
    outcomes = []
    for _ in range(400):
        game.step()
        outcomes += game.ended()
    assert [outcome.slot for outcome in outcomes] == [slot]
    assert outcomes[0].ranks[int(np.argmax(outcomes[0].scores))] == 0
    assert game.info(slot).remaining_ms == 0
    game.close_match(slot)
    game.close_match(slot)
    assert game.open_match("tag", 3, seats()) == slot


def test_same_seed_same_match_whatever_the_slot() -> None:
    game = TagGame(matches_max=8, entities_max=32, demo=False)
    for seed in (1, 2, 5, 9):
        game.open_match("tag", seed, seats(0))
    twin = game.open_match("tag", 2, seats(0))
    for _ in range(500):
        game.step()
    a, b = look(game, game.entity(1, 0), game.entity(twin, 0))[0]
    assert a == b
    assert look(game, game.entity(0, 0))[0][0] != a


def test_refusals() -> None:
    game = TagGame(matches_max=1, entities_max=4, demo=True)
    for mode, lineup in (("chess", seats()), ("tag", seats()[:3])):
        with pytest.raises(RefusedError) as refused:
            game.open_match(mode, 1, lineup)
        assert refused.value.reason == Reason.UNSUPPORTED
    slot = game.open_match("tag", 1, seats(1))
    with pytest.raises(RefusedError) as refused:
        game.open_match("tag", 1, seats())
    assert refused.value.reason == Reason.SERVER_FULL
    with pytest.raises(RefusedError):
        game.entity(slot, SEATS)
    assert send(game, game.entity(slot, 0), 1, 5) == BAD_PAYLOAD
    assert send(game, 99, 1, EAST) == BAD_PAYLOAD
    assert send(game, -1, 1, EAST) == BAD_PAYLOAD
    assert send(game, game.entity(slot, 1), 1, WEST) == 0  # an NPC's seat: silently nothing
    for _ in range(6):
        game.step()
    assert look(game, game.entity(slot, 1))[1] == [0]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(-3, 12), st.integers(0, 255)), max_size=30))
def test_any_bytes(rows: list[tuple[int, int]]) -> None:
    game = TagGame(matches_max=2, entities_max=8, demo=True)
    slot = game.open_match("tag", 1, seats())
    for number, (entity, byte) in enumerate(rows):
        send(game, entity, number, byte)
        game.step()
    for view in look(game, *(game.entity(slot, seat) for seat in range(SEATS)))[0]:
        assert all(0 <= view[5 + 3 * seat + axis] < SIZE for seat in range(SEATS) for axis in (0, 1))
