"""The gate over simulated connections: honest ones are never refused, fast timers always are."""

import numpy as np
import pytest

from gameedge.core.anticheat import gate as g
from gameedge.core.protocol.frames import COMMAND_HEADER, UINT32

TICK_MS = 1000.0 / 60.0


def delays(rng: np.random.Generator, n: int, spacing_ms: float, rtt_ms: float, *, kind: str) -> np.ndarray:
    """One-way delays, ms, of `n` messages on a TCP connection: jitter, bursts of jitter, losses that hold up what follows."""
    sent = np.arange(n) * spacing_ms
    delay = rtt_ms / 2 + rng.gamma(2.0, 2.0, n)
    if kind in ("jitter", "all"):  # some seconds of every twenty are bad
        bad = (sent % 20_000) < rng.uniform(500, 4_000)
        delay += bad * rng.gamma(1.5, 30.0, n)
    if kind in ("loss", "all"):  # 15 % lost: a retransmission timeout of 200 ms + a round trip, doubled for each further loss
        lost = rng.random(n) < 0.15
        delay += lost * (200 + rtt_ms) * 2.0 ** np.minimum(rng.geometric(0.85, n) - 1, 2)
    if kind in ("stalls", "all"):
        for at in rng.integers(0, n, max(1, n // 600)):
            end = sent[at] + rng.uniform(300, 1_300 if at < 40 else 2_500)
            held = (sent >= sent[at]) & (sent < end)
            delay[held] = np.maximum(delay[held], end - sent[held] + rtt_ms / 2)
    return delay


def play(
    gate: g.Gate,
    slot: int,
    arrived: np.ndarray,
    client_ms: np.ndarray,
    rtt_ms: float,
    *,
    capacity: int,
    chunk: int = 4_096,
) -> np.ndarray:
    """Reasons, uint8 [N], of one connection's commands arriving at these times."""
    n = len(arrived)
    headers = np.zeros(n, COMMAND_HEADER)
    headers["type"], headers["sequence"] = 1, (np.arange(n) + 1) % UINT32
    headers["client_ms"] = np.round(client_ms).astype(np.int64) % UINT32
    reasons, rewind = np.zeros(n, np.uint8), np.zeros(n, np.float32)
    rtt = np.full(capacity, rtt_ms, np.float32)
    for at in range(0, n, chunk):
        part = slice(at, at + chunk)
        slots = np.full(len(headers[part]), slot, np.int32)
        gate.check(slots, headers[part], arrived[part], rtt, reasons[part], rewind[part], 10, TICK_MS)
    return reasons


def connection(
    seed: int, n: int, *, speed: float = 1.0, rate: float = 1.0, drift: float = 0.0, rtt: float = 60.0, kind: str = "all"
) -> tuple[np.ndarray, np.ndarray]:
    """Arrival times and client clocks: `speed` is the client's clock and timer, `rate` extra commands, `drift` the crystal."""
    rng = np.random.default_rng(seed)
    spacing = 50.0 / (speed * rate * (1 + drift))
    sent = 5_000.0 + np.arange(n) * spacing + rng.uniform(0, 4, n)
    delay = delays(rng, n, spacing, rtt, kind=kind)
    arrived = np.maximum.accumulate(np.round(sent + delay, 3))  # TCP: what is held up holds up the rest
    return arrived, rng.integers(0, UINT32) + sent * speed * (1 + drift)


def test_a_million_honest_commands_are_never_refused() -> None:
    gate, capacity, each, count = g.Gate(64), 64, 20_000, 0
    for seed in range(50):
        kind = ("none", "jitter", "loss", "stalls", "all")[seed % 5]
        drift = (-200e-6, 0.0, 200e-6)[seed % 3]
        rtt = 300.0 * (seed % 7) / 6
        arrived, clock = connection(seed, each, drift=drift, rtt=rtt, kind=kind)
        reasons = play(gate, seed, arrived, clock, rtt, capacity=capacity)
        assert not reasons.any(), f"seed {seed} {kind} rtt {rtt}: {np.unique(reasons)} at {np.nonzero(reasons)[0][:5]}"
        count += each
    assert count == 1_000_000
    assert not gate.counts.any()


@pytest.mark.parametrize(("speed", "within_s"), [(1.01, 35.0), (1.05, 8.0), (1.5, 2.5), (3.0, 2.0)])
@pytest.mark.parametrize("rtt", [0.0, 60.0, 300.0])
def test_fast_timers_are_found(speed: float, within_s: float, rtt: float) -> None:
    for seed in range(5):
        arrived, clock = connection(seed, 4_000, speed=speed, rtt=rtt, kind="jitter" if seed % 2 else "none")
        reasons = play(g.Gate(2), 0, arrived, clock, rtt, capacity=2)
        first = np.nonzero(reasons == g.CLOCK_FAST)[0]
        assert first.size
        assert arrived[first[0]] - arrived[0] < within_s * 1000


def finds(gate: g.Gate, arrived: np.ndarray, client_ms: np.ndarray, rtt_ms: float) -> list[float]:
    """Seconds since the first command at which the gate found a fast clock."""
    n = len(arrived)
    headers = np.zeros(n, COMMAND_HEADER)
    headers["sequence"] = (np.arange(n) + 1) % UINT32
    headers["client_ms"] = np.round(client_ms).astype(np.int64) % UINT32
    rtt, slot, found = np.full(1, rtt_ms, np.float32), np.zeros(1, np.int32), []
    for i in range(n):
        reasons, rewind = np.zeros(1, np.uint8), np.zeros(1, np.float32)
        if len(gate.check(slot, headers[i : i + 1], arrived[i : i + 1], rtt, reasons, rewind, 10, TICK_MS)):
            found.append(float(arrived[i] - arrived[0]) / 1000)
    return found


@pytest.mark.parametrize(("speed", "within_s"), [(1.5, 1.0), (1.05, 1.0), (1.01, 5.0)])
@pytest.mark.parametrize("rtt", [20.0, 150.0, 300.0])
def test_on_a_steady_link_fast_timers_are_found_before_they_gain_anything(speed: float, within_s: float, rtt: float) -> None:
    for seed in range(8):
        arrived, clock = connection(seed, 400, speed=speed, rtt=rtt, kind="none")
        found = finds(g.Gate(1), arrived, clock, rtt)
        assert found
        assert found[0] <= within_s


def test_honest_clocks_are_hardly_ever_found_fast() -> None:
    """Four finds within seconds of each other make a flag (see watch); one in an hour of bad links makes nothing."""
    hours, found = 0.0, 0
    for seed in range(60):
        kind = ("none", "jitter", "loss", "stalls", "all")[seed % 5]
        arrived, clock = connection(3_000 + seed, 3_000, drift=(-2e-4, 0.0, 2e-4)[seed % 3], rtt=300.0 * (seed % 7) / 6, kind=kind)
        times = finds(g.Gate(1), arrived, clock, 60.0)
        assert len(times) < 3, f"seed {seed}"
        found, hours = found + len(times), hours + (arrived[-1] - arrived[0]) / 3.6e6
    assert found <= hours


def stalled(n: int, lost: dict[int, float], rtt: float = 285.0) -> tuple[np.ndarray, np.ndarray]:
    """Commands of which some came late by so many ms, TCP keeping the order."""
    sent = 5_000.0 + 50.0 * np.arange(n)
    delay = np.full(n, rtt / 2)
    for k, late in lost.items():
        delay[k] += late
    return np.maximum.accumulate(sent + delay), sent.copy()


def test_silence_does_not_lower_the_ceiling() -> None:
    """One packet lost five times over is followed by 13 s of nothing: in that time no command could have reached the ceiling."""
    arrived, clock = stalled(900, {183: 6_413, 295: 6_413, 359: 13_250, 625: 430})
    assert np.diff(arrived).max() > g.WINDOW_MS
    assert not play(g.Gate(1), 0, arrived, clock, 285.0, capacity=1).any()


def test_flow_does_lower_it() -> None:
    """A clock that stood still for half a minute of commands has no claim to what it missed."""
    n = 1_500
    arrived = 5_000.0 + 50.0 * np.arange(n) + 30.0
    speed = np.where(np.arange(n) < 200, 1.0, np.where(np.arange(n) < 800, 0.5, 1.3))
    reasons = play(g.Gate(1), 0, arrived, np.cumsum(50.0 * speed), 60.0, capacity=1)
    assert not reasons[:800].any()
    assert (reasons[800:] == g.CLOCK_FAST).any()


def test_a_session_that_begins_held_up_is_not_found_fast() -> None:
    """The first packet is lost, and so are some behind it: x rises from burst to burst while the queue drains."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        lost = {0: 450.0, **{int(k): float(rng.uniform(300, 460)) for k in rng.integers(1, 25, 4)}}
        assert not finds(g.Gate(1), *stalled(300, lost), 290.0)


@pytest.mark.parametrize(("rtt", "median_s"), [(60.0, 10.0), (300.0, 25.0)])
def test_a_clock_of_one_percent_is_found_on_lossy_links(rtt: float, median_s: float) -> None:
    """15 % lost, jitter and stalls; by arrival times alone, with nothing assumed of delays, it would take rtt / 0.01."""
    took = []
    for seed in range(6):
        arrived, clock = connection(40 + seed, 1_200, speed=1.01, rtt=rtt, kind="all" if seed % 2 else "loss")
        found = finds(g.Gate(1), arrived, clock, rtt)
        assert found, f"seed {seed}"
        took.append(found[0])
    assert float(np.median(took)) < median_s


@pytest.mark.parametrize(("speed", "within_s"), [(1.01, 15.0), (1.05, 12.0), (1.3, 12.0)])
def test_commands_sent_in_pairs_hide_no_clock(speed: float, within_s: float) -> None:
    """Each pair looks as if something had held it up."""
    arrived, clock = connection(8, 1_200, speed=speed, rtt=60.0, kind="none")
    arrived[:-1:2] = arrived[1::2]
    found = finds(g.Gate(1), arrived, clock, 60.0)
    assert found
    assert found[0] < within_s


def test_delay_that_falls_is_no_clock_where_ping_falls_with_it() -> None:
    """A queue drains for ten seconds: arrivals look like those of a clock of 1.02x, and the round trip says what it is."""
    gate, n = g.Gate(2), 600
    sent = 5_000.0 + 50.0 * np.arange(n)
    late = np.maximum(200.0 - 0.02 * (sent - sent[0]), 0.0)
    found = {0: 0, 1: 0}
    for i in range(n):
        header = np.zeros(2, COMMAND_HEADER)
        header["sequence"], header["client_ms"] = i + 1, round(sent[i])
        rtt = np.array([80.0 + late[i], 80.0], np.float32)
        at = np.full(2, sent[i] + 40.0 + late[i])
        slots = np.array([0, 1], np.int32)
        for slot in gate.check(slots, header, at, rtt, np.zeros(2, np.uint8), np.zeros(2, np.float32), 10, TICK_MS).tolist():
            found[slot] += 1
    assert found[0] == 0
    assert found[1] > 0


@pytest.mark.parametrize("rate", [1.05, 1.3, 2.0, 10.0])
def test_extra_commands_are_refused_and_only_the_extra_ones(rate: float) -> None:
    arrived, clock = connection(1, 6_000, rate=rate, rtt=80.0, kind="jitter")
    reasons = play(g.Gate(1), 0, arrived, clock, 80.0, capacity=1)
    accepted = int((reasons == 0).sum())
    elapsed = arrived[-1] - arrived[0]
    bound = elapsed * (1 + g.FOLLOW) / g.COMMAND_MS + (g.LEARN_RISE_MS_MAX + g.SLACK_MS_MAX) / g.COMMAND_MS + 1
    assert accepted <= bound
    assert accepted >= 0.98 * elapsed / g.COMMAND_MS - 2
    assert (reasons == g.CADENCE).sum() == len(reasons) - accepted


def test_a_pause_gives_no_lasting_credit() -> None:
    """Half a minute away, then 1.05x: the pause must not pay for it."""
    before, clock_a = connection(2, 400, kind="none")
    after, clock_b = connection(3, 2_000, rate=1.05, kind="none")
    arrived = np.concatenate([before, after - after[0] + before[-1] + 30_000])
    clock = np.concatenate([clock_a, clock_b - clock_b[0] + clock_a[-1] + 30_000])
    reasons = play(g.Gate(1), 0, arrived, clock, 60.0, capacity=1)
    assert not reasons[:400].any()
    assert (reasons[400:] == g.CADENCE).any()


def test_a_laptop_that_slept_and_a_route_that_changed_go_on() -> None:
    a, clock = connection(4, 3_000, kind="none", rtt=200.0)
    slept = a.copy()
    slept[1_000:] += 600_000  # ten minutes; its clock stood still
    assert not play(g.Gate(1), 0, slept, clock, 200.0, capacity=1).any()
    shorter = a.copy()
    shorter[1_500:] -= 90.0  # 200 -> 20 ms of round trip
    assert not play(g.Gate(1), 0, shorter, clock, 200.0, capacity=1).any()


def test_a_clock_that_is_set_costs_one_command() -> None:
    arrived, clock = connection(5, 1_000, kind="none")
    clock[500:] += 3_600_000
    reasons = play(g.Gate(1), 0, arrived, clock, 60.0, capacity=1)
    assert np.nonzero(reasons)[0].tolist() == [500]


@pytest.mark.parametrize("rtt", [np.nan, np.inf, -5.0, 1e30])
def test_a_clock_that_runs_back_and_a_round_trip_that_is_none(rtt: float) -> None:
    """An hour back costs nothing, and gives no hour to catch up: forward again is one refusal as for any clock that is set."""
    arrived, clock = connection(6, 2_000, kind="none")
    clock[500:1_500] -= 3_600_000
    reasons = play(g.Gate(1), 0, arrived, clock, rtt, capacity=1)
    assert np.nonzero(reasons)[0].tolist() == [1_500]
    assert reasons[1_500] == g.CLOCK_FAST


def _one(gate: g.Gate, sequence: int, seen: int = 0, *, at: float = 0.0, tick: int = 100) -> tuple[int, float]:
    header = np.zeros(1, COMMAND_HEADER)
    header["sequence"], header["seen_tick"], header["client_ms"] = sequence % UINT32, seen % UINT32, int(at) % UINT32
    reasons, rewind = np.zeros(1, np.uint8), np.zeros(1, np.float32)
    rtt = np.full(1, np.nan, np.float32)
    gate.check(np.zeros(1, np.int32), header, np.array([at]), rtt, reasons, rewind, tick, TICK_MS)
    return int(reasons[0]), float(rewind[0])


def test_sequences() -> None:
    gate = g.Gate(1)
    assert _one(gate, UINT32 - 1, at=0)[0] == 0
    assert _one(gate, UINT32 + 1, at=60)[0] == 0  # wraps
    assert _one(gate, 1, at=110)[0] == g.REPLAYED
    assert _one(gate, UINT32 - 5, at=160)[0] == g.REPLAYED
    assert _one(gate, 2 + g.JUMP_MAX, at=210)[0] == g.SEQUENCE_JUMP
    assert _one(gate, 1 + g.JUMP_MAX, at=30_000)[0] == 0  # a resume
    gate.reset(0)
    assert _one(gate, 1, at=31_000)[0] == 0
    assert dict(zip(g.GATE_REASONS, gate.counts.tolist(), strict=True)) == {
        "replayed": 2,
        "sequence_jump": 1,
        "clock_fast": 0,
        "cadence": 0,
        "seen_future": 0,
    }


def test_rewind_is_bounded_and_never_goes_back() -> None:
    gate = g.Gate(1)
    assert _one(gate, 1, 0, at=0) == (0, 0.0)  # nothing seen yet
    assert _one(gate, 2, 101, at=60)[0] == g.SEEN_FUTURE
    reason, rewind = _one(gate, 3, 94, at=120)
    assert (reason, round(rewind)) == (0, 117)  # six ticks, and the coming step is one more
    reason, rewind = _one(gate, 4, 50, at=180)  # claims to have forgotten
    assert (reason, round(rewind)) == (0, 117)
    assert _one(gate, 5, 94, at=240, tick=400) == (0, 400.0)


def test_rows_refused_before_are_skipped() -> None:
    gate = g.Gate(1)
    headers = np.zeros(2, COMMAND_HEADER)
    headers["sequence"] = 1
    reasons, rewind = np.array([3, 0], np.uint8), np.full(2, 7.0, np.float32)
    gate.check(np.zeros(2, np.int32), headers, np.zeros(2), np.zeros(1, np.float32), reasons, rewind, 1, TICK_MS)
    assert reasons.tolist() == [3, 0]
    assert rewind.tolist() == [0.0, 0.0]


def test_who_began_while_the_server_stood_still_is_no_fast_clock() -> None:
    """Commands of three seconds come at once, and then one by one: the first was held up for longer than a stall may be."""
    made = 5_000.0 + 50.0 * np.arange(600)
    arrived = np.maximum(made + 40.0, made[0] + 3_000.0)
    gates = {name: g.Gate(2) for name in ("told", "not told")}
    refused = {name: play(gate, 0, arrived[:80], made[:80], 80.0, capacity=2) for name, gate in gates.items()}
    before = play(gates["told"], 1, made[:80] + 40.0, made[:80], 80.0, capacity=2)  # a session that was there already
    gates["told"].forget_since(arrived[0])
    after = {}
    for name, gate in gates.items():
        after[name] = later(gate, 0, arrived[80:], made[80:], 80)
    assert (after["told"] == 0).all()
    assert (after["not told"] == g.CLOCK_FAST).sum() > 10
    assert (refused["told"] == refused["not told"]).all()
    assert (before == 0).all()
    assert (later(gates["told"], 1, made[:80] + 40.0, made[:80], 0) == g.REPLAYED).all()  # it was not forgotten


def later(gate: g.Gate, slot: int, arrived: np.ndarray, made: np.ndarray, first: int) -> np.ndarray:
    """As `play`, with the sequence going on."""
    headers = np.zeros(len(made), COMMAND_HEADER)
    headers["type"], headers["sequence"], headers["client_ms"] = 1, np.arange(len(made)) + 1 + first, made.astype(np.int64)
    reasons, rewind, rtt = np.zeros(len(made), np.uint8), np.zeros(len(made), np.float32), np.full(2, 80.0, np.float32)
    gate.check(np.full(len(made), slot, np.int32), headers, arrived, rtt, reasons, rewind, 10, TICK_MS)
    return reasons
