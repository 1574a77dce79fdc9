"""What the coordinator's store offers: accounts, ratings, what was applied, documents, the audit log. `base.py` has what holds for every
store; `memory_global.py` and `redis_global.py` are the two."""

import math
import unicodedata
from collections.abc import Sequence
from typing import Protocol

from gameedge.core.ids import MatchId, PlayerId, RegionId
from gameedge.state.base import Record, Result


class Account(Record, frozen=True, kw_only=True):
    player: PlayerId
    secret_hash: str
    name: str
    created_ms: int
    banned: bool = False
    trust: int = 0
    residency: str = ""  # a label of the coordinator's `residency`; empty: anywhere


def folded(name: str) -> str:
    """A name as it is looked for: without case and without differences of form."""
    return unicodedata.normalize("NFKC", name).casefold()


class Rating(Record, frozen=True, kw_only=True):
    mu: float = 25.0
    sigma: float = 25.0 / 3.0
    games: int = 0


def check_ratings(*groups: dict[PlayerId, Rating]) -> None:
    """Raises ValueError for a rating that is not finite: it would spoil every later match of the player."""
    for ratings in groups:
        for player, rating in ratings.items():
            if not (math.isfinite(rating.mu) and math.isfinite(rating.sigma)):
                raise ValueError(f"{player}: a rating of {rating.mu} with sigma {rating.sigma}")


class GlobalStore(Protocol):
    """The coordinator's Redis."""

    @property
    def corrupt(self) -> int:
        """Records that could not be decoded, so far."""
        ...

    async def ping(self) -> float: ...
    async def account_add(self, account: Account) -> None:
        """Raises RefusedError(FORBIDDEN) where another account has this player id; the same account again is accepted."""
        ...

    async def account_get(self, player: PlayerId) -> Account | None: ...
    async def account_put(self, account: Account) -> None: ...
    async def accounts_find(self, text: str, limit: int) -> list[Account]:
        """Accounts whose name (in whatever case) or id begins with `text`, by name. Accounts that no release since this method has
        written are found by their whole id alone."""
        ...

    async def account_erase(self, player: PlayerId) -> int:
        """Remove the account, its ratings and its last placement; how many records went. For limits.APPLIED_LIFE_MS the id is
        remembered as erased, so that a result that arrives late gives it no rating again."""
        ...

    async def erased(self, players: Sequence[PlayerId]) -> set[PlayerId]:
        """Which of them were erased lately."""
        ...

    async def erasing_put(self, player: PlayerId, regions: Sequence[RegionId]) -> None:
        """These regions still hold something of an erased player."""
        ...

    async def erasing_done(self, player: PlayerId, region: RegionId) -> None: ...
    async def erasing(self) -> dict[PlayerId, list[RegionId]]:
        """What erasures have not reached yet."""
        ...

    async def version_add(self, name: str, entry: bytes, expected: int) -> bool:
        """Atomically append a version of the document `name`, where its newest one has the number `expected` (0: there is none).
        False: somebody was faster. The oldest go over limits.VERSIONS_MAX."""
        ...

    async def versions(self, name: str, limit: int) -> tuple[int, list[bytes]]:
        """The number of the newest version (0: none) and the newest `limit` entries, newest first."""
        ...

    async def ratings(self, player: PlayerId) -> dict[str, Rating]: ...
    async def ratings_of(self, mode: str, players: Sequence[PlayerId]) -> dict[PlayerId, Rating]: ...

    async def result_apply(self, result: Result, ratings: dict[PlayerId, Rating], expected: dict[PlayerId, Rating]) -> bool:
        """Atomically: once a match id, store the ratings if they still are `expected`, and mark the match applied.
        True: applied now or before (known for limits.APPLIED_LIFE_MS). False: a rating had changed meanwhile, compute again.
        A player without a rating counts as `Rating()`. ValueError for ratings that are not finite."""
        ...

    async def result_applied(self, match: MatchId) -> bool: ...
    async def secret(self, name: str, value: bytes) -> bytes:
        """Store once: the value that is there, or `value` where there was none (signing keys)."""
        ...

    async def explain_put(self, player: PlayerId, why: bytes, ttl_ms: int) -> None:
        """Keep why a player was placed where it was."""
        ...

    async def explain_get(self, player: PlayerId) -> bytes | None: ...

    async def audit_add(self, entry: str) -> None: ...
    async def audit_list(self, limit: int) -> list[str]:
        """Newest first; the oldest go over limits.AUDIT_ENTRIES_MAX."""
        ...

    async def close(self) -> None: ...
