"""Commands: what is refused and why, the input buffer, movement, and payloads that nobody meant."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gameedge.arena import Arena
from gameedge.arena import world as at
from gameedge.arena.settings import BUFFER_KEEP, RADIUS, REPEAT_TICKS, SIZE, SPEED_MAX
from gameedge.core.game import ACCEPTED, BAD_PAYLOAD, MOVE_BOUND, TURN_BOUND
from gameedge.core.limits import INPUT_BUFFER_SUBTICKS
from gameedge.core.protocol.arena_map import WALLS
from gameedge.core.protocol.arena_v1 import Subtick
from tests.arena import play

EAST = Subtick(5.0, 0.0, 1.0, 0.0, False)
STILL = Subtick(5.0, 0.0, 0.0, 0.0, False)


def raw(*subticks: tuple[int, int, int, int, int, int]) -> bytes:
    return b"".join(struct.pack("<hhbbBB", *subtick) for subtick in subticks)


PLAIN = (160, 0, 0, 0, 0, 17)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (raw(PLAIN, PLAIN, PLAIN), ACCEPTED),
        (raw(PLAIN, PLAIN, (160, 0, 127, -127, 1, 0)), ACCEPTED),
        (raw(PLAIN, (160, 0, 0, 0, 2, 17), PLAIN), BAD_PAYLOAD),
        (raw(PLAIN, PLAIN, (160, 0, 0, 0, 255, 17)), BAD_PAYLOAD),
        (raw((160, 0, -128, 0, 0, 17), PLAIN, PLAIN), MOVE_BOUND),
        (raw(PLAIN, PLAIN, (160, 0, 0, -128, 0, 17)), MOVE_BOUND),
        (raw((60 * 32, 0, 0, 0, 0, 17), PLAIN, PLAIN), ACCEPTED),
        (raw((60 * 32 + 1, 0, 0, 0, 0, 17), PLAIN, PLAIN), TURN_BOUND),
        (raw((-32768, -32768, 0, 0, 0, 17), PLAIN, PLAIN), TURN_BOUND),
        (raw((900, 0, 0, 0, 0, 17), (-900, 0, 0, 0, 0, 17), (900, 0, 0, 0, 0, 17)), TURN_BOUND),  # there and back
        (raw((900, 0, 0, 0, 0, 17), (-900, 0, 0, 0, 0, 17), (-900, 0, 0, 0, 0, 17)), ACCEPTED),  # a flick
        (raw((600, 0, 0, 0, 0, 17), (-600, 0, 0, 0, 0, 17), (600, 0, 0, 0, 0, 17)), ACCEPTED),  # a shaking hand
    ],
)
def test_reasons(payload: bytes, reason: int) -> None:
    arena = Arena(matches_max=1, entities_max=8, demo=False)
    _, a, _ = play.duel(arena, (5.0, 5.0), (60.0, 60.0))
    assert play.send(arena, a, 1, payload=payload) == reason
    play.steps(arena, 3)
    assert play.look(arena, a)[1] == (1 if reason == ACCEPTED else 0)


def test_rows_that_were_refused_before_are_skipped_and_their_reason_kept() -> None:
    arena = Arena(matches_max=1, entities_max=8, demo=False)
    _, a, b = play.duel(arena, (5.0, 5.0), (60.0, 60.0))
    payloads = np.frombuffer(raw(PLAIN, PLAIN, PLAIN) * 3, np.uint8).reshape(3, 24)
    reasons = np.array([3, 0, 0], np.uint8)
    entities = np.array([a, b, a], np.int32)
    arena.receive(entities, payloads, np.array([1, 2, 3], np.int64), np.zeros(3, np.float32), reasons)
    assert reasons.tolist() == [3, 0, 0]
    play.steps(arena, 3)
    assert (play.look(arena, a)[1], play.look(arena, b)[1]) == (3, 2)


def test_a_command_is_used_up_with_its_third_subtick() -> None:
    arena = Arena(matches_max=1, entities_max=8, demo=False)
    _, a, _ = play.duel(arena, (5.0, 5.0), (60.0, 60.0))
    play.send(arena, a, 41, EAST)
    play.send(arena, a, 42, EAST)
    seen = []
    for _ in range(7):
        arena.step()
        seen.append(play.look(arena, a)[1])
    assert seen == [0, 0, 41, 41, 41, 42, 42]


def test_full_buffers_drop_the_oldest_and_drain_twice_as_fast() -> None:
    arena = Arena(matches_max=1, entities_max=8, demo=False)
    _, a, _ = play.duel(arena, (5.0, 5.0), (60.0, 60.0))
    for number in range(1, 21):
        assert play.send(arena, a, number, EAST) == ACCEPTED
    n = arena._world.n
    assert n[at.COUNT, a] == INPUT_BUFFER_SUBTICKS
    assert play.look(arena, a)[1] == (60 - INPUT_BUFFER_SUBTICKS) // 3  # the dropped ones will never be used
    ticks = 0
    while n[at.COUNT, a] > BUFFER_KEEP:
        before = arena._world.f[at.X, a]
        arena.step()
        assert arena._world.f[at.X, a] - before <= SPEED_MAX / 60 + 1e-9  # no faster through a backlog
        ticks += 1
    assert ticks == (INPUT_BUFFER_SUBTICKS - BUFFER_KEEP + 1) // 2
    play.steps(arena, BUFFER_KEEP)
    assert play.look(arena, a)[1] == 20


def test_without_commands_the_last_movement_goes_on_briefly_and_fire_not_at_all() -> None:
    arena = Arena(matches_max=1, entities_max=8, demo=False)
    _, a, _ = play.duel(arena, (5.0, 5.0), (60.0, 60.0))
    for number in range(1, 5):
        play.send(arena, a, number, Subtick(5.0, 0.0, 1.0, 0.0, True))
        play.steps(arena, 3)
    f, n = arena._world.f, arena._world.n
    assert f[at.VX, a] == pytest.approx(SPEED_MAX)
    shots = n[at.FIRED, a]
    play.steps(arena, REPEAT_TICKS)
    assert f[at.VX, a] == pytest.approx(SPEED_MAX)
    play.steps(arena, 12)
    assert (f[at.VX, a], f[at.VY, a]) == (0.0, 0.0)
    assert n[at.FIRED, a] == shots


def test_diagonal_movement_is_no_faster() -> None:
    arena = Arena(matches_max=1, entities_max=8, demo=False)
    _, a, _ = play.duel(arena, (40.0, 5.0), (60.0, 60.0))
    for number in range(1, 6):
        play.send(arena, a, number, Subtick(5.0, 0.0, -1.0, 1.0, False))
        play.steps(arena, 3)
    velocity = arena._world.f[[at.VX, at.VY], a]
    assert np.hypot(*velocity) == pytest.approx(SPEED_MAX)


def test_walls_stop_and_let_slide() -> None:
    arena = Arena(matches_max=1, entities_max=8, demo=False)
    _, a, _ = play.duel(arena, (12.0, 12.0), (60.0, 60.0))  # the wall from x 14 on, y 10 to 22
    for number in range(1, 21):
        play.send(arena, a, number, Subtick(5.0, 0.0, 1.0, 1.0, False))
        play.steps(arena, 3)
    x, y = arena._world.f[[at.X, at.Y], a]
    assert x == pytest.approx(14.0 - RADIUS)
    assert y > 15.0


def test_nobody_ever_stands_in_a_wall_or_outside() -> None:
    arena = Arena(matches_max=1, entities_max=8, demo=False)
    slot = arena.open_match("ffa", 9, play.seats_of(arena, "ffa"))
    rng = np.random.default_rng(2)
    entities = [arena.entity(slot, seat) for seat in range(8)]
    wish = rng.integers(-127, 128, (8, 2))
    for tick in range(1500):
        if tick % 3 == 0:
            for row, e in enumerate(entities):
                if rng.random() < 0.05:
                    wish[row] = rng.integers(-127, 128, 2)
                move = (160, 0, int(wish[row, 0]), int(wish[row, 1]), 0, 17)
                play.send(arena, e, tick + 1, payload=raw(move, move, move))
        arena.step()
        for x, y in arena._world.f[[at.X, at.Y]][:, entities].T.tolist():
            assert RADIUS - 1e-9 <= x <= SIZE - RADIUS + 1e-9
            assert RADIUS - 1e-9 <= y <= SIZE - RADIUS + 1e-9
            for x0, y0, x1, y1 in WALLS:
                dx, dy = x - min(max(x, x0), x1), y - min(max(y, y0), y1)
                assert dx * dx + dy * dy >= (RADIUS - 0.05) ** 2


def test_a_client_in_another_seat_or_nowhere_changes_nothing() -> None:
    arena = Arena(matches_max=1, entities_max=8, demo=False)
    slot = arena.open_match("duel", 1, play.seats_of(arena, "duel", humans=1))
    npc = arena.entity(slot, 1)
    before = arena.digest(slot)
    assert play.send(arena, npc, 1, EAST) == ACCEPTED  # handed over a moment ago: no fault of the client
    assert play.send(arena, 7, 1, EAST) == ACCEPTED
    assert play.send(arena, -1, 1, EAST) == BAD_PAYLOAD
    assert play.send(arena, 8, 1, EAST) == BAD_PAYLOAD
    assert play.send(arena, 2**31 - 1, 1, EAST) == BAD_PAYLOAD
    assert arena.digest(slot) == before


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.binary(min_size=24, max_size=24), min_size=1, max_size=20),
    st.floats(width=32),
    st.integers(-(2**63), 2**63 - 1),
)
def test_garbage_never_raises_and_never_breaks_the_state(payloads: list[bytes], rewind_ms: float, sequence: int) -> None:
    arena = Arena(matches_max=1, entities_max=8, demo=False)
    slot, a, b = play.duel(arena, (20.0, 5.0), (26.0, 5.0))
    for number, payload in enumerate(payloads):
        reason = play.send(arena, (a, b)[number % 2], sequence, payload=payload, rewind_ms=rewind_ms)
        assert reason in (ACCEPTED, BAD_PAYLOAD, MOVE_BOUND, TURN_BOUND)
        arena.step()
    play.steps(arena, 12)
    assert np.isfinite(arena._world.f).all()
    assert play.look(arena, a)[0].health <= 100
    assert arena.info(slot).tick == len(payloads) + 12


def test_a_flood_of_random_bytes() -> None:
    arena = Arena(matches_max=4, entities_max=64, demo=False)
    slots = [arena.open_match("squads", seed, play.seats_of(arena, "squads")) for seed in range(4)]
    rng = np.random.default_rng(4)
    counts = np.zeros(5, np.int64)
    for _ in range(50):
        entities = rng.integers(-5, 70, 2000).astype(np.int32)
        payloads = rng.integers(0, 256, (2000, 24), np.uint8)
        payloads[::2, 6::8] &= 1  # half of them get past the buttons
        payloads[::4, 1::8] &= 3
        payloads[::4, 3::8] &= 3
        reasons = np.zeros(2000, np.uint8)
        rewind = rng.choice(np.array([0.0, 100.0, 1e9, -1e9, np.nan, np.inf], np.float32), 2000)
        arena.receive(entities, payloads, rng.integers(-(2**62), 2**62, 2000), rewind, reasons)
        counts += np.bincount(reasons, minlength=5)
        arena.step()
    assert (counts[:4] > 0).all()
    assert counts[4] == 0
    assert np.isfinite(arena._world.f).all()
    assert all(arena.info(slot).tick == 50 for slot in slots)
