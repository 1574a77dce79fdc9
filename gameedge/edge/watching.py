"""Between the tick's anti-cheat and the store: who plays which entity, and flags turned into evidence."""

from collections.abc import Callable
from typing import Final

from gameedge.core.anticheat.gate import Gate
from gameedge.core.anticheat.links import Link
from gameedge.core.anticheat.watch import TICK_HZ, Watch
from gameedge.core.ids import FlagId, MatchId, PlayerId, encode
from gameedge.state.base import Evidence
from gameedge.telemetry.metrics import Registry

WATCHED_POOL: Final = 255  # the trust pool of those whom the anti-cheat observes or whose link may hide them


class Watching:
    """`draw(n)` gives n random bytes for flag ids."""

    def __init__(self, gate: Gate, watch: Watch, metrics: Registry, draw: Callable[[int], bytes]) -> None:
        self._gate, self._watch, self._metrics, self._draw = gate, watch, metrics, draw
        self._match_of: dict[PlayerId, MatchId] = {}  # of the players that are watched now
        self._player_of: dict[int, PlayerId] = {}
        self.flagged = 0

    def reset(self, slot: int) -> None:
        """A connection took this row: its clock and counters begin anew."""
        self._gate.reset(slot)

    def enter(self, entity: int, player: PlayerId, match: MatchId) -> None:
        self._watch.enter(entity, player)
        self._player_of[entity] = player
        self._match_of[player] = match

    def leave(self, entity: int) -> None:
        self._watch.leave(entity)
        self._player_of.pop(entity, None)

    def pool(self, player: PlayerId) -> str:
        """See `Watch.pool`."""
        return self._watch.pool(player)

    def link(self, player: PlayerId) -> Link | None:
        """See `Watch.link`."""
        return self._watch.link(player)

    @property
    def combat_s(self) -> tuple[float, float]:
        """Of all players since the start: judged, and not judged for the network's sake."""
        return self._watch.judged_ticks / TICK_HZ, self._watch.unjudged_ticks / TICK_HZ

    def collect(self, unix_ms: int) -> list[Evidence]:
        """Evidence for what was flagged since the last call."""
        found = []
        for flag in self._watch.flags():
            self.flagged += 1
            self._metrics.counter("flags_total", rule=flag.rule).add()
            found.append(
                Evidence(
                    flag=FlagId(encode("f", self._draw(16))),
                    player=flag.player,
                    match=self._match_of.get(flag.player, MatchId("")),
                    at_ms=unix_ms,
                    rule=flag.rule,
                    score=flag.score,
                    reasons=list(flag.reasons),
                    clip=flag.clip,
                    model=flag.model,
                    state="recommended" if flag.level == "ban" else "open",
                )
            )
        playing = set(self._player_of.values())
        if len(self._match_of) > 2 * len(playing) + 64:
            self._match_of = {player: match for player, match in self._match_of.items() if player in playing}
        return found
