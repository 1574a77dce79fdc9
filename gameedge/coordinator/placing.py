"""Placements: the table that the registry is compiled to, kept for a moment, and why a player was placed where it was."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import msgspec

from gameedge.bus.payloads import SpotReport
from gameedge.config import CoordinatorConfig
from gameedge.coordinator.registry import Registry
from gameedge.coordinator.schemas.players import PlacementExplained, WhyRegion
from gameedge.core.ids import RegionId
from gameedge.core.routing.netmap import NOWHERE, NetworkMap, Shift, Spot, cell_of, network_of, parse_spot
from gameedge.core.routing.placement import Placement, Score, Seen, Table
from gameedge.core.routing.policy import Policy

MOVES_LIFE_MS: Final = 1_800_000  # a move makes the next one harder for this long
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
        self.map = NetworkMap()  # what this coordinator's players measured (each has its own), and what all regions' sockets say
        registry.on_spot = self._observe
        self._tables: dict[bool, tuple[int, int, Table]] = {}

    def configure(self, config: CoordinatorConfig) -> None:
        """Another policy from the next placement on."""
        self._policy = policy_of(config)
        self._accelerator = frozenset(config.accelerator_modes)
        self._tables.clear()

    def forbids(self, region: RegionId, residency: str) -> str:
        """Why a player with this residency label must not be in a region; empty: it may."""
        return self._policy.forbids(region, residency)

    def table(self, mode: str | None, now_ms: int) -> Table:
        """Compiled anew when the registry has changed for better or worse, or after TABLE_MS."""
        needs = mode in self._accelerator
        at_ms, version, table = self._tables.get(needs, (0, -1, None))
        if table is None or version != self._registry.version or not 0 <= now_ms - at_ms < TABLE_MS:
            between = self._registry.between.matrix(self._registry.regions, now_ms)
            table = Table(self._registry.loads(now_ms), policy=self._policy, accelerator=needs, between_ms=between)
            self._tables[needs] = (now_ms, self._registry.version, table)
        return table

    def place(
        self,
        seen: Seen,
        party: list[Seen],
        mode: str | None,
        now_ms: int,
        draw: Callable[[], float],
        spot: Spot = NOWHERE,
    ) -> tuple[Placement, list[Shift]]:
        """A placement, and what its measurements show to have changed on the way. Raises what `Table.place` raises."""
        table = self.table(mode, now_ms)
        seen = replace(seen, learned_ms=self.map.prior(spot, now_ms), floor_ms=self.map.floors(spot, now_ms))
        found = table.place_party([seen, *party], draw) if party else table.place(seen, draw)
        shifts: list[Shift] = []
        if not party:
            shifts = self.map.learn(spot, {name: score.rtt_ms for name, score in found.why.items() if score.basis == "measured"})
        table.placed(found.region)
        self._registry.placed(found.region, found.edges[0].edge)
        return found, shifts

    def _observe(self, region: RegionId, report: SpotReport, now_ms: int) -> None:
        """What a region's sockets say of players of one place."""
        spot = parse_spot(report.spot)
        if spot != NOWHERE:
            self.map.observe(spot, region, report.median_ms, report.low_ms, now_ms)


def spot_of(seen: Seen, address: str) -> Spot:
    """Where a client comes from, as coarsely as anything is remembered of it."""
    return Spot(cell_of(seen.latitude, seen.longitude), network_of(address))


def moves_of(last: PlacementExplained | None, now_ms: int) -> int:
    """How often a player was sent elsewhere within the last MOVES_LIFE_MS, from its last placement."""
    return last.moves if last is not None and 0 <= now_ms - last.moved_ms < MOVES_LIFE_MS else 0


def explain(
    player: str,
    at_ms: int,
    found: Placement,
    seen: Seen,
    party: int,
    mode: str | None,
    coordinator: str,
    last: PlacementExplained | None = None,
) -> bytes:
    """For the store. `last`: the placement before."""
    moved = seen.current is not None and found.region != seen.current
    return msgspec.msgpack.encode(
        PlacementExplained(
            player=player,
            at_ms=at_ms,
            region=found.region,
            stayed=found.stayed,
            party=party,
            mode=mode,
            coordinator=coordinator,
            moves=seen.moves + moved,
            moved_ms=at_ms if moved or last is None else last.moved_ms,
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
