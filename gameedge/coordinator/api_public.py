"""The public API: what game clients and load balancers call."""

from typing import Annotated, Any, Final

from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import ResponseSpec
from litestar.params import Body, Parameter

from gameedge.coordinator.placing import why_view
from gameedge.coordinator.registry import BEACONS_MAX
from gameedge.coordinator.schemas.base import ErrorBody
from gameedge.coordinator.schemas.players import (
    Guest,
    GuestRequest,
    Health,
    KeySet,
    PlacementAnswer,
    PlacementRequest,
    PlayerView,
    RatingView,
    RegionInfo,
    Regions,
    RunningMatch,
    RunningMatches,
)
from gameedge.coordinator.services import Services
from gameedge.core import limits
from gameedge.core.errors import RefusedError
from gameedge.core.ids import RegionId
from gameedge.core.routing.placement import Seen
from gameedge.state.base_global import Rating
from gameedge.telemetry.metrics import CONTENT_TYPE

PlayerPath = Annotated[str, Parameter(min_length=1, max_length=64, description="a player id")]
AnyRequest = Request[Any, Any, Any]


def _errors(*statuses: int) -> dict[int, ResponseSpec]:
    """For the OpenAPI document."""
    return {status: ResponseSpec(ErrorBody, description="refused", generate_examples=False) for status in statuses}


ERRORS: Final = _errors


def address_of(request: AnyRequest) -> str:
    return request.client.host if request.client is not None else "?"


def rating_view(rating: Rating) -> RatingView:
    return RatingView(rating=rating.mu - 3 * rating.sigma, mu=rating.mu, sigma=rating.sigma, games=rating.games)


def routes(services: Services) -> list[HTTPRouteHandler]:
    """All public routes, and what orchestrators ask for."""

    @post("/v1/guests", summary="Sign up", tags=["players"], responses=_errors(400, 413, 429, 503))
    async def guests(data: Annotated[GuestRequest, Body()], request: AnyRequest) -> Guest:
        """A new account. The secret is told once."""
        account, secret = await services.sign_up(data.name, address_of(request), data.residency)
        return Guest(player=account.player, secret=secret)

    @get("/v1/regions", summary="Regions to measure", tags=["players"])
    async def regions() -> Regions:
        """Regions that take players, with addresses for WebSocket pings (three samples each are enough)."""
        return Regions(
            regions=[
                RegionInfo(
                    region=region.region,
                    title=region.title,
                    latitude=region.latitude,
                    longitude=region.longitude,
                    beacons=[edge.url for edge in edges[:BEACONS_MAX]],
                )
                for region, edges in services.registry.online(services.now_ms())
            ]
        )

    @get("/v1/matches", summary="Matches to watch", tags=["players"])
    async def matches() -> RunningMatches:
        """Some of those that run now, the fullest first, as processes reported them within the last second."""
        found = [
            RunningMatch(
                match=match.match,
                mode=match.mode,
                region=region.region,
                url=edge.url,
                remaining_ms=match.remaining_ms,
                people=match.people,
                seats=match.seats,
                spectators=match.spectators,
                scores=match.scores,
            )
            for region, edges in services.registry.online(services.now_ms())
            for edge in edges
            if edge.report is not None
            for match in edge.report.watchable
        ]
        found.sort(key=lambda match: (-match.people, -match.remaining_ms))
        return RunningMatches(matches=found[: limits.MATCHES_LISTED_MAX])

    @post(
        "/v1/placements",
        status_code=200,
        summary="Where to play",
        tags=["players"],
        responses=_errors(400, 401, 403, 413, 429, 503),
    )
    async def placements(data: Annotated[PlacementRequest, Body()], request: AnyRequest) -> PlacementAnswer:
        """The region that will feel fastest, its addresses (try them in order) and a token for it."""
        seen = Seen(
            rtt_ms={RegionId(region): samples for region, samples in data.rtt_ms.items()},
            latitude=data.latitude,
            longitude=data.longitude,
            current=RegionId(data.current) if data.current is not None else None,
        )
        party = [
            Seen({RegionId(region): samples for region, samples in member.rtt_ms.items()}, member.latitude, member.longitude)
            for member in data.party
        ]
        traceparent = request.headers.get("traceparent", "")
        found, token, expires_ms = await services.place(data.player, data.secret, data.mode, seen, address_of(request), party, traceparent)
        return PlacementAnswer(
            region=found.region,
            edges=[edge.url for edge in found.edges],
            token=token,
            expires_ms=expires_ms,
            stayed=found.stayed,
            why={region: why_view(score) for region, score in found.why.items()},
        )

    @get("/v1/players/{player:str}", summary="Public profile", tags=["players"], responses=_errors(400, 404, 503))
    async def player_profile(player: PlayerPath) -> PlayerView:
        """Name and ratings by mode."""
        account = await services.account(player)
        ratings = await services.store.ratings(account.player)
        return PlayerView(player=account.player, name=account.name, ratings={mode: rating_view(r) for mode, r in ratings.items()})

    @get("/.well-known/jwks.json", summary="Public keys of session tokens", tags=["operation"])
    async def jwks() -> KeySet:
        """RFC 7517; Ed25519."""
        return KeySet(keys=[services.signer.jwk()])

    return [guests, regions, matches, placements, player_profile, jwks, *_operation(services)]


def _operation(services: Services) -> list[HTTPRouteHandler]:
    @get("/healthz", summary="Alive", tags=["operation"])
    async def healthz() -> Health:
        """The process answers. It asks nobody: a broken store must not restart coordinators."""
        return Health(ok=True)

    @get("/readyz", summary="Able to work", tags=["operation"], responses={503: ResponseSpec(Health, generate_examples=False)})
    async def readyz() -> Response[Health]:
        """The store answers and the broker is connected."""
        try:
            await services.store.ping()
            store = "ok"
        except RefusedError as error:
            store = error.detail or str(error)
        bus = "ok" if services.bus.online else "no broker"
        ok = store == bus == "ok"
        return Response(Health(ok=ok, store=store, bus=bus), status_code=200 if ok else 503)

    @get("/metrics", summary="Prometheus metrics", tags=["operation"], media_type="text/plain")
    async def metrics() -> Response[bytes]:
        """docs/metrics.md lists them."""
        return Response(services.metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    return [healthz, readyz, metrics]


def operator_errors(*more: int) -> dict[int, ResponseSpec]:
    return ERRORS(400, 401, 403, 429, 503, *more)
