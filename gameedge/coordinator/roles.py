"""Who may do what in the admin API: three roles, each able to do what the one before it may.

  viewer    sees: regions, players, flags without telemetry
  operator  acts: opens evidence, decides flags, bans, drains, deploys models
  owner     decides who the others are: gives out tokens; what cannot be undone

The configured `operator_token` is the first owner. From it come signed tokens with a name, a role and an end (POST
/v1/admin/tokens). They are bound to that `operator_token`: where it is changed, all that were given out end at once.

Every handler below /v1/admin declares the least role that it needs, `@get("/status", opt=needs(Role.VIEWER))`; one that does not
is refused as the application is built. Whoever was let in is kept for the request, so that every line of the audit log says who.
"""

import hashlib
import hmac
from collections.abc import Callable, Coroutine, Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from gameedge.core.errors import Reason, RefusedError
from gameedge.core.tokens import verify_operator_token

if TYPE_CHECKING:
    from gameedge.coordinator.services import Services

AnyConnection = ASGIConnection[Any, Any, Any, Any]
Guard = Callable[[AnyConnection, BaseRouteHandler], Coroutine[Any, Any, None]]
BOOTSTRAP: Final = "operator_token"  # the name of whoever holds the configured token


class Role(StrEnum):
    VIEWER = "viewer"
    OPERATOR = "operator"
    OWNER = "owner"

    def covers(self, other: "Role") -> bool:
        """Whether this role may do what `other` may."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(other)


@dataclass(frozen=True, slots=True)
class Operator:
    """Who asks. `expires_ms`: Unix; None: never."""

    name: str
    role: Role
    expires_ms: int | None = None


_acting: ContextVar[Operator | None] = ContextVar("acting", default=None)


def acting() -> Operator | None:
    """Who the current request was let in as."""
    return _acting.get()


def who() -> str:
    """The name of the operator that the current request was let in as."""
    operator = _acting.get()
    assert operator is not None  # every handler below /v1/admin is behind the guard
    return operator.name


def needs(role: Role) -> dict[str, Any]:
    """For a handler's `opt`: the least role that it takes."""
    return {"role": role}


def check_declared(handlers: Iterable[Any]) -> None:
    """Raises ValueError for a handler that does not say which role it needs."""
    for handler in handlers:
        if not isinstance(handler.opt.get("role"), Role):
            raise ValueError(f"{sorted(handler.paths)}: declare who may call it, opt=needs(Role...)")


def authenticate(services: "Services", token: str, address: str) -> Operator:
    """Whose token this is.

    Raises RefusedError: FORBIDDEN where the admin API is off, TOKEN_EXPIRED, TOKEN_INVALID; wrong ones cost their address a try,
    and then TOO_OFTEN. Equal time whatever the token is: digests are compared.
    """
    configured = services.config.operator_token
    if not configured:
        raise RefusedError(Reason.FORBIDDEN, "the admin API is off; set operator_token in the coordinator's configuration")
    given = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
    if hmac.compare_digest(given, hashlib.sha256(configured.encode()).digest()):
        return Operator(BOOTSTRAP, Role.OWNER)
    try:
        claims = verify_operator_token(token, services.signer.keys, services.signer.mark(configured), services.now_ms())
    except RefusedError as error:
        if error.reason != Reason.TOKEN_EXPIRED:
            services.operator_throttle.take(address, services.now_ms())
            raise RefusedError(Reason.TOKEN_INVALID, "send an operator's token: Authorization: Bearer ...") from error
        raise
    return Operator(claims.sub, Role(claims.role), claims.exp * 1000)


def check_role(operator: Operator, role: Role) -> None:
    """Raises RefusedError(FORBIDDEN)."""
    if not operator.role.covers(role):
        raise RefusedError(Reason.FORBIDDEN, f"this needs the role {role}; your token is a {operator.role}'s")


def guard(services: "Services") -> Guard:
    """The guard of all routes below /v1/admin."""

    async def look(connection: AnyConnection, handler: BaseRouteHandler) -> None:
        if handler.opt.get("signs_in"):  # a live stream: the token is its first message
            return
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        address = connection.client.host if connection.client else "?"
        operator = authenticate(services, token.strip() if scheme.lower() == "bearer" else "", address)
        check_role(operator, handler.opt["role"])
        _acting.set(operator)

    return look
