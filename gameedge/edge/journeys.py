"""A player's way through this process as spans: `queue`, `join`, `first_snapshot`, all below the `place` that its token names.

At most one span of a player is open at a time. Most calls return at once: without tracing, or where the player's placement is not
traced, `player.span` stays NO_SPAN.
"""

from gameedge.core.ids import MatchId
from gameedge.edge.player import Player
from gameedge.edge.table import ConnectionTable
from gameedge.telemetry.traces import NO_SPAN, OFF, Traces


class Journeys:
    """`waiting`: connections whose player has a seat and no snapshot of it yet; looked at by the tick loop."""

    def __init__(self, traces: Traces = OFF) -> None:
        self.traces = traces
        self.waiting: dict[int, Player] = {}

    def queued(self, player: Player, mode: str) -> None:
        if self.traces.on:
            self._begin(player, "queue", mode=mode)

    def found(self, player: Player, match: MatchId, mode: str) -> None:
        """A match: what was waited for is over, and the client is to take its seat."""
        if self.traces.on:
            self._begin(player, "join", mode=mode, match=match)

    def joined(self, player: Player, slot: int) -> None:
        if player.span is not NO_SPAN:
            self._begin(player, "first_snapshot", match=player.match or "")
            self.waiting[slot] = player

    def ticked(self, table: ConnectionTable, tick: int) -> None:
        """After a tick: whose first snapshot was in it."""
        shown = set(table.viewers(tick)[0].tolist())
        for slot, player in list(self.waiting.items()):
            here = player.link is not None and player.link.slot == slot
            if here and (slot not in shown or table.skip[slot]):
                continue
            del self.waiting[slot]
            self.ended(player, "" if here else "gone")

    def ended(self, player: Player, outcome: str) -> None:
        """Whatever goes on is over; `outcome` as in `Span.end`."""
        player.span.end(outcome)
        player.span = NO_SPAN

    def _begin(self, player: Player, name: str, **attributes: str) -> None:
        player.span.end()
        trace = player.claims.trace
        player.span = self.traces.follow(name, trace, player=player.id, **attributes) if isinstance(trace, str) else NO_SPAN
