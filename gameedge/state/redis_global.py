"""The coordinator's store on Redis or Valkey. See `base_global.GlobalStore` for what each method promises.

Keys: `gg:account:<player>`; `gg:{mode}:ratings` (hash: player to rating) and `gg:{mode}:applied` (match, until when that is
known) share a slot, so that a result is applied in one step; `gg:modes`; `gg:secret:<name>`; `gg:audit` (list);
`gg:explain:<player>`; `gg:find` (names and ids in order); `gg:erased` (player, until when); `gg:erasing` (hash: player and region);
`gg:{doc-<name>}:head` and `:versions`.
"""

import time
from collections.abc import Sequence

from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError
from gameedge.core.ids import MatchId, PlayerId, RegionId
from gameedge.state.base import Result
from gameedge.state.base_global import Account, Rating, check_ratings, folded
from gameedge.state.records import Codec, encode
from gameedge.state.redis_client import Command, script
from gameedge.state.redis_store import RedisStore

_MODES = "gg:modes"
_FIND = "gg:find"  # members of equal score, in the order of their bytes: `n<folded name>\0<player>` and `i<player>`
_END = b"\xff"  # after every UTF-8 text


_ERASED = "gg:erased"
_ERASING = "gg:erasing"


def _index(account: Account) -> Command:
    return ("ZADD", _FIND, *(part for name in _found_by(account) for part in (0, name)))


def _found_by(account: Account) -> list[str]:
    return [f"n{folded(account.name)}\0{account.player}", f"i{account.player}"]


class RedisGlobalStore(RedisStore):
    """Connects with the first call; `close` when done."""

    def __init__(self, url: str, *, wait_ms: int = limits.STORE_WAIT_MS_MAX) -> None:
        super().__init__(url, wait_ms)
        self._account = Codec(Account, self._counter)
        self._rating = Codec(Rating, self._counter)

    async def account_add(self, account: Account) -> None:
        key = f"gg:account:{account.player}"
        _, there = await self._client.pipe([("SET", key, encode(account), "NX"), ("GET", key)])
        if self._account.one(there) != account:
            raise RefusedError(Reason.FORBIDDEN, "this player id is taken")
        await self._client.call(_index(account))

    async def account_get(self, player: PlayerId) -> Account | None:
        return self._account.one(await self._client.call(("GET", f"gg:account:{player}")))

    async def account_put(self, account: Account) -> None:
        before = await self.account_get(account.player)
        await self._client.pipe([("SET", f"gg:account:{account.player}", encode(account)), _index(account)])
        if before is not None and (old := set(_found_by(before)) - set(_found_by(account))):
            await self._client.call(("ZREM", _FIND, *old))  # another name: nobody finds it by the one before

    async def accounts_find(self, text: str, limit: int) -> list[Account]:
        if limit <= 0 or not text:
            return []
        ranges: list[Command] = []
        for prefix in (f"n{folded(text)}".encode(), f"i{text}".encode()):
            ranges.append(("ZRANGEBYLEX", _FIND, b"[" + prefix, b"(" + prefix + _END, "LIMIT", 0, limit))
        by_name, by_id = await self._client.pipe(ranges)
        players = [name.rpartition(b"\0")[2] for name in by_name] + [name[1:] for name in by_id]
        wanted = dict.fromkeys([*players, text.encode()])
        gets: list[Command] = [("GET", b"gg:account:" + player) for player in wanted]
        found = [account for account in map(self._account.one, await self._client.pipe(gets)) if account is not None]
        return sorted(found, key=lambda account: (folded(account.name), account.player))[:limit]

    async def account_erase(self, player: PlayerId) -> int:
        account, modes = await self.account_get(player), await self._modes()
        # First, while the account still says its name: where the rest is broken off, whoever tries again finds this one again.
        await self._client.call(("ZREM", _FIND, *(_found_by(account) if account is not None else [f"i{player}"])))
        until_ms = time.time_ns() // 1_000_000 + limits.APPLIED_LIFE_MS
        commands: list[Command] = [
            ("ZADD", _ERASED, until_ms, player),
            ("DEL", f"gg:account:{player}"),
            ("DEL", f"gg:explain:{player}"),
            *(("HDEL", f"gg:{{{mode}}}:ratings", player) for mode in modes),
        ]
        _, *gone = await self._client.pipe(commands)
        return sum(map(int, gone))

    async def erased(self, players: Sequence[PlayerId]) -> set[PlayerId]:
        if not players:
            return set()
        now_ms = time.time_ns() // 1_000_000
        marks: list[Command] = [("ZSCORE", _ERASED, player) for player in players]
        _, *until = await self._client.pipe([("ZREMRANGEBYSCORE", _ERASED, "-inf", now_ms), *marks])
        return {player for player, mark in zip(players, until, strict=True) if mark is not None}

    async def erasing_put(self, player: PlayerId, regions: Sequence[RegionId]) -> None:
        if regions:
            await self._client.call(("HSET", _ERASING, *(part for region in regions for part in (f"{player}\0{region}", "1"))))

    async def erasing_done(self, player: PlayerId, region: RegionId) -> None:
        await self._client.call(("HDEL", _ERASING, f"{player}\0{region}"))

    async def erasing(self) -> dict[PlayerId, list[RegionId]]:
        found: dict[PlayerId, list[RegionId]] = {}
        for name in sorted(await self._client.call(("HKEYS", _ERASING))):
            player, _, region = name.decode(errors="replace").partition("\0")
            found.setdefault(PlayerId(player), []).append(RegionId(region))
        return found

    async def version_add(self, name: str, entry: bytes, expected: int) -> bool:
        keys = [f"gg:{{doc-{name}}}:head", f"gg:{{doc-{name}}}:versions"]
        return bool(await self._client.call(script("version_add")(keys, expected, entry, limits.VERSIONS_MAX)))

    async def versions(self, name: str, limit: int) -> tuple[int, list[bytes]]:
        keys = [f"gg:{{doc-{name}}}:head", f"gg:{{doc-{name}}}:versions"]
        number, *entries = await self._client.call(script("versions")(keys, limit))
        return int(number), [bytes(entry) for entry in entries]

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
