"""Matches across regions, the coordinator's part: from what regions show to players who are sent.

Problem. Tickets of several thin regions make a match that none of them can make alone. Only a coordinator hears all regions and may sign
    the tokens that another region accepts; and it may die at any step, or there may be several.
Method. `waiting` of each region is kept while it is fresh. A few times a second the proposal of every region runs over all that regions
    of the same rules show (`core/matchmaking/crossing.py`), and for each match one task asks: every home for its tickets (*grant*); the
    region that is nearest to its worst-placed member to open it; the homes to send their players; and the host who came.
Guarantee. Nothing is decided here: tickets are granted, sent and taken back by their own regions, each in one atomic step with an end
    that needs nobody (docs/decisions/0019). A match is opened only with all grants in hand. Whatever is lost here costs seconds.
Cost. Four to six signed questions a match and region, limits.CROSSINGS_MAX matches at once; nothing where nobody is shown.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from gameedge.bus import topics
from gameedge.bus.base import BusMessage
from gameedge.bus.payloads import Codec, Waiting
from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError
from gameedge.core.ids import EdgeId, MatchId, RegionId, TicketId, is_name
from gameedge.core.ids import encode as encode_id
from gameedge.core.matchmaking.crossing import Plan, propose_across, read_rules, rules_name
from gameedge.core.matchmaking.propose import warm
from gameedge.core.matchmaking.rules import ModeRules
from gameedge.core.matchmaking.ticket import Ticket
from gameedge.state.crossings import VERSION, Body, End, Grant, Granted, Open, Opened, Seat, Seen, Send
from gameedge.telemetry import logs

if TYPE_CHECKING:
    from gameedge.coordinator.services import Services

LOOK_S: Final = 0.25
BEAT_MS: Final = 1_000
BEATS_MS: Final = 3_500  # a coordinator that proposes and is silent for so long does not any more
FRESH_MS: Final = 2_000  # what a region shows is told twice a second
AVOID_MS: Final = 2_000  # tickets of a match that did not come about are left alone for so long, and up to as long again
FORBIDDEN_MS: Final = 60_000  # a player who may not go there (residency, a ban)
ASK_S: Final = 2.0  # grants, opening and sending together fit into limits.CROSSING_GRANT_MS
WATCH_S: Final = 1.0  # between two looks at who came
URLS_MAX: Final = 4
HEARD_MAX: Final = 4_096  # regions times modes that are remembered; more are not heard
RULES_MAX: Final = 64  # different rules that are kept; the oldest goes
T = TypeVar("T")
_waiting: Final = Codec(Waiting)
_pack: Final = msgspec.msgpack.Encoder().encode
log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Heard:
    """What a region showed last of one mode."""

    at_ms: int
    rules: str
    waiting: Waiting


@dataclass(slots=True, eq=False)
class Crossing:
    """One match on its way."""

    match: MatchId
    mode: str
    rules: str
    plan: Plan
    host: EdgeId
    holders: Mapping[RegionId, EdgeId]  # by home, whoever holds the mode's lease
    tickets: dict[TicketId, Ticket] = field(default_factory=dict)  # granted, ages by our clock
    home: dict[TicketId, RegionId] = field(default_factory=dict)
    now_ms: int = 0  # when they were granted


class Exchange:
    """Owned by `Services`. `warmed` False: kernels are loaded in a thread before the first proposal."""

    def __init__(self, services: "Services", *, warmed: bool = False) -> None:
        self._services = services
        self.warmed = warmed
        self._heard: dict[tuple[RegionId, str], Heard] = {}
        self._rules: dict[str, ModeRules | None] = {}
        self._others: dict[str, int] = {}  # coordinators that propose, when they were heard
        self._avoid: dict[tuple[RegionId, TicketId], int] = {}  # until when
        self._busy: set[tuple[RegionId, TicketId]] = set()
        self._beat_ms = 0
        self._under_way = 0  # matches on their way

    # ------------------------------------------------------------------------------------------------------- hearing

    def hear(self, message: BusMessage) -> None:
        """A `waiting` or `proposing` message. Never raises for what was sent."""
        now_ms = self._services.now_ms()
        if message.topic.endswith("/proposing"):
            name = topics.parse_coordinator(message.topic)
            room = name in self._others or len(self._others) < limits.REGIONS_MAX
            if name is not None and name != self._services.name and room:
                self._others[name] = now_ms
            return
        names = topics.parse_waiting(message.topic)
        waiting = _waiting.decode(message.payload)
        known = names is not None and is_name(names[0]) and is_name(names[1]) and names[0] in self._services.registry.regions
        if names is None or waiting is None or not known:
            self._services.metrics.counter("coordinator_bus_dropped_total", why="bad_waiting").add()
        elif waiting.tickets and (names in self._heard or len(self._heard) < HEARD_MAX):
            self._heard[names] = Heard(now_ms, self._known(waiting.rules), waiting)
        else:
            self._heard.pop(names, None)

    def _known(self, text: bytes) -> str:
        """The name of these rules; they are read once."""
        name = rules_name(text)
        if name not in self._rules:
            self._rules[name] = read_rules(text)
            while len(self._rules) > RULES_MAX:
                del self._rules[next(iter(self._rules))]
        return name

    # ----------------------------------------------------------------------------------------------------- proposing

    async def run(self) -> None:
        """For the life of the coordinator."""
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(LOOK_S)
                if not self._services.config.exchange:
                    continue
                try:
                    await self._say()
                    for crossing in await self._look():
                        group.create_task(self._cross(crossing), name=f"crossing {crossing.match}")
                except Exception as error:  # a fault of ours in one look must not end all of them
                    self._failed(error)

    def _failed(self, error: Exception) -> None:
        self._services.metrics.counter("coordinator_errors_total", where="exchange").add()
        log.fault("exchange_failed", error)

    async def _say(self) -> None:
        """That we propose: of several coordinators the one with the least name does. Where two do, regions grant a ticket to one."""
        services, now_ms = self._services, self._services.now_ms()
        # Also what was heard before the clock stepped back is old.
        self._others = {name: at for name, at in self._others.items() if abs(now_ms - at) < BEATS_MS}
        if services.bus.online and not 0 <= now_ms - self._beat_ms < BEAT_MS:
            self._beat_ms = now_ms
            with contextlib.suppress(RefusedError):
                await services.bus.publish(topics.proposing(services.name), b"1", qos=0)

    async def _look(self) -> list[Crossing]:
        now_ms = self._services.now_ms()
        self._heard = {names: heard for names, heard in self._heard.items() if abs(now_ms - heard.at_ms) < FRESH_MS}
        self._avoid = {key: until for key, until in self._avoid.items() if 0 < until - now_ms <= FORBIDDEN_MS}
        shown: dict[tuple[str, str], dict[RegionId, Heard]] = {}
        for (region, mode), heard in self._heard.items():
            shown.setdefault((mode, heard.rules), {})[region] = heard
        shown = {names: regions for names, regions in shown.items() if len(regions) > 1}
        self._services.metrics.gauge("coordinator_crossing_tickets").set(sum(len(h.waiting.tickets) for h in self._heard.values()))
        if not shown or min([*self._others, self._services.name]) != self._services.name:
            return []
        if not self.warmed:
            await asyncio.to_thread(warm)
            self.warmed = True
            return []
        found: list[Crossing] = []
        hosts = self._hosts(now_ms)
        for (mode, name), regions in shown.items():
            if (rules := self._rules.get(name)) is not None:
                found += self._propose(mode, name, rules, regions, hosts, now_ms)
        return found[: max(0, limits.CROSSINGS_MAX - self._under_way)]

    def _propose(
        self, mode: str, name: str, rules: ModeRules, regions: Mapping[RegionId, Heard], hosts: Mapping[RegionId, EdgeId], now_ms: int
    ) -> list[Crossing]:
        shut = self._busy | self._avoid.keys()
        shown = {
            region: [
                msgspec.structs.replace(each, age_ms=each.age_ms + max(0, now_ms - heard.at_ms))
                for each in heard.waiting.tickets
                if (region, each.ticket) not in shut
            ]
            for region, heard in regions.items()
        }
        made = []
        for plan in propose_across(rules, {region: some for region, some in shown.items() if some}, hosts, now_ms):
            match = MatchId(encode_id("m", secrets.token_bytes(16)))
            holders = {region: EdgeId(regions[region].waiting.edge) for region in plan.homes()}
            made.append(Crossing(match, mode, name, plan, hosts[plan.region], holders))
        return made

    def _hosts(self, now_ms: int) -> dict[RegionId, EdgeId]:
        """By region, a process that may open matches across regions now."""
        registry, found = self._services.registry, {}
        for region, edges in registry.online(now_ms):
            if self._services.placing.forbids(region.region, ""):
                continue
            calm = [
                (edge.report.players, edge.edge)
                for edge in edges
                if edge.presence is not None
                and edge.presence.crossing == VERSION
                and edge.report is not None
                and edge.report.free_matches > 0
                and not registry.doubt(edge, now_ms)
            ]
            if calm:
                found[region.region] = min(calm)[1]
        return found

    # ------------------------------------------------------------------------------------------------- bringing about

    async def _cross(self, crossing: Crossing) -> None:
        keys = {(home, ticket) for home, tickets in crossing.plan.homes().items() for ticket in tickets}
        self._busy |= keys
        self._under_way += 1
        how, services = "failed", self._services
        try:
            how = await self._bring_about(crossing)
        except RefusedError as error:
            log.info("crossing_off", match=crossing.match, mode=crossing.mode, detail=error.detail)
            await self._off(crossing)
        except Exception as error:
            self._failed(error)
            await self._off(crossing)
        finally:
            self._busy -= keys
            self._under_way -= 1
            services.metrics.counter("coordinator_crossings_total", mode=crossing.mode, how=how).add()
            if how != "played":
                until_ms = services.now_ms() + round(AVOID_MS * (1.0 + services.draw()))
                for key in keys:
                    self._avoid[key] = max(until_ms, self._avoid.get(key, 0))

    async def _bring_about(self, crossing: Crossing) -> str:
        """Raises RefusedError where it cannot be; then nothing has been sent."""
        await self._grant(crossing)
        tokens = await self._sign(crossing)
        opened = await self._open(crossing)
        services = self._services
        until_ms = services.now_ms() + limits.CROSSING_JOIN_MS + 1_000
        services.metrics.histogram("coordinator_crossing_rtt_ms", mode=crossing.mode).observe(crossing.plan.worst_ms)
        log.info("crossing_opened", match=crossing.match, mode=crossing.mode, region=crossing.plan.region, ms=round(crossing.plan.worst_ms))
        await self._send(crossing, opened, tokens)
        return await self._watch(crossing, until_ms)

    async def _ask(self, region: RegionId, ask: str, body: Body, kind: type[T], edge: EdgeId | None) -> T:
        if edge is None:
            edge = self._speaker(region)
        return await self._services.asking.ask(region, ask, {}, kind, who=self._services.name, edge=edge, body=_pack(body), wait_s=ASK_S)

    def _speaker(self, region: RegionId) -> EdgeId | None:
        """A process of the region that works and speaks of crossings; None: any."""
        known, now_ms = self._services.registry.regions.get(region), self._services.now_ms()
        edges = sorted((self._services.registry.doubt(edge, now_ms), edge.edge, edge) for edge in known.edges.values()) if known else []
        return next((name for doubt, name, e in edges if doubt != "offline" and e.presence and e.presence.crossing == VERSION), None)

    async def _grant(self, crossing: Crossing) -> None:
        """All or none. Raises RefusedError."""
        homes = crossing.plan.homes()
        asked = [
            self._ask(
                home,
                "crossing_grant",
                Grant(match=crossing.match, mode=crossing.mode, region=crossing.plan.region, tickets=tickets),
                Granted,
                crossing.holders[home],
            )
            for home, tickets in homes.items()
        ]
        said = await asyncio.gather(*asked, return_exceptions=True)
        crossing.now_ms = now_ms = self._services.now_ms()
        for (home, wanted), answer in zip(homes.items(), said, strict=True):
            if isinstance(answer, BaseException):
                raise answer
            if {ticket.id for ticket in answer.tickets} != set(wanted):
                raise RefusedError(Reason.INTERNAL, f"{home} granted other tickets than it was asked for")
            for ticket in answer.tickets:  # its age, by our clock
                aged = msgspec.structs.replace(ticket, created_ms=now_ms - max(0, answer.now_ms - ticket.created_ms))
                crossing.tickets[ticket.id], crossing.home[ticket.id] = aged, home

    async def _sign(self, crossing: Crossing) -> dict[TicketId, str]:
        """A session token of the other region for each who travels. Raises RefusedError where somebody may not."""
        services, region = self._services, crossing.plan.region
        tokens: dict[TicketId, str] = {}
        for ticket in crossing.tickets.values():
            if crossing.home[ticket.id] == region:
                continue
            account = await services.store.account_get(ticket.player)
            if account is None or account.banned or services.placing.forbids(region, account.residency):
                self._avoid[crossing.home[ticket.id], ticket.id] = services.now_ms() + FORBIDDEN_MS
                raise RefusedError(Reason.FORBIDDEN, f"somebody may not play in {region}")
            ratings = await services.store.ratings(account.player)
            tokens[ticket.id], _ = services.signer.session_token(
                account, region, ratings, services.now_ms(), services.config.token_life_ms, first_mode=crossing.mode, rtt_ms=ticket.rtt_ms
            )
        return tokens

    async def _open(self, crossing: Crossing) -> Opened:
        body = Open(
            match=crossing.match,
            mode=crossing.mode,
            now_ms=crossing.now_ms,
            rules=crossing.rules,
            teams=[[name for _, name in team] for team in crossing.plan.teams],
            tickets=list(crossing.tickets.values()),
        )
        return await self._ask(crossing.plan.region, "crossing_open", body, Opened, crossing.host)

    async def _send(self, crossing: Crossing, opened: Opened, tokens: Mapping[TicketId, str]) -> None:
        """Each home by itself: who is not sent is missed there, and waits on at home."""
        region = crossing.plan.region
        known = self._services.registry.regions.get(region)
        others = [edge.url for edge in known.edges.values() if edge.online and edge.url] if known is not None else []
        urls = list(dict.fromkeys([opened.url, *others]))[:URLS_MAX]
        sends = []
        for home, tickets in crossing.plan.homes().items():
            seats = {ticket: Seat(match_token=opened.tokens[ticket], token=tokens.get(ticket, "")) for ticket in tickets}
            body = Send(match=crossing.match, mode=crossing.mode, region=region, urls=urls, seats=seats)
            sends.append(self._ask(home, "crossing_send", body, list[TicketId], None))
        for answer in await asyncio.gather(*sends, return_exceptions=True):
            if isinstance(answer, RefusedError):
                log.warning("crossing_not_sent", match=crossing.match, detail=answer.detail)
            elif isinstance(answer, BaseException):
                raise answer

    async def _watch(self, crossing: Crossing, until_ms: int) -> str:
        """Until everybody has come, or can no longer; those who came are confirmed to their homes."""
        came: set[TicketId] = set()
        body = Seen(match=crossing.match, mode=crossing.mode)
        # Longer than twice that is no wait but a clock that stepped back: it would hold one of CROSSINGS_MAX until then.
        while 0 < until_ms - self._services.now_ms() <= 2 * limits.CROSSING_JOIN_MS and len(came) < len(crossing.tickets):
            await asyncio.sleep(WATCH_S)
            try:
                said = await self._ask(crossing.plan.region, "crossing_seen", body, list[TicketId], crossing.host)
            except RefusedError:
                continue  # the host may be slow or gone; homes take back who came back
            new = (set(said) & crossing.tickets.keys()) - came
            came |= new
            await self._end(crossing, new, arrived=True)
        return "played" if len(came) == len(crossing.tickets) else "some_missed" if came else "nobody_came"

    async def _off(self, crossing: Crossing) -> None:
        """Grants are given back at once, also those whose answer was lost; who does not hear of it ends them by itself."""
        await self._end(crossing, {ticket for tickets in crossing.plan.homes().values() for ticket in tickets}, arrived=False)

    async def _end(self, crossing: Crossing, tickets: set[TicketId], *, arrived: bool) -> None:
        ends = []
        for home, some in crossing.plan.homes().items():
            if mine := [ticket for ticket in some if ticket in tickets]:
                body = End(match=crossing.match, mode=crossing.mode, tickets=mine, arrived=arrived)
                ends.append(self._ask(home, "crossing_end", body, int, None))
        await asyncio.gather(*ends, return_exceptions=True)
