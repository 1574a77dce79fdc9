"""The local end of scale signals: what the coordinator wishes for each region, handed to whatever starts and stops processes.

Up at once, down slowly is the coordinator's part (`core/routing/scaling.py`); here a wish is bounded, and while a region changes the
newest wish waits. An orchestrator needs no more than this: read `processes_desired` of `/v1/admin/status`, implement `Scaling`.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from gameedge.core.ids import RegionId
from gameedge.core.routing.scaling import Scaling

PAUSE_S: Final = 1.0


class Scaler:
    """`most` processes of a region at most, `least` at least. `run` lives as long as the play."""

    def __init__(self, scaling: Scaling, *, least: int, most: int) -> None:
        self._scaling, self._least, self._most = scaling, least, max(least, most)
        self._wishes: dict[RegionId, int] = {}

    def hear(self, desired: Mapping[str, int]) -> None:
        """Region -> wish; 0: the coordinator does not know yet."""
        for region, count in desired.items():
            if count > 0:
                self._wishes[RegionId(region)] = min(self._most, max(self._least, count))

    async def run(self) -> None:
        """Regions change side by side. Faults of a process are told by whoever starts it and tried again."""
        running: dict[RegionId, asyncio.Task[None]] = {}
        try:
            while True:
                for region, count in self._wishes.items():
                    if region not in running or running[region].done():
                        running[region] = asyncio.create_task(self._scaling.scale(region, count), name=f"scale {region}")
                await asyncio.sleep(PAUSE_S)
        finally:
            for task in running.values():
                task.cancel()
            await asyncio.gather(*running.values(), return_exceptions=True)
