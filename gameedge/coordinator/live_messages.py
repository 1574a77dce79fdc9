"""What travels on `/v1/admin/live` (live.py): msgspec structs as JSON, tagged by `type`."""

from typing import Annotated

import msgspec
from msgspec import Meta

from gameedge.coordinator.alarms import Alarm
from gameedge.coordinator.roles import Role
from gameedge.coordinator.schemas.world import EdgeStatus, VerdictView
from gameedge.core import limits
from gameedge.core.errors import Reason


class RegionRow(msgspec.Struct, frozen=True, array_like=True):
    """A region in one row: short, since there may be 200 of them every second. `hello` names the columns."""

    region: str
    title: str
    latitude: float
    longitude: float
    status: str  # ok, doubtful, draining, offline
    players: int
    players_max: int
    queued: int
    matches: int
    npcs: int
    processes: int
    processes_known: int
    wait_ms_p50: float
    wait_ms_p99: float
    late_ms_p99: float
    busy: float
    infer_ms_p99: float
    batch: float
    rtt_ms_p50: float
    flags: int
    outbox: int
    version: str
    models: str
    alarms: int


class Flow(msgspec.Struct, frozen=True, array_like=True):
    """Players of one city that were placed in one region lately."""

    city: str
    country: str
    latitude: float
    longitude: float
    region: str
    players: int


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What all dashboards see."""

    at_ms: int
    players: int
    matches: int
    queued: int
    npcs: int
    flags: int
    placements: int
    accounts: int
    results: int
    bus_online: bool
    store_ms: float | None
    coordinator: str
    regions: list[RegionRow]
    histograms: dict[str, list[int]]
    npc_styles: dict[str, int]
    npc_levels: dict[str, int]
    models: dict[str, int]  # artifact -> processes that run it
    alarms: list[Alarm]
    flows: list[Flow]


class Detail(msgspec.Struct, frozen=True, kw_only=True):
    """One region in full."""

    region: str
    histograms: dict[str, list[int]]
    queued: dict[str, int]
    edges: list[EdgeStatus]


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag="hello"):
    coordinator: str
    version: str
    name: str
    role: Role
    expires_ms: int | None
    now_ms: int
    period_ms: int
    columns: list[str]
    bounds: dict[str, tuple[float, ...]]


class Frame(msgspec.Struct, frozen=True, kw_only=True, tag="state"):
    """`verdicts`: those that this connection was not told yet, oldest first; `missed`: more than are kept came meanwhile."""

    state: msgspec.Raw
    verdicts: list[VerdictView]
    missed: int
    detail: Detail | None


class Bye(msgspec.Struct, frozen=True, kw_only=True, tag="bye"):
    reason: Reason
    detail: str


class Token(msgspec.Struct, frozen=True, kw_only=True, tag="token"):
    token: Annotated[str, Meta(max_length=limits.TOKEN_BYTES_MAX)]


class Look(msgspec.Struct, frozen=True, kw_only=True, tag="look"):
    region: Annotated[str, Meta(max_length=32)] | None
