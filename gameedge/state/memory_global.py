"""The in-memory twin of the coordinator's store. See `memory.py` for what the twins promise."""

from collections import deque
from collections.abc import Sequence
from typing import Final

from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError, UnavailableError
from gameedge.core.ids import MatchId, PlayerId
from gameedge.state.base import Account, Rating, Result, check_ratings
from gameedge.state.memory import Clock, monotonic_ms

EXPLAINED_MAX: Final = 10_000


class MemoryGlobalStore:
    """The coordinator's store in this process. See `base.GlobalStore`."""

    def __init__(self, *, clock_ms: Clock = monotonic_ms) -> None:
        self.available = True
        self.corrupt = 0
        self._clock = clock_ms
        self._accounts: dict[PlayerId, Account] = {}
        self._ratings: dict[str, dict[PlayerId, Rating]] = {}
        self._applied: dict[MatchId, float] = {}  # in order of application
        self._secrets: dict[str, bytes] = {}
        self._explained: dict[PlayerId, tuple[bytes, float]] = {}  # oldest first
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
