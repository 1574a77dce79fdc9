"""The region's processes as the matcher sees them: who lives, who may host a match, and what was just given to whom."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Final

from gameedge.core.game import ModeSpec
from gameedge.core.ids import EdgeId
from gameedge.core.matchmaking.propose import Proposal
from gameedge.state.base import EdgeRecord, RegionStore, Ticket

EDGES_MS: Final = 50.0  # for so long a list of the region's processes serves
HOST_AGE_MS: Final = 500.0  # a process that beat longer ago gets no new match
PROMISE_MS: Final = 1_000  # for so long a claimed match counts beside what its host says: its players are still on their way
PLAYERS_FULL: Final = 2_000  # what a process carries on one core (docs/benchmarks.md)
MOVE_COST: Final = 0.05  # a member who must connect anew costs about as much as this part of a process


class Processes:
    """As the store knew them at the last `look`."""

    def __init__(self, store: RegionStore) -> None:
        self._store = store
        self.living: dict[EdgeId, EdgeRecord] = {}
        self.hosts: dict[EdgeId, EdgeRecord] = {}  # those among them that beat lately: they may host
        self._looked_ms = -1e12
        self._promised: deque[tuple[float, EdgeId, Proposal]] = deque()

    async def look(self, now_ms: float) -> None:
        """Bring it up to date; what is EDGES_MS old serves. Raises UnavailableError."""
        if now_ms - self._looked_ms < EDGES_MS:
            return
        records, ages = await self._store.edges(), await self._store.edge_ages()
        self.living = {record.edge: record for record in records}
        self.hosts = {edge: record for edge, record in self.living.items() if ages.get(edge, 0.0) < HOST_AGE_MS}
        self._looked_ms = now_ms

    def travelling(self, version: int) -> frozenset[EdgeId]:
        """Those that can send their players to other regions."""
        return frozenset(record.edge for record in self.living.values() if record.crossing == version and not record.draining)

    def promised(self, now_ms: float, host: EdgeId, proposal: Proposal) -> None:
        """It was given this match: its players are on their way."""
        self._promised.append((now_ms, host, proposal))

    def promises(self, now_ms: float) -> dict[EdgeId, Counter[EdgeId]]:
        """By host, where the members of its latest matches come from."""
        while self._promised and now_ms - self._promised[0][0] > PROMISE_MS:
            self._promised.popleft()
        promises: dict[EdgeId, Counter[EdgeId]] = {}
        for _, host, proposal in self._promised:
            promises.setdefault(host, Counter()).update(homes(proposal.teams))
        return promises


def choose_host(
    proposal: Proposal, edges: Mapping[EdgeId, EdgeRecord], mode: ModeSpec, promises: Mapping[EdgeId, Counter[EdgeId]]
) -> EdgeId | None:
    """The process that most members are connected to, unless it is clearly busier than the calmest one; None: all are full.

    promises: by host, where members of matches that it was just given come from. Without it a burst goes to whom one old report
    calls calm.
    """
    open_edges = [
        record for record in edges.values() if not record.draining and record.free_matches > 0 and record.free_entities >= mode.seats
    ]
    if not open_edges:
        return None
    here = homes(proposal.teams)

    def cost(record: EdgeRecord) -> tuple[float, int, str]:
        coming = sum(count for edge, count in promises.get(record.edge, Counter()).items() if edge != record.edge)
        leaving = sum(counts[record.edge] for host, counts in promises.items() if host != record.edge)
        players = record.players + coming - leaving
        busy = record.lateness_ms_p99 / 10.0 + players / PLAYERS_FULL
        return busy - MOVE_COST * here[record.edge], record.matches + promises.get(record.edge, Counter()).total(), record.edge

    return min(open_edges, key=cost).edge


def homes(teams: Sequence[Sequence[Ticket]]) -> Counter[EdgeId]:
    """How many of them are connected to each process."""
    return Counter(ticket.edge for team in teams for ticket in team)
