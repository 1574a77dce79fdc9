"""The operators' API: every handler says which role it needs, everything that changes something is audited first."""

from typing import Annotated, Any

from litestar import Router, get, post
from litestar.params import Parameter

from gameedge.bus.payloads import Desired
from gameedge.coordinator.api_config import config_routes, event_routes
from gameedge.coordinator.api_evidence import evidence_routes
from gameedge.coordinator.api_matches import match_routes, queue_routes
from gameedge.coordinator.api_models import model_routes
from gameedge.coordinator.api_players import player_routes
from gameedge.coordinator.api_public import AnyRequest, address_of
from gameedge.coordinator.api_public import operator_errors as _errors
from gameedge.coordinator.api_tokens import token_routes
from gameedge.coordinator.live import live_route
from gameedge.coordinator.roles import Role, check_declared, guard, needs
from gameedge.coordinator.schemas.world import Audit, DesiredView, Status, Verdicts, VerdictView
from gameedge.coordinator.services import Services
from gameedge.coordinator.status import status_view
from gameedge.core import limits

Name = Annotated[str, Parameter(min_length=1, max_length=32)]
Limit = Annotated[int, Parameter(ge=1, le=limits.VERDICTS_MAX)]


def router(services: Services) -> Router:
    """All routes below `/v1/admin`."""
    handlers = [*_reading(services), *player_routes(services), *_regions(services), *model_routes(services), *token_routes(services)]
    handlers += [*evidence_routes(services), *match_routes(services), *queue_routes(services)]
    handlers += [*config_routes(services), *event_routes(services), live_route(services)]
    check_declared(handlers)
    return Router(
        "/v1/admin",
        route_handlers=handlers,
        guards=[guard(services)],
        tags=["operators"],
        security=[{"operator": []}],
    )


def _reading(services: Services) -> list[Any]:
    @get("/status", summary="Everything at a glance", responses=_errors(), opt=needs(Role.VIEWER))
    async def status() -> Status:
        """Regions, processes and what they last reported."""
        return status_view(services)

    @get("/verdicts", summary="Newest flags", responses=_errors(), opt=needs(Role.VIEWER))
    async def verdicts(limit: Limit = 100) -> Verdicts:
        """Newest first, of those that this coordinator heard. Evidence stays in the regions; people decide."""
        return Verdicts(verdicts=[VerdictView(region=r, verdict=v) for r, v in services.verdicts.newest(limit)])

    @get("/audit", summary="What operators did", responses=_errors(), opt=needs(Role.OPERATOR))
    async def audit(limit: Limit = 100) -> Audit:
        """Newest first."""
        return Audit(entries=await services.store.audit_list(limit))

    return [status, verdicts, audit]


def _regions(services: Services) -> list[Any]:
    def view(region: str, desired: Desired) -> DesiredView:
        return DesiredView(region=region, revision=desired.revision, draining=desired.draining, draining_edges=desired.draining_edges)

    @post("/regions/{region:str}/drain", status_code=200, summary="Drain a region", responses=_errors(404), opt=needs(Role.OPERATOR))
    async def drain(region: Name, request: AnyRequest) -> DesiredView:
        """No new players; running matches are played to their end."""
        return view(region, await services.set_draining(region, None, True, address_of(request)))

    @post("/regions/{region:str}/resume", status_code=200, summary="Open a region again", responses=_errors(404), opt=needs(Role.OPERATOR))
    async def resume(region: Name, request: AnyRequest) -> DesiredView:
        """Processes that were drained one by one stay so."""
        return view(region, await services.set_draining(region, None, False, address_of(request)))

    @post(
        "/regions/{region:str}/edges/{edge:str}/drain",
        status_code=200,
        summary="Drain a process",
        responses=_errors(404),
        opt=needs(Role.OPERATOR),
    )
    async def drain_edge(region: Name, edge: Name, request: AnyRequest) -> DesiredView:
        """Before it is stopped or replaced."""
        return view(region, await services.set_draining(region, edge, True, address_of(request)))

    @post(
        "/regions/{region:str}/edges/{edge:str}/resume",
        status_code=200,
        summary="Open a process again",
        responses=_errors(404),
        opt=needs(Role.OPERATOR),
    )
    async def resume_edge(region: Name, edge: Name, request: AnyRequest) -> DesiredView:
        """Undo the drain of one process."""
        return view(region, await services.set_draining(region, edge, False, address_of(request)))

    return [drain, resume, drain_edge, resume_edge]
