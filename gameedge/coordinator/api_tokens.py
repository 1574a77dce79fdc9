"""The admin API's part about who may use it: tokens with a role and an end."""

from typing import Annotated, Any

from litestar import get, post
from litestar.params import Body

from gameedge.coordinator.api_public import AnyRequest, address_of, operator_errors
from gameedge.coordinator.roles import Role, acting, needs
from gameedge.coordinator.schemas.people import Me, TokenIssued, TokenRequest
from gameedge.coordinator.services import Services


def token_routes(services: Services) -> list[Any]:
    """Handlers below /v1/admin."""

    @get("/me", summary="Who the token says you are", responses=operator_errors(), opt=needs(Role.VIEWER))
    async def me() -> Me:
        """Name, role and when the token ends (null: never)."""
        operator = acting()
        assert operator is not None
        return Me(name=operator.name, role=operator.role, expires_ms=operator.expires_ms)

    @post("/tokens", status_code=201, summary="Give out a token", responses=operator_errors(), opt=needs(Role.OWNER))
    async def issue(request: AnyRequest, data: Annotated[TokenRequest, Body()]) -> TokenIssued:
        """Told once, kept nowhere. It ends by itself, or with the configured `operator_token` where that is changed."""
        await services.audit("token", address_of(request), given_to=data.name, given_role=data.role, life_ms=data.life_ms)
        mark = services.signer.mark(services.config.operator_token)
        token, expires_ms = services.signer.operator_token(data.name, data.role, mark, services.now_ms(), data.life_ms)
        return TokenIssued(token=token, name=data.name, role=data.role, expires_ms=expires_ms)

    return [me, issue]
