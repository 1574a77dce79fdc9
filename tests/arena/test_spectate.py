"""What spectators are sent: a whole match, without fog, each event once."""

import numpy as np

from gameedge.arena import world as at
from gameedge.arena.arena import Arena
from gameedge.core.game import Seat, Watchable
from gameedge.core.ids import PlayerId
from gameedge.core.protocol import arena_v1 as v1


def look(arena: Arena, slot: int, cursor: tuple[int, int] | None) -> tuple[v1.View, tuple[int, int]]:
    out = np.full((1, arena.spectate_size_max), 255, np.uint8)
    size, cursor = arena.spectate(slot, cursor, out)
    view = v1.decode_snapshot(out[0, :size].tobytes())
    assert view is not None
    return view, cursor


def test_everybody_is_in_it_wherever_they_are() -> None:
    arena = Arena(matches_max=2, entities_max=32)
    assert isinstance(arena, Watchable)
    slot = arena.open_match("ffa", 7, [Seat(team, PlayerId("p") if team == 3 else None) for team in range(8)])
    view, cursor = look(arena, slot, None)
    assert (view.seat, view.alive, len(view.team_scores), view.events) == (v1.SPECTATOR, False, 8, ())
    assert [other.seat for other in view.others] == list(range(8))
    assert [other.npc for other in view.others] == [seat != 3 for seat in range(8)]
    for _ in range(30):
        arena.step()
    view, cursor = look(arena, slot, cursor)
    rows = arena._world.rows[slot, :8]
    assert [other.x for other in view.others] == [round(float(x) * 64) / 64 for x in arena._world.f[at.X, rows]]
    assert cursor[0] == 30


def test_an_event_is_told_once_and_the_newest_ones_where_there_are_many() -> None:
    arena = Arena(matches_max=1, entities_max=16)
    slot = arena.open_match("duel", 1, [Seat(0), Seat(1)])
    _, cursor = look(arena, slot, None)
    w = arena._world
    for number in range(40):
        w.events[slot, int(w.m[at.EVENT_COUNT, slot]) & (w.events.shape[1] - 1)] = (v1.HIT, 0, 1, number)
        w.m[at.EVENT_COUNT, slot] += 1
    view, cursor = look(arena, slot, cursor)
    assert [event.value for event in view.events] == list(range(40 - v1.EVENTS_MAX, 40))
    view, _ = look(arena, slot, cursor)
    assert view.events == ()


def test_who_waits_for_a_wave_is_nowhere_and_a_closed_match_is_empty() -> None:
    arena = Arena(matches_max=1, entities_max=16)
    slot = arena.open_match("coop", 1, [Seat(0)] * 12)
    view, cursor = look(arena, slot, None)
    assert [other.seat for other in view.others] == [0, 1, 2, 3]
    arena.close_match(slot)
    out = np.zeros((1, arena.spectate_size_max), np.uint8)
    assert [arena.spectate(other, cursor, out)[0] for other in (slot, -1, 1)] == [0, 0, 0]


def test_the_largest_match_fits() -> None:
    assert v1.SPECTATE_SIZE_MAX == v1.SELF_SIZE + 2 * v1.TEAMS_MAX + v1.OTHER_SIZE * 32 + v1.EVENT_SIZE * v1.EVENTS_MAX
