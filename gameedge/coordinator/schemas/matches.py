"""Open matches and queues of regions."""

from typing import Any

from gameedge.coordinator.schemas.base import Answer
from gameedge.coordinator.schemas.world import SilentView
from gameedge.state.questions import MatchLive, QueueSeen


class MatchTeam(Answer, frozen=True, kw_only=True):
    players: list[str]
    names: list[str]


class MatchView(Answer, frozen=True, kw_only=True):
    """People of an open match by team; empty seats are played by NPCs. `epoch`: how often another process took it over."""

    match: str
    mode: str
    edge: str
    created_ms: int
    epoch: int
    teams: list[MatchTeam]


class RegionMatches(Answer, frozen=True, kw_only=True):
    region: str
    matches: list[MatchView]


class MatchInRegion(Answer, frozen=True, kw_only=True):
    region: str
    match: MatchView


class AllMatches(Answer, frozen=True, kw_only=True):
    matches: list[MatchInRegion]
    silent: list[SilentView]


class MatchShown(Answer, frozen=True, kw_only=True):
    region: str
    match: MatchView
    live: MatchLive | None
    why: str = ""


class MatchStopped(Answer, frozen=True, kw_only=True):
    """`live`: as it was when it was stopped."""

    region: str
    rule: str
    live: MatchLive


class QueueInRegion(Answer, frozen=True, kw_only=True):
    region: str
    queue: QueueSeen


class Queues(Answer, frozen=True, kw_only=True):
    queues: list[QueueInRegion]
    silent: list[SilentView]


class ShadowInRegion(Answer, frozen=True, kw_only=True):
    """`compared`: live rules and those in shadow, as docs/matchmaking.md has them."""

    region: str
    compared: dict[str, Any]


class QueueShadows(Answer, frozen=True, kw_only=True):
    shadows: list[ShadowInRegion]
    silent: list[SilentView]


class QueueExplained(Answer, frozen=True, kw_only=True):
    """`explained`: docs/matchmaking.md has its form."""

    region: str
    explained: dict[str, Any]
