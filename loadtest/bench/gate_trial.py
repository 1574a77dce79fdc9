"""The gate against simulated links: `python -m loadtest.bench.gate_trial --ticks 1e8 --json`.

Honest sessions must lose no command, cheating ones must gain none. A session is 60 s of 20 commands a second through a link of its own:
0 to 300 ms of round trip, up to 15% of packets lost (TCP sends them again after a timeout that doubles, and holds up what follows),
jitter, bursts in which everything stalls, packets that overtake each other (TCP puts them in order again), clocks that are off by
up to 200 ppm and begin anywhere (they wrap), frames that are late, pauses of a second or three. A tick is a player's sixtieth of a
second. Links that stall a connection's first command for over two seconds are left out: nobody plays yet.

Cheats, one a session: a timer (1.01x to 2x, clock and commands), more commands with an honest clock, every command sent again, an old
one played again, a sequence that leaps, a claim to have seen the future. Accepted is a cheat when a forged command is taken, when
a session has more commands taken than the gate's guarantee allows, or when a timer (of any speed, on any link) is neither found nor
refused for its clock within the session. How soon timers are, is told by class of link.
"""

import argparse
import json
import math
from time import perf_counter
from typing import Any, Final

import numpy as np
from numba import njit

from gameedge.core.anticheat import gate as g
from gameedge.core.protocol.frames import COMMAND_HEADER
from loadtest.shares import at_most

SECONDS: Final = 60
TICK_HZ: Final = 60
COMMANDS: Final = 20 * SECONDS
HONEST, TIMER, CADENCE, TWICE, OLD, LEAP, FUTURE = range(7)
NAMES: Final = ("honest", "timer", "cadence", "sent_twice", "replayed_old", "sequence_leap", "seen_future")
SPEEDS: Final = (1.01, 1.02, 1.05, 1.1, 1.3, 2.0)
_RTO_MS: Final = 200.0
JITTER_MS: Final = 5.0  # above it a link is called jittery
LINKS: Final = ("steady", "jittery", "bursts or pauses", "lossy, up to 150 ms", "lossy, above")
STEADY, JITTERY, BURSTS, LOSSY, LOSSY_FAR = range(5)


@njit
def _delivered(sent, n, rtt, loss, jitter, burst):  # type: ignore[no-untyped-def]
    """When each command arrives, ms: late, lost and sent again, stalled, overtaken, and put in order by TCP."""
    arrived, last, stall = np.empty(n), -1e18, -1e18
    for k in range(n):
        at = sent[k] + 0.5 * rtt + np.random.exponential(jitter)
        timeout = max(_RTO_MS, 1.5 * rtt)
        tries = 0
        while np.random.random() < loss and tries < (5 if k > 0 else 2):
            at += timeout
            timeout *= 2.0
            tries += 1
        if burst > 0.0 and np.random.random() < 0.002:
            stall = sent[k] + np.random.uniform(50.0, burst)
        at = max(at, stall)
        last = max(last, at)  # whatever overtook on the way waits for what was before it
        arrived[k] = last
    return arrived


@njit
def _header(header, sequence, clock_ms, seen):  # type: ignore[no-untyped-def]
    header[0].sequence = np.uint32(np.int64(sequence) & 0xFFFFFFFF)
    header[0].client_ms = np.uint32(np.int64(clock_ms) & 0xFFFFFFFF)
    header[0].seen_tick = np.uint32(np.int64(seen) & 0xFFFFFFFF)


@njit
def _one(state, header, slot, now, rtts, reasons, rewind, counts, fast):  # type: ignore[no-untyped-def]
    reasons[0] = 0
    tick = np.int64(now[0] * TICK_HZ / 1000.0)
    return g._check(state, slot, header, now, rtts, reasons, rewind, tick, 1000.0 / TICK_HZ, counts, fast)


@njit
def _session(kind, speed, seed, header, out):  # type: ignore[no-untyped-def]
    """Play one session into out: commands, refused, forged, forged and taken, beyond the guarantee, ms until found (-1: not), class of
    link, refused for the clock, refused for cadence."""
    np.random.seed(seed)
    state, slot = np.zeros(1, STATE), np.zeros(1, np.int32)
    reasons, rewind, now = np.zeros(1, np.uint8), np.zeros(1, np.float32), np.zeros(1)
    rtts, counts, fast = np.zeros(1, np.float32), np.zeros(5, np.int64), np.zeros(1, np.int32)
    rtt = np.random.uniform(0.0, 300.0)
    lossy = np.random.random() < 0.6
    loss = np.random.uniform(0.0, 0.15) if lossy else 0.0
    jitter = np.random.uniform(0.5, 15.0)
    burst = np.random.uniform(100.0, 600.0) if np.random.random() < 0.4 else 0.0
    skew = 1.0 + np.random.uniform(-2e-4, 2e-4)
    clock0 = np.random.uniform(0.0, 2.0**32)
    pause = np.random.random() < 0.1
    rate = speed if kind in (TIMER, CADENCE) else 1.0
    n = int(COMMANDS * rate)
    sent, at = np.empty(n), np.random.uniform(0.0, 1000.0) + 10_000.0
    begin = at
    for k in range(n):
        sent[k] = at + np.random.uniform(0.0, 4.0)
        at += 50.0 / rate
        if pause and np.random.random() < 0.001:
            at += np.random.uniform(500.0, 3_000.0)
    arrived = _delivered(sent, n, rtt, loss, jitter, burst)
    clock_rate = skew * (speed if kind == TIMER else 1.0)
    sequence, taken, found_at = 0, 0, -1.0
    peak = 0.0
    for k in range(n):
        now[0] = arrived[k]
        rtts[0] = rtt + np.random.uniform(0.0, jitter)
        forged = False
        sequence += 1
        number, clock = sequence, clock0 + (sent[k] - begin) * clock_rate
        seen = (arrived[k] - rtt) * TICK_HZ / 1000.0 - 6.0
        if k > 20 and kind == OLD and k % 20 == 0:
            number, forged = sequence - 1 - np.random.randint(0, 15), True
        elif k > 20 and kind == LEAP and k % 20 == 0:
            number, forged = sequence + 5_000 + np.random.randint(0, 100_000), True
        elif kind == FUTURE and k % 20 == 0:
            seen, forged = arrived[k] * TICK_HZ / 1000.0 + 2.0 + np.random.randint(0, 100), True
        if forged:
            sequence -= 1
        _header(header, number, clock, max(seen, 1.0))
        found = _one(state, header, slot, now, rtts, reasons, rewind, counts, fast)
        out[0] += 1
        if forged:
            out[2] += 1
            out[3] += reasons[0] == 0
        else:
            out[1] += reasons[0] != 0
        taken += reasons[0] == 0
        if (found > 0 or reasons[0] == g.CLOCK_FAST) and found_at < 0.0:
            found_at = arrived[k] - arrived[0]
        if kind == TWICE:
            out[0] += 1
            out[2] += 1
            now[0] = (
                arrived[k] + np.random.uniform(0.0, 5.0) if k == n - 1 else min(arrived[k] + np.random.uniform(0.0, 5.0), arrived[k + 1])
            )
            _one(state, header, slot, now, rtts, reasons, rewind, counts, fast)
            out[3] += reasons[0] == 0
        t = (arrived[k] - arrived[0]) / 1000.0
        allowed = 20.0 * (t + 0.32 + 0.001 * t) + 44.0 + (60.0 if pause else 0.0)
        peak = max(peak, taken - allowed)
    out[4] = max(0.0, np.floor(peak))
    out[5] = found_at
    out[7], out[8] = counts[g.CLOCK_FAST - g.GATE_FIRST], counts[g.CADENCE - g.GATE_FIRST]
    if lossy:
        out[6] = LOSSY if rtt <= 150.0 else LOSSY_FAR
    else:
        out[6] = BURSTS if burst > 0.0 or pause else (JITTERY if jitter > JITTER_MS else STEADY)


STATE = g._STATE


@njit
def _sessions(kinds, speeds, seeds, header):  # type: ignore[no-untyped-def]
    out = np.zeros((kinds.shape[0], 9))
    for i in range(kinds.shape[0]):
        _session(kinds[i], speeds[i], seeds[i], header, out[i])
    return out


def _found(ms: np.ndarray) -> dict[str, float | int | None]:
    """ms: until each session's timer was found, -1: never."""
    s = np.where(ms < 0, np.inf, ms) / 1000.0
    row: dict[str, float | int | None] = {"sessions": len(s), "not_found": int((ms < 0).sum())}
    for name, share in (("median", 0.5), ("p90", 0.9), ("p99", 0.99)):
        value = float(np.quantile(s, share, method="higher")) if len(s) else math.inf
        row[name] = round(value, 2) if math.isfinite(value) else None
    return row


def run(ticks: float, seed: int = 1) -> dict[str, Any]:
    """`ticks` player-ticks, half of them of honest sessions. Figures by kind of session."""
    began = perf_counter()
    sessions = max(26, round(ticks / (SECONDS * TICK_HZ)))
    rng = np.random.default_rng(seed)
    kinds = np.where(rng.random(sessions) < 0.5, HONEST, rng.integers(TIMER, FUTURE + 1, sessions))
    kinds[:7] = np.arange(7)
    speeds = rng.choice(SPEEDS, sessions)
    out = _sessions(kinds, speeds, rng.integers(1, 2**31, sessions), np.zeros(1, COMMAND_HEADER))
    honest = out[kinds == HONEST]
    timer, cheats = kinds == TIMER, kinds != HONEST
    fast = int((honest[:, 5] >= 0).sum())
    report: dict[str, Any] = {
        "seed": seed,
        "player_ticks": sessions * SECONDS * TICK_HZ,
        "sessions": sessions,
        "legitimate_commands": int(honest[:, 0].sum()),
        "legitimate_rejected": int(honest[:, 1].sum()),
        "legitimate_rejected_by": {"clock_fast": int(honest[:, 7].sum()), "cadence": int(honest[:, 8].sum())},
        "honest_sessions": len(honest),
        "honest_sessions_that_lost_any": int((honest[:, 1] > 0).sum()),
        "honest_sessions_found_fast": fast,
        "honest_sessions_found_fast_share_at_most": at_most(fast, len(honest)),  # with 95 % confidence
        "forged_commands": int(out[cheats, 2].sum()),
        "forged_accepted": int(out[cheats, 3].sum()),
        "commands_beyond_the_guarantee": int(out[cheats, 4].sum()),
        "timers_not_found": int((out[timer, 5] < 0).sum()),
        "timers": int(timer.sum()),
    }
    report["cheats_accepted"] = report["forged_accepted"] + report["commands_beyond_the_guarantee"] + report["timers_not_found"]
    report["s_to_find"] = {
        f"{speed:g}x": {name: _found(out[timer & (speeds == speed) & (out[:, 6] == link), 5]) for link, name in enumerate(LINKS)}
        for speed in SPEEDS
    }
    report["took_s"] = round(perf_counter() - began, 1)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=float, default=1e8, help="player-ticks of 1/60 s to simulate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = run(options.ticks, options.seed)
    print(json.dumps(found, indent=2) if options.json else "\n".join(f"{name}: {value}" for name, value in found.items()))


if __name__ == "__main__":
    main()
