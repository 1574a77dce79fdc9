"""What operators do to players wherever they are: kick, ban and its end, erase, export.

Problem. A session token is good for an hour and is checked by regions alone, so a ban that waits for the next placement is none; and a
player's records lie in every region where it ever played, some of which may be away just now.

Method. A ban or an erasure puts the player on the list of those that every region turns away until their tokens have ended (the
desired state's `blocked`), which is retained: a region that is away learns of it when it comes back. An erasure is written down first
as one pair a region, is done region by region, and what was not reached is tried again every ERASE_AGAIN_S by whichever coordinator
runs, until it is.

What stays of an erased player: its id in the audit log (who erased whom is itself a record) and, for a week, in the list that keeps late
results from giving it a rating. Other coordinators' memory of its newest flags (no telemetry) goes with their restart or with time.
"""

import asyncio
import base64
import contextlib
import json
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gameedge.coordinator.desired import with_blocked
from gameedge.coordinator.everywhere import Heard, Silent, ask_processes, ask_regions, processes
from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError, UnavailableError
from gameedge.core.ids import PlayerId, RegionId
from gameedge.state.base import Evidence
from gameedge.state.base_global import Account
from gameedge.state.questions import PlayerHere, PlayerRecords
from gameedge.telemetry import logs

if TYPE_CHECKING:
    from gameedge.coordinator.services import Services

ERASE_AGAIN_S: Final = 30.0
CLOCKS_APART_MS: Final = 60_000  # `doctor` calls half of that a fault
AUDIT_LOOK: Final = limits.AUDIT_ENTRIES_MAX
log = logs.get(__name__)


class People:
    """Owned by `Services`."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    # -- who is where

    async def here(self, player: str, who: str) -> Heard[list[PlayerHere]]:
        """Live sessions of a player in all processes."""
        return await self._everybody("player_here", {"player": player}, who)

    async def kick(self, player: str, who: str, *, detail: str = "", forget: bool = False) -> Heard[list[PlayerHere]]:
        """End them."""
        args = {"player": player, "detail": detail[:100]} | ({"forget": "1"} if forget else {})
        return await self._everybody("player_kick", args, who)

    async def _everybody(self, ask: str, args: dict[str, str], who: str) -> Heard[list[PlayerHere]]:
        return await ask_processes(self._services, processes(self._services), ask, args, list[PlayerHere], who)

    # -- turned away

    async def block(self, player: str, until_ms: int | None) -> tuple[list[str], list[str]]:
        """Have all regions turn a player away until then (None: let it in again); who was told, and who will be once the broker
        is there."""
        services = self._services
        told: list[str] = []
        later: list[str] = []
        for name, region in sorted(services.registry.regions.items()):
            if until_ms is None and player not in region.desired.blocked:
                continue
            desired = with_blocked(region.desired, services.now_ms(), player, until_ms)
            (told if await services.steer_now_or_later(name, desired) else later).append(str(name))
        return told, later

    def token_end_ms(self) -> int:
        """When the last token that was given out by now has ended, also where another coordinator's clock is ahead of ours."""
        return self._services.now_ms() + self._services.config.token_life_ms + CLOCKS_APART_MS

    # -- everything that is held

    async def export(self, player: str, who: str) -> dict[str, Any]:
        """Everything that is held about a player, as plain JSON. Regions that did not answer are named in `silent`.

        Raises RefusedError(NOT_FOUND) where nothing is known of it.
        """
        services, store = self._services, self._services.store
        account = await store.account_get(PlayerId(player))
        ratings = await store.ratings(PlayerId(player))
        records = await ask_regions(services, "player_records", {"player": player}, PlayerRecords, who)
        flags = await ask_regions(services, "evidence_list", {"player": player, "limit": "500"}, list[Evidence], who)
        wanted = [(region, edge, str(flag.flag)) for region, edge, found in flags.answers for flag in found]
        evidence, missing = await self._evidence(wanted, who)
        held = account is not None or ratings or evidence or any(_any_record(found) for _, _, found in records.answers)
        if not held and not records.silent and not flags.silent:
            raise RefusedError(Reason.NOT_FOUND, "nothing is held about this player")
        return {
            "player": player,
            "at_ms": services.now_ms(),
            "account": _account(account),
            "ratings": {mode: msgspec.to_builtins(rating) for mode, rating in ratings.items()},
            "placement": await self._placement(player),
            "regions": {region: msgspec.to_builtins(found) for region, _, found in records.answers},
            "evidence": evidence,
            "audit": await self._audited(player),
            "silent": [_silent(silent) for silent in {*records.silent, *flags.silent}] + missing,
        }

    async def _evidence(self, wanted: list[tuple[str, str, str]], who: str) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
        """Flags with their clips (msgpack, base64), eight at a time."""
        room, found, missing = asyncio.Semaphore(8), [], []

        async def one(region: str, edge: str, flag: str) -> None:
            async with room:
                try:
                    whole = await self._services.asking.ask(region, "evidence_get", {"flag": flag}, Evidence, who=who, edge=edge)
                except RefusedError as error:
                    missing.append({"region": region, "edge": edge, "why": f"{flag}: {error.detail}"})
                    return
                plain = {**msgspec.structs.asdict(whole), "region": region, "clip": base64.b64encode(whole.clip).decode()}
                found.append({**plain, "score": whole.score if abs(whole.score) < float("inf") else None})

        await asyncio.gather(*(one(*each) for each in wanted))
        return sorted(found, key=lambda flag: (flag["at_ms"], flag["flag"])), missing

    async def _placement(self, player: str) -> Any:
        with contextlib.suppress(RefusedError):
            return msgspec.to_builtins(await self._services.explained(player))
        return None

    async def _audited(self, player: str) -> list[Any]:
        """Entries of the audit log that are about the player."""
        found = []
        for line in await self._services.store.audit_list(AUDIT_LOOK):
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if isinstance(entry, dict) and entry.get("player") == player:
                    found.append(entry)
        return found

    # -- the end

    async def erase(self, player: str, who: str) -> dict[str, Any]:
        """Remove a player from the global store and every region: the receipt. Raises RefusedError(NOT_FOUND), UnavailableError.

        Harmless when repeated: what was gone counts as 0.
        """
        services, store, name = self._services, self._services.store, PlayerId(player)
        known = await store.account_get(name) is not None or bool(await store.erased([name])) or name in await store.erasing()
        if not known and not await store.ratings(name):
            raise RefusedError(Reason.NOT_FOUND, "no such player")
        await store.erasing_put(name, sorted(services.registry.regions))
        count = await store.account_erase(name)
        services.verdicts.forget(player)
        services.events.forget(player)
        kicked = await self.kick(player, who, detail="this account is gone", forget=True)
        await self.block(player, self.token_end_ms())
        sessions = len({one.session for _, _, found in kicked.answers for one in found})
        done, waiting = await self._erase_in_regions(name, sorted(services.registry.regions), who)
        return {
            "player": player,
            "at_ms": services.now_ms(),
            "by": who,
            "global_records": count,
            "sessions_ended": sessions,
            "regions": done,
            "waiting": [_silent(silent) for silent in waiting],
            "complete": not waiting,
        }

    async def _erase_in_regions(self, player: PlayerId, regions: list[RegionId], who: str) -> tuple[dict[str, int], list[Silent]]:
        heard = await ask_regions(self._services, "player_erase", {"player": player}, int, who, regions) if regions else Heard[int]()
        for region, _, _ in heard.answers:
            await self._services.store.erasing_done(player, RegionId(region))
        return {region: count for region, _, count in heard.answers}, heard.silent

    async def run(self) -> None:
        """Erasures go on where they could not reach a region."""
        while True:
            await asyncio.sleep(ERASE_AGAIN_S)
            try:
                for player, regions in (await self._services.store.erasing()).items():
                    await self._services.store.account_erase(player)  # who began may have died before it
                    known = [region for region in regions if region in self._services.registry.regions]
                    if any(player not in self._services.registry.regions[region].desired.blocked for region in known):
                        await self.block(player, self.token_end_ms())
                    done, _ = await self._erase_in_regions(player, known, "coordinator")
                    if done:
                        log.info("erased_later", player=player, count=sum(done.values()), detail=" ".join(done))
            except UnavailableError as error:
                log.warning("erasing_waits", error=str(error))
            except Exception as error:  # a fault of ours must not end it for good
                self._services.metrics.counter("coordinator_errors_total", where="erasing").add()
                log.fault("erasing_failed", error)


def _account(account: Account | None) -> dict[str, Any] | None:
    """Without the hash of its secret, which is of no use to anybody but a thief."""
    if account is None:
        return None
    return {name: value for name, value in msgspec.structs.asdict(account).items() if name != "secret_hash"}


def _any_record(found: PlayerRecords) -> bool:
    return bool(found.sessions or found.tickets or found.matches)


def _silent(silent: Silent) -> dict[str, str]:
    return {"region": silent.region, "edge": silent.edge, "why": silent.why}
