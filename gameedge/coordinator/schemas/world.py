"""What operators see of regions and their processes, and what these were told."""

from gameedge.bus.payloads import EdgeReport, Verdict
from gameedge.coordinator.schemas.base import Answer


class EdgeStatus(Answer, frozen=True, kw_only=True):
    """`age_ms`: since its last live report; null: none was heard. `doubt`: why it may not be there; empty: it is fine."""

    edge: str
    online: bool
    doubt: str
    draining: bool
    url: str
    admin_url: str
    version: str
    started_ms: int
    age_ms: int | None
    report: EdgeReport | None


class RegionStatus(Answer, frozen=True, kw_only=True):
    region: str
    title: str
    latitude: float
    longitude: float
    draining: bool
    revision: int
    edges: list[EdgeStatus]
    processes_desired: int = 0  # by its load; 0: not known yet


class CoordinatorStatus(Answer, frozen=True, kw_only=True):
    name: str
    version: str
    started_ms: int
    now_ms: int
    bus_online: bool
    store_ms: float | None  # null: it does not answer
    placements: int
    accounts: int
    dropped: dict[str, int]


class Status(Answer, frozen=True, kw_only=True):
    regions: list[RegionStatus]
    players: int
    matches: int
    results_applied: int
    verdicts: int
    coordinator: CoordinatorStatus


class VerdictView(Answer, frozen=True, kw_only=True):
    region: str
    verdict: Verdict


class Verdicts(Answer, frozen=True, kw_only=True):
    verdicts: list[VerdictView]


class SilentView(Answer, frozen=True, kw_only=True):
    """A process (or, without `edge`, a region) that did not answer."""

    region: str
    edge: str
    why: str


class DesiredView(Answer, frozen=True, kw_only=True):
    """What the region's processes were told. They report when they have converged."""

    region: str
    revision: int
    draining: bool
    draining_edges: list[str]


class Audit(Answer, frozen=True, kw_only=True):
    """Newest first; each entry is one JSON object as text."""

    entries: list[str]
