"""What a client says of itself when it queues, held against the mode's rules and against what is known of it.

Problem. Attributes, round trips, loss and blocks are the client's word, and rules are made of them. A client that lies must not gain
    by it more than a client that tells the truth could have wished for, and must not spoil the pool for others.
Method. Ratings and trust come from the signed token and cannot be said here. Attributes that no rule looks at are left out; words of a
    set must be among those that the rule names (64 words are known to a pool at once: invented ones would take others' places). Round
    trips count for regions that the rules or the token name, so that invented regions take no places either, and never as less than what
    the placement was made by (signed, the same for every queue until the next placement; of regions that were not measured, what is
    expected there) or than what this process measures itself. Somebody who only wants to be nearer than they are must therefore lie to
    the beacons once, before they know whom they will meet, and cannot for the region they are connected to.
What a lie still buys. More than the truth: a client may call a region far and is then not matched there. Less loss than there is: it
    plays on a line worse than the limit, and the others see it. Attributes: who calls their input a gamepad meets gamepads. Rules on
    these are for company, not for safety; ratings, trust and bans are not the client's to say.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError
from gameedge.core.matchmaking.rules import ModeRules

Value = float | str | list[str]


@dataclass(frozen=True, slots=True)
class Wish:
    """The part of a ticket that the client decides, as it is believed."""

    attributes: dict[str, Value] = field(default_factory=dict)
    roles: list[str] = field(default_factory=list)
    rtt_ms: dict[str, float] = field(default_factory=dict)
    loss: dict[str, float] = field(default_factory=dict)
    blocks: list[str] = field(default_factory=list)


def believed(
    said: Wish, rules: Sequence[ModeRules], player: str, home: str, *, placed_ms: Mapping[str, float], measured_ms: float | None
) -> Wish:
    """What of it counts. `rules`: of the mode, the live ones first; a shadow's attributes are kept beside them. `placed_ms`: round trips
    that the token carries; `measured_ms`: to this region, as this process measures it.

    Raises RefusedError(UNSUPPORTED) with what to say instead.
    """
    live = rules[0]
    wanted: set[str] = set()
    for each in rules:
        wanted.update(rule.attribute for rule in each.distance)
        wanted.update(rule.attribute for rule in each.equal)
        wanted.update(rule.attribute for rule in each.overlap)
    attributes = {name: value for name, value in said.attributes.items() if name in wanted}
    for rule in live.overlap:
        _words(rule.attribute, attributes.get(rule.attribute), rule.values)
    roles = list(said.roles) if live.roles else []
    if wrong := sorted(set(roles) - live.roles.keys()):
        raise RefusedError(Reason.UNSUPPORTED, f"{wrong[0]!r} is no role of this mode; roles are {', '.join(live.roles)}")
    blocks = [other for other in dict.fromkeys(said.blocks) if other != player]
    if len(blocks) > live.blocks_max:
        raise RefusedError(Reason.UNSUPPORTED, f"at most {live.blocks_max} players may be blocked in this mode")
    latencies = [each.latency for each in rules if each.latency is not None]
    if not latencies:
        return Wish(attributes, roles, {}, {}, blocks)
    named = {region for latency in latencies for region in latency.regions}
    known = named | placed_ms.keys() | {home} if not all(latency.regions for latency in latencies) else named
    rtt_ms = _round_trips(said.rtt_ms, known, home, placed_ms, measured_ms)
    return Wish(attributes, roles, rtt_ms, {region: share for region, share in said.loss.items() if region in known}, blocks)


def _words(attribute: str, said: Value | None, values: Collection[str]) -> None:
    words = [said] if isinstance(said, str) else said if isinstance(said, list) else []
    if values and (wrong := sorted(set(words) - set(values))):
        raise RefusedError(Reason.UNSUPPORTED, f"{wrong[0]!r} is none of {attribute}: {', '.join(values)}"[:256])


def _round_trips(
    said: Mapping[str, float], known: Collection[str], home: str, placed_ms: Mapping[str, float], measured_ms: float | None
) -> dict[str, float]:
    """Nobody is nearer than they were placed by, or than we see ourselves. A full token has the nearest regions beside the home one:
    the others were no nearer than the farthest of those."""
    others = [rtt for region, rtt in placed_ms.items() if region != home]
    left_out = max(others) if others and len(placed_ms) >= limits.TOKEN_REGIONS_MAX else 0.0
    least = {region: 0.0 if region == home else left_out for region in said} | dict(placed_ms)
    found = {region: max(said.get(region, 0.0), rtt) for region, rtt in least.items() if region in known}
    if measured_ms is not None and home in known:
        found[home] = max(found.get(home, 0.0), measured_ms)
    return {region: found[region] for region in sorted(found)}
