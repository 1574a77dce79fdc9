"""Matches across regions: who is shown to neighbours, and which matches can be made of what all regions show.

Problem. A thin region's players wait although somebody who fits waits elsewhere. Neighbours must see enough to keep every rule, and no
    more; and the many must not travel for the few.
Method. A region shows its oldest tickets, the player as a hash. Who waited `share.after_ms` while fewer than `share.thin` people wait at
    home is shown with the round trips to all regions, everybody else with the one to the own region. Over the union of what regions of
    the same rules show runs the proposal that each region runs over its own pool; where a match is played is `choose_region`'s: the
    worst-placed member's round trip is least.
Guarantee. Every rule, mutually, as in one pool; only full matches of at least two regions; the same shown tickets and time give the same
    proposals. It is a proposal alone: each ticket's own region grants it or not (docs/decisions/0019).
Cost. That of a proposal over `limits.CROSSING_SHOWN_MAX` tickets a region.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import Final

import msgspec

from gameedge.core import limits
from gameedge.core.errors import ConfigError
from gameedge.core.ids import EdgeId, MatchId, PlayerId, RegionId, SessionId, TicketId
from gameedge.core.matchmaking.audit import violations
from gameedge.core.matchmaking.pool import PoolArrays
from gameedge.core.matchmaking.propose import Proposal, propose_pool
from gameedge.core.matchmaking.rules import ModeRules, from_json, to_json
from gameedge.core.matchmaking.shown import Shown
from gameedge.core.matchmaking.ticket import Ticket

SEPARATOR: Final = "/"  # between region and ticket: a region's name has none


@dataclass(frozen=True, slots=True)
class Plan:
    """A match across regions: where it is played, and by team whose tickets (home, ticket) are in it."""

    region: RegionId
    teams: tuple[tuple[tuple[RegionId, TicketId], ...], ...]
    quality: float
    worst_ms: float  # round trip of the worst-placed member

    def homes(self) -> dict[RegionId, list[TicketId]]:
        """Tickets by the region that must grant them."""
        found: dict[RegionId, list[TicketId]] = {}
        for team in self.teams:
            for home, ticket in team:
                found.setdefault(home, []).append(ticket)
        return found


def crosses(rules: ModeRules) -> bool:
    """Whether a mode's tickets may cross: its rules say when (`latency.share`), and nobody is asked to accept."""
    return rules.latency is not None and rules.latency.share is not None and rules.accept is None


def hashed(text: str) -> str:
    return blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()


def rules_name(text: bytes) -> str:
    """Rules are the same where this is."""
    return sha256(text).hexdigest()[:16]


def grant_of(match: MatchId, ticket: TicketId) -> MatchId:
    """The name of the record that stands for one ticket's grant in its region's store: asking twice is asking once."""
    return MatchId(f"g_{hashed(f'{match} {ticket}')}")


def show(pool: PoolArrays, rules: ModeRules, home: str, now_ms: int, travel: Collection[EdgeId]) -> list[Shown]:
    """What neighbours see of a region's pool, those who may travel first, then the oldest. `rules`: as in the file, all regions in them;
    `travel`: processes that can send their players elsewhere."""
    share = rules.latency.share if rules.latency is not None else None
    if rules.latency is None or share is None:
        return []
    thin = len(pool) < share.thin
    named = frozenset(rules.latency.regions)
    found: list[tuple[bool, int, str, Shown]] = []
    for ticket in pool.tickets():
        age_ms = max(0, now_ms - ticket.created_ms)
        if not ticket.away or ticket.edge not in travel or age_ms > limits.TICKET_MS_MAX:
            continue
        far = thin and age_ms >= share.after_ms
        reach = {region: rtt for region, rtt in ticket.rtt_ms.items() if (far and (not named or region in named)) or region == home}
        if reach and (shown := _shown(ticket, age_ms, reach)) is not None:
            found.append((not far, -age_ms, ticket.id, shown))
    found.sort(key=lambda each: each[:3])
    return [each[3] for each in found[: limits.CROSSING_SHOWN_MAX]]


def _shown(ticket: Ticket, age_ms: int, reach: dict[str, float]) -> Shown | None:
    """None: it says something that no neighbour would read, such as a rating that is no number."""
    shown = Shown(
        ticket=ticket.id,
        who=hashed(ticket.player),
        age_ms=age_ms,
        party=hashed(ticket.party) if ticket.party is not None else "",
        party_size=ticket.party_size,
        rating=ticket.rating,
        sigma=ticket.sigma,
        trust=ticket.trust,
        attributes=ticket.attributes,
        roles=ticket.roles,
        rtt_ms=reach,
        loss={region: share for region, share in ticket.loss.items() if region in reach},
        blocks=[hashed(player) for player in ticket.blocks],
    )
    try:
        return msgspec.convert(msgspec.to_builtins(shown), Shown)
    except msgspec.ValidationError:
        return None


def read_rules(text: bytes) -> ModeRules | None:
    """Rules that a region sent; None for what are none, or no rules of matches that cross."""
    try:
        rules = from_json(text)
    except ConfigError:
        return None
    return rules if crosses(rules) and rules.players else None


def propose_across(rules: ModeRules, shown: Mapping[RegionId, Sequence[Shown]], hosts: Collection[RegionId], now_ms: int) -> list[Plan]:
    """Disjoint matches of people of several regions, by the regions' common rules, played in one of `hosts`."""
    assert rules.latency is not None
    named = rules.latency.regions
    reach = sorted(region for region in hosts if not named or region in named)[: limits.SET_VALUES_MAX]
    if len(shown) < 2 or not reach:
        return []
    latency = msgspec.structs.replace(rules.latency, regions=reach, share=None)
    pool = PoolArrays(msgspec.structs.replace(rules, latency=latency))
    for home in sorted(shown):
        for each in shown[home][: limits.CROSSING_SHOWN_MAX]:
            pool.add(_ticket(home, each, now_ms))
    plans = []
    for proposal in propose_pool(pool, now_ms, fill_ms=0, gather=False):
        members = [ticket for team in proposal.teams for ticket in team]
        if proposal.region is None or len({ticket.edge for ticket in members}) < 2:
            continue  # what one region can do alone it does
        teams = tuple(tuple(_whose(ticket) for ticket in team) for team in proposal.teams)
        worst = max(ticket.rtt_ms[proposal.region] for ticket in members)
        plans.append(Plan(RegionId(proposal.region), teams, proposal.quality, worst))
    return plans


def _ticket(home: RegionId, shown: Shown, now_ms: int) -> Ticket:
    """Its region stands where its process would."""
    return Ticket(
        id=TicketId(f"{home}{SEPARATOR}{shown.ticket}"),
        player=PlayerId(shown.who),
        session=SessionId(""),
        edge=EdgeId(home),
        mode="",
        rating=shown.rating,
        sigma=shown.sigma,
        trust=shown.trust,
        party=shown.party or None,
        party_size=shown.party_size,
        created_ms=now_ms - shown.age_ms,
        attributes=shown.attributes,
        roles=shown.roles,
        rtt_ms=shown.rtt_ms,
        loss=shown.loss,
        blocks=[PlayerId(who) for who in shown.blocks],
    )


def _whose(ticket: Ticket) -> tuple[RegionId, TicketId]:
    home, _, name = ticket.id.partition(SEPARATOR)
    return RegionId(home), TicketId(name)


def check(teams: Sequence[Sequence[Ticket]], rules: ModeRules, region: str, now_ms: int) -> list[str]:
    """What a match of whole tickets breaks, by code of its own: whoever hosts it does not take the proposer's word."""
    return violations(Proposal([list(team) for team in teams], 1.0, [], region), rules, now_ms)


__all__ = ["Plan", "Shown", "check", "crosses", "grant_of", "hashed", "propose_across", "read_rules", "rules_name", "show", "to_json"]
