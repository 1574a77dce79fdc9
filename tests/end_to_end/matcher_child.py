"""A process that only matches, for tests that kill it: `python -m tests.end_to_end.matcher_child URL NAME MODE TEAM_SIZE`."""

import asyncio
import itertools
import sys

from gameedge.core import limits
from gameedge.core.game import ModeSpec
from gameedge.core.ids import EdgeId, MatchId, RegionId
from gameedge.core.matchmaking.propose import rules_of, warm
from gameedge.core.matchmaking.settings import DEFAULT
from gameedge.edge.clock import SystemClock
from gameedge.edge.matcher import Matcher
from gameedge.state.base import EdgeRecord
from gameedge.state.redis_region import RedisRegionStore


async def main(url: str, name: str, mode: str, team_size: int) -> None:
    warm()
    store, edge, numbers = RedisRegionStore(url), EdgeId(name), itertools.count()
    spec = ModeSpec(mode, teams=2, team_size=team_size, duration_ms=60_000)
    matcher = Matcher(
        store, {mode: spec}, {mode: rules_of(spec, DEFAULT)}, edge, SystemClock(), fill_ms=0,
        new_match=lambda: (MatchId(f"m_{name}_{next(numbers)}"), 1), waited=lambda mode, wait_ms: None,
    )  # fmt: skip
    record = EdgeRecord(edge=edge, region=RegionId("test"), url="ws://nobody", pid=0, started_ms=1)  # it has no room for matches

    async def beat() -> None:
        while True:
            await store.edge_beat(record, limits.EDGE_DEAD_MS)
            await asyncio.sleep(limits.EDGE_BEAT_MS / 1000)

    await store.edge_beat(record, limits.EDGE_DEAD_MS)
    print("ready", flush=True)
    await asyncio.gather(beat(), matcher.run())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
