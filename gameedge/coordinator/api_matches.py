"""The admin API's part about matches and queues of all regions: list, look, end; who waits, and why."""

from typing import Annotated, Any, Final

import msgspec
from litestar import get, post
from litestar.params import Body, Parameter

from gameedge.coordinator.api_evidence import match_view
from gameedge.coordinator.api_public import AnyRequest, address_of, operator_errors
from gameedge.coordinator.everywhere import Heard, ask_regions
from gameedge.coordinator.roles import Role, needs, who
from gameedge.coordinator.schemas.matches import (
    AllMatches,
    MatchInRegion,
    MatchShown,
    MatchStopped,
    QueueExplained,
    QueueInRegion,
    Queues,
    QueueShadows,
    ShadowInRegion,
)
from gameedge.coordinator.schemas.people import BanRequest
from gameedge.coordinator.schemas.world import SilentView
from gameedge.coordinator.services import Services
from gameedge.core.errors import Reason, RefusedError, UnavailableError
from gameedge.state.base import MatchRecord
from gameedge.state.questions import MatchLive, QueueSeen

RegionOrAll = Annotated[str, Parameter(max_length=32, description="empty: all regions")]
MatchPath = Annotated[str, Parameter(min_length=1, max_length=64, description="a match id")]
Limit = Annotated[int, Parameter(ge=1, le=500)]
Word = Annotated[str, Parameter(max_length=64)]
Waiting = Annotated[str, Parameter(min_length=1, max_length=64, description="a ticket or a player")]
RULE: Final = "ends as it stands, rated for nobody; its players are told and may queue again"


def silent_view(heard: Heard[Any]) -> list[SilentView]:
    return [SilentView(region=one.region, edge=one.edge, why=one.why) for one in heard.silent]


def _regions(services: Services, region: str) -> list[str]:
    """Whom to ask: none means all. Raises RefusedError(NOT_FOUND) for a region that nobody knows."""
    if region and region not in services.registry.regions:
        raise RefusedError(Reason.NOT_FOUND, f"no such region: {region}; GET /v1/admin/status lists them")
    return [region] if region else []


def match_routes(services: Services) -> list[Any]:
    """Handlers below /v1/admin."""

    async def find(match: str, region: str) -> tuple[str, MatchRecord]:
        """The region of an open match. Raises RefusedError(NOT_FOUND), UnavailableError where a region could not be asked."""
        heard = await ask_regions(services, "matches", {"match": match, "limit": "1"}, list[MatchRecord], who(), _regions(services, region))
        for name, _, found in heard.answers:
            if found:
                return name, found[0]
        if heard.silent:
            names = ", ".join(sorted({silent.region for silent in heard.silent}))
            raise UnavailableError(f"not among the matches of the regions that answered; no answer from {names}: {heard.silent[0].why}")
        raise RefusedError(Reason.NOT_FOUND, "no such open match; it may have ended")

    @get("/matches", summary="Open matches of all regions", responses=operator_errors(404), opt=needs(Role.VIEWER))
    async def matches(region: RegionOrAll = "", limit: Limit = 100) -> AllMatches:
        """Newest first. Regions that did not answer are named."""
        args = {"limit": str(limit)}
        heard = await ask_regions(services, "matches", args, list[MatchRecord], who(), _regions(services, region))
        found = [MatchInRegion(region=name, match=match_view(record)) for name, _, records in heard.answers for record in records]
        found.sort(key=lambda one: -one.match.created_ms)
        return AllMatches(matches=found[:limit], silent=silent_view(heard))

    @get("/matches/{match:str}", summary="One open match", responses=operator_errors(404), opt=needs(Role.VIEWER))
    async def show(match: MatchPath, region: RegionOrAll = "") -> MatchShown:
        """With its live score, from the process that hosts it; `live` null: that process does not answer, and `why` says so."""
        name, record = await find(match, region)
        live, why = None, ""
        try:
            live = await services.asking.ask(name, "match_live", {"match": match}, MatchLive, who=who(), edge=record.host)
        except RefusedError as error:
            why = error.detail
        return MatchShown(region=name, match=match_view(record), live=live, why=why)

    @post("/matches/{match:str}/end", status_code=200, summary="End a match", responses=operator_errors(404), opt=needs(Role.OPERATOR))
    async def end(
        match: MatchPath, request: AnyRequest, region: RegionOrAll = "", data: Annotated[BanRequest | None, Body()] = None
    ) -> MatchStopped:
        """It ends as it stands, rated for nobody; its players are told (`match_ended`, reason `stopped`) and may queue again."""
        name, record = await find(match, region)
        reason = data.reason if data is not None else ""
        await services.audit("match_end", address_of(request), region=name, match=match, reason=reason)
        live = await services.asking.ask(name, "match_end", {"match": match}, MatchLive, who=who(), edge=record.host)
        return MatchStopped(region=name, rule=RULE, live=live)

    return [matches, show, end]


def queue_routes(services: Services) -> list[Any]:
    """Handlers below /v1/admin."""

    @get("/queues", summary="Queues of all regions", responses=operator_errors(404), opt=needs(Role.VIEWER))
    async def queues(region: RegionOrAll = "", mode: Word = "") -> Queues:
        """Who waits, and which process matches."""
        heard = await ask_regions(services, "queue_show", {"mode": mode}, list[QueueSeen], who(), _regions(services, region))
        found = [QueueInRegion(region=name, queue=queue) for name, _, seen in heard.answers for queue in seen]
        return Queues(queues=found, silent=silent_view(heard))

    @get("/queues/explain", summary="Why somebody waits", responses=operator_errors(404), opt=needs(Role.VIEWER))
    async def explain(ticket: Waiting, region: RegionOrAll = "", mode: Word = "") -> QueueExplained:
        """Which rule excludes how many of its queue, and what widens when, by the process that matches."""
        args = {"who": ticket, "mode": mode}
        heard = await ask_regions(services, "queue_explain", args, dict[str, Any], who(), _regions(services, region))
        if heard.answers:
            name, _, found = heard.answers[0]
            return QueueExplained(region=name, explained=msgspec.to_builtins(found))
        waits = [silent for silent in heard.silent if "does not wait in any queue" not in silent.why]
        if waits:
            raise UnavailableError(f"{waits[0].region}: {waits[0].why}")
        raise RefusedError(Reason.NOT_FOUND, f"{ticket!r} does not wait in any queue; it may be matched already")

    @get("/queues/shadows", summary="Rules in shadow", responses=operator_errors(404), opt=needs(Role.VIEWER))
    async def shadows(region: RegionOrAll = "") -> QueueShadows:
        """What rules that run in shadow would have done, beside what the live ones did, by region and mode."""
        heard = await ask_regions(services, "queue_shadow", {}, list[dict[str, Any]], who(), _regions(services, region))
        found = [ShadowInRegion(region=name, compared=one) for name, _, seen in heard.answers for one in seen]
        return QueueShadows(shadows=found, silent=silent_view(heard))

    return [queues, explain, shadows]
