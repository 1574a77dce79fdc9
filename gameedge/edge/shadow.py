"""Other rules beside the live ones, on the same tickets: what they would have done, and nothing is done (shadow mode).

Problem. Rules that look better on yesterday's arrivals may be worse on today's. An operator wants to see before players do.
Method. The holder of a mode's lease keeps a second pool under the shadow's rules. Tickets enter it when they enter the live one. At
    each look the shadow proposes as well; those whom it matches leave its pool, nobody else hears of it. Whoever the live rules match
    leaves it, too: they wait no longer, whatever the shadow would have done.
What can be read from it. How many the shadow matched before the live rules did (`matched`), how long those had waited, and of what
    quality its matches were, beside the same figures of the live rules. `overtaken` counts people whom the live rules matched first:
    where that is most of them the shadow is slower, and its waits are only of those whom it was fast with. A simulation over logged
    arrivals has no such limit (`gameedge match simulate --shadow`).
Cost. A second proposal, for at most SHARE of a core; pools over TICKETS_MAX are not shadowed.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import msgspec

from gameedge.core.ids import EdgeId, TicketId
from gameedge.core.matchmaking.pool import PoolArrays
from gameedge.core.matchmaking.propose import propose_pool
from gameedge.core.matchmaking.rules import ModeRules
from gameedge.core.matchmaking.ticket import Ticket

SHARE: Final = 0.05  # of the core
TICKETS_MAX: Final = 20_000


@dataclass(slots=True)
class Tally:
    """Of one rule file since this process leads."""

    matches: int = 0
    people: int = 0
    wait_ms: float = 0.0
    wait_ms_max: float = 0.0
    quality: float = 0.0

    def add(self, waits_ms: list[float], quality: float) -> None:
        self.matches += 1
        self.people += len(waits_ms)
        self.wait_ms += sum(waits_ms)
        self.wait_ms_max = max(self.wait_ms_max, *waits_ms)
        self.quality += quality


class TallySeen(msgspec.Struct, frozen=True, kw_only=True):
    """Means over matches and people; 0 where there are none."""

    matches: int
    people: int
    wait_ms_mean: float
    wait_ms_max: float
    quality_mean: float


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """Live rules and shadow since the process leads the mode."""

    mode: str
    live: TallySeen
    shadow: TallySeen
    overtaken: int  # people whom the live rules matched, or who left, before the shadow matched them
    waiting: int  # in the shadow's pool
    left_out: int  # looks that were not made: too many tickets, or too little time


class Shadow:
    """One mode's. Owned by the matcher."""

    def __init__(self, mode: str, rules: ModeRules) -> None:
        self.mode, self.rules = mode, rules
        self.live, self.tally = Tally(), Tally()
        self.overtaken = self.left_out = 0
        self.next_ms = -1e12
        self._pool = PoolArrays(rules)
        self._done: set[TicketId] = set()  # matched by the shadow, and still waiting

    def put(self, ticket: Ticket) -> None:
        if ticket.id in self._done or len(self._pool) >= TICKETS_MAX:
            return
        if not self._pool.add(ticket) and self._pool.ticket(ticket.id) != ticket:
            self._pool.remove(ticket.id)
            self._pool.add(ticket)

    def gone(self, ticket: Ticket) -> None:
        """It was matched, or left the queue."""
        if self._pool.remove(ticket.id) is not None:
            self.overtaken += 1
        self._done.discard(ticket.id)

    def forget(self) -> None:
        """Nothing is known of the pool any more; the figures stay."""
        self._pool = PoolArrays(self.rules)
        self._done.clear()

    def look(self, unix_ms: int, now_ms: float, *, live_edges: Collection[EdgeId], fill_ms: int) -> bool:
        """What the shadow would match now; False: it is not its turn. `looked` must follow a look."""
        if now_ms < self.next_ms or len(self._pool) >= TICKETS_MAX:
            self.left_out += 1
            return False
        for proposal in propose_pool(self._pool, unix_ms, live_edges=live_edges, fill_ms=fill_ms):
            members = [ticket for team in proposal.teams for ticket in team]
            self.tally.add([float(max(0, unix_ms - ticket.created_ms)) for ticket in members], proposal.quality)
            for ticket in members:
                self._pool.remove(ticket.id)
                self._done.add(ticket.id)
        return True

    def looked(self, began_ms: float, ended_ms: float) -> None:
        """It took so long: the next look waits until that was SHARE of the core."""
        self.next_ms = ended_ms + (ended_ms - began_ms) / SHARE

    def compared(self) -> Compared:
        return Compared(
            mode=self.mode, live=_seen(self.live), shadow=_seen(self.tally), overtaken=self.overtaken,
            waiting=len(self._pool), left_out=self.left_out,
        )  # fmt: skip


def _seen(tally: Tally) -> TallySeen:
    people, matches = max(1, tally.people), max(1, tally.matches)
    return TallySeen(
        matches=tally.matches, people=tally.people, wait_ms_mean=round(tally.wait_ms / people, 1),
        wait_ms_max=round(tally.wait_ms_max, 1), quality_mean=round(tally.quality / matches, 4),
    )  # fmt: skip
