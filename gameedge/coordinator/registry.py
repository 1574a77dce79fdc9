"""What is known of regions and their processes: a table fed by the bus, read by placement and by the admin API.

Everything heard is checked and bounded: a message whose topic names something else than its payload, or that is over a bound,
is dropped and counted. The table is this coordinator's own; several coordinators hear the same bus and agree soon enough.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from gameedge.bus import topics
from gameedge.bus.base import BusMessage
from gameedge.bus.payloads import Codec, Desired, EdgeReport, Presence, SpotReport
from gameedge.coordinator.between import Between
from gameedge.coordinator.desired import merge
from gameedge.coordinator.names import is_clean
from gameedge.core import limits
from gameedge.core.ids import EdgeId, RegionId, is_name
from gameedge.core.routing.distance import haversine_km
from gameedge.core.routing.health import Heart
from gameedge.core.routing.load import EdgeLoad, RegionLoad

SUSPECTED_MS: Final = 3_000  # without a report: used only where nothing better is there
PLAYERS_MAX: Final = 100_000  # of one process: nobody attracts a continent by announcing more
LOST_MS: Final = 30_000  # without a report while the broker is there: its retained presence is a ghost
BEACONS_MAX: Final = 3
ONE_PLACE_KM: Final = 500.0  # processes of one region are not farther apart
URL_SCHEMES: Final = ("ws://", "wss://")

_presence = Codec(Presence)
_report = Codec(EdgeReport)
_desired = Codec(Desired)


@dataclass(slots=True)
class Edge:
    """One process. Times are this coordinator's clock, Unix ms."""

    edge: EdgeId
    online: bool = False
    presence: Presence | None = None
    report: EdgeReport | None = None
    heard_ms: int | None = None  # the last live report (a retained one may be a week old)
    first_ms: int = 0
    came_ms: int = 0  # when it came online last
    gone_ms: int = 0  # when it went offline
    heart: Heart | None = None  # None: no heartbeat yet (a release before them, or a moment ago)
    placed: int = 0  # players sent there that its reports do not show yet
    stranger: bool = False  # it is somewhere else than the region of its name

    @property
    def url(self) -> str:
        return self.presence.url if self.presence is not None else ""


@dataclass(slots=True)
class Region:
    region: RegionId
    edges: dict[EdgeId, Edge] = field(default_factory=dict)
    desired: Desired = field(default_factory=Desired)
    title: str = ""
    latitude: float = 0.0
    longitude: float = 0.0


class Registry:
    """The table. All methods are synchronous: one loop owns it."""

    def __init__(self) -> None:
        self.regions: dict[RegionId, Region] = {}
        self.version = 0  # grows when a process comes or goes, or a region is steered: tables made before are wrong
        self.dropped: dict[str, int] = {}  # why -> how many
        self.outdated: set[RegionId] = set()  # the bus retains a desired state that lacks something of what is known here: say it again
        self.between = Between()
        self.on_spot: Callable[[RegionId, SpotReport, int], None] = _nobody
        self._bus_online = False
        self._bus_since_ms = 0
        self._looked_ms = 0

    # -- what is heard

    def hear(self, message: BusMessage, now_ms: int) -> None:
        """Take a presence, report or desired message. Never raises for what was sent."""
        if message.topic.endswith("/desired"):
            self._hear_desired(message)
            return
        names = topics.parse_edge(message.topic)
        if names is None or not is_name(names[0]) or not is_name(names[1]):
            self._drop("bad_topic")
        elif message.topic.endswith("/presence"):
            self._hear_presence(*names, message, now_ms)
        elif message.topic.endswith("/beat"):
            self._hear_beat(*names, now_ms)
        elif message.topic.endswith("/report"):
            self._hear_report(*names, message, now_ms)

    def _hear_presence(self, region: RegionId, edge: EdgeId, message: BusMessage, now_ms: int) -> None:
        if not message.payload:  # a retained message that somebody removed
            self._forget(region, edge)
            return
        presence = _presence.decode(message.payload)
        if presence is None or (presence.region and presence.region != region):
            self._drop("bad_presence")
            return
        if presence.online and not (presence.url.startswith(URL_SCHEMES) and is_clean(presence.url + presence.region_title)):
            self._drop("bad_presence")
            return
        entry = self._entry(region, edge, now_ms, make=presence.online)
        if entry is None:
            return
        self.version += 1
        if presence.online:
            entry.came_ms = entry.came_ms if entry.online else now_ms
            entry.online, entry.presence = True, presence
        else:
            entry.online, entry.gone_ms, entry.heard_ms, entry.placed, entry.heart = False, now_ms, None, 0, None
        _settle_place(self.regions[region])

    def _hear_beat(self, region: RegionId, edge: EdgeId, now_ms: int) -> None:
        entry = self._entry(region, edge, now_ms, make=False)
        if entry is None:
            return  # its presence comes first
        if entry.heart is None:
            entry.heart = Heart(now_ms)
        else:
            entry.heart.beat(now_ms)

    def _hear_report(self, region: RegionId, edge: EdgeId, message: BusMessage, now_ms: int) -> None:
        if not message.payload:
            return
        report = _report.decode(message.payload)
        if report is None:
            self._drop("bad_report")
            return
        entry = self._entry(region, edge, now_ms, make=True)
        if entry is None:
            return
        if entry.report is None or _matters(entry.report) != _matters(report):
            self.version += 1
        entry.report = report
        entry.placed //= 2  # those who came are in `players` now; the rest is still on its way, or never comes
        if not message.retained:
            entry.heard_ms = now_ms
            self.between.hear(region, report.regions_ms, self.regions, now_ms)
            for spot in report.spots:
                self.on_spot(region, spot, now_ms)

    def _hear_desired(self, message: BusMessage) -> None:
        region = topics.parse_region(message.topic)
        if region is None or not is_name(region):
            self._drop("bad_topic")
            return
        desired = _desired.decode(message.payload) if message.payload else None
        if desired is None or len(desired.draining_edges) > limits.EDGES_PER_REGION_MAX:
            self._drop("bad_desired")
            return
        known = self._region(region)
        if known is None:
            return
        self.steer(region, desired)

    def steer(self, region: RegionId, desired: Desired) -> None:
        """A region's desired state, said by this coordinator or heard from another. What it lacks of what is known here is said again.
        Nothing happens where the region was forgotten meanwhile: whoever steers waits for the broker in between."""
        known = self.regions.get(region)
        if known is None:
            return
        merged = merge(known.desired, desired)
        if merged != known.desired:
            known.desired = merged
            self.version += 1
        (self.outdated.add if merged.revision > desired.revision else self.outdated.discard)(region)

    def note_bus(self, online: bool, now_ms: int) -> None:
        """Tell whether the broker is connected: while it is not, silence proves nothing."""
        if now_ms < self._looked_ms:
            self._step_back(self._looked_ms - now_ms)
        self._looked_ms = now_ms
        if online and not self._bus_online:
            self._bus_since_ms = now_ms
            self.outdated |= {name for name, region in self.regions.items() if region.desired.revision}
        self._bus_online = online

    def _step_back(self, step_ms: int) -> None:
        """The clock did: what was heard keeps its age and its order, or nobody would be missed until the clock is where it was."""
        self._bus_since_ms -= step_ms
        for edge in (edge for region in self.regions.values() for edge in region.edges.values()):
            edge.first_ms, edge.came_ms, edge.gone_ms = edge.first_ms - step_ms, edge.came_ms - step_ms, edge.gone_ms - step_ms
            edge.heard_ms = None if edge.heard_ms is None else edge.heard_ms - step_ms
            if edge.heart is not None:
                edge.heart.heard_ms -= step_ms

    # -- what is known

    def doubt(self, edge: Edge, now_ms: int) -> str:
        """Why this process may not be there or not work now; empty: it is fine; `offline`: it is gone."""
        if not edge.online or edge.presence is None:
            return "offline"
        if self._bus_online and now_ms - max(_alive_ms(edge), self._bus_since_ms) > LOST_MS:
            return "offline"
        if edge.heard_ms is None:
            return "no report yet"
        if self._bus_online and edge.heart is not None and now_ms - self._bus_since_ms > SUSPECTED_MS and edge.heart.suspected(now_ms):
            return "no heartbeat"
        if now_ms - edge.heard_ms > SUSPECTED_MS:
            return "silent"
        if edge.report is not None and not edge.report.store_ok:
            return "its store cannot be reached"
        return "another region has its name" if edge.stranger else ""

    @staticmethod
    def gone_ms(edge: Edge) -> int:
        """Since when an offline process is gone: its last will says it, or it was not heard of since."""
        return _alive_ms(edge) if edge.online else edge.gone_ms

    def loads(self, now_ms: int) -> list[RegionLoad]:
        """What placement needs, regions without a process included."""
        return [
            RegionLoad(
                region=region.region,
                latitude=region.latitude,
                longitude=region.longitude,
                draining=region.desired.draining,
                edges=[_load(region, e, doubt) for e in region.edges.values() if (doubt := self.doubt(e, now_ms)) != "offline"],
            )
            for region in self.regions.values()
        ]

    def online(self, now_ms: int) -> list[tuple[Region, list[Edge]]]:
        """Regions that have a process which takes players, with those processes, sound ones first."""
        found = []
        for region in self.regions.values():
            edges = [edge for edge in region.edges.values() if self.doubt(edge, now_ms) != "offline" and not self._draining(region, edge)]
            if edges and not region.desired.draining:
                found.append((region, sorted(edges, key=lambda edge: (bool(self.doubt(edge, now_ms)), edge.edge))))
        return found

    def placed(self, region: RegionId, edge: EdgeId) -> None:
        """A player was sent there; counted until reports show it."""
        self.regions[region].edges[edge].placed += 1

    @staticmethod
    def _draining(region: Region, edge: Edge) -> bool:
        return edge.edge in region.desired.draining_edges or (edge.report is not None and edge.report.draining)

    # -- the table

    def _entry(self, region: RegionId, edge: EdgeId, now_ms: int, *, make: bool) -> Edge | None:
        place = self.regions.get(region)
        entry = place.edges.get(edge) if place is not None else None
        if entry is not None or not make:
            return entry
        place = self._region(region)
        if place is None:
            return None
        if len(place.edges) >= limits.EDGES_PER_REGION_MAX and not self._evict(place):
            self._drop("too_many_edges")
            return None
        entry = place.edges[edge] = Edge(edge, first_ms=now_ms)
        return entry

    def _region(self, region: RegionId) -> Region | None:
        known = self.regions.get(region)
        if known is None:
            if len(self.regions) >= limits.REGIONS_MAX:
                empty = next((r for r, v in self.regions.items() if not any(e.online for e in v.edges.values())), None)
                if empty is None:
                    self._drop("too_many_regions")
                    return None
                del self.regions[empty]
            known = self.regions[region] = Region(region, title=region)
        return known

    @staticmethod
    def _evict(region: Region) -> bool:
        """Make room by forgetting the process that went offline first."""
        gone = min((e for e in region.edges.values() if not e.online), key=lambda e: e.gone_ms, default=None)
        if gone is None:
            return False
        del region.edges[gone.edge]
        return True

    def _forget(self, region: RegionId, edge: EdgeId) -> None:
        place = self.regions.get(region)
        if place is not None:
            place.edges.pop(edge, None)
            self.version += 1  # a table that still has it would send players there
            if not place.edges and not place.desired.revision:
                del self.regions[region]

    def _drop(self, why: str) -> None:
        self.dropped[why] = self.dropped.get(why, 0) + 1


def _alive_ms(edge: Edge) -> int:
    """When a process that says it is online was surely there last."""
    return max(edge.first_ms, edge.came_ms) if edge.heard_ms is None else edge.heard_ms


def _settle_place(region: Region) -> None:
    """A region is where the process says that has been known longest; who has its name and is far from there is a stranger, used
    only where nothing better is there: two regions with one name must not move each other's players."""
    online = sorted((e for e in region.edges.values() if e.online and e.presence is not None), key=lambda e: (e.first_ms, e.edge))
    for edge in online:
        assert edge.presence is not None
        if edge is online[0]:
            region.title = edge.presence.region_title or region.region
            region.latitude, region.longitude = edge.presence.latitude, edge.presence.longitude
        apart_km = haversine_km(region.latitude, region.longitude, edge.presence.latitude, edge.presence.longitude)
        edge.stranger = apart_km > ONE_PLACE_KM


def _nobody(region: RegionId, spot: SpotReport, now_ms: int) -> None:
    """Nobody wants to know."""


def _matters(report: EdgeReport) -> tuple[bool, ...]:
    """What must not wait for the next table."""
    return report.draining, report.store_ok, report.free_matches > 0, report.players < report.players_max


def _load(region: Region, edge: Edge, doubt: str) -> EdgeLoad:
    report = edge.report or EdgeReport(at_ms=0)
    return EdgeLoad(
        edge=edge.edge,
        url=edge.url,
        players=report.players,
        arriving=edge.placed,
        players_max=min(report.players_max, PLAYERS_MAX),
        free_matches=report.free_matches,
        lateness_ms_p99=report.tick_lateness_ms.p99,
        busy=report.tick_busy,
        memory=report.memory,
        gpu=report.gpu,
        inference_ms=report.inference_ms.p99,
        queue_wait_ms=report.queue_wait_ms.p50,
        accelerator=report.accelerator,
        draining=report.draining or edge.edge in region.desired.draining_edges,
        doubtful=doubt,
    )
