"""Placements: the table that the registry is compiled to, kept for a moment, and why a player was placed where it was."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import msgspec

from gameedge.config import CoordinatorConfig
from gameedge.coordinator.registry import Registry
from gameedge.coordinator.schemas import PlacementExplained, WhyRegion
from gameedge.core.ids import RegionId
from gameedge.core.routing.netmap import NetworkMap, cell_of
from gameedge.core.routing.placement import Placement, Score, Seen, Table
from gameedge.core.routing.policy import Policy

TABLE_MS: Final = 100  # reports come twice a second; arrivals meanwhile are counted in the table itself


def policy_of(config: CoordinatorConfig) -> Policy:
    """What the studio configured."""
    return Policy(
        allow=frozenset(map(RegionId, config.allow_regions)),
        deny=frozenset(map(RegionId, config.deny_regions)),
        pin=RegionId(config.pin_region) if config.pin_region else None,
        cost_ms={RegionId(region): cost for region, cost in config.region_cost_ms.items()},
        residency={label: frozenset(map(RegionId, regions)) for label, regions in config.residency.items()},
    )


class Placing:
    """Owned by `Services`. Synchronous: one loop."""

    def __init__(self, config: CoordinatorConfig, registry: Registry) -> None:
        self._registry = registry
        self._policy = policy_of(config)
        self._accelerator = frozenset(config.accelerator_modes)
        self.map = NetworkMap()  # what this coordinator's players measured; each has its own
        self._tables: dict[bool, tuple[int, int, Table]] = {}

    def configure(self, config: CoordinatorConfig) -> None:
        """Another policy from the next placement on."""
        self._policy = policy_of(config)
        self._accelerator = frozenset(config.accelerator_modes)
        self._tables.clear()

    def table(self, mode: str | None, now_ms: int) -> Table:
        """Compiled anew when the registry has changed for better or worse, or after TABLE_MS."""
        needs = mode in self._accelerator
        at_ms, version, table = self._tables.get(needs, (0, -1, None))
        if table is None or version != self._registry.version or not 0 <= now_ms - at_ms < TABLE_MS:
            table = Table(self._registry.loads(now_ms), policy=self._policy, accelerator=needs)
            self._tables[needs] = (now_ms, self._registry.version, table)
        return table

    def place(self, seen: Seen, party: list[Seen], mode: str | None, now_ms: int, draw: Callable[[], float]) -> Placement:
        """Raises what `Table.place` raises."""
        table = self.table(mode, now_ms)
        cell = cell_of(seen.latitude, seen.longitude)
        if cell is not None:
            seen = replace(seen, learned_ms=self.map.prior(cell))
        found = table.place_party([seen, *party], draw) if party else table.place(seen, draw)
        if cell is not None and not party:
            measured = {name: score.rtt_ms for name, score in found.why.items() if score.basis == "measured"}
            self.map.learn(cell, measured)
        table.placed(found.region)
        self._registry.placed(found.region, found.edges[0].edge)
        return found


def explain(player: str, at_ms: int, found: Placement, seen: Seen, party: int, mode: str | None, coordinator: str) -> bytes:
    """For the store."""
    return msgspec.msgpack.encode(
        PlacementExplained(
            player=player,
            at_ms=at_ms,
            region=found.region,
            stayed=found.stayed,
            party=party,
            mode=mode,
            coordinator=coordinator,
            samples={region: len(samples) for region, samples in seen.rtt_ms.items() if region in found.why},
            why={region: why_view(score) for region, score in found.why.items()},
        )
    )


def why_view(score: Score) -> WhyRegion:
    """Rounded for people."""
    return WhyRegion(
        rtt_ms=round(score.rtt_ms, 2),
        load_ms=round(score.load_ms, 2),
        total_ms=round(score.total_ms, 2),
        basis=score.basis,
        inference_ms=round(score.inference_ms, 2),
        queue_ms=round(score.queue_ms, 2),
        cost_ms=round(score.cost_ms, 2),
        fullness=round(score.fullness, 3),
        distance_km=None if score.distance_km is None else round(score.distance_km, 1),
        excluded=score.excluded,
        doubtful=score.doubtful,
    )
