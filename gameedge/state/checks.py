"""What both kinds of a region's store refuse before they touch anything, and what they say of it: the same for the twin and a server."""

from collections.abc import Sequence

from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError
from gameedge.core.ids import MatchId, TicketId
from gameedge.state.base import Evidence, MatchRecord, Result, Ticket


def check_adds(mode: str, tickets: Sequence[Ticket]) -> None:
    """Raises ValueError for a ticket of another pool."""
    for ticket in tickets:
        if ticket.mode != mode:
            raise ValueError(f"{ticket.id} is of {ticket.mode}, not of {mode}")


def refusal_of_add(reason: Reason, mode: str, pool_max: int) -> RefusedError:
    if reason is Reason.POOL_FULL:
        return RefusedError(reason, f"{mode} holds {pool_max} tickets; try later", retry_after_ms=limits.POOL_FULL_RETRY_MS)
    return RefusedError(reason, f"the player is queued for {mode} already")


def lease_pool(name: str) -> str:
    """The pool that a lease belongs to: what follows the first `-` (`matcher-duel` is of the pool `duel`), else its own name.

    A claim checks its lease and takes its tickets in one atomic step, so both live in the same place of a cluster.
    """
    _, dash, pool = name.partition("-")
    return pool if dash else name


def check_claims(records: Sequence[MatchRecord], lease_name: str) -> None:
    """Raises ValueError for claims that no store can take, or not together."""
    for record in records:
        _check_claim(record, lease_name)
        if (record.mode, record.fence) != (records[0].mode, records[0].fence):
            raise ValueError(f"{record.match}: matches that are claimed together are of one mode and one fence")


def _check_claim(record: MatchRecord, lease_name: str) -> None:
    names = [ticket.id for ticket in record.tickets]
    if len(set(names)) != len(names):
        raise ValueError(f"{record.match}: a ticket is named twice")
    if not 1 <= len(names) <= limits.SEATS_PER_MATCH_MAX:
        raise ValueError(f"{record.match}: {len(names)} tickets; a match takes 1 to {limits.SEATS_PER_MATCH_MAX}")
    if any(ticket.mode != record.mode for ticket in record.tickets):
        raise ValueError(f"{record.match}: a ticket is of another mode than {record.mode}")
    if record.fence and lease_pool(lease_name) != record.mode:
        raise ValueError(f"{lease_name} is not a lease of {record.mode}; name it <what>-{record.mode}")


def check_guests(record: MatchRecord) -> None:
    """Raises ValueError for a match that is none of guests."""
    if not record.guests or record.fence or record.accept_ms:
        raise ValueError(f"{record.match}: a match of guests is open at once, and no lease is asked")
    _check_claim(record, "")


def check_result(mode: str, match: MatchId, result: Result | None) -> None:
    """Raises ValueError for a result of another match."""
    if result is not None and (result.mode != mode or result.match != match):
        raise ValueError(f"{match} of {mode}: the result is of {result.match} of {result.mode}")


def check_evidence(evidence: Evidence) -> None:
    """Raises RefusedError(TOO_LARGE)."""
    if len(evidence.clip) > limits.EVIDENCE_BYTES_MAX:
        raise RefusedError(Reason.TOO_LARGE, f"a clip of {len(evidence.clip)} bytes; at most {limits.EVIDENCE_BYTES_MAX}")


def check_join(before: MatchRecord, after: MatchRecord) -> tuple[list[Ticket], list[TicketId]]:
    """Who joins and whose seats they may take. Raises ValueError for a change that is none."""
    had, has = {ticket.id for ticket in before.tickets}, {ticket.id for ticket in after.tickets}
    same = (after.match, after.mode, after.host, after.epoch) == (before.match, before.mode, before.host, before.epoch)
    joining = [ticket for ticket in after.tickets if ticket.id not in had]
    if not same or after.joins != before.joins + 1 or not joining or any(ticket.mode != after.mode for ticket in joining):
        raise ValueError(f"{before.match}: people join the same match, which counts it")
    if len(has) > limits.SEATS_PER_MATCH_MAX:
        raise ValueError(f"{before.match}: {len(has)} tickets; a match takes at most {limits.SEATS_PER_MATCH_MAX}")
    return joining, sorted(had - has)
