"""What the coordinator does, without HTTP: accounts, placements, steering of regions. One object a process."""

import asyncio
import contextlib
import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gameedge import __version__
from gameedge.bus import topics
from gameedge.bus.base import Bus, BusMessage
from gameedge.bus.payloads import Codec, Desired, ModelWish, Told, Verdict, encode
from gameedge.config import CoordinatorConfig
from gameedge.coordinator.asking import Asking
from gameedge.coordinator.desired import drained, with_model, with_settings
from gameedge.coordinator.events import TELL_S, Events
from gameedge.coordinator.exchange import Exchange
from gameedge.coordinator.flows import Flows
from gameedge.coordinator.names import player_name
from gameedge.coordinator.people import People
from gameedge.coordinator.placing import Placing, explain, moves_of, spot_of
from gameedge.coordinator.policy import LivePolicy, effective
from gameedge.coordinator.registry import Registry
from gameedge.coordinator.results import Results
from gameedge.coordinator.roles import acting
from gameedge.coordinator.scale import Scale
from gameedge.coordinator.schemas.players import PlacementExplained
from gameedge.coordinator.throttle import Throttle
from gameedge.coordinator.tokens import Signer
from gameedge.coordinator.verdicts import Verdicts
from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError, UnavailableError
from gameedge.core.ids import PlayerId, RegionId
from gameedge.core.ids import encode as encode_id
from gameedge.core.routing.netmap import Shift
from gameedge.core.routing.placement import Placement, Seen
from gameedge.core.routing.scaling import ScaleSettings
from gameedge.state.base import Result
from gameedge.state.base_global import Account, GlobalStore, Rating
from gameedge.telemetry import logs
from gameedge.telemetry.metrics import Registry as Metrics
from gameedge.telemetry.traces import OFF, Traces

if TYPE_CHECKING:
    from gameedge.coordinator.live import Live


TOLD: Final = ("placement", "match", "operator", "config")  # kinds of events that coordinators tell each other
_told = Codec(Told)
log = logs.get(__name__)


def secret_hash(secret: str) -> str:
    """Hex sha-256. A secret is 256 random bits, so a slow hash would add nothing."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass
class Services:
    """`draw` gives uniform numbers in [0, 1); `now_ms` is Unix milliseconds; `token_bytes` draws secrets."""

    config: CoordinatorConfig
    store: GlobalStore
    bus: Bus
    signer: Signer
    metrics: Metrics
    registry: Registry
    results: Results
    verdicts: Verdicts
    now_ms: Callable[[], int]
    draw: Callable[[], float]
    name: str
    started_ms: int = 0
    version: str = __version__
    store_ms: float | None = None  # last round trip; None: it does not answer
    measured: set[RegionId] = field(default_factory=set)  # regions that gauges speak of
    placing: Placing = field(init=False)
    scale: Scale = field(init=False)
    asking: Asking = field(init=False)
    exchange: Exchange = field(init=False)
    people: People = field(init=False)
    policy: LivePolicy = field(init=False)
    events: Events = field(init=False)
    config_file: CoordinatorConfig = field(init=False)  # `config` is that with the live policy over it
    flows: Flows = field(init=False)
    traces: Traces = OFF
    live: "Live | None" = None  # made by the composition root: it needs all of this
    guests_throttle: Throttle = field(init=False)
    placements_throttle: Throttle = field(init=False)
    operator_throttle: Throttle = field(init=False)

    def __post_init__(self) -> None:
        self.config_file = self.config
        self.policy = LivePolicy(self.config, self.store)
        self.events = Events(self.now_ms)
        self.placing = Placing(self.config, self.registry)
        self.scale = Scale(self.registry, ScaleSettings(hold_s=self.config.scale_hold_s, cool_s=self.config.scale_cool_s))
        self.asking = Asking(self.name, self.bus, self.registry, self.signer, self.metrics, self.now_ms)
        self.exchange = Exchange(self)
        self.people = People(self)
        self.flows = Flows()
        self.guests_throttle = Throttle(self.config.guests_per_minute)
        self.placements_throttle = Throttle(self.config.placements_per_minute)
        self.operator_throttle = Throttle(self.config.operator_failures_per_minute)

    # -- accounts

    async def sign_up(self, name: str, address: str, residency: str = "") -> tuple[Account, str]:
        """A new account and its secret, which is not kept. Raises RefusedError(MALFORMED, TOO_OFTEN), UnavailableError."""
        clean = player_name(name)
        if residency and residency not in self.config.residency:
            known = ", ".join(self.config.residency) or "none is configured"
            raise RefusedError(Reason.MALFORMED, f"no such residency label; {known}")
        now_ms = self.now_ms()
        self.guests_throttle.take(address, now_ms)
        secret = secrets.token_urlsafe(32)
        player = PlayerId(encode_id("p", secrets.token_bytes(16)))
        account = Account(player=player, secret_hash=secret_hash(secret), name=clean, created_ms=now_ms, residency=residency)
        await self.store.account_add(account)
        self.metrics.counter("coordinator_accounts_total").add()
        return account, secret

    async def account(self, player: str) -> Account:
        """Raises RefusedError(NOT_FOUND)."""
        account = await self.store.account_get(PlayerId(player))
        if account is None:
            raise RefusedError(Reason.NOT_FOUND, "no such player")
        return account

    async def authenticate(self, player: str, secret: str) -> Account:
        """Raises RefusedError(TOKEN_INVALID) for an unknown player and a wrong secret alike, FORBIDDEN for a banned one."""
        account = await self.store.account_get(PlayerId(player))
        expected = account.secret_hash if account is not None else "0" * 64
        if not hmac.compare_digest(secret_hash(secret), expected) or account is None:
            raise RefusedError(Reason.TOKEN_INVALID, "unknown player or wrong secret; sign up with POST /v1/guests")
        if account.banned:
            raise RefusedError(Reason.FORBIDDEN, "this account is banned")
        return account

    # -- placements

    async def place(
        self,
        player: str,
        secret: str,
        mode: str | None,
        seen: Seen,
        address: str,
        party: Sequence[Seen] = (),
        traceparent: str = "",
    ) -> tuple[Placement, str, int]:
        """A region with its processes, a token for it, and when that expires (Unix ms). `traceparent`: of the caller's own trace, to
        which this one is linked.

        Raises RefusedError(TOO_OFTEN, TOKEN_INVALID, FORBIDDEN, SERVER_FULL), UnavailableError.
        """
        span = self.traces.begin("place", mode=mode or "", linked=traceparent)
        try:
            answer = await self._place(player, secret, mode, seen, address, party, span.traceparent)
        except BaseException as error:
            span.end(error.reason if isinstance(error, RefusedError) else type(error).__name__)
            raise
        span.end(player=player[:64], region=answer[0].region)
        return answer

    async def _place(
        self, player: str, secret: str, mode: str | None, seen: Seen, address: str, party: Sequence[Seen], trace: str
    ) -> tuple[Placement, str, int]:
        self.placements_throttle.take(address, self.now_ms())
        try:
            account = await self.authenticate(player, secret)
            ratings = await self.store.ratings(account.player)
            now_ms = self.now_ms()
            last = await self._last_placement(account.player) if seen.current is not None else None
            seen, spot = replace(seen, residency=account.residency, moves=moves_of(last, now_ms)), spot_of(seen, address)
            found, shifts = self.placing.place(seen, list(party), mode, now_ms, self.draw, spot)
        except RefusedError as error:
            self.metrics.counter("coordinator_placements_total", region="refused").add()
            self.events.add_own("placement", "refused", player=player, why=str(error.reason), detail=error.detail)
            raise
        self._note_shifts(shifts)
        why = explain(account.player, now_ms, found, seen, 1 + len(party), mode, self.name, last)
        with contextlib.suppress(UnavailableError):  # an explanation is not worth a placement
            await self.store.explain_put(account.player, why, limits.PLACEMENT_LIFE_MS)
        expected = {  # far regions are often not measured, and may be where a match across regions is best played
            str(region): score.rtt_ms
            for region, score in found.why.items()
            if score.basis == "measured" or (score.basis != "unknown" and region != found.region)
        }
        token, expires_ms = self.signer.session_token(
            account,
            found.region,
            ratings,
            now_ms,
            self.config.token_life_ms,
            first_mode=mode,
            spot=spot.text(),
            rtt_ms=expected,
            trace=trace,
        )
        self.metrics.counter("coordinator_placements_total", region=found.region).add()
        self.events.add_own(
            "placement", "placed", region=found.region, player=account.player, mode=mode, party=1 + len(party), stayed=found.stayed
        )
        self.flows.note(seen.latitude, seen.longitude, found.region, now_ms)
        return found, token, expires_ms

    async def _last_placement(self, player: PlayerId) -> PlacementExplained | None:
        """None: not within the last day, or the store does not say; it only makes moving a little harder."""
        with contextlib.suppress(UnavailableError, RefusedError):
            return await self.explained(player)
        return None

    def _note_shifts(self, shifts: Sequence[Shift]) -> None:
        for shift in shifts:
            self.metrics.counter("coordinator_route_changes_total", region=shift.region).add()
            log.info(
                "route_changed",
                region=shift.region,
                name=shift.spot.text(),
                detail=f"{shift.before_ms:.0f} ms, now {shift.after_ms:.0f} ms",
            )

    async def explained(self, player: str) -> PlacementExplained:
        """Why a player was placed where it was. Raises RefusedError(NOT_FOUND)."""
        found = await self.store.explain_get(PlayerId(player))
        if found is None:
            raise RefusedError(Reason.NOT_FOUND, "no placement of this player within the last day")
        try:
            return msgspec.msgpack.decode(found, type=PlacementExplained)
        except msgspec.DecodeError:
            raise RefusedError(Reason.NOT_FOUND, "the last placement was kept by another version") from None

    # -- what others hear, as events

    def heard_result(self, result: Result, outcome: str) -> None:
        """A result was applied (or was known)."""
        if outcome in ("applied", "unrated"):
            players = [player for team in result.teams for player in team]
            more: dict[str, Any] = {"mode": result.mode, "scores": list(result.scores), "rated": outcome == "applied", "players": players}
            self.events.add_own("match", result.reason, region=result.region, match=result.match, **more)

    def heard_verdict(self, region: RegionId, verdict: Verdict) -> None:
        more: dict[str, Any] = {"rule": verdict.rule, "score": verdict.score, "flag": verdict.flag, "reasons": list(verdict.reasons)}
        self.events.add("flag", "raised", region=region, player=verdict.player, match=verdict.match, **more)

    def hear_told(self, message: BusMessage) -> None:
        """What another coordinator did. Whom it erased is forgotten here too."""
        by, told = topics.parse_coordinator(message.topic), _told.decode(message.payload)
        if told is None or by is None or any(event.kind not in TOLD for event in told.events):
            self.metrics.counter("coordinator_bus_dropped_total", why="bad_told").add()
            return
        if by == self.name:
            return
        self.metrics.counter("coordinator_events_lost_total").add(told.lost)
        self.events.hear(by, told)
        for event in told.events:
            if (event.kind, event.what) == ("operator", "erase"):
                self.verdicts.forget(event.player)
                self.events.forget(event.player)

    async def run_tell(self) -> None:
        """Tell the other coordinators what was done here."""
        while True:
            await asyncio.sleep(TELL_S)
            try:
                if (told := self.events.untold()) is not None:
                    await self._tell(told)
            except Exception as error:  # a fault of ours in one message must not silence us
                self.metrics.counter("coordinator_errors_total", where="tell").add()
                log.fault("tell_failed", error)

    async def _tell(self, told: Told) -> None:
        try:
            await self.bus.publish(topics.told(self.name), encode(told), qos=0)
        except RefusedError:  # the broker is away
            self.events.lost += len(told.events) + told.lost

    # -- operators

    async def audit(self, action: str, address: str, **fields: object) -> None:
        """Write what an operator did before it takes effect: no change without a trace."""
        entry: dict[str, object] = {"at_ms": self.now_ms(), "action": action, "from": address, "by": self.name}
        if (operator := acting()) is not None:
            entry |= {"who": operator.name, "role": operator.role}
        entry |= fields
        await self.store.audit_add(msgspec.json.encode(entry).decode())
        named: dict[str, Any] = {key: str(fields[key]) for key in ("region", "edge", "player", "match") if fields.get(key)}
        more: dict[str, Any] = {key: value for key, value in fields.items() if key not in named and key != "raw"}
        kind = "config" if action == "config" else "operator"
        self.events.add_own(kind, action, **named, who=entry.get("who"), **more)

    async def set_banned(
        self, player: str, banned: bool, reason: str, address: str
    ) -> tuple[Account, dict[str, Rating], tuple[list[str], list[str]]]:
        """No placement any more, and every region turns the player away now; and which regions were told, and which will be."""
        account = await self.account(player)
        await self.audit("ban" if banned else "unban", address, player=player, reason=reason)
        account = msgspec.structs.replace(account, banned=banned)
        await self.store.account_put(account)
        if await self.store.erased([account.player]):  # between our look and our change: what we wrote is all that is left
            await self.store.account_erase(account.player)
            raise RefusedError(Reason.NOT_FOUND, "this player was erased meanwhile")
        regions = await self.people.block(player, self.people.token_end_ms() if banned else None)
        return account, await self.store.ratings(account.player), regions

    async def set_draining(self, region: str, edge: str | None, draining: bool, address: str) -> Desired:
        """Publish the region's next desired state. Raises RefusedError(NOT_FOUND), UnavailableError."""
        name = RegionId(region)
        known = self.registry.regions.get(name)
        if known is None or (edge is not None and edge not in known.edges and edge not in known.desired.draining_edges):
            raise RefusedError(Reason.NOT_FOUND, "no such region or process; GET /v1/admin/status lists them")
        desired = drained(known.desired, self.now_ms(), edge, draining)
        await self.audit("drain" if draining else "resume", address, region=region, edge=edge, revision=desired.revision)
        await self._steer(name, desired)
        return desired

    async def set_model(self, regions: Sequence[str], model: str, change: Callable[[ModelWish], ModelWish], address: str) -> list[str]:
        """Change what these regions (none: all that are known) should run as one model; their names.

        Raises RefusedError(NOT_FOUND), UnavailableError.
        """
        names = [RegionId(region) for region in regions] or sorted(self.registry.regions)
        if not names or any(name not in self.registry.regions for name in names):
            raise RefusedError(Reason.NOT_FOUND, "no such region; GET /v1/admin/status lists them")
        steered = []
        for name in names:
            if (known := self.registry.regions.get(name)) is None:
                continue  # forgotten while another was steered
            now = known.desired
            wish = change(now.models.get(model, ModelWish()))
            desired = with_model(now, self.now_ms(), model, wish)
            fields = {key: value for key, value in msgspec.structs.asdict(wish).items() if value}
            await self.audit("model", address, region=name, model=model, revision=desired.revision, **fields)
            await self._steer(name, desired)
            steered.append(str(name))
        return steered

    async def _steer(self, region: RegionId, desired: Desired) -> None:
        """Say it; what another request changed meanwhile is kept. Raises UnavailableError, and nothing has changed."""
        await self.bus.publish(topics.desired(region), encode(desired), retain=True)
        self.registry.steer(region, desired)

    async def steer_now_or_later(self, region: RegionId, desired: Desired) -> bool:
        """It counts from now on, and is said again when the broker is back if it is away. False: it is."""
        self.registry.steer(region, desired)
        try:
            await self.bus.publish(topics.desired(region), encode(desired), retain=True)
        except RefusedError:
            self.registry.outdated.add(region)
            return False
        return True

    # -- the live policy

    async def follow_policy(self) -> None:
        """Converge to the newest version, and see to it that regions do. Raises UnavailableError."""
        if await self.policy.look():
            await self.apply_policy()

    async def apply_policy(self) -> list[str]:
        """Put the version that is known into effect here and in the regions' desired state; regions that will be told later."""
        made = effective(self.config_file, self.policy.now.overrides)
        if made != self.config:
            self.config = made
            self.placing.configure(made)
            self.guests_throttle.per_minute = made.guests_per_minute
            self.placements_throttle.per_minute = made.placements_per_minute
        return await self.apply_settings()

    async def apply_settings(self) -> list[str]:
        """The policy's part for edge processes, to every region that has something else."""
        fill_ms, npc_level = self.policy.settings()
        waiting = []
        for name, region in sorted(self.registry.regions.items()):
            desired = with_settings(region.desired, self.now_ms(), fill_ms, npc_level)
            if desired is not None and not await self.steer_now_or_later(name, desired):
                waiting.append(str(name))
        return waiting
