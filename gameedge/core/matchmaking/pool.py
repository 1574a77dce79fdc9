"""The tickets of one mode as arrays, kept up to date ticket by ticket: what proposals, explanations and simulations read.

A *unit* is somebody alone or a complete party: a row of the arrays. Adding or removing a ticket touches one row (and its party's);
nothing is built anew between two cycles. Rows that no match could take (a missing attribute, a party larger than a team) keep the
reason, which `explain` tells.

The same tickets give the same proposals in whatever order they came: rows are ordered by age and a hash of the id, never by place.
"""

import math
from bisect import insort
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gameedge.core import limits
from gameedge.core.ids import EdgeId, PlayerId, TicketId
from gameedge.core.matchmaking.rate import Rate
from gameedge.core.matchmaking.rules import ModeRules
from gameedge.core.matchmaking.ticket import RATING_DEVIATION, Ticket
from gameedge.core.matchmaking.values import Words, bounded, code_of, number_of, words_of

START: Final = 256  # rows at first; doubled when full
SIGMA_MAX: Final = 1_000.0
AGAIN_MAX: Final = 4  # rows that are tried again when somebody leaves


@dataclass(slots=True)
class Unit:
    """One row: `members` in order of age, why it can never be matched as it is (""), and the words it holds."""

    members: tuple[Ticket, ...]
    stuck: str = ""
    words: tuple[tuple[int, frozenset[str]], ...] = ()  # (set rule, words)


class PoolArrays:
    """Tickets of one mode. `rules` cannot change: another pool is made for other rules."""

    def __init__(self, rules: ModeRules) -> None:
        self.rules = rules
        self.units: list[Unit | None] = []
        self.row_of: dict[TicketId, int] = {}  # of those who are in a row
        self._tickets: dict[TicketId, Ticket] = {}
        self._players: dict[PlayerId, list[Ticket]] = {}  # the first is the one that counts
        self._parties: dict[tuple[str, int], list[Ticket]] = {}
        self._free: list[int] = []
        self._edges: dict[EdgeId, int] = {}
        self._words = [Words() for _ in rules.overlap]
        self._roles = {role: bit for bit, role in enumerate(rules.roles)}
        self.regions: list[str] = list(rules.latency.regions) if rules.latency is not None else []
        self.came = Rate()
        self.blocking: dict[int, frozenset[PlayerId]] = {}
        self._short: dict[int, None] = {}  # rows whose words found no room, in the order in which they are tried again
        self._grow(START)

    # ------------------------------------------------------------------------------------------------------ the arrays

    def _grow(self, size: int) -> None:
        """Arrays of `size` rows, the present ones kept."""
        rules = self.rules
        values = (rules.skill is not None) + len(rules.distance)

        def sized(name: str, shape: tuple[int, ...], dtype: type[np.generic], fill: float = 0) -> None:
            made = np.full(shape, fill, dtype)
            old: NDArray[np.generic] | None = getattr(self, name, None)
            if old is not None:
                made[tuple(slice(0, n) for n in old.shape)] = old
            setattr(self, name, made)

        sized("used", (size,), np.bool_)
        sized("ready", (size,), np.bool_)  # used and not stuck
        sized("created", (size,), np.int64)
        sized("tie", (size,), np.uint64)
        sized("size", (size,), np.int64)
        sized("trust", (size,), np.int64)
        sized("sigma", (size,), np.float64)
        sized("value", (values, size), np.float64)
        sized("code", (len(rules.equal), size), np.int64)
        sized("sets", (len(rules.overlap), size), np.uint64)
        sized("rtt", (len(self.regions), size), np.float64, math.inf)  # what the limit is held against
        sized("worst", (len(self.regions), size), np.float64, math.inf)  # of the member who has it worst
        sized("loss", (len(self.regions), size), np.float64)
        sized("roles", (size, limits.PARTY_MAX), np.int64)
        sized("edge", (size, limits.PARTY_MAX), np.int64, -1)
        self.units.extend([None] * (size - len(self.units)))
        self._free.extend(range(size - 1, getattr(self, "capacity", 0) - 1, -1))
        self.capacity = size

    used: NDArray[np.bool_]
    ready: NDArray[np.bool_]
    created: NDArray[np.int64]
    tie: NDArray[np.uint64]
    size: NDArray[np.int64]
    trust: NDArray[np.int64]
    sigma: NDArray[np.float64]
    value: NDArray[np.float64]
    code: NDArray[np.int64]
    sets: NDArray[np.uint64]
    rtt: NDArray[np.float64]
    worst: NDArray[np.float64]
    loss: NDArray[np.float64]
    roles: NDArray[np.int64]
    edge: NDArray[np.int64]

    # ----------------------------------------------------------------------------------------------------- the tickets

    def __len__(self) -> int:
        return len(self._tickets)

    def __contains__(self, ticket: TicketId) -> bool:
        return ticket in self._tickets

    def ticket(self, ticket: TicketId) -> Ticket | None:
        return self._tickets.get(ticket)

    def tickets(self) -> Collection[Ticket]:
        return self._tickets.values()

    def add(self, ticket: Ticket) -> bool:
        """False: the id is there already, and nothing changed. A player's second ticket waits behind the first."""
        if ticket.id in self._tickets:
            return False
        self._tickets[ticket.id] = ticket
        self.came.one(ticket.created_ms)
        mine = self._players.setdefault(ticket.player, [])
        before = mine[0] if mine else None
        mine.append(ticket)
        if before is not None:
            mine.sort(key=_age)
            if mine[0] is before:
                return True
            self._leave(before)
        self._enter(ticket)
        return True

    def problem(self, ticket: Ticket) -> str:
        """Why nobody who says what this ticket says is ever matched; "": they may be. Parties and their sizes aside; nothing changes."""
        if not self._free:
            self._grow(self.capacity * 2)
        row, unit = self._free[-1], Unit((ticket,))
        text = self._attributes(row, unit)
        if ticket.party is None or (self.rules.latency is not None and self.rules.latency.party == "worst"):
            text = text or self._network(row, unit.members)  # of a mean, others in the party may make up for it
        text = text or self._play(row, unit.members)
        for rule, words in unit.words:
            self._words[rule].give_back(words)
        self.blocking.pop(row, None)
        self._short.pop(row, None)
        return text

    def remove(self, ticket_id: TicketId) -> Ticket | None:
        """Cancelled or matched; its party, if it had one, waits for another member. None: it is not here."""
        ticket = self._tickets.pop(ticket_id, None)
        if ticket is None:
            return None
        mine = self._players[ticket.player]
        counted = mine[0] is ticket
        mine.remove(ticket)
        if counted:
            self._leave(ticket)
            if mine:
                self._enter(mine[0])
        if not mine:
            del self._players[ticket.player]
        for row in list(islice(self._short, AGAIN_MAX)):  # words may have become free
            if (unit := self.units[row]) is not None:
                self._drop(row)
                self._put(unit.members)
        return ticket

    def older_than(self, created_ms: int) -> list[Ticket]:
        """Tickets that came before that time, whether they are in a row or not, the oldest first."""
        rows = np.flatnonzero(self.used & (self.created <= created_ms)).tolist()
        found = [ticket for row in rows if (unit := self.units[row]) is not None for ticket in unit.members]
        if len(self.row_of) < len(self._tickets):
            found += [t for t in self._tickets.values() if t.id not in self.row_of and t.created_ms <= created_ms]
        return sorted(found, key=_age)

    def oldest_ms(self) -> int | None:
        """The least time that `older_than` can be asked with and finds somebody; None: nobody is here."""
        rows = self.created[self.used]
        waiting = [t.created_ms for t in self._tickets.values() if t.id not in self.row_of] if len(self.row_of) < len(self._tickets) else []
        return min([*waiting, *([int(rows.min())] if len(rows) else [])], default=None)

    def waiting_party(self, ticket: Ticket) -> int | None:
        """How many members of this ticket's party are here, while the party is not complete; None otherwise."""
        return None if ticket.id in self.row_of or ticket.party is None else len(self._parties.get(_party(ticket), ()))

    def party_of(self, ticket: Ticket) -> list[Ticket]:
        """All who wait here under this ticket's party, complete or not."""
        return [] if ticket.party is None or ticket.party_size <= 1 else list(self._parties.get(_party(ticket), ()))

    # -------------------------------------------------------------------------------------------------------- the rows

    def _enter(self, ticket: Ticket) -> None:
        if ticket.party is None or ticket.party_size <= 1:
            self._put((ticket,))
            return
        waiting = self._parties.setdefault(_party(ticket), [])
        insort(waiting, ticket, key=_age)
        self._form(waiting, ticket.party_size)

    def _leave(self, ticket: Ticket) -> None:
        if ticket.party is None or ticket.party_size <= 1:
            self._drop(self.row_of[ticket.id])
            return
        key = _party(ticket)
        waiting = self._parties[key]
        waiting.remove(ticket)
        row = self.row_of.get(ticket.id)
        if row is not None:
            self._drop(row)
        self._form(waiting, ticket.party_size)
        if not waiting:
            del self._parties[key]

    def _form(self, waiting: list[Ticket], size: int) -> None:
        """The oldest `size` of one party's name are the party; more wait for it to be gone."""
        party = tuple(waiting[:size]) if size <= len(waiting) else ()
        rows = {self.row_of[ticket.id] for ticket in waiting[: size + 1] if ticket.id in self.row_of}  # one at most: the party before
        for row in rows:
            unit = self.units[row]
            if unit is not None and unit.members == party:
                return
            self._drop(row)
        if party:
            self._put(party)

    def _drop(self, row: int) -> None:
        unit = self.units[row]
        assert unit is not None
        for rule, words in unit.words:
            self._words[rule].give_back(words)
        for ticket in unit.members:
            del self.row_of[ticket.id]
        self.units[row] = None
        self.used[row] = self.ready[row] = False
        self.blocking.pop(row, None)
        self._short.pop(row, None)
        self._free.append(row)

    def _put(self, members: tuple[Ticket, ...]) -> None:
        if not self._free:
            self._grow(self.capacity * 2)
        row, unit = self._free.pop(), Unit(members)
        self.units[row] = unit
        for ticket in members:
            self.row_of[ticket.id] = row
        last = members[-1]  # a party is as old as its last member: before that it could not be matched
        self.created[row] = min(max(last.created_ms, -(2**62)), 2**62)
        self.tie[row] = int.from_bytes(blake2b(last.id.encode(), digest_size=8).digest(), "big")
        self.size[row], self.trust[row] = len(members), min(max(last.trust, -(2**62)), 2**62)
        sigmas = [ticket.sigma if 0 <= ticket.sigma <= SIGMA_MAX else RATING_DEVIATION for ticket in members]
        self.sigma[row] = sum(sigmas) / len(sigmas)
        rules = self.rules
        if len(members) > min(rules.team_size, limits.PARTY_MAX):
            unit.stuck = f"a party of {len(members)} is larger than a team of {rules.team_size}"
        elif rules.party_sizes and len(members) not in rules.party_sizes:
            unit.stuck = f"parties of {len(members)} may not queue here, only of {', '.join(map(str, rules.party_sizes))}"
        elif any(ticket.trust != last.trust for ticket in members):
            unit.stuck = "the party's members are of different trust pools"
        else:
            unit.stuck = self._attributes(row, unit) or self._network(row, members) or self._play(row, members)
            self._edge(row, members)
        self.used[row] = True
        self.ready[row] = not unit.stuck

    def _attributes(self, row: int, unit: Unit) -> str:
        members, rules, at = unit.members, self.rules, 0
        if rules.skill is not None:
            skill = rules.skill
            each = [ticket.rating if -1e300 < ticket.rating < 1e300 else skill.default for ticket in members]
            each = [min(max(rating, -skill.bound), skill.bound) for rating in each]
            self.value[0, row] = max(each) if skill.party == "max" else sum(each) / len(each)
            at = 1
        for i, distance in enumerate(rules.distance):
            numbers = [number_of(ticket.attributes.get(distance.attribute), distance.missing) for ticket in members]
            known = [number for number in numbers if number is not None]
            if len(known) < len(members):
                return f"its attribute {distance.attribute!r} is no number"
            made = {"mean": sum(known) / len(known), "max": max(known), "min": min(known)}
            self.value[at + i, row] = made[distance.party]
        for i, equal in enumerate(rules.equal):
            codes = {code_of(ticket.attributes.get(equal.attribute)) for ticket in members}
            if len(codes) > 1:
                return f"the party's members differ in {equal.attribute!r}, which must be equal"
            self.code[i, row] = codes.pop()
        for i, overlap in enumerate(rules.overlap):
            problem = self._set(row, unit, i, overlap.attribute, overlap.least)
            if problem:
                return problem
        return ""

    def _set(self, row: int, unit: Unit, rule: int, attribute: str, least: int) -> str:
        stated = [words_of(ticket.attributes.get(attribute)) for ticket in unit.members]
        sets = [words for words in stated if words is not None]
        if not sets:  # no wish: everything
            self.sets[rule, row] = np.uint64(2**64 - 1)
            return ""
        common = frozenset.intersection(*sets)
        if len(common) < least:
            return f"its {attribute!r} have {len(common)} in common within the party or alone, {least} are needed"
        mask = self._words[rule].take(common)
        if mask is None:
            self._short[row] = None
            return f"more than {limits.SET_VALUES_MAX} different {attribute!r} are wished for now"
        unit.words = (*unit.words, (rule, common))
        self.sets[rule, row] = mask
        return ""

    def _network(self, row: int, members: Sequence[Ticket]) -> str:
        latency = self.rules.latency
        if latency is None:
            return ""
        if not latency.regions:
            for region in sorted({name for ticket in members for name in ticket.rtt_ms} - set(self.regions)):
                if len(self.regions) < limits.SET_VALUES_MAX:
                    self.regions.append(region)
            if len(self.regions) > len(self.rtt):
                self._grow_regions()
        for i, region in enumerate(self.regions):
            rtt = [bounded(ticket.rtt_ms.get(region), math.inf) for ticket in members]
            loss = [bounded(ticket.loss.get(region), 0.0) for ticket in members]
            self.worst[i, row] = max(rtt)
            mean = latency.party == "mean"
            self.rtt[i, row] = sum(rtt) / len(rtt) if mean else max(rtt)
            self.loss[i, row] = sum(loss) / len(loss) if mean else max(loss)
        known = self.rtt[:, row][: len(self.regions)]
        if not np.isfinite(known).any():
            return "no region that all of it measured a round trip to"
        if known.min() > latency.limit_ms.values[-1]:
            return f"its nearest region is {known.min():.0f} ms away, the limit never exceeds {latency.limit_ms.values[-1]:.0f} ms"
        return ""

    def _grow_regions(self) -> None:
        for name, fill in (("rtt", math.inf), ("worst", math.inf), ("loss", 0.0)):
            old = getattr(self, name)
            setattr(self, name, np.concatenate([old, np.full((len(self.regions) - len(old), self.capacity), fill)]))

    def _play(self, row: int, members: Sequence[Ticket]) -> str:
        """Roles and blocks."""
        everything = (1 << len(self._roles)) - 1
        self.roles[row] = 0
        for i, ticket in enumerate(members):
            mask = sum(1 << bit for role, bit in self._roles.items() if role in ticket.roles) if ticket.roles else everything
            if everything and not mask:
                return f"{ticket.roles} are no roles of this mode: {', '.join(self._roles)}"
            self.roles[row, i] = mask
        blocks = frozenset(player for ticket in members for player in ticket.blocks)
        if blocks & {ticket.player for ticket in members}:
            return "a member of the party blocks another"
        if blocks:
            self.blocking[row] = blocks
        return ""

    def _edge(self, row: int, members: Sequence[Ticket]) -> None:
        self.edge[row] = -1
        for i, ticket in enumerate(members):
            self.edge[row, i] = self._edges.setdefault(ticket.edge, len(self._edges))

    def live(self, edges: Collection[EdgeId] | None) -> NDArray[np.bool_]:
        """Rows whose members' processes are all alive, bool [capacity]. None: all are."""
        if edges is None:
            return np.ones(self.capacity, np.bool_)
        alive = np.zeros(len(self._edges) + 1, np.bool_)
        alive[-1] = True  # where -1 points: no member
        for edge in edges:
            if edge in self._edges:
                alive[self._edges[edge]] = True
        return np.asarray(alive[self.edge].all(axis=1), np.bool_)

    def row_of_player(self, player: PlayerId) -> int | None:
        mine = self._players.get(player)
        return self.row_of.get(mine[0].id) if mine else None


def _age(ticket: Ticket) -> tuple[int, str]:
    return ticket.created_ms, ticket.id


def _party(ticket: Ticket) -> tuple[str, int]:
    return f"{ticket.trust}:{ticket.party}", ticket.party_size
