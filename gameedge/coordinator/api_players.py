"""The admin API's part about players: find, look, kick, ban, export, erase."""

from typing import Annotated, Any

import msgspec
from litestar import get, post
from litestar.params import Body, Parameter

from gameedge.coordinator.api_public import AnyRequest, PlayerPath, address_of, operator_errors, rating_view
from gameedge.coordinator.everywhere import Heard
from gameedge.coordinator.roles import Role, needs, who
from gameedge.coordinator.schemas.people import AccountView, BanRequest, EraseRequest, Found, FoundPlayers, PlayerLive, Receipt, SessionLive
from gameedge.coordinator.schemas.players import PlacementExplained
from gameedge.coordinator.schemas.world import SilentView, VerdictView
from gameedge.coordinator.services import Services
from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError
from gameedge.state.base_global import Account, Rating
from gameedge.state.questions import PlayerHere

Text = Annotated[str, Parameter(min_length=1, max_length=64, description="the beginning of a name or of an id")]
Limit = Annotated[int, Parameter(ge=1, le=limits.ACCOUNTS_FOUND_MAX)]


def player_routes(services: Services) -> list[Any]:
    """Handlers below /v1/admin."""
    return [*_reading(services), *_acting(services), *_records(services)]


def _account(services: Services, account: Account, ratings: dict[str, Rating], told: list[str], waiting: list[str]) -> AccountView:
    return AccountView(
        player=account.player,
        name=account.name,
        created_ms=account.created_ms,
        banned=account.banned,
        trust=account.trust,
        ratings={mode: rating_view(rating) for mode, rating in ratings.items()},
        verdicts=[VerdictView(region=r, verdict=v) for r, v in services.verdicts.newest(100, account.player)],
        told=told,
        waiting=waiting,
    )


def live_view(player: str, heard: Heard[list[PlayerHere]]) -> PlayerLive:
    """A session that went on in another process is known to both for a while: where its connection is counts."""
    found: dict[str, SessionLive] = {}
    for region, edge, sessions in heard.answers:
        for one in sessions:
            known = found.get(one.session)
            if known is None or (one.connected and not known.session.connected):
                found[one.session] = SessionLive(region=region, edge=edge, session=one)
    return PlayerLive(
        player=player,
        sessions=list(found.values()),
        asked=len(heard.answers),
        silent=[SilentView(region=one.region, edge=one.edge, why=one.why) for one in heard.silent],
    )


def _reading(services: Services) -> list[Any]:
    @get("/players", summary="Find accounts", responses=operator_errors(), opt=needs(Role.VIEWER))
    async def find(text: Text, limit: Limit = 20) -> FoundPlayers:
        """By the beginning of the name, in whatever case, or of the id; by name."""
        found = await services.store.accounts_find(text, limit)
        return FoundPlayers(players=[Found(player=a.player, name=a.name, created_ms=a.created_ms, banned=a.banned) for a in found])

    @get("/players/{player:str}", summary="One account", responses=operator_errors(404), opt=needs(Role.VIEWER))
    async def show(player: PlayerPath) -> AccountView:
        """With the flags that this coordinator heard of."""
        account = await services.account(player)
        return _account(services, account, await services.store.ratings(account.player), [], [])

    @get("/players/{player:str}/live", summary="Where a player is", responses=operator_errors(), opt=needs(Role.VIEWER))
    async def live(player: PlayerPath) -> PlayerLive:
        """Its sessions, by asking every process."""
        return live_view(player, await services.people.here(player, who()))

    @get("/players/{player:str}/placement", summary="Why a player was placed there", responses=operator_errors(404), opt=needs(Role.VIEWER))
    async def placement(player: PlayerPath) -> PlacementExplained:
        """Each region's terms at the player's last placement."""
        return await services.explained(player)

    return [find, show, live, placement]


def _acting(services: Services) -> list[Any]:
    def reason_of(data: BanRequest | None) -> str:
        return data.reason if data is not None else ""

    @post("/players/{player:str}/kick", status_code=200, summary="Kick", responses=operator_errors(404), opt=needs(Role.OPERATOR))
    async def kick(player: PlayerPath, request: AnyRequest, data: Annotated[BanRequest | None, Body()] = None) -> PlayerLive:
        """Ends the player's sessions in whatever region, and its seat. A new placement brings it back. 404: it is nowhere, and every
        process answered."""
        await services.audit("kick", address_of(request), player=player, reason=reason_of(data))
        heard = await services.people.kick(player, who(), detail=reason_of(data))
        found = live_view(player, heard)
        if not found.sessions and not found.silent:
            raise RefusedError(Reason.NOT_FOUND, "this player has no session in any region")
        return found

    @post("/players/{player:str}/ban", status_code=200, summary="Ban", responses=operator_errors(404), opt=needs(Role.OPERATOR))
    async def ban(player: PlayerPath, request: AnyRequest, data: Annotated[BanRequest | None, Body()] = None) -> AccountView:
        """No placement any more, and every region turns the player away from now on, whatever token it holds."""
        account, ratings, regions = await services.set_banned(player, True, reason_of(data), address_of(request))
        return _account(services, account, ratings, *regions)

    @post("/players/{player:str}/unban", status_code=200, summary="Unban", responses=operator_errors(404), opt=needs(Role.OPERATOR))
    async def unban(player: PlayerPath, request: AnyRequest, data: Annotated[BanRequest | None, Body()] = None) -> AccountView:
        """Placements again, and regions let the player in."""
        account, ratings, regions = await services.set_banned(player, False, reason_of(data), address_of(request))
        return _account(services, account, ratings, *regions)

    return [kick, ban, unban]


def _records(services: Services) -> list[Any]:
    @post("/players/{player:str}/export", status_code=200, summary="Export", responses=operator_errors(404), opt=needs(Role.OWNER))
    async def export(player: PlayerPath, request: AnyRequest) -> dict[str, Any]:
        """Everything that is held about a player: account, ratings, last placement, sessions, tickets, matches, evidence with its clips
        (msgpack, base64), entries of the audit log. Regions that did not answer are named in `silent`."""
        await services.audit("export", address_of(request), player=player)
        return await services.people.export(player, who())

    @post("/players/{player:str}/erase", status_code=200, summary="Erase", responses=operator_errors(404), opt=needs(Role.OWNER))
    async def erase(player: PlayerPath, request: AnyRequest, data: Annotated[EraseRequest, Body()]) -> Receipt:
        """Removes account, ratings, sessions and evidence in every region; answers with a receipt. Cannot be undone."""
        if data.confirm != player:
            raise RefusedError(Reason.MALFORMED, "`confirm` must repeat the player's id: this cannot be undone")
        await services.audit("erase", address_of(request), player=player, reason=data.reason)
        receipt = msgspec.convert(await services.people.erase(player, who()), Receipt)
        counts = {"global_records": receipt.global_records, "regions": receipt.regions, "complete": receipt.complete}
        await services.audit("erased", address_of(request), player=player, **counts)
        return receipt

    return [export, erase]
