"""Where players belong who came from another process, or whose match moved: the match or the ticket is found, and its host is asked.

`asked_ms` of a player is set as long as its place is not known; while the store is away it is looked for again. The match's host
answers to the inbox (`seating.py`). Where a process died, a thousand ask at once: together, with a few calls to the store.
"""

from collections.abc import Collection
from typing import Final

from gameedge.core import limits
from gameedge.core.errors import Reason
from gameedge.core.ids import EdgeId, MatchId
from gameedge.edge.clock import Clock
from gameedge.edge.host import HostedMatch
from gameedge.edge.lanes import Lanes
from gameedge.edge.player import Player
from gameedge.edge.players import Players
from gameedge.edge.queueing import Queueing
from gameedge.edge.seating import Seating
from gameedge.state.base import InboxEvent, MatchRecord, RegionStore, SessionRecord

ASK_AGAIN_MS: Final = 1_000.0
ANSWER_MS: Final = 400.0  # for a process that was asked together with others; then it is asked again


class Places:
    """Owned by one event loop. `edge` is this process."""

    def __init__(
        self,
        store: RegionStore,
        players: Players,
        queueing: Queueing,
        seating: Seating,
        lanes: Lanes,
        edge: EdgeId,
        clock: Clock,
    ) -> None:
        self._store, self._players, self._queueing, self._seating = store, players, queueing, seating
        self._lanes, self._edge, self._clock = lanes, edge, clock
        self.crowded = False  # a process of the region died, or seems to have: many ask for their place at once, together

    def ask_soon(self, player: Player) -> None:
        """Behind whatever else its session waits for."""
        player.asked_ms = self._clock.monotonic_ms()
        self._lanes.submit(player.resume_hash, lambda: self._find_place(player))

    def take_over(self, player: Player, record: SessionRecord, now_ms: float) -> None:
        """Where the session stood: in a match, in the queue, or matched while nobody was listening."""
        player.mode = record.mode
        if record.mode is None:
            return
        if record.match is not None:
            player.match = record.match
        elif record.ticket is not None:
            player.ticket, player.ticket_seen_ms, player.queued_ms = record.ticket, now_ms, record.queued_ms
        player.asked_ms = now_ms  # until the place is found: while the store is away it is looked for again
        if player.match is not None and self._seating.hosts(player, now_ms):
            player.asked_ms = None
        elif not (self.crowded and player.match is not None):  # else it is asked for together with others, in a moment
            self.ask_soon(player)

    async def _find_place(self, player: Player) -> None:
        """Where the player's match or ticket is now; `asked_ms` stays set as long as that is not known."""
        if player.asked_ms is None or player.mode is None:
            return
        now_ms = self._clock.monotonic_ms()
        if player.match is not None:
            if self._seating.hosts(player, now_ms):
                player.asked_ms = None
            else:
                await self._ask_host(player, await self._store.match_get(player.mode, player.match))
        elif player.ticket is None:
            player.asked_ms = None
        elif await self._store.ticket_move(player.mode, player.ticket, player.session.session, self._edge):
            player.asked_ms, player.ticket_seen_ms = None, now_ms
        else:
            await self._ask_host(player, await self._store.match_of_ticket(player.mode, player.ticket))

    async def _ask_host(self, player: Player, match: MatchRecord | None) -> None:
        """Ask the process that runs the match for the seat; say that the match is lost where the region has given it up.

        Where that process does not answer, the matcher decides: it queues the tickets again where the match was never opened,
        else it forgets the match (see `reaper.py`)."""
        now_ms = self._clock.monotonic_ms()
        if match is not None:
            event = self._rejoin(player, match)
            player.asked_ms = now_ms
            if match.host in {record.edge for record in await self._store.edges()}:
                await self._store.inbox_post(match.host, [event])
        elif player.match is not None:
            self._seating.tell_lost(player, player.match, "it ended or was lost while you were away; a result that was stored counts")
        elif now_ms - player.ticket_seen_ms > 2 * ASK_AGAIN_MS:  # not between two places just now
            self._queueing.dequeued(player, Reason.MATCH_LOST, "the match that was found is gone; queue again")

    def ask_for(self, match: HostedMatch) -> None:
        """The match moved, here or away: its players that are connected are told where they belong."""
        for player in self._players:
            if player.match == match.id and player.link is not None and not self._seating.plays(player):
                self.ask_soon(player)

    def seat_all(self, matches: Collection[MatchId]) -> None:
        """These matches were taken over: their players that are here already are told."""
        now_ms = self._clock.monotonic_ms()
        for player in self._players:
            if (
                player.match in matches
                and player.link is not None
                and not self._seating.plays(player)
                and self._seating.hosts(player, now_ms)
            ):
                player.asked_ms = None

    async def ask_together(self, after_ms: float, dead: Collection[EdgeId]) -> None:
        """After a death: who waits for a place is looked after sooner than once a second, a thousand with a few calls to the store.
        Matches that a `dead` process still has are waited for. Raises UnavailableError."""
        now_ms = self._clock.monotonic_ms()
        waiting = [p for p in self._players if p.asked_ms is not None and p.link is not None and now_ms - p.asked_ms > after_ms]
        if not waiting:
            return
        living = {record.edge for record in await self._store.edges()}.difference(dead)
        events: dict[EdgeId, list[InboxEvent]] = {}
        for mode in {player.mode for player in waiting if player.mode is not None and player.match is not None}:
            there = [player for player in waiting if player.mode == mode and player.match is not None]
            wanted = list({player.match: None for player in there if player.match is not None})
            records = dict(zip(wanted, await self._store.matches_get(mode, wanted), strict=True))
            for player in there:
                record = records.get(player.match) if player.match is not None else None
                if record is None or player.asked_ms is None:
                    continue
                if record.host in dead:
                    player.asked_ms = now_ms  # its heir is not known yet
                elif self._seating.hosts(player, now_ms):
                    player.asked_ms = None
                elif record.host in living:
                    player.asked_ms = now_ms + ANSWER_MS
                    events.setdefault(record.host, []).append(self._rejoin(player, record))
        for host, some in events.items():
            for first in range(0, len(some), limits.INBOX_READ_MAX):
                await self._store.inbox_post(host, some[first : first + limits.INBOX_READ_MAX])
        for player in waiting:
            if player.asked_ms is not None and player.asked_ms < now_ms and player in self._players:
                self.ask_soon(player)  # waits with a ticket, or its match is gone

    def _rejoin(self, player: Player, match: MatchRecord) -> InboxEvent:
        return InboxEvent(
            kind="rejoin",
            match_id=match.match,
            mode=match.mode,
            player=player.id,
            session=player.session.session,
            ticket=player.ticket,
            edge=self._edge,
        )
