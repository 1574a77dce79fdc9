"""The coordinator's store on Redis or Valkey. See `base.GlobalStore` for what each method promises.

Keys: `gg:account:<player>`; `gg:{mode}:ratings` (hash: player to rating) and `gg:{mode}:applied` (match, until when that is
known) share a slot, so that a result is applied in one step; `gg:modes`; `gg:secret:<name>`; `gg:audit` (list);
`gg:explain:<player>`.
"""

import time
from collections.abc import Sequence

from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError
from gameedge.core.ids import MatchId, PlayerId
from gameedge.state.base import Account, Rating, Result, check_ratings
from gameedge.state.records import Codec, Counter, encode
from gameedge.state.redis_client import Command, RedisClient, script

_MODES = "gg:modes"


class RedisGlobalStore:
    """Connects with the first call; `close` when done."""

    def __init__(self, url: str, *, wait_ms: int = limits.STORE_WAIT_MS_MAX) -> None:
        self._client = RedisClient(url, wait_ms=wait_ms)
        self._counter = Counter()
        self._account = Codec(Account, self._counter)
        self._rating = Codec(Rating, self._counter)

    @property
    def corrupt(self) -> int:
        return self._counter.corrupt

    async def ping(self) -> float:
        started = time.perf_counter()
        await self._client.call(("PING",))
        return (time.perf_counter() - started) * 1000

    async def close(self) -> None:
        await self._client.close()

    async def account_add(self, account: Account) -> None:
        key = f"gg:account:{account.player}"
        _, there = await self._client.pipe([("SET", key, encode(account), "NX"), ("GET", key)])
        if self._account.one(there) != account:
            raise RefusedError(Reason.FORBIDDEN, "this player id is taken")

    async def account_get(self, player: PlayerId) -> Account | None:
        return self._account.one(await self._client.call(("GET", f"gg:account:{player}")))

    async def account_put(self, account: Account) -> None:
        await self._client.call(("SET", f"gg:account:{account.player}", encode(account)))

    async def _modes(self) -> list[str]:
        return sorted(name.decode(errors="replace") for name in await self._client.call(("SMEMBERS", _MODES)))

    async def ratings(self, player: PlayerId) -> dict[str, Rating]:
        modes = await self._modes()
        commands: list[Command] = [("HGET", f"gg:{{{mode}}}:ratings", player) for mode in modes]
        if not commands:
            return {}
        found = map(self._rating.one, await self._client.pipe(commands))
        return {mode: rating for mode, rating in zip(modes, found, strict=True) if rating is not None}

    async def ratings_of(self, mode: str, players: Sequence[PlayerId]) -> dict[PlayerId, Rating]:
        if not players:
            return {}
        found = map(self._rating.one, await self._client.call(("HMGET", f"gg:{{{mode}}}:ratings", *players)))
        return {player: rating for player, rating in zip(players, found, strict=True) if rating is not None}

    async def result_apply(self, result: Result, ratings: dict[PlayerId, Rating], expected: dict[PlayerId, Rating]) -> bool:
        check_ratings(ratings, expected)
        newcomer = Rating()
        triples = (part for player, rating in ratings.items() for part in (player, encode(expected.get(player, newcomer)), encode(rating)))
        keys = [f"gg:{{{result.mode}}}:ratings", f"gg:{{{result.mode}}}:applied"]
        apply = script("result_apply")(keys, result.match, limits.APPLIED_LIFE_MS, encode(newcomer), *triples)
        _, applied = await self._client.pipe([("SADD", _MODES, result.mode), apply])
        return bool(applied)

    async def result_applied(self, match: MatchId) -> bool:
        modes = await self._modes()
        if not modes:
            return False
        until = await self._client.pipe([("ZSCORE", f"gg:{{{mode}}}:applied", match) for mode in modes])
        # Expired marks go with the next result that is applied.
        return any(mark is not None and float(mark) > time.time() * 1000 for mark in until)

    async def secret(self, name: str, value: bytes) -> bytes:
        _, there = await self._client.pipe([("SET", f"gg:secret:{name}", value, "NX"), ("GET", f"gg:secret:{name}")])
        return bytes(there)

    async def explain_put(self, player: PlayerId, why: bytes, ttl_ms: int) -> None:
        await self._client.call(("SET", f"gg:explain:{player}", why, "PX", ttl_ms))

    async def explain_get(self, player: PlayerId) -> bytes | None:
        why = await self._client.call(("GET", f"gg:explain:{player}"))
        return None if why is None else bytes(why)

    async def audit_add(self, entry: str) -> None:
        await self._client.pipe([("LPUSH", "gg:audit", entry), ("LTRIM", "gg:audit", 0, limits.AUDIT_ENTRIES_MAX - 1)])

    async def audit_list(self, limit: int) -> list[str]:
        if limit <= 0:
            return []
        return [entry.decode(errors="replace") for entry in await self._client.call(("LRANGE", "gg:audit", 0, limit - 1))]
