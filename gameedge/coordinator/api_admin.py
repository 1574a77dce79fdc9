"""The operators' API: everything needs the operator token, everything that changes something is audited first."""

import hashlib
import hmac
from typing import Annotated, Any

from litestar import Router, get, post
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.params import Body, Parameter

from gameedge.bus.payloads import Desired
from gameedge.coordinator.api_models import model_routes
from gameedge.coordinator.api_public import AnyRequest, PlayerPath, address_of, rating_view
from gameedge.coordinator.api_public import operator_errors as _errors
from gameedge.coordinator.registry import Edge, Region
from gameedge.coordinator.schemas import (
    AccountView,
    Audit,
    BanRequest,
    CoordinatorStatus,
    DesiredView,
    EdgeStatus,
    PlacementExplained,
    RegionStatus,
    Status,
    Verdicts,
    VerdictView,
)
from gameedge.coordinator.services import Services
from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError
from gameedge.state.base import Account, Rating

AnyConnection = ASGIConnection[Any, Any, Any, Any]
Name = Annotated[str, Parameter(min_length=1, max_length=32)]
Limit = Annotated[int, Parameter(ge=1, le=limits.VERDICTS_MAX)]


def router(services: Services) -> Router:
    """All routes below `/v1/admin`."""
    digest = hashlib.sha256(services.config.operator_token.encode()).digest()

    def guard(connection: AnyConnection, _: BaseRouteHandler) -> None:
        """Equal time whatever the token is: digests are compared, and a wrong one costs its address a try."""
        if not services.config.operator_token:
            raise RefusedError(Reason.FORBIDDEN, "the admin API is off; set operator_token in the coordinator's configuration")
        scheme, _sep, token = connection.headers.get("authorization", "").partition(" ")
        given = hashlib.sha256(token.strip().encode("utf-8", "surrogateescape")).digest()
        if scheme.lower() != "bearer" or not hmac.compare_digest(given, digest):
            services.operator_throttle.take(connection.client.host if connection.client else "?", services.now_ms())
            raise RefusedError(Reason.TOKEN_INVALID, "send the operator token: Authorization: Bearer ...")

    return Router(
        "/v1/admin",
        route_handlers=[*_reading(services), *_players(services), *_regions(services), *model_routes(services)],
        guards=[guard],
        tags=["operators"],
        security=[{"operator": []}],
    )


def _reading(services: Services) -> list[Any]:
    @get("/status", summary="Everything at a glance", responses=_errors())
    async def status() -> Status:
        """Regions, processes and what they last reported."""
        return status_view(services)

    @get("/verdicts", summary="Newest flags", responses=_errors())
    async def verdicts(limit: Limit = 100) -> Verdicts:
        """Newest first, of those that this coordinator heard. Evidence stays in the regions; people decide."""
        return Verdicts(verdicts=[VerdictView(region=r, verdict=v) for r, v in services.verdicts.newest(limit)])

    @get("/audit", summary="What operators did", responses=_errors())
    async def audit(limit: Limit = 100) -> Audit:
        """Newest first."""
        return Audit(entries=await services.store.audit_list(limit))

    return [status, verdicts, audit]


def _players(services: Services) -> list[Any]:
    def view(account: Account, ratings: dict[str, Rating]) -> AccountView:
        return AccountView(
            player=account.player,
            name=account.name,
            created_ms=account.created_ms,
            banned=account.banned,
            trust=account.trust,
            ratings={mode: rating_view(rating) for mode, rating in ratings.items()},
            verdicts=[VerdictView(region=r, verdict=v) for r, v in services.verdicts.newest(100, account.player)],
        )

    @get("/players/{player:str}", summary="One account", responses=_errors(404))
    async def show(player: PlayerPath) -> AccountView:
        """With the flags that this coordinator heard of."""
        account = await services.account(player)
        return view(account, await services.store.ratings(account.player))

    @post("/players/{player:str}/ban", status_code=200, summary="Ban", responses=_errors(404))
    async def ban(player: PlayerPath, request: AnyRequest, data: Annotated[BanRequest | None, Body()] = None) -> AccountView:
        """No placement any more. Tokens that were given out end by themselves."""
        reason = data.reason if data is not None else ""
        return view(*await services.set_banned(player, True, reason, address_of(request)))

    @post("/players/{player:str}/unban", status_code=200, summary="Unban", responses=_errors(404))
    async def unban(player: PlayerPath, request: AnyRequest, data: Annotated[BanRequest | None, Body()] = None) -> AccountView:
        """Placements again."""
        reason = data.reason if data is not None else ""
        return view(*await services.set_banned(player, False, reason, address_of(request)))

    @get("/players/{player:str}/placement", summary="Why a player was placed there", responses=_errors(404))
    async def placement(player: PlayerPath) -> PlacementExplained:
        """Each region's terms at the player's last placement."""
        return await services.explained(player)

    return [show, ban, unban, placement]


def _regions(services: Services) -> list[Any]:
    def view(region: str, desired: Desired) -> DesiredView:
        return DesiredView(region=region, revision=desired.revision, draining=desired.draining, draining_edges=desired.draining_edges)

    @post("/regions/{region:str}/drain", status_code=200, summary="Drain a region", responses=_errors(404))
    async def drain(region: Name, request: AnyRequest) -> DesiredView:
        """No new players; running matches are played to their end."""
        return view(region, await services.set_draining(region, None, True, address_of(request)))

    @post("/regions/{region:str}/resume", status_code=200, summary="Open a region again", responses=_errors(404))
    async def resume(region: Name, request: AnyRequest) -> DesiredView:
        """Processes that were drained one by one stay so."""
        return view(region, await services.set_draining(region, None, False, address_of(request)))

    @post("/regions/{region:str}/edges/{edge:str}/drain", status_code=200, summary="Drain a process", responses=_errors(404))
    async def drain_edge(region: Name, edge: Name, request: AnyRequest) -> DesiredView:
        """Before it is stopped or replaced."""
        return view(region, await services.set_draining(region, edge, True, address_of(request)))

    @post("/regions/{region:str}/edges/{edge:str}/resume", status_code=200, summary="Open a process again", responses=_errors(404))
    async def resume_edge(region: Name, edge: Name, request: AnyRequest) -> DesiredView:
        """Undo the drain of one process."""
        return view(region, await services.set_draining(region, edge, False, address_of(request)))

    return [drain, resume, drain_edge, resume_edge]


def status_view(services: Services) -> Status:
    """The whole picture as this coordinator has it. Players and matches are of processes that are there."""
    now_ms = services.now_ms()
    regions = sorted(services.registry.regions.values(), key=lambda region: region.region)
    there = [
        edge.report
        for region in regions
        for edge in region.edges.values()
        if edge.report is not None and services.registry.doubt(edge, now_ms) != "offline"
    ]
    return Status(
        regions=[_region_status(services, region, now_ms) for region in regions],
        players=sum(report.players for report in there),
        matches=sum(report.matches for report in there),
        results_applied=services.results.applied_count,
        verdicts=services.verdicts.heard_count,
        coordinator=CoordinatorStatus(
            name=services.name,
            version=services.version,
            started_ms=services.started_ms,
            now_ms=now_ms,
            bus_online=services.bus.online,
            store_ms=services.store_ms,
            placements=int(services.metrics.value("coordinator_placements_total")),
            accounts=int(services.metrics.value("coordinator_accounts_total")),
            dropped=dict(services.registry.dropped),
        ),
    )


def _region_status(services: Services, region: Region, now_ms: int) -> RegionStatus:
    return RegionStatus(
        region=region.region,
        title=region.title,
        latitude=region.latitude,
        longitude=region.longitude,
        draining=region.desired.draining,
        revision=region.desired.revision,
        edges=[_edge_status(services, region, edge, now_ms) for _, edge in sorted(region.edges.items())],
    )


def _edge_status(services: Services, region: Region, edge: Edge, now_ms: int) -> EdgeStatus:
    presence = edge.presence
    doubt = services.registry.doubt(edge, now_ms)
    return EdgeStatus(
        edge=edge.edge,
        online=doubt != "offline",
        doubt=doubt,
        draining=region.desired.draining
        or edge.edge in region.desired.draining_edges
        or (edge.report is not None and edge.report.draining),
        url=edge.url,
        admin_url=presence.admin_url if presence is not None else "",
        version=presence.version if presence is not None else "",
        started_ms=presence.started_ms if presence is not None else 0,
        age_ms=None if edge.heard_ms is None else max(0, now_ms - edge.heard_ms),
        report=edge.report,
    )
