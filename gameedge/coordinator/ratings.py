"""New ratings from one result: Plackett-Luce by openskill (Weng and Lin, JMLR 2011), for any number of teams, with draws."""

import math
from collections.abc import Mapping
from functools import lru_cache

from openskill.models import PlackettLuce

from gameedge.core.ids import PlayerId
from gameedge.state.base import Result
from gameedge.state.base_global import Rating


@lru_cache(maxsize=1)
def _model() -> PlackettLuce:
    return PlackettLuce()  # mu 25, sigma 25/3, tau 25/300: the defaults of state.base_global.Rating


def is_rated(result: Result) -> bool:
    """Whether this result moves ratings: a rated mode, and people on two sides at least."""
    return result.rated and sum(1 for team in result.teams if team) >= 2


def rate(result: Result, current: Mapping[PlayerId, Rating]) -> dict[PlayerId, Rating]:
    """The ratings after `result` of everybody in it; players who are not in `current` start anew. Teams without people are
    left out. Equal ranks are a draw. Empty where `is_rated` is false. A rating that would not be finite stays as it was."""
    if not is_rated(result):
        return {}
    teams = [(team, rank) for team, rank in zip(result.teams, result.ranks, strict=True) if team]
    before = {player: current.get(player, Rating()) for team, _ in teams for player in team}
    model = _model()
    rated = model.rate(
        [[model.rating(mu=before[p].mu, sigma=before[p].sigma) for p in team] for team, _ in teams],
        ranks=[float(rank) for _, rank in teams],
    )
    after: dict[PlayerId, Rating] = {}
    for (team, _), news in zip(teams, rated, strict=True):
        for player, new in zip(team, news, strict=True):
            old = before[player]
            sound = math.isfinite(new.mu) and math.isfinite(new.sigma) and new.sigma > 0
            after[player] = Rating(mu=new.mu, sigma=new.sigma, games=old.games + 1) if sound else old
    return after
