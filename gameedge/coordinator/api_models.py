"""The admin API's part about models: what regions should run, tried on some matches first, and what they say they run."""

from typing import Annotated, Any

from litestar import get, post
from litestar.params import Body, Parameter

from gameedge.bus.payloads import ModelWish
from gameedge.coordinator.api_public import AnyRequest, address_of, operator_errors
from gameedge.coordinator.roles import Role, needs
from gameedge.coordinator.schemas.models import ModelInRegion, ModelOnEdge, ModelRequest, ModelsView
from gameedge.coordinator.services import Services
from gameedge.core.errors import Reason, RefusedError

ModelName = Annotated[str, Parameter(max_length=64, description="for example npc")]


def models_view(services: Services, model: str | None = None) -> ModelsView:
    """Of all regions, or of one model."""
    regions = sorted(services.registry.regions.values(), key=lambda region: region.region)
    now_ms = services.now_ms()
    return ModelsView(
        wishes=[
            ModelInRegion(region=region.region, model=name, wish=wish)
            for region in regions
            for name, wish in sorted(region.desired.models.items())
            if model in (None, name)
        ],
        edges=[
            ModelOnEdge(region=region.region, edge=edge.edge, report=report)
            for region in regions
            for _, edge in sorted(region.edges.items())
            if edge.report is not None and services.registry.doubt(edge, now_ms) != "offline"
            for report in edge.report.models
            if model in (None, report.model)
        ],
    )


def model_routes(services: Services) -> list[Any]:
    """Handlers below /v1/admin."""

    @get("/models", summary="Models: wishes and reports", responses=operator_errors(), opt=needs(Role.VIEWER))
    async def models() -> ModelsView:
        """What each process says it runs; `state` refused or rolled_back says why."""
        return models_view(services)

    @post(
        "/models/{model:str}/deploy", status_code=200, summary="Run an artifact", responses=operator_errors(404), opt=needs(Role.OPERATOR)
    )
    async def deploy(model: ModelName, request: AnyRequest, data: Annotated[ModelRequest, Body()]) -> ModelsView:
        """For everybody, from the next tick on. A process where it fails goes back by itself and says so."""
        if not data.artifact:
            raise RefusedError(Reason.MALFORMED, "name an artifact; to go back to what the regions are configured with, use rollback")
        await services.set_model(data.regions, model, lambda _: ModelWish(stable=data.artifact), address_of(request))
        return models_view(services, model)

    @post(
        "/models/{model:str}/canary", status_code=200, summary="Try an artifact", responses=operator_errors(404), opt=needs(Role.OPERATOR)
    )
    async def canary(model: ModelName, request: AnyRequest, data: Annotated[ModelRequest, Body()]) -> ModelsView:
        """On a share of the matches, or beside the stable one without acting (`shadow`). Share 0 or no artifact ends the trial."""

        def change(wish: ModelWish) -> ModelWish:
            if not data.artifact or data.share == 0.0:
                return ModelWish(stable=wish.stable)
            if data.shadow:
                return ModelWish(stable=wish.stable, shadow=data.artifact, shadow_share=data.share)
            return ModelWish(stable=wish.stable, canary=data.artifact, canary_share=data.share)

        await services.set_model(data.regions, model, change, address_of(request))
        return models_view(services, model)

    @post(
        "/models/{model:str}/rollback",
        status_code=200,
        summary="Back to what is configured",
        responses=operator_errors(404),
        opt=needs(Role.OPERATOR),
    )
    async def rollback(model: ModelName, request: AnyRequest, data: Annotated[ModelRequest | None, Body()] = None) -> ModelsView:
        """Ends trials; then `artifact`, or without one what the processes' own configuration names, answers for everybody."""
        wish = ModelWish(stable=data.artifact if data is not None else "")
        await services.set_model(data.regions if data is not None else [], model, lambda _: wish, address_of(request))
        return models_view(services, model)

    return [models, deploy, canary, rollback]
