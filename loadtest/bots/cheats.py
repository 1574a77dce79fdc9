"""Cheats: a human with one thing done by a machine. Each family leaves another trace in the telemetry."""

import math
from typing import Final

from gameedge.core.protocol import frames
from gameedge.core.protocol.arena_v1 import Other, View
from gameedge_client import Match
from loadtest.bots.brain import Human

RADIUS: Final = 0.5
HOMING_SHARE: Final = 0.28  # of the remaining way, a sample
HOMING_FIRE: Final = 0.4  # world units
SPEEDHACK_RATE: Final = 1.6  # commands and clock, times what is allowed


class Aimbot(Human):
    """The cursor is on the target in the first sample that has one, and stays; fire as soon as it is."""

    def aim(self, target: Other | None, view: View, x: float, y: float, at_ms: float, move: tuple[float, float]) -> tuple[float, float]:
        if target is None:
            return super().aim(target, view, x, y, at_ms, move)
        self.hand.x, self.hand.y = target.x - x, target.y - y
        self.hand.lose()
        return self.hand.x, self.hand.y

    def fire(self, target: Other | None, view: View, x: float, y: float, at_ms: float, cursor: tuple[float, float]) -> bool:
        return target is not None


class HomingAimbot(Human):
    """A "humanised" aimbot: each sample goes a fixed part of the remaining way. No reaction, no overshoot, no tremor."""

    def aim(self, target: Other | None, view: View, x: float, y: float, at_ms: float, move: tuple[float, float]) -> tuple[float, float]:
        if target is None:
            return super().aim(target, view, x, y, at_ms, move)
        self.hand.lose()
        self.hand.x += (target.x - x - self.hand.x) * HOMING_SHARE
        self.hand.y += (target.y - y - self.hand.y) * HOMING_SHARE
        return self.hand.x, self.hand.y

    def fire(self, target: Other | None, view: View, x: float, y: float, at_ms: float, cursor: tuple[float, float]) -> bool:
        return target is not None and math.hypot(target.x - x - cursor[0], target.y - y - cursor[1]) < HOMING_FIRE


class Triggerbot(Human):
    """Aims by hand; the machine fires in the very sample in which the line of fire crosses the target, and never else."""

    def fire(self, target: Other | None, view: View, x: float, y: float, at_ms: float, cursor: tuple[float, float]) -> bool:
        if target is None:
            return False
        dx, dy = target.x - x, target.y - y
        length = math.hypot(*cursor)
        if length < 0.1:
            return False
        along = (dx * cursor[0] + dy * cursor[1]) / length
        off = abs(dx * cursor[1] - dy * cursor[0]) / length
        return along > 0 and off < RADIUS


class FastClock:
    """The speedhack's clock: it runs `rate` times as fast, and so many commands are sent."""

    def __init__(self, rate: float = SPEEDHACK_RATE) -> None:
        self.rate = rate
        self._start: float | None = None

    def now_ms(self, true_ms: float) -> int:
        """What the hacked client says the time is."""
        if self._start is None:
            self._start = true_ms
        return int(self._start + (true_ms - self._start) * self.rate)

    def send(self, match: Match, payload: bytes, true_ms: float) -> None:
        """Send one command with the hacked time. Goes around the SDK's own clock, as a modified client would."""
        match._sequence += 1
        seen = match.latest.header.tick if match.latest else match.info.tick
        if match._send(frames.encode_command(match._sequence, self.now_ms(true_ms), seen, payload)):
            match.commands_sent += 1
        else:
            match.commands_lost += 1
