"""The in-memory twin of the coordinator's store. See `memory.py` for what the twins promise."""

from collections import deque
from collections.abc import Sequence
from typing import Final

from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError, UnavailableError
from gameedge.core.ids import MatchId, PlayerId, RegionId
from gameedge.state.base import Result
from gameedge.state.base_global import Account, Rating, check_ratings, folded
from gameedge.state.memory import Clock, monotonic_ms

EXPLAINED_MAX: Final = 10_000


class MemoryGlobalStore:
    """The coordinator's store in this process. See `base_global.GlobalStore`."""

    def __init__(self, *, clock_ms: Clock = monotonic_ms) -> None:
        self.available = True
        self.corrupt = 0
        self._clock = clock_ms
        self._accounts: dict[PlayerId, Account] = {}
        self._ratings: dict[str, dict[PlayerId, Rating]] = {}
        self._applied: dict[MatchId, float] = {}  # in order of application
        self._secrets: dict[str, bytes] = {}
        self._explained: dict[PlayerId, tuple[bytes, float]] = {}  # oldest first
        self._erased: dict[PlayerId, float] = {}  # until when that is known
        self._erasing: dict[tuple[PlayerId, RegionId], None] = {}
        self._documents: dict[str, tuple[int, deque[bytes]]] = {}
        self._audit: deque[str] = deque(maxlen=limits.AUDIT_ENTRIES_MAX)

    def _check(self) -> None:
        if not self.available:
            raise UnavailableError("the memory store was made unavailable")

    async def ping(self) -> float:
        self._check()
        return 0.0

    async def account_add(self, account: Account) -> None:
        self._check()
        if self._accounts.setdefault(account.player, account) != account:
            raise RefusedError(Reason.FORBIDDEN, "this player id is taken")

    async def account_get(self, player: PlayerId) -> Account | None:
        self._check()
        return self._accounts.get(player)

    async def account_put(self, account: Account) -> None:
        self._check()
        self._accounts[account.player] = account

    async def accounts_find(self, text: str, limit: int) -> list[Account]:
        self._check()
        if not text:
            return []
        wanted = folded(text)
        found = [a for a in self._accounts.values() if folded(a.name).startswith(wanted) or a.player.startswith(text)]
        return sorted(found, key=lambda account: (folded(account.name), account.player))[: max(0, limit)]

    async def account_erase(self, player: PlayerId) -> int:
        self._check()
        self._erased[player] = self._clock() + limits.APPLIED_LIFE_MS
        gone: list[object] = [self._accounts.pop(player, None), self._explained.pop(player, None)]
        gone += [of.pop(player, None) for of in self._ratings.values()]
        return sum(record is not None for record in gone)

    async def erased(self, players: Sequence[PlayerId]) -> set[PlayerId]:
        self._check()
        now = self._clock()
        self._erased = {player: until for player, until in self._erased.items() if until > now}
        return {player for player in players if player in self._erased}

    async def erasing_put(self, player: PlayerId, regions: Sequence[RegionId]) -> None:
        self._check()
        self._erasing |= {(player, region): None for region in regions}

    async def erasing_done(self, player: PlayerId, region: RegionId) -> None:
        self._check()
        self._erasing.pop((player, region), None)

    async def erasing(self) -> dict[PlayerId, list[RegionId]]:
        self._check()
        found: dict[PlayerId, list[RegionId]] = {}
        for player, region in sorted(self._erasing):
            found.setdefault(player, []).append(region)
        return found

    async def version_add(self, name: str, entry: bytes, expected: int) -> bool:
        self._check()
        number, entries = self._documents.get(name, (0, deque(maxlen=limits.VERSIONS_MAX)))
        if number != expected:
            return False
        entries.appendleft(entry)
        self._documents[name] = number + 1, entries
        return True

    async def versions(self, name: str, limit: int) -> tuple[int, list[bytes]]:
        self._check()
        number, entries = self._documents.get(name, (0, deque()))
        return number, list(entries)[: max(0, limit)]

    async def ratings(self, player: PlayerId) -> dict[str, Rating]:
        self._check()
        return {mode: of[player] for mode, of in sorted(self._ratings.items()) if player in of}

    async def ratings_of(self, mode: str, players: Sequence[PlayerId]) -> dict[PlayerId, Rating]:
        self._check()
        of = self._ratings.get(mode, {})
        return {player: of[player] for player in players if player in of}

    async def result_apply(self, result: Result, ratings: dict[PlayerId, Rating], expected: dict[PlayerId, Rating]) -> bool:
        check_ratings(ratings, expected)
        if await self.result_applied(result.match):
            return True
        of = self._ratings.setdefault(result.mode, {})
        if any(of.get(player, Rating()) != expected.get(player, Rating()) for player in ratings):
            return False
        of.update(ratings)
        self._applied[result.match] = self._clock() + limits.APPLIED_LIFE_MS
        return True

    async def result_applied(self, match: MatchId) -> bool:
        self._check()
        now = self._clock()
        while self._applied and next(iter(self._applied.values())) <= now:
            del self._applied[next(iter(self._applied))]
        return match in self._applied

    async def secret(self, name: str, value: bytes) -> bytes:
        self._check()
        return self._secrets.setdefault(name, value)

    async def explain_put(self, player: PlayerId, why: bytes, ttl_ms: int) -> None:
        self._check()
        now = self._clock()
        while len(self._explained) >= EXPLAINED_MAX or (self._explained and next(iter(self._explained.values()))[1] <= now):
            del self._explained[next(iter(self._explained))]
        self._explained.pop(player, None)
        self._explained[player] = (why, now + ttl_ms)

    async def explain_get(self, player: PlayerId) -> bytes | None:
        self._check()
        why, expires_ms = self._explained.get(player, (None, 0.0))
        return why if expires_ms > self._clock() else None

    async def audit_add(self, entry: str) -> None:
        self._check()
        self._audit.appendleft(entry)

    async def audit_list(self, limit: int) -> list[str]:
        self._check()
        return list(self._audit)[: max(0, limit)]

    async def close(self) -> None:
        """The twin keeps its contents: another part of the process may go on with it."""
