"""Tickets from lines of JSON, as an operator's log has them: every line is checked, and what is wrong is said with its number."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from gameedge.core.ids import EdgeId, PlayerId, SessionId, TicketId
from gameedge.core.matchmaking.rules import ModeRules
from gameedge.core.matchmaking.ticket import RATING_DEVIATION, Ticket

LINE_CHARS_MAX: Final = 65_536
TICKETS_MAX: Final = 2_000_000
AT_MS_MAX: Final = 10**13
ID_CHARS_MAX: Final = 128
TRUST_MAX: Final = 255  # as in a session token
KEYS: Final = frozenset(
    ("id", "at_ms", "mode", "rating", "sigma", "party", "party_size", "attributes", "rtt_ms", "loss", "roles", "blocks", "trust")
)


@dataclass(slots=True)
class Arrivals:
    """`tickets` in order of arrival; `created_ms` is when each came. `whole[id]`: of one line that stands for several people."""

    tickets: list[Ticket] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)  # lines that were left out, and why
    warnings: list[str] = field(default_factory=list)  # lines that were taken otherwise than they say
    ignored: Counter[str] = field(default_factory=Counter)  # keys that nothing looks at
    whole: dict[TicketId, TicketId] = field(default_factory=dict)


def read(lines: Iterable[str], rules: Mapping[str, ModeRules]) -> Arrivals:
    """Never raises: what cannot be used is in `errors`."""
    found = Arrivals()
    seen: set[str] = set()
    latest = 0
    parsed: list[tuple[int, dict[str, Any]]] = []
    parties: Counter[tuple[str, str]] = Counter()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if len(parsed) == TICKETS_MAX:
            found.errors.append(f"line {number}: more than {TICKETS_MAX} tickets; the rest is left out")
            break
        try:
            fields = _parse(line, rules)
            if fields["id"] in seen:
                raise ValueError(f"id {fields['id']!r} was used before; this line is left out")
        except ValueError as error:
            found.errors.append(f"line {number}: {error}")
            continue
        seen.add(fields["id"])
        found.ignored.update(fields.keys() - KEYS)
        if fields["at_ms"] < latest:
            found.warnings.append(f"line {number}: at_ms goes back from {latest} to {fields['at_ms']}; the ticket comes at {latest}")
        fields["at_ms"] = latest = max(latest, fields["at_ms"])
        if isinstance(fields.get("party"), str):
            parties[fields["mode"], fields["party"]] += 1
        parsed.append((number, fields))
    for number, fields in parsed:
        try:
            found.tickets += _tickets(fields, parties, number, found)
        except (ValueError, msgspec.ValidationError) as error:
            found.errors.append(f"line {number}: {error}")
    return found


def _parse(line: str, rules: Mapping[str, ModeRules]) -> dict[str, Any]:
    """A line's object with id, at_ms and mode as they must be."""
    if len(line) > LINE_CHARS_MAX:
        raise ValueError(f"{len(line)} characters, the most are {LINE_CHARS_MAX}")
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise ValueError('a ticket is an object: {"id": ..., "at_ms": ..., "mode": ...}')
    name, at, mode = (fields.get(key) for key in ("id", "at_ms", "mode"))
    if isinstance(name, int) and not isinstance(name, bool):
        name = str(name)
    if not isinstance(name, str) or not 1 <= len(name) <= ID_CHARS_MAX:
        raise ValueError(f"id: a string of 1 to {ID_CHARS_MAX} characters")
    if isinstance(at, bool) or not isinstance(at, int | float) or not 0 <= at <= AT_MS_MAX:
        raise ValueError(f"at_ms: a number from 0 to {AT_MS_MAX}")
    if not isinstance(mode, str) or mode not in rules:
        raise ValueError(f"mode {mode!r}: the rules have {', '.join(rules)}")
    return {**fields, "id": name, "at_ms": math.floor(at)}


def _tickets(fields: dict[str, Any], parties: Counter[tuple[str, str]], number: int, found: Arrivals) -> list[Ticket]:
    name, mode = fields["id"], fields["mode"]
    party, size, people = _party(fields, parties, found)
    for key in ("rating", "sigma"):
        value = fields.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ValueError(f"{key}: a number")
    trust = fields.get("trust") or 0
    if isinstance(trust, bool) or not isinstance(trust, int) or not 0 <= trust <= TRUST_MAX:
        raise ValueError(f"trust: a whole number from 0 to {TRUST_MAX}")
    rating = _rating(fields, number, found)
    made = []
    for i in range(people):
        own = TicketId(name if i == 0 else f"{name}/{i + 1}")
        data = {
            "id": own, "player": PlayerId(own), "session": SessionId(own), "edge": EdgeId(""), "mode": mode, "rating": rating,
            "sigma": RATING_DEVIATION if fields.get("sigma") is None else _float(fields["sigma"]), "trust": trust,
            "party": party, "party_size": size, "created_ms": fields["at_ms"], "attributes": fields.get("attributes") or {},
            "roles": fields.get("roles") or [], "rtt_ms": fields.get("rtt_ms") or {}, "loss": fields.get("loss") or {},
            "blocks": fields.get("blocks") or [],
        }  # fmt: skip
        made.append(msgspec.convert(data, Ticket))
        if i:
            found.whole[own] = TicketId(name)
    return made


def _party(fields: dict[str, Any], parties: Counter[tuple[str, str]], found: Arrivals) -> tuple[str | None, int, int]:
    """(name, size, people of this line). A name is shared by lines; a number stands for so many people in one line."""
    party, stated = fields.get("party"), fields.get("party_size")
    if stated is not None and (isinstance(stated, bool) or not isinstance(stated, int) or not 1 <= stated <= 1_000):
        raise ValueError("party_size: a whole number from 1 on")
    if party is None or party == "":
        return None, 1, 1
    if isinstance(party, bool):
        raise ValueError("party: a name, a number of people, or a list of ids")
    if isinstance(party, int):
        if not 1 <= party <= 64:
            raise ValueError("party: from 1 to 64 people")
        return (f"line {fields['id']}", party, party) if party > 1 else (None, 1, 1)
    if isinstance(party, list) and all(isinstance(member, str) for member in party) and len(party) <= 64:
        members = sorted({*party, fields["id"]})
        return ("ids " + " ".join(members), len(members), 1) if len(members) > 1 else (None, 1, 1)
    if isinstance(party, str) and len(party) <= ID_CHARS_MAX:
        size = stated or parties[fields["mode"], party]
        return (party, size, 1) if size > 1 else (None, 1, 1)
    raise ValueError(f"party: a name of up to {ID_CHARS_MAX} characters, a number of people, or a list of ids")


def _rating(fields: dict[str, Any], number: int, found: Arrivals) -> float:
    rating = fields.get("rating")
    value = math.nan if rating is None else _float(rating)
    if rating is not None and not math.isfinite(value):
        found.warnings.append(f"line {number}: rating {value} is no number to match by; it counts as a newcomer's")
    return value


def _float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:  # a whole number beyond every float
        return math.inf
