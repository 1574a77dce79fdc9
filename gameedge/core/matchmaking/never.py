"""Rules that no match could ever keep: found when they are read, with the reason, instead of by players who wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gameedge.core import limits

if TYPE_CHECKING:
    from gameedge.core.matchmaking.rules import ModeRules


def problems(rules: ModeRules) -> list[tuple[str, str]]:
    """(key, reason) of each; empty: there are tickets that these rules match."""
    return [*_sizes(rules), *_roles(rules), *_limits(rules), *_attributes(rules)]


def _sizes(rules: ModeRules) -> list[tuple[str, str]]:
    found = []
    for key in ("teams", "team_size"):
        if getattr(rules, key) < 1:
            found.append((key, "it is not given, and there is no game that says it"))
    if found:
        return found
    if rules.players > limits.SEATS_PER_MATCH_MAX:
        found.append(("team_size", f"{rules.players} seats a match, the most are {limits.SEATS_PER_MATCH_MAX}"))
    largest = min(rules.team_size, limits.PARTY_MAX)
    for i, size in enumerate(rules.party_sizes):
        if size > largest:
            what = f"a team has {rules.team_size}" if size > rules.team_size else f"the most are {limits.PARTY_MAX}"
            found.append((f"party_sizes[{i}]", f"no party of {size} is ever seated: {what}"))
    if not found and rules.party_sizes and not _adds_up(rules.party_sizes, rules.team_size) and not (rules.npc_fill and rules.fill_ms):
        sizes = ", ".join(map(str, sorted(set(rules.party_sizes))))
        found.append(("party_sizes", f"parties of {sizes} never add up to a team of {rules.team_size}, and no NPCs fill up"))
    return found


def _adds_up(sizes: list[int], total: int) -> bool:
    reached = {0}
    for _ in range(total):
        reached |= {a + b for a in reached for b in sizes if a + b <= total}
    return total in reached


def _roles(rules: ModeRules) -> list[tuple[str, str]]:
    if not rules.roles:
        return []
    total = sum(rules.roles.values())
    if total != rules.team_size:
        return [("roles", f"they add up to {total}, a team has {rules.team_size}")]
    return []


def _limits(rules: ModeRules) -> list[tuple[str, str]]:
    found = []
    latency = rules.latency
    if latency is not None:
        if latency.limit_ms.values[-1] <= 0:
            found.append(("latency.limit_ms", "no round trip is ever within 0 ms"))
        if len(set(latency.regions)) != len(latency.regions):
            found.append(("latency.regions", "a region is named twice"))
        if len(latency.regions) > limits.TICKET_REGIONS_MAX:
            found.append(("latency.regions", f"the most are {limits.TICKET_REGIONS_MAX}"))
        if latency.share is not None and latency.share.after_ms >= rules.timeout_ms:
            found.append(("latency.share.after_ms", f"tickets end after {rules.timeout_ms} ms"))
    for key, at in (("fill_ms", rules.fill_ms), ("gather.window_ms", rules.gather.window_ms)):
        if at >= rules.timeout_ms:
            found.append((key, f"tickets end after {rules.timeout_ms} ms"))
    if rules.fill_ms and not rules.npc_fill:
        found.append(("fill_ms", "the mode is not filled with NPCs (npc_fill)"))
    if rules.skill is not None and abs(rules.skill.default) > rules.skill.bound:
        found.append(("skill.default", f"it is beyond skill.bound, {rules.skill.bound:g}"))
    for i, rule in enumerate(rules.equal):
        if rule.relax_ms is not None and rule.relax_ms >= rules.timeout_ms:
            found.append((f"equal[{i}].relax_ms", f"tickets end after {rules.timeout_ms} ms"))
    return found


def _attributes(rules: ModeRules) -> list[tuple[str, str]]:
    """An attribute is a number, a word or a set: two kinds of rules on one of them exclude everybody who has it."""
    found = []
    kinds: dict[str, str] = {}
    looked_at = {
        "distance": [rule.attribute for rule in rules.distance],
        "equal": [rule.attribute for rule in rules.equal],
        "overlap": [rule.attribute for rule in rules.overlap],
    }
    for kind, attributes in looked_at.items():
        for i, attribute in enumerate(attributes):
            before = kinds.setdefault(attribute, kind)
            if before != kind and "overlap" in (before, kind):
                found.append(
                    (f"{kind}[{i}].attribute", f"{attribute!r} is a set in overlap and one value in another rule: no ticket has both")
                )
    if rules.balance is not None and rules.skill is None:
        found.append(("balance", "teams are balanced by rating, and there is no rule skill"))
    return found
