"""What operators see of accounts and do to them; tokens of operators."""

from typing import Annotated

from msgspec import Meta

from gameedge.coordinator.roles import Role
from gameedge.coordinator.schemas.base import Answer, Id, Request
from gameedge.coordinator.schemas.players import RatingView
from gameedge.coordinator.schemas.world import SilentView, VerdictView
from gameedge.core import limits
from gameedge.state.questions import PlayerHere


class AccountView(Answer, frozen=True, kw_only=True):
    player: str
    name: str
    created_ms: int
    banned: bool
    trust: int
    ratings: dict[str, RatingView]
    verdicts: list[VerdictView]
    told: list[str] = []  # after a ban or its end: regions that know
    waiting: list[str] = []  # regions that will know once the broker is there


class Found(Answer, frozen=True, kw_only=True):
    player: str
    name: str
    created_ms: int
    banned: bool


class FoundPlayers(Answer, frozen=True, kw_only=True):
    players: list[Found]


class SessionLive(Answer, frozen=True, kw_only=True):
    region: str
    edge: str
    session: PlayerHere


class PlayerLive(Answer, frozen=True, kw_only=True):
    """Sessions of a player, of all processes that answered (`asked` of them); after a kick: those that were ended."""

    player: str
    sessions: list[SessionLive]
    asked: int
    silent: list[SilentView]


class EraseRequest(Request, frozen=True, kw_only=True):
    """`confirm` repeats the player's id: this cannot be undone."""

    confirm: Id
    reason: Annotated[str, Meta(max_length=256, description="for the audit log")] = ""


class Receipt(Answer, frozen=True, kw_only=True):
    """What an erasure removed. `waiting`: regions that were away; it goes on there by itself until it is `complete`."""

    player: str
    at_ms: int
    by: str
    global_records: int
    sessions_ended: int
    regions: dict[str, int]  # records removed
    waiting: list[SilentView]
    complete: bool


class BanRequest(Request, frozen=True, kw_only=True):
    reason: Annotated[str, Meta(max_length=256, description="for the audit log")] = ""


class TokenRequest(Request, frozen=True, kw_only=True):
    """For whom, as what, for how long (ms)."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@ -]{0,47}$(?!\n)", description="for the audit log")]
    role: Role
    life_ms: Annotated[int, Meta(ge=1_000, le=limits.OPERATOR_TOKEN_LIFE_MS_MAX)] = 8 * 3_600_000


class TokenIssued(Answer, frozen=True, kw_only=True):
    token: str
    name: str
    role: Role
    expires_ms: int


class Me(Answer, frozen=True, kw_only=True):
    """`expires_ms` null: the configured operator token, which does not end."""

    name: str
    role: Role
    expires_ms: int | None
