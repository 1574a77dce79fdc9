"""One question to many processes: of every region one, or all of all. Who does not answer is named, never left out in silence."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from gameedge.core.errors import RefusedError
from gameedge.core.ids import EdgeId, RegionId

if TYPE_CHECKING:
    from gameedge.coordinator.services import Services

AT_ONCE: Final = 32  # of the questions that a coordinator may have open
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Silent:
    """A process (or a region) that did not answer, and why."""

    region: str
    edge: str
    why: str


@dataclass(slots=True)
class Heard(Generic[T]):
    answers: list[tuple[str, str, T]] = field(default_factory=list)  # region, process, what it said
    silent: list[Silent] = field(default_factory=list)


def processes(services: "Services", regions: Sequence[str] = ()) -> list[tuple[RegionId, EdgeId]]:
    """All that are not offline, of these regions (none: of all)."""
    now_ms, registry = services.now_ms(), services.registry
    return [
        (region.region, edge.edge)
        for region in sorted(registry.regions.values(), key=lambda region: region.region)
        if not regions or region.region in regions
        for edge in region.edges.values()
        if registry.doubt(edge, now_ms) != "offline"
    ]


async def ask_processes(
    services: "Services", targets: Sequence[tuple[str, str | None]], ask: str, args: Mapping[str, str], kind: type[T], who: str
) -> Heard[T]:
    """The answers of these processes (None: any of the region). Never raises for one that does not answer."""
    heard: Heard[T] = Heard()
    room = asyncio.Semaphore(AT_ONCE)

    async def one(region: str, edge: str | None) -> None:
        async with room:
            try:
                target = edge or services.asking.process(region)
                heard.answers.append((region, target, await services.asking.ask(region, ask, args, kind, who=who, edge=target)))
            except RefusedError as error:
                heard.silent.append(Silent(region, edge or "", error.detail or str(error.reason)))

    await asyncio.gather(*(one(region, edge) for region, edge in targets))
    heard.answers.sort(key=lambda answer: answer[:2])
    heard.silent.sort(key=lambda silent: (silent.region, silent.edge))
    return heard


async def ask_regions(
    services: "Services", ask: str, args: Mapping[str, str], kind: type[T], who: str, regions: Sequence[str] = ()
) -> Heard[T]:
    """The same of one process of each region that is known (or of these)."""
    names = list(regions) or sorted(map(str, services.registry.regions))
    return await ask_processes(services, [(name, None) for name in names], ask, args, kind, who)
