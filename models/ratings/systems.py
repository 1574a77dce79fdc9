"""Rating systems for duels under one form: `predict(a, b)`, the probability that a wins, then `update(a, b, score)`.

`Ours` is the path that live results take (`gameedge.coordinator.ratings.rate`). The others are baselines, written from their papers.
"""

import math
from collections import defaultdict
from typing import Protocol

from gameedge.coordinator.ratings import rate
from gameedge.core.ids import MatchId, PlayerId, RegionId
from gameedge.state.base import Result
from gameedge.state.base_global import Rating


class System(Protocol):
    def predict(self, a: str, b: str) -> float: ...
    def update(self, a: str, b: str, score: float) -> None:
        """`score`: 1 where a won, 0 where b did, 0.5 for a draw."""
        ...


def _phi(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def _logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-50.0, min(50.0, x))))


class Ours:
    """Plackett-Luce (Weng and Lin, JMLR 2011) as the coordinator applies it. `sharp` scales the predicted log odds."""

    def __init__(self, sharp: float = 1.0) -> None:
        self.sharp = sharp
        self.ratings: dict[PlayerId, Rating] = {}

    def predict(self, a: str, b: str) -> float:
        x, y = (self.ratings.get(PlayerId(name), Rating()) for name in (a, b))
        beta = 25.0 / 6.0
        return _logistic(self.sharp * (x.mu - y.mu) / math.sqrt(x.sigma**2 + y.sigma**2 + 2 * beta**2))

    def update(self, a: str, b: str, score: float) -> None:
        ranks = [0, 1] if score > 0.5 else [1, 0] if score < 0.5 else [0, 0]
        teams = [[PlayerId(a)], [PlayerId(b)]]
        result = Result(
            match=MatchId("m"),
            region=RegionId("r"),
            mode="duel",
            rated=True,
            started_ms=0,
            ended_ms=0,
            teams=teams,
            ranks=ranks,
            scores=[0, 0],
        )
        self.ratings.update(rate(result, self.ratings))


class Elo:
    """Elo 1978: one number a player."""

    def __init__(self, k: float = 32.0) -> None:
        self.k = k
        self.ratings: dict[str, float] = defaultdict(lambda: 1500.0)

    def predict(self, a: str, b: str) -> float:
        return _logistic((self.ratings[a] - self.ratings[b]) * math.log(10) / 400.0)

    def update(self, a: str, b: str, score: float) -> None:
        step = self.k * (score - self.predict(a, b))
        self.ratings[a] += step
        self.ratings[b] -= step


class Glicko2:
    """Glickman 2013, a rating period a game; volatility is kept at its start (four days move it little)."""

    def __init__(self, deviation: float = 350.0, volatility: float = 0.06) -> None:
        self.volatility = volatility
        self.ratings: dict[str, tuple[float, float]] = defaultdict(lambda: (0.0, deviation / 173.7178))

    @staticmethod
    def _g(phi: float) -> float:
        return 1.0 / math.sqrt(1.0 + 3.0 * phi * phi / math.pi**2)

    def predict(self, a: str, b: str) -> float:
        (x, p), (y, q) = self.ratings[a], self.ratings[b]
        return _logistic(self._g(math.hypot(p, q)) * (x - y))

    def _one(self, me: tuple[float, float], other: tuple[float, float], score: float) -> tuple[float, float]:
        (mu, phi), (theirs, their_phi) = me, other
        g = self._g(their_phi)
        expected = _logistic(g * (mu - theirs))
        variance = 1.0 / max(g * g * expected * (1 - expected), 1e-9)
        wider = math.hypot(phi, self.volatility)
        new = 1.0 / math.sqrt(1.0 / wider**2 + 1.0 / variance)
        return mu + new * new * g * (score - expected), new

    def update(self, a: str, b: str, score: float) -> None:
        x, y = self.ratings[a], self.ratings[b]
        self.ratings[a], self.ratings[b] = self._one(x, y, score), self._one(y, x, 1.0 - score)


class TrueSkill:
    """Herbrich, Minka and Graepel 2006 for two players and no draws, in closed form. A draw counts as half of each result."""

    def __init__(self, beta: float = 25.0 / 6.0, tau: float = 25.0 / 300.0) -> None:
        self.beta, self.tau = beta, tau
        self.ratings: dict[str, tuple[float, float]] = defaultdict(lambda: (25.0, 25.0 / 3.0))

    def _scale(self, a: str, b: str) -> float:
        return math.sqrt(2 * self.beta**2 + self.ratings[a][1] ** 2 + self.ratings[b][1] ** 2)

    def predict(self, a: str, b: str) -> float:
        return _phi((self.ratings[a][0] - self.ratings[b][0]) / self._scale(a, b))

    def update(self, a: str, b: str, score: float) -> None:
        if score == 0.5:
            return
        winner, loser = (a, b) if score > 0.5 else (b, a)
        c = self._scale(winner, loser)
        t = (self.ratings[winner][0] - self.ratings[loser][0]) / c
        v = math.exp(-t * t / 2) / math.sqrt(2 * math.pi) / max(_phi(t), 1e-12)
        w = v * (v + t)
        for name, sign in ((winner, 1.0), (loser, -1.0)):
            mu, sigma = self.ratings[name]
            wide = sigma**2 + self.tau**2
            self.ratings[name] = (mu + sign * wide / c * v, math.sqrt(max(wide * (1 - wide / c**2 * w), 1e-6)))


class Coin:
    """Knows nothing."""

    def predict(self, a: str, b: str) -> float:
        return 0.5

    def update(self, a: str, b: str, score: float) -> None:
        pass
