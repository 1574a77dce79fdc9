"""What regions should run as models, and what they run."""

from typing import Annotated

from msgspec import Meta

from gameedge.bus.payloads import ModelReport, ModelWish
from gameedge.coordinator.schemas.base import Answer, RegionName, Request
from gameedge.core import limits

ArtifactName = Annotated[str, Meta(pattern=r"^([a-z0-9][a-z0-9_-]{0,47})?$", description="an artifact that lies in the regions' folders")]


class ModelRequest(Request, frozen=True, kw_only=True):
    """`regions` empty: all. `share` 0 to 1: of the matches for a canary, of the calls for a shadow."""

    artifact: ArtifactName = ""
    share: Annotated[float, Meta(ge=0, le=1)] = 0.05
    shadow: bool = False
    regions: Annotated[list[RegionName], Meta(max_length=limits.REGIONS_MAX)] = []


class ModelOnEdge(Answer, frozen=True, kw_only=True):
    region: str
    edge: str
    report: ModelReport


class ModelInRegion(Answer, frozen=True, kw_only=True):
    region: str
    model: str
    wish: ModelWish


class ModelsView(Answer, frozen=True, kw_only=True):
    """What was asked for, and what the processes that are there say they run."""

    wishes: list[ModelInRegion]
    edges: list[ModelOnEdge]
