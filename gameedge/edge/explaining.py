"""Why is there no match yet? A player's process asks the one that leads the mode, and tells the player what that says."""

from collections.abc import Callable
from typing import Final

import msgspec

from gameedge.core.errors import Reason, RefusedError
from gameedge.core.ids import EdgeId, TicketId
from gameedge.core.matchmaking.explain import Explanation
from gameedge.core.protocol.messages import Explain, Explained, RuleSeen
from gameedge.edge.clock import Clock
from gameedge.edge.matcher import Matcher
from gameedge.edge.player import Player
from gameedge.edge.players import Players
from gameedge.state.base import InboxEvent, RegionStore

EXPLAIN_EVERY_MS: Final = 2_000.0  # for one player
_explanations: Final = msgspec.json.Decoder(Explanation)


def explained(event: InboxEvent, matcher: Matcher) -> InboxEvent:
    """The answer of the process that leads the mode."""
    found = matcher.explain(event.mode, event.ticket) if event.ticket is not None else None
    detail = "" if found is None else msgspec.json.encode(found).decode()
    return InboxEvent(kind="explained", mode=event.mode, ticket=event.ticket, session=event.session, detail=detail)


def compared(event: InboxEvent, matcher: Matcher) -> InboxEvent:
    """Live rules and shadows, for an operator."""
    return InboxEvent(kind="compared", mode=event.mode, detail=msgspec.json.encode(matcher.compared()).decode())


class Explaining:
    """The asking process's side. `edge` is this process."""

    def __init__(self, store: RegionStore, players: Players, edge: EdgeId, clock: Clock) -> None:
        self._store, self._players, self._edge, self._clock = store, players, edge, clock

    def ask(self, player: Player, message: Explain, now_ms: float) -> None:
        """Why is there no match yet? Whoever leads the mode says; see `heard`."""
        ticket, mode = player.ticket, player.mode
        if ticket is None or mode is None:
            player.session.refuse("explain", Reason.NOT_FOUND, now_ms, detail="not queued", n=message.n)
        elif now_ms - player.explained_ms < EXPLAIN_EVERY_MS:
            wait_ms = int(EXPLAIN_EVERY_MS - (now_ms - player.explained_ms)) + 1
            player.session.refuse("explain", Reason.TOO_OFTEN, now_ms, n=message.n, retry_after_ms=wait_ms)
        else:
            player.explained_ms = now_ms
            self._players.submit(player, message, lambda: self._ask_leader(player, mode, ticket))

    async def _ask_leader(self, player: Player, mode: str, ticket: TicketId) -> None:
        leader = await self._store.lease_owner(f"matcher-{mode}")
        if leader is None:
            raise RefusedError(Reason.UNAVAILABLE, "no matcher leads just now; ask again", retry_after_ms=int(EXPLAIN_EVERY_MS))
        asked = InboxEvent(kind="explain", mode=mode, ticket=ticket, session=player.session.session, edge=self._edge)
        await self._store.inbox_post(leader, [asked])

    def heard(self, event: InboxEvent, eta_ms: Callable[[str, int], int | None]) -> None:
        """The leader's answer for one of our players."""
        player = self._players.get(event.session)
        if player is None or player.ticket is None or player.ticket != event.ticket or player.mode is None:
            return  # matched or cancelled meanwhile: it heard of that
        try:
            found = _explanations.decode(event.detail)
        except msgspec.DecodeError:
            now_ms = self._clock.monotonic_ms()
            player.session.refuse("explain", Reason.UNAVAILABLE, now_ms, detail="nobody can say just now", retry_after_ms=2_000)
        else:
            rules = [RuleSeen(rule.rule, rule.excludes, rule.alone, rule.next_ms) for rule in found.rules]
            fields = {name: getattr(found, name) for name in ("waited_ms", "others", "needed", "fits", "first_ms", "enough_ms")}
            eta = eta_ms(player.mode, found.waited_ms)
            text = found.text[:256]
            player.session.send(Explained(ticket=player.ticket, state=found.state, text=text, eta_ms=eta, rules=rules, **fields))
        player.flush()
