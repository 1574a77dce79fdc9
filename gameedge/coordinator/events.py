"""What happens, as it happens, for who follows it (`gameedge admin tail`): placements, matches, flags, drains, processes, operators.

Method. A ring of the newest EVENTS_KEPT_MAX events in memory, numbered. Who follows asks for what came after the last number it has,
and waits a little where there is none (a long poll: any HTTP client can). Changes of regions are found by comparing what is known twice
a second with what was known before; the rest is told by whoever does it.

What all coordinators hear from the bus (matches that begin, flags, processes, drains) each finds by itself; what only one of them does
or sees (placements, ends of matches, operators) it tells the others, within TELL_S, over the bus: QoS 0, so what falls due while the
broker is away is lost to the others, and counted. A restart begins anew under another name, and says so by it.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gameedge.bus.payloads import Told, ToldEvent
from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError

if TYPE_CHECKING:
    from gameedge.coordinator.registry import Registry

TELL_S: Final = 0.25
TOLD_BYTES_MAX: Final = limits.BUS_PAYLOAD_BYTES_MAX // 2
KINDS: Final = ("placement", "match", "flag", "drain", "process", "operator", "config")
SEEN_MATCHES_MAX: Final = 16_384


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`number` grows. `what`: a word of its kind (docs/operations.md). `fields`: more, by kind. `by`: the coordinator that told it."""

    number: int
    at_ms: int
    kind: str
    what: str
    region: str = ""
    edge: str = ""
    player: str = ""
    match: str = ""
    fields: dict[str, Any] = {}
    by: str = ""


class Events:
    """One a coordinator. `add` is synchronous and cheap."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._kept: deque[Event] = deque(maxlen=limits.EVENTS_KEPT_MAX)
        self._number = 0
        self._changed = asyncio.Event()
        self._waiting = 0
        self._untold: deque[Event] = deque()  # for the other coordinators
        self.lost = 0  # that they will never hear of
        self._doubts: dict[tuple[str, str], str] = {}
        self._draining: dict[tuple[str, str], bool] = {}
        self._matches: dict[str, None] = {}  # that were told of, oldest first
        self._looked = False

    @property
    def number(self) -> int:
        """Of the newest event."""
        return self._number

    def add(self, kind: str, what: str, *, region: str = "", edge: str = "", player: str = "", match: str = "", **fields: Any) -> Event:
        """Something happened that every coordinator sees."""
        kept = {key: value for key, value in fields.items() if value not in (None, "", [], {})}
        at_ms = self._now_ms()
        event = Event(number=0, at_ms=at_ms, kind=kind, what=what, region=region, edge=edge, player=player, match=match, fields=kept)
        return self._keep(event)

    def add_own(self, kind: str, what: str, **more: Any) -> None:
        """The same, for what only this coordinator sees: the others are told."""
        if len(self._untold) == limits.EVENTS_TOLD_MAX:
            self._untold.popleft()
            self.lost += 1
        self._untold.append(self.add(kind, what, **more))

    def hear(self, by: str, told: Told) -> None:
        """What another coordinator did."""
        for event in told.events:
            self._keep(Event(number=0, by=by, **msgspec.structs.asdict(event)))

    def _keep(self, event: Event) -> Event:
        self._number += 1
        event = msgspec.structs.replace(event, number=self._number)
        self._kept.append(event)
        self._changed.set()
        self._changed = asyncio.Event()
        return event

    def untold(self) -> Told | None:
        """Take what the others should hear now: as many as one message may have. None: nothing."""
        if not self._untold and not self.lost:
            return None
        events: list[ToldEvent] = []
        size = 0
        while self._untold:
            event = _told(self._untold[0])
            size += len(msgspec.json.encode(event))
            if size > TOLD_BYTES_MAX and events:
                break
            self._untold.popleft()
            if size <= TOLD_BYTES_MAX:
                events.append(event)
            else:
                self.lost += 1
                size = 0
        lost, self.lost = self.lost, 0
        return Told(events=events, lost=lost)

    def forget(self, player: str) -> None:
        """The player is erased: what operators did stays, as in the audit log."""
        if self._kept:
            self._kept = deque((_without(event, player) for event in self._kept if _stays(event, player)), self._kept.maxlen)
        self._untold = deque(_without(event, player) for event in self._untold if _stays(event, player))

    def after(self, number: int, wanted: Callable[[Event], bool], limit: int) -> tuple[list[Event], int, int]:
        """Events after `number` that are wanted (oldest first, at most `limit`), the number to go on from, and how many were
        forgotten before they could be told."""
        oldest = self._kept[0].number if self._kept else self._number + 1
        missed = max(0, min(oldest, self._number + 1) - number - 1)
        found: list[Event] = []
        for event in self._kept:
            if event.number <= number or not wanted(event):
                continue
            if len(found) == limit:
                return found, found[-1].number, missed
            found.append(event)
        return found, max(number, self._number), missed

    async def wait(self, number: int, wait_s: float) -> None:
        """Until something came after `number`. Raises RefusedError(TOO_OFTEN) where too many wait."""
        if self._number > number or wait_s <= 0:
            return
        if self._waiting >= limits.EVENTS_WAITING_MAX:
            raise RefusedError(Reason.TOO_OFTEN, f"{limits.EVENTS_WAITING_MAX} wait for events already", retry_after_ms=1_000)
        self._waiting += 1
        try:
            async with asyncio.timeout(wait_s):
                await self._changed.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting -= 1

    # -- regions, by comparing

    def look(self, registry: "Registry", now_ms: int) -> None:
        """Twice a second: who came, went or became doubtful, what drains, which matches are new. The first look tells nothing."""
        doubts = {
            (str(region.region), str(edge.edge)): registry.doubt(edge, now_ms)
            for region in registry.regions.values()
            for edge in region.edges.values()
        }
        draining = dict(_draining(registry))
        if self._looked:
            self._compare_doubts(doubts)
            self._compare_drains(draining)
        self._compare_matches(registry)
        self._doubts, self._draining, self._looked = doubts, draining, True

    def _compare_doubts(self, doubts: dict[tuple[str, str], str]) -> None:
        for (region, edge), doubt in doubts.items():
            before = self._doubts.get((region, edge), "offline")
            if doubt == before:
                continue
            if doubt == "offline":
                self.add("process", "gone", region=region, edge=edge)
            elif doubt in ("", "no report yet") and before == "offline":
                self.add("process", "came", region=region, edge=edge)
            elif doubt and before != "no report yet":
                self.add("process", "doubtful", region=region, edge=edge, why=doubt)
            elif not doubt and before != "no report yet":
                self.add("process", "well", region=region, edge=edge, was=before)
        for region, edge in self._doubts.keys() - doubts.keys():
            self.add("process", "forgotten", region=region, edge=edge)

    def _compare_drains(self, draining: dict[tuple[str, str], bool]) -> None:
        for key, now in draining.items():
            if now != self._draining.get(key, False):
                self.add("drain", "began" if now else "ended", region=key[0], edge=key[1])

    def _compare_matches(self, registry: "Registry") -> None:
        for region in registry.regions.values():
            for edge in region.edges.values():
                for match in edge.report.watchable if edge.report is not None else ():
                    if match.match in self._matches:
                        continue
                    self._matches[match.match] = None
                    if self._looked:
                        self.add(
                            "match",
                            "began",
                            region=region.region,
                            edge=edge.edge,
                            match=match.match,
                            mode=match.mode,
                            people=match.people,
                            seats=match.seats,
                        )
        while len(self._matches) > SEEN_MATCHES_MAX:
            del self._matches[next(iter(self._matches))]


def _told(event: Event) -> ToldEvent:
    return ToldEvent(**{name: value for name, value in msgspec.structs.asdict(event).items() if name not in ("number", "by")})


def _stays(event: Event, player: str) -> bool:
    return event.player != player or event.kind in ("operator", "config")


def _without(event: Event, player: str) -> Event:
    players = event.fields.get("players")
    if not isinstance(players, list) or player not in players:
        return event
    return msgspec.structs.replace(event, fields={**event.fields, "players": [other for other in players if other != player]})


def _draining(registry: "Registry") -> Iterator[tuple[tuple[str, str], bool]]:
    for region in registry.regions.values():
        yield (str(region.region), ""), region.desired.draining
        for edge in region.edges.values():
            yield (
                (str(region.region), str(edge.edge)),
                edge.edge in region.desired.draining_edges or (edge.report is not None and edge.report.draining),
            )
