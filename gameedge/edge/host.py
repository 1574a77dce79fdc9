"""Matches that this process hosts: opening them from a claimed record, giving seats to people and NPCs, ending them.

A seat belongs to an NPC until its player joins and whenever that player is away, so a match never waits for anyone. A match
that nobody joined, or that everybody left, is ended unrated. Results are stored before players hear of them: what a client was
told survives this process.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final
from zlib import crc32

from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError
from gameedge.core.game import Game, Outcome, Seat
from gameedge.core.ids import MatchId, PlayerId, RegionId, SessionId, TicketId
from gameedge.core.matchmaking.ticket import RATING_DEVIATION, RATING_MEAN
from gameedge.core.protocol.messages import RosterSeat
from gameedge.state.base import MatchRecord, Result, Ticket

ABANDONED: Final = "abandoned"  # the reason of a match that had no people left
STOPPED: Final = "stopped"  # of one that an operator ended
EMPTY_MS_MAX: Final = 10_000  # without any person for this long, a match is ended


def level_of(rating: float) -> int:
    """The NPC level that is as good as a rating: the mean of new players is level 5, a level is half a deviation of theirs."""
    if math.isnan(rating):
        return 5
    return int(min(max(5.0 + (rating - RATING_MEAN) / (0.5 * RATING_DEVIATION), 1.0), 10.0))


def npc_name(state: "SeatState", seat: Seat) -> str:
    """What a roster calls an NPC: its seat, how it plays and at which level."""
    return f"npc-{state.seat} {seat.npc_style} L{seat.npc_level}" if seat.npc_style else f"npc-{state.seat}"


@dataclass(slots=True)
class SeatState:
    """One seat. `slot` is the connection that plays it now, None: an NPC does."""

    seat: int
    team: int
    ticket: Ticket | None
    match_token: str = ""
    session: SessionId | None = None
    slot: int | None = None
    joined: bool = False
    npc_level: int = 5  # while an NPC plays it
    npc_style: str = ""


@dataclass(slots=True)
class HostedMatch:
    record: MatchRecord
    slot: int
    seats: list[SeatState]
    opened_ms: float
    opened_unix_ms: int
    empty_since_ms: float | None = None
    roster: list[RosterSeat] = field(default_factory=list)
    adopted: bool = False  # from another process: clients do not join by themselves
    fallback: str = ""  # where its players go first if this process dies

    @property
    def id(self) -> MatchId:
        return self.record.match

    def seat_of(self, player: PlayerId) -> SeatState | None:
        return next((seat for seat in self.seats if seat.ticket is not None and seat.ticket.player == player), None)

    def people(self) -> Iterator[SeatState]:
        return (seat for seat in self.seats if seat.slot is not None)


def _joined(match: HostedMatch) -> list[TicketId]:
    return [seat.ticket.id for seat in match.seats if seat.ticket is not None and seat.joined]


def void_guests(match: HostedMatch, now_ms: float, unix_ms: int) -> None:
    """Seats of a match across regions that were not taken in time: nobody may any more, since their players wait at home again. By two
    clocks: one may step back, the other begins anew where another process adopts the match."""
    if max(now_ms - match.opened_ms, unix_ms - match.record.created_ms) > limits.CROSSING_JOIN_MS:
        for seat in match.seats:
            if seat.ticket is not None and not seat.joined and seat.ticket.id not in match.record.late:
                seat.match_token = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """A match that is over, with what must be stored and who must be told."""

    match: HostedMatch
    outcome: Outcome
    result: Result | None  # None: nobody played


class MatchHost:
    """`token` draws a match token; times come from the caller."""

    def __init__(self, game: Game, region: RegionId, *, npc_level: int, token: Callable[[], str]) -> None:
        self.game = game
        self._region = region
        self.npc_level = npc_level
        self._token = token
        self._by_id: dict[MatchId, HostedMatch] = {}
        self._by_slot: dict[int, HostedMatch] = {}
        self._came: OrderedDict[MatchId, list[TicketId]] = OrderedDict()  # of matches of guests that are over; the oldest go
        self.started = 0
        self.seats = 0  # of all matches, whoever plays them

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[HostedMatch]:
        return iter(list(self._by_id.values()))

    def get(self, match: MatchId) -> HostedMatch | None:
        return self._by_id.get(match)

    def came(self, match_id: MatchId) -> list[TicketId] | None:
        """Whose player has taken a seat of a match across regions, also of one that is over. None: it never ran here, or long ago."""
        match = self._by_id.get(match_id)
        return _joined(match) if match is not None else self._came.get(match_id)

    def open(self, record: MatchRecord, now_ms: float, unix_ms: int, *, fresh: bool = True) -> HostedMatch:
        """Open a claimed match; opening it again returns the same one. Raises RefusedError where there is no room. Not `fresh`: it goes
        on from elsewhere, and `restore` gives its seats the tokens that they had."""
        if (known := self._by_id.get(record.match)) is not None:
            return known
        mode = self.game.spec.modes.get(record.mode)
        if mode is None:
            raise RefusedError(Reason.UNSUPPORTED, f"mode {record.mode!r} is not one of {', '.join(self.game.spec.modes)}")
        tickets = {ticket.id: ticket for ticket in record.tickets}
        seats: list[SeatState] = []
        for team in range(mode.teams):
            members = record.teams[team] if team < len(record.teams) else []
            for place in range(mode.team_size):
                ticket = tickets.get(members[place]) if place < len(members) else None
                seats.append(SeatState(len(seats), team, ticket, self._token() if ticket and fresh else ""))
        seats += [SeatState(len(seats) + i, mode.teams, None) for i in range(mode.npc_seats)]
        lineup = [self._cast(s, record.seed) for s in seats]
        for state, seat in zip(seats, lineup, strict=True):
            state.npc_level, state.npc_style = seat.npc_level, seat.npc_style
        slot = self.game.open_match(record.mode, record.seed, lineup)
        for state in seats:
            self.game.seat(slot, state.seat, human=False)  # until its player joins
        match = HostedMatch(record, slot, seats, now_ms, unix_ms, empty_since_ms=now_ms)
        match.roster = [
            RosterSeat(s.seat, s.team, (s.ticket.name or "guest") if s.ticket else npc_name(s, lineup[s.seat]), npc=s.ticket is None)
            for s in seats
        ]
        self._by_id[record.match] = self._by_slot[slot] = match
        self.seats += len(seats)
        self.started += 1
        return match

    def _cast(self, state: SeatState, seed: int) -> Seat:
        """Who starts in a seat. While a player is missing, an NPC of the player's own level holds the place."""
        styles = self.game.spec.npc_styles
        style = styles[crc32(b"%d/%d" % (seed, state.seat)) % len(styles)] if styles else ""
        if state.ticket is None:
            return Seat(state.team, None, self.npc_level, style)
        return Seat(state.team, state.ticket.player, level_of(state.ticket.rating), style)

    def free_seats(self, match: HostedMatch) -> list[tuple[int, int, TicketId | None, bool]]:
        """Seats that people could take: team, place in it, whose it was (nobody's from the start, or somebody's who left for good), and
        whether that player had taken it."""
        size = self.game.spec.modes[match.record.mode].team_size
        free: list[tuple[int, int, TicketId | None, bool]] = []
        for seat in match.seats[: self.game.spec.modes[match.record.mode].teams * size]:
            if seat.slot is None and (seat.ticket is None or not seat.match_token):
                free.append((seat.team, seat.seat - seat.team * size, seat.ticket.id if seat.ticket is not None else None, seat.joined))
        return free

    def fill(self, match: HostedMatch, record: MatchRecord) -> list[SeatState]:
        """People were given seats of a match that runs here; these seats, each with a fresh match token. An NPC plays until they join."""
        mode, tickets = self.game.spec.modes[match.record.mode], {ticket.id: ticket for ticket in record.tickets}
        new: list[SeatState] = []
        for team, members in enumerate(record.teams[: mode.teams]):
            for place, name in enumerate(members[: mode.team_size]):
                seat, ticket = match.seats[team * mode.team_size + place], tickets.get(name)
                if ticket is None or (seat.ticket is not None and seat.ticket.id == name):
                    continue
                seat.ticket, seat.match_token, seat.session, seat.joined = ticket, self._token(), None, False
                match.roster[seat.seat] = RosterSeat(seat.seat, seat.team, ticket.name or "guest")
                new.append(seat)
        match.record = record
        return new

    def left_ms(self, match: HostedMatch, unix_ms: int) -> int:
        """Until the match ends, at most."""
        return max(0, self.game.spec.modes[match.record.mode].duration_ms - (unix_ms - match.opened_unix_ms))

    def join(self, match_id: MatchId, player: PlayerId, match_token: str, session: SessionId, slot: int) -> tuple[SeatState, int]:
        """Give a connection its seat; the seat and its entity. Raises RefusedError."""
        match = self._by_id.get(match_id)
        if match is None:
            raise RefusedError(Reason.NOT_FOUND, "this match is not open here (any more); queue again")
        seat = match.seat_of(player)
        if seat is None or not match_token or seat.match_token != match_token:
            raise RefusedError(Reason.TOKEN_INVALID, "the match token does not belong to this player and match")
        return seat, self._occupy(match, seat, session, slot)

    def rejoin(self, match: HostedMatch, seat: SeatState, slot: int) -> int:
        """The player's connection is back; its entity."""
        return self._occupy(match, seat, seat.session, slot)

    def _occupy(self, match: HostedMatch, seat: SeatState, session: SessionId | None, slot: int) -> int:
        seat.session, seat.slot, seat.joined = session, slot, True
        match.empty_since_ms = None
        self.game.seat(match.slot, seat.seat, human=True)
        return self.game.entity(match.slot, seat.seat)

    def vacate(self, match_id: MatchId, slot: int, now_ms: float) -> None:
        """The connection is gone or left: an NPC takes over until it is back."""
        match = self._by_id.get(match_id)
        if match is None:
            return
        for seat in match.people():
            if seat.slot == slot:
                seat.slot = None
                self.game.seat(match.slot, seat.seat, human=False)
                break
        if match.empty_since_ms is None and not any(match.people()):
            match.empty_since_ms = now_ms

    def ended(self, outcomes: Sequence[Outcome], unix_ms: int) -> list[Ended]:
        """What the game says is over: the slots are closed, and results made of them."""
        done = []
        for outcome in outcomes:
            match = self._by_slot.get(outcome.slot)
            self.game.close_match(outcome.slot)
            if match is not None:
                done.append(self._forget(match, outcome, unix_ms))
        return done

    def abandoned(self, now_ms: float, unix_ms: int) -> list[Ended]:
        """Matches without people: nobody joined within JOIN_MS_MAX, or all have been away for EMPTY_MS_MAX."""
        done = []
        for match in self:
            if match.empty_since_ms is None:
                continue
            anyone = any(seat.joined for seat in match.seats)
            if now_ms - match.empty_since_ms > (EMPTY_MS_MAX if anyone else limits.JOIN_MS_MAX):
                self.game.close_match(match.slot)
                nobody = [0] * len(match.record.teams)
                done.append(self._forget(match, Outcome(match.slot, nobody, nobody, [], ABANDONED), unix_ms))
        return done

    def stop(self, match_id: MatchId, unix_ms: int) -> Ended:
        """An operator ends a match as it stands, unrated. Raises RefusedError(NOT_FOUND)."""
        match = self._by_id.get(match_id)
        if match is None:
            raise RefusedError(Reason.NOT_FOUND, "no such match in this process (any more)")
        teams = self.game.spec.modes[match.record.mode].teams
        scores = [int(score) for score in self.game.info(match.slot).scores][:teams] or [0] * teams
        self.game.close_match(match.slot)
        return self._forget(match, Outcome(match.slot, [0] * teams, scores, [], STOPPED), unix_ms)

    def _forget(self, match: HostedMatch, outcome: Outcome, unix_ms: int) -> Ended:
        self._remove(match)
        mode = self.game.spec.modes[match.record.mode]
        teams: list[list[PlayerId]] = [[] for _ in range(mode.teams)]
        late = set(match.record.late)
        for seat in match.seats:
            if seat.ticket is not None and seat.joined and seat.ticket.id not in late:
                teams[seat.team].append(seat.ticket.player)
        for team, player in match.record.left:  # whoever took their seats does not take their defeat
            if 0 <= team < len(teams):
                teams[team].append(player)
        if not any(teams):
            return Ended(match, outcome, None)
        # A rating compares people: a match is rated when more than one team had any, and it was played out.
        rated = mode.rated and outcome.reason not in (ABANDONED, STOPPED) and sum(map(bool, teams)) > 1
        result = Result(
            match=match.id,
            region=self._region,
            mode=match.record.mode,
            rated=rated,
            started_ms=match.opened_unix_ms,
            ended_ms=unix_ms,
            teams=teams,
            ranks=list(outcome.ranks)[: mode.teams],
            scores=list(outcome.scores)[: mode.teams],
            reason=outcome.reason,
        )
        return Ended(match, outcome, result)

    def restore(self, match: HostedMatch, kept: Sequence[tuple[int, str, SessionId | None, bool, str]]) -> list[SeatState]:
        """Who had which seat before another process had the match: seat, match token, session, whether it was taken, and the ticket
        ("": the one that it has now). The seats of people who were given them after that was kept: nobody told them yet."""
        known = set()
        for number, token, session, joined, ticket in kept:
            if 0 <= number < len(match.seats) and (seat := match.seats[number]).ticket is not None and ticket in ("", seat.ticket.id):
                seat.match_token, seat.session, seat.joined = token, session, joined
                known.add(number)
        match.adopted = True
        for seat in match.seats:
            if seat.ticket is not None and seat.seat not in known:
                seat.match_token = self._token()
        return [seat for seat in match.seats if seat.ticket is not None and seat.seat not in known and seat.ticket.id in match.record.late]

    def drop(self, match: HostedMatch) -> None:
        """It goes on elsewhere: no result, no end."""
        if self._remove(match):
            self.game.close_match(match.slot)

    def _remove(self, match: HostedMatch) -> bool:
        if self._by_id.pop(match.id, None) is None:
            return False
        if match.record.guests:  # it may be over before anybody asked who came
            self._came[match.id] = _joined(match)
            while len(self._came) > limits.CROSSINGS_OVER_MAX:
                self._came.popitem(last=False)
        self._by_slot.pop(match.slot, None)
        self.seats -= len(match.seats)
        return True

    def npcs(self) -> Iterator[SeatState]:
        """Seats that an NPC plays now."""
        return (seat for match in self._by_id.values() for seat in match.seats if seat.slot is None)

    def tickets(self) -> set[TicketId]:
        """Tickets that have a seat here."""
        return {seat.ticket.id for match in self._by_id.values() for seat in match.seats if seat.ticket is not None}
