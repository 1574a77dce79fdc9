"""The gate: exact rules about a command's header, before the game sees its payload.

Problem. A client owns its clock, its counters and its connection. Speed hacks run its timer at 1.05x or send extra commands,
replays send an old command again, and lag compensation can be abused by claiming to have seen the future or the distant past.
Honest clients meanwhile have 0-300 ms of round trip, lost packets that TCP turns into stalls followed by bursts, laptops that
sleep, and clocks that are off by 200 ppm.

Method. Two quantities must never run ahead of the server's clock: the client's own clock, and 50 ms for each command taken.
Write `x` for either of them minus the arrival time. For an honest client `x = constant - delay(n)`, and a delay has a floor, so
`x` has a ceiling; a fast timer makes it rise for ever. Kept per connection and quantity is the ceiling seen so far:
  - the first two seconds, and 25 commands that came one by one, learn it (at most 2 s of rise, for a connection that begins with
    a stall; where the server stood still itself, sessions that began meanwhile begin anew: `forget_since`);
  - afterwards `x > ceiling + slack` is refused, slack = 30 ms + half the peak round trip + 3 x jitter, at most 320 ms, because
    the floor of the delay can only fall by what the round trip had in it;
  - the ceiling may follow `x` upwards by 1 ms a second (drift), and comes down where nothing reached it for ten seconds in
    which commands flowed: a silence counts for 0.1 s, since nothing can reach a ceiling in it, and a packet that is lost again and again
    makes one of ten seconds and more (a pause gives at most three seconds of commands as credit, and that for at most twenty such
    seconds; commands that a stall held up longer than that are taken as well where by their own clocks they were made no faster than
    50 ms each, which no pause can feign);
  - a refused clock gives up 10 ms of the client's claim, so that refusals are proportional to time gained and an honest change
    of route costs a few commands rather than the match. A clock that leaps by over half a second is set anew, for one refusal.

That bound is what is enforced; a timer that runs fast by a little is *found* sooner, and refused nothing for it. Two ways:
  - sprint: the newest point of `x` in each 0.25 s is a record three times in a row, each by more than the jitter explains. Not where
    the newest point came in a burst: then what was before it was held up, as at the start of a session whose first packet was lost.
    What the ping lost meanwhile is taken off the rise.
  - records: spans of 0.25, 0.5 and 1 s, each with its highest `x`, each going on (four times as long at most) until a command came
    that nothing held up. Whatever the delays are, as long as no span is likelier than another to hold the shortest, the n-th span sets a
    record with probability 1/n, independently of the others (Renyi). So a bet that pays `0.85 n` for a record and `0.15 n / (n - 1)` for
    none is fair, and wins 100,000 for at most one honest client in 100,000 (Ville); a fast clock, whose ceiling rises, wins it in ten
    spans. A bet that is lost is begun anew, about 6,000 times an hour in all: one false find in 16 hours at most. Crystals set no records
    by rule, and what the ping lost meanwhile is taken off the rise, which must come to 25 ms: delay that falls is no clock.

What can be known. Arrivals alone cannot tell a clock of 1 + e from delay that falls by e a second, so without any further
assumption nothing is certain until the rise is more than the delay can fall by, at most the round trip: rtt / e, 30 s for 1.01x at 300 ms;
that is what slack enforces. Where delays are exchangeable the ceiling is known to about jitter / (arrivals that nothing held up), a
few ms in a second even at 15% loss: the limit is 25 ms / e, 2.5 s for 1.01x, plus the time in which all was held up, which at 15% loss
and 300 ms (a loss holds up half a second) is four fifths of it.

Guarantee. In t seconds without a pause no client has more than `20 (t + slack + 0.001 t)` commands accepted, plus 43, most of them
while the first came. What is refused is not used up. The gate rejects and counts: what repetition means is for `watch`, and bans
are for people.

Cost. One compiled kernel over the commands of a tick in order of arrival, 450 bytes of state a connection, one allocation (a
copy of the headers) a call: about 0.05 us a command. One page, a third of it this text: each rule changes the state that the next reads.

Source: the ceiling is the minimum filter of one-way delay as in NTP's clock filter (RFC 5905) and BBR's min-RTT (Cardwell 2016),
the count of commands a generic cell rate algorithm (ITU-T I.371); records: Renyi 1962, bets: Shafer and Vovk 2019.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gameedge.core import limits
from gameedge.core.game import Bytes, Floats, Int32s
from gameedge.core.kernel import kernel
from gameedge.core.protocol.frames import COMMAND_HEADER

REPLAYED: Final = 16
SEQUENCE_JUMP: Final = 17
CLOCK_FAST: Final = 18
CADENCE: Final = 19
SEEN_FUTURE: Final = 20
GATE_FIRST: Final = REPLAYED
GATE_REASONS: Final = ("replayed", "sequence_jump", "clock_fast", "cadence", "seen_future")

COMMAND_MS: Final = 1000.0 / limits.COMMANDS_PER_S
REWIND_MS_MAX: Final = 400.0  # games put targets back for less; telemetry wants to know
# What a resume may skip: commands that were made while the connection was away, and a margin.
JUMP_MAX: Final = limits.RESUME_MS_MAX * limits.COMMANDS_PER_S // 1000 + 400

LEARN_MS: Final = 2_000.0
LEARN_RISE_MS_MAX: Final = 2_000.0
LEARN_FLOW: Final = 25  # and until so many commands came one by one, FLOW_MS apart: a connection may begin with a stall
FLOW_MS: Final = 10.0
SLACK_BASE_MS: Final = 30.0
SLACK_MS_MAX: Final = 320.0
JITTER_WEIGHT: Final = 3.0
JITTER_MS_MAX: Final = 40.0
FOLLOW: Final = 0.001  # ms the ceiling may rise a ms: five times a bad crystal
RTT_DECAY: Final = 0.001  # ms a ms: the peak round trip is remembered for minutes
FORGIVE_MS: Final = 10.0
LEAP_MS: Final = 500.0
CREDIT_MS_MAX: Final = 3_000.0
OWN_SLACK_MS: Final = 60.0  # how much nearer together than 50 ms by its own clock a client may have made commands that were held up
WINDOW_MS: Final = 10_000.0
IDLE_MS: Final = 100.0  # of a silence, what counts towards a window: silence is no evidence that the ceiling is too high

# Findings. Sprint: spans in a row with a record each, by at least LEAST + LEAST_JITTER x jitter, together RISE + RISE_JITTER x jitter.
SPRINT_MS: Final = 250.0
SPRINT_RUN: Final = 3
LEAST_MS: Final = 5.0
LEAST_JITTER: Final = 0.5
RISE_MS: Final = 15.0
RISE_JITTER: Final = 4.0
# Bets on records, at three lengths of span: see the page above.
SPANS_MS: Final = (250.0, 500.0, 1_000.0)
SPAN_COUNT: Final = len(SPANS_MS)
FAST_RECORDS: Final = 0.85  # the share of spans in which a fast clock sets a record, as bet on
WEALTH: Final = 100_000.0
CALM: Final = 2  # a command after so many that came one by one was not held up
CALM_MIN: Final = 1.0  # of a span; until then it goes on
PATIENCE: Final = 4.0  # spans; it is not waited longer for such commands: a client can send all in pairs
GIVE_UP: Final = 0.02
RECORD_STEP: Final = 0.001  # ms a ms: a slower rise is a crystal's, and no record
RECORD_RISE_MS: Final = 25.0  # that ping does not explain, for a find

_STATE: Final = np.dtype(
    [
        ("known", "i8"),  # commands looked at since the reset; 0: the next one begins the session
        ("sequence", "i8"),
        ("seen_tick", "i8"),
        ("client_ms", "i8"),  # unwrapped
        ("taken", "i8"),
        ("flow", "i8"),  # commands that did not come in a burst
        ("calm", "i8"),  # of the last ones, those that came one by one
        ("found", "i8"),  # 1: the last command showed a fast clock
        ("first_ms", "f8"),
        ("last_ms", "f8"),
        ("flowing_ms", "f8"),  # time that windows are measured in: silences count for IDLE_MS each
        ("jitter_ms", "f8"),
        ("rtt_ms", "f8"),  # peak, decaying
        ("clock_base", "f8"),  # the client's clock minus ours at the beginning
        ("clock_last", "f8"),
        ("clock_top", "f8"),
        ("clock_from", "f8"),
        ("clock_best", "f8"),
        ("clock_best_before", "f8"),
        ("sprint_from", "f8"),
        ("sprint_top", "f8"),
        ("sprint_burst", "f8"),  # 1: the top of the span came in a burst
        ("sprint_record", "f8"),
        ("sprint_run", "f8"),
        ("sprint_rise", "f8"),
        ("sprint_rtt", "f8"),  # before the run
        ("span_from", "f8", (SPAN_COUNT,)),
        ("span_top", "f8", (SPAN_COUNT,)),
        ("span_calm", "f8", (SPAN_COUNT,)),  # commands of the span that nothing held up
        ("record", "f8", (SPAN_COUNT,)),
        ("first", "f8", (SPAN_COUNT,)),  # the top of the first span of the bet
        ("first_rtt", "f8", (SPAN_COUNT,)),
        ("spans", "f8", (SPAN_COUNT,)),
        ("wealth", "f8", (SPAN_COUNT,)),
        ("count_top", "f8"),
        ("count_from", "f8"),
        ("count_best", "f8"),
        ("count_best_before", "f8"),
        ("own_top", "f8"),  # 50 ms for each command taken, minus the client's own clock
    ]
)


@kernel
def _signed(value: int) -> int:
    """A difference of two uint32 counters that wrap, as -2**31 .. 2**31 - 1."""
    value &= 0xFFFFFFFF
    return value - 0x100000000 if value >= 0x80000000 else value


@kernel
def _begin(s: Any, header: Any, now: Any, rtt: Any) -> None:
    s.known = 1
    s.sequence = header.sequence
    s.seen_tick = header.seen_tick
    s.client_ms = header.client_ms
    s.taken = 1
    s.flow = 0
    s.calm = 0
    s.first_ms = now
    s.last_ms = now
    s.flowing_ms = 0.0
    s.jitter_ms = 0.0
    s.rtt_ms = rtt
    s.clock_base = header.client_ms - now
    s.clock_last = 0.0
    s.clock_top = 0.0
    s.clock_from = 0.0
    s.clock_best = 0.0
    s.clock_best_before = 0.0
    s.sprint_from, s.sprint_top, s.sprint_burst, s.sprint_record, s.sprint_run, s.sprint_rise = now, 0.0, 0.0, 0.0, 0.0, 0.0
    s.sprint_rtt = rtt
    for k in range(SPAN_COUNT):
        s.span_from[k], s.span_top[k], s.span_calm[k], s.spans[k] = now, 0.0, 0.0, 0.0
    s.count_top = 0.0
    s.count_from = 0.0
    s.count_best = 0.0
    s.count_best_before = 0.0
    s.own_top = COMMAND_MS


@kernel
def _slack(s: Any) -> Any:
    return min(SLACK_MS_MAX, SLACK_BASE_MS + 0.5 * s.rtt_ms + JITTER_WEIGHT * s.jitter_ms)


@kernel
def _ceiling(x: Any, top: Any, best: Any, best_before: Any, began: Any, flowing: Any, dt: Any, learning: Any) -> Any:
    """The ceiling after an observation `x`, and the window's state: (top, best, best_before, began)."""
    if learning:
        return min(max(top, x), LEARN_RISE_MS_MAX), max(best, x), best_before, began
    if x > top:
        top = min(x, top + FOLLOW * dt)
    if flowing - began >= WINDOW_MS:
        # Two windows in turn: credit that was not used for a whole one (ten to twenty seconds) is gone.
        top = min(top, max(best, best_before, x))
        best_before, best, began = best, x, flowing
    else:
        best = max(best, x)
    return top, best, best_before, began


@kernel
def _sprint(s: Any, x: Any, now: Any, dt: Any, rtt: Any) -> Any:
    """Whether three spans in a row say that the clock runs fast by much. x: its clock minus ours, ms; dt: since the last command."""
    if now - s.sprint_from < SPRINT_MS:
        if x > s.sprint_top:
            s.sprint_top, s.sprint_burst = x, 1.0 if dt < FLOW_MS else 0.0
        return False
    by = s.sprint_top - s.sprint_record
    leapt = by > LEAP_MS or now - s.sprint_from > 2.0 * SPRINT_MS  # set anew, or it was away
    # What came in a burst was held up, and so was what it is compared with: delay falls, which says nothing of the clock.
    if not leapt and s.sprint_burst == 0.0 and by >= LEAST_MS + LEAST_JITTER * s.jitter_ms:
        s.sprint_run += 1.0
        s.sprint_rise += by
    else:
        s.sprint_run, s.sprint_rise, s.sprint_rtt = 0.0, 0.0, rtt
    s.sprint_record = max(s.sprint_record, s.sprint_top)
    s.sprint_from, s.sprint_top, s.sprint_burst = now, x, 1.0 if dt < FLOW_MS else 0.0
    unexplained = s.sprint_rise - max(0.0, s.sprint_rtt - rtt)
    if s.sprint_run >= SPRINT_RUN and unexplained >= RISE_MS + RISE_JITTER * s.jitter_ms:
        s.sprint_run, s.sprint_rise, s.sprint_rtt = 0.0, 0.0, rtt
        return True
    return False


@kernel
def _records(s: Any, x: Any, now: Any, rtt: Any) -> Any:
    """Whether a bet on records is won: the clock runs fast by a little, whatever the link does. x: its clock minus ours, ms."""
    found = False
    calm = 1.0 if s.calm >= CALM else 0.0
    for k in range(SPAN_COUNT):
        lasted = now - s.span_from[k]
        if lasted < SPANS_MS[k] or (s.span_calm[k] < CALM_MIN and lasted < PATIENCE * SPANS_MS[k]):
            s.span_top[k] = max(s.span_top[k], x)
            s.span_calm[k] += calm
            continue
        top, by, n = s.span_top[k], s.span_top[k] - s.record[k], s.spans[k] + 1.0
        s.span_from[k], s.span_top[k], s.span_calm[k] = now, x, calm
        again = s.spans[k] == 0.0 or by > LEAP_MS + lasted  # the clock was set anew
        if not again:
            if by >= RECORD_STEP * lasted:
                s.wealth[k] *= FAST_RECORDS * n  # an honest span is the highest of n in one case of n
            else:
                s.wealth[k] *= (1.0 - FAST_RECORDS) * n / (n - 1.0)
            s.spans[k], s.record[k] = n, max(s.record[k], top)
            again = s.wealth[k] < GIVE_UP
            if s.wealth[k] >= WEALTH and s.record[k] - s.first[k] - max(0.0, s.first_rtt[k] - rtt) >= RECORD_RISE_MS:
                again, found = True, True
        if again:
            s.spans[k], s.wealth[k], s.record[k], s.first[k], s.first_rtt[k] = 1.0, 1.0, top, top, rtt
    return found


@kernel
def _judge(s: Any, header: Any, now: Any, rtt: Any, tick: Any) -> Any:
    """The reason for one command of a connection that is known; changes its state `s`."""
    ahead = _signed(header.sequence - s.sequence)
    if ahead <= 0:
        return REPLAYED
    if ahead > JUMP_MAX:
        return SEQUENCE_JUMP
    if _signed(header.seen_tick - tick) > 0:
        return SEEN_FUTURE
    dt = min(max(now - s.last_ms, 0.0), WINDOW_MS)
    s.last_ms = max(s.last_ms, now)
    s.flowing_ms += min(dt, IDLE_MS)
    s.rtt_ms = max(rtt, s.rtt_ms - RTT_DECAY * dt)
    s.sequence += ahead
    s.flow += 1 if dt >= FLOW_MS else 0
    s.calm = s.calm + 1 if FLOW_MS <= dt <= IDLE_MS else 0
    learning = now - s.first_ms < LEARN_MS or s.flow < LEARN_FLOW

    # The client's clock.
    s.client_ms += _signed(header.client_ms - s.client_ms)
    x = s.client_ms - now - s.clock_base
    sprint, records = _sprint(s, x, now, dt, rtt), _records(s, x, now, rtt)
    s.found = 1 if sprint or records else 0
    s.jitter_ms = min(JITTER_MS_MAX, s.jitter_ms + (abs(x - s.clock_last) - s.jitter_ms) / 32.0)
    s.clock_last = x
    slack = _slack(s)
    s.clock_top, s.clock_best, s.clock_best_before, s.clock_from = _ceiling(
        x, s.clock_top, s.clock_best, s.clock_best_before, s.clock_from, s.flowing_ms, dt, learning
    )
    excess = x - s.clock_top - slack
    if excess > 0.0:
        given = excess + slack if excess > LEAP_MS else FORGIVE_MS
        s.clock_top += given
        s.own_top -= given  # a clock that was set anew vouches for no commands
        return CLOCK_FAST

    # 50 ms for each command taken.
    y = s.taken * COMMAND_MS - (now - s.first_ms)
    s.count_top, s.count_best, s.count_best_before, s.count_from = _ceiling(
        y, s.count_top, s.count_best, s.count_best_before, s.count_from, s.flowing_ms, dt, learning
    )
    s.count_top = min(s.count_top, y + CREDIT_MS_MAX)
    own = y - x
    if y > s.count_top + slack and own > s.own_top + OWN_SLACK_MS:
        return CADENCE
    s.own_top = min(own, s.own_top + FOLLOW * dt)
    s.taken += 1
    return 0


@kernel
def _check(
    state: Any,
    slots: Any,
    headers: Any,
    arrived_ms: Any,
    rtt_ms: Any,
    reasons: Any,
    rewind_ms: Any,
    tick: Any,
    tick_ms: Any,
    counts: Any,
    fast: Any,
) -> Any:
    found = 0
    for i in range(slots.shape[0]):
        rewind_ms[i] = 0.0
        if reasons[i] != 0:
            continue
        slot = slots[i]
        s = state[slot]
        header = headers[i]
        now = arrived_ms[i]
        rtt = rtt_ms[slot]
        rtt = rtt if 0.0 <= rtt < 1e4 else 0.0
        if s.known == 0:
            if _signed(header.seen_tick - tick) > 0:
                reasons[i] = SEEN_FUTURE
                counts[SEEN_FUTURE - GATE_FIRST] += 1
                continue
            _begin(s, header, now, rtt)
        else:
            reason = _judge(s, header, now, rtt, tick)
            if s.found == 1:
                s.found = 0
                if found < fast.shape[0]:
                    fast[found] = slot
                    found += 1
            if reason != 0:
                reasons[i] = reason
                counts[reason - GATE_FIRST] += 1
                continue
        # What was seen does not become unseen: the newest tick ever claimed counts.
        newer = _signed(header.seen_tick - s.seen_tick)
        if newer > 0:
            s.seen_tick = header.seen_tick
        if s.seen_tick != 0:
            rewind_ms[i] = min(REWIND_MS_MAX, max(0.0, _signed(tick + 1 - s.seen_tick) * tick_ms))
    return found


class Gate:
    """All connections of a process; rows of state are connection slots."""

    def __init__(self, capacity: int) -> None:
        """capacity: slots, 0 .. capacity - 1. Compiles (or loads) the kernel."""
        self._state = np.zeros(capacity, _STATE)
        self._fast = np.zeros(capacity, np.int32)
        self.counts = np.zeros(len(GATE_REASONS), np.int64)  # refusals since the start, in the order of GATE_REASONS
        empty = np.empty(0, COMMAND_HEADER)
        self.check(
            np.empty(0, np.int32),
            empty,
            np.empty(0, np.float64),
            np.zeros(capacity, np.float32),
            np.empty(0, np.uint8),
            np.empty(0, np.float32),
            tick=0,
            tick_ms=1000.0 / 60.0,
        )

    def check(
        self,
        slots: Int32s,
        headers: NDArray[np.void],
        arrived_ms: NDArray[np.float64],
        rtt_ms: Floats,
        reasons: Bytes,
        rewind_ms: Floats,
        tick: int,
        tick_ms: float,
    ) -> Int32s:
        """Judge commands in order of arrival; the slots whose clocks were just found to run fast, int32 (usually none).

        slots: int32 [N], a slot may occur several times; headers: frames.COMMAND_HEADER [N]; arrived_ms: float64 [N], the
        server's monotonic clock, not falling within a slot; rtt_ms: float32 [capacity], the smoothed round trip of each slot
        (not finite or negative: unknown); reasons: uint8 [N], in: rows that are not 0 are skipped, out: 0 or a number of
        `GATE_REASONS` counted from 16; rewind_ms: float32 [N], out: how far before the coming step the client saw others, 0 to 400.
        tick: the newest tick whose snapshot may have been sent; tick_ms: its length.
        """
        found = _check(
            self._state,
            slots,
            np.array(headers, COMMAND_HEADER),  # a copy: one compiled form whatever the caller's strides and flags are
            arrived_ms,
            rtt_ms,
            reasons,
            rewind_ms,
            tick & 0xFFFFFFFF,
            float(tick_ms),
            self.counts,
            self._fast,
        )
        return self._fast[:found]

    def reset(self, slot: int) -> None:
        """The slot belongs to another connection now, or its session was resumed: begin anew."""
        self._state[slot] = np.zeros((), _STATE)

    def forget_since(self, since_ms: float) -> None:
        """Sessions that began since then begin anew: the server stood still then, and their first command was held up by that, so that what
        came after it looks like a fast clock (more than LEARN_RISE_MS_MAX is not taken for a stall of the client's)."""
        self._state[(self._state["known"] > 0) & (self._state["first_ms"] >= since_ms)] = np.zeros((), _STATE)

    def jitter_ms(self, slots: Int32s) -> Floats:
        """How much the delay of these connections changes from command to command, ms, a mean over about the last 32."""
        return np.asarray(self._state["jitter_ms"][slots], np.float32)
