"""What every store on Redis or Valkey is: one client, one count of records that could not be read."""

import time

from gameedge.state.records import Counter
from gameedge.state.redis_client import RedisClient


class RedisStore:
    """Connects with the first call; `close` when done."""

    def __init__(self, url: str, wait_ms: int) -> None:
        self._client = RedisClient(url, wait_ms=wait_ms)
        self._counter = Counter()

    @property
    def corrupt(self) -> int:
        return self._counter.corrupt

    async def ping(self) -> float:
        started = time.perf_counter()
        await self._client.call(("PING",))
        return (time.perf_counter() - started) * 1000

    async def close(self) -> None:
        await self._client.close()
