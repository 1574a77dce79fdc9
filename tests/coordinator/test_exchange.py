"""The coordinator between regions that exchange tickets: whom it asks what, and what it never does. Regions are their messages."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gameedge.bus import topics
from gameedge.bus.payloads import Answer, Presence, Waiting, encode
from gameedge.core.ids import EdgeId, PlayerId, RegionId, SessionId, TicketId
from gameedge.core.matchmaking import rules as reading
from gameedge.core.matchmaking.crossing import hashed
from gameedge.core.matchmaking.rules import to_json
from gameedge.core.matchmaking.shown import Shown
from gameedge.core.matchmaking.ticket import Ticket
from gameedge.core.tokens import verify_ask, verify_token
from gameedge.state.base_global import Account
from gameedge.state.crossings import VERSION, End, Grant, Granted, Open, Opened, Seen, Send

from .fleet import Fleet, fleet
from .fleet import config as settings

RULES = reading.load(
    """
version = 1
[modes.duel]
teams = 2
team_size = 1
[modes.duel.latency]
limit_ms = 200
share = { thin = 5 }
"""
)["duel"]
BODIES: dict[str, type[Any]] = {
    "crossing_grant": Grant,
    "crossing_open": Open,
    "crossing_send": Send,
    "crossing_seen": Seen,
    "crossing_end": End,
}


@dataclass
class Region:
    """One region with one waiting player, that answers what it is asked, or does something else (`instead`)."""

    fleet: Fleet
    name: RegionId
    player: PlayerId
    rtt_ms: dict[str, float]
    speaks: int = VERSION
    rules: bytes = to_json(RULES)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    instead: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    waits: bool = True
    once: bool = False  # a ticket that comes back is not shown again
    account: dict[str, Any] = field(default_factory=dict)

    @property
    def ticket(self) -> TicketId:
        return TicketId(f"t_{self.name}")

    async def come(self) -> None:
        await self.fleet.edge(self.name)
        presence = Presence(online=True, region=self.name, url=f"ws://127.0.0.1:9/{self.name}", version="0.1.0", crossing=self.speaks)
        await self.fleet.bus.publish(topics.presence(self.name, EdgeId("e1")), encode(presence), retain=True)

    async def show(self) -> None:
        while True:
            shown = Shown(ticket=self.ticket, who=hashed(self.player), age_ms=1_000, rating=25.0, sigma=8.0, rtt_ms=self.rtt_ms)
            waiting = Waiting(edge="e1", rules=self.rules, people=1, tickets=[shown] if self.waits else [])
            await self.fleet.bus.publish(topics.waiting(self.name, "duel"), encode(waiting), qos=0)
            await self.fleet.report(self.name)
            await asyncio.sleep(0.1)

    async def answer(self) -> None:
        keys = self.fleet.running.services.signer.keys
        async with self.fleet.bus.subscribe(topics.ask(self.name, EdgeId("e1"))) as messages:
            async for message in messages:
                claims = verify_ask(message.payload.decode(), keys, self.name, "e1", self.fleet.clock())
                body = msgspec.msgpack.decode(claims.body, type=BODIES[claims.ask])
                self.asked.append((claims.ask, body))
                said = self.instead.get(claims.ask, getattr(self, claims.ask))(body)
                if said is None:
                    continue
                answer = Answer(number=claims.jti, ok=True, body=msgspec.msgpack.encode(said))
                if isinstance(said, str):
                    answer = Answer(number=claims.jti, ok=False, reason="not_found", detail=said)
                await self.fleet.bus.publish(topics.answers(claims.reply), encode(answer))

    def crossing_grant(self, ask: Grant) -> Granted:
        self.waits = False
        now_ms = self.fleet.clock()
        ticket = Ticket(
            id=self.ticket, player=self.player, session=SessionId("s"), edge=EdgeId("e1"), mode="duel", created_ms=now_ms - 1_000,
            rtt_ms=self.rtt_ms, away=True,
        )  # fmt: skip
        return Granted(now_ms=now_ms, tickets=[ticket])

    def crossing_open(self, ask: Open) -> Opened:
        return Opened(url=f"ws://127.0.0.1:9/{self.name}", tokens={ticket.id: f"k_{ticket.id}" for ticket in ask.tickets})

    def crossing_send(self, ask: Send) -> list[TicketId]:
        return list(ask.seats)

    def crossing_seen(self, ask: Seen) -> list[TicketId]:
        return [TicketId("t_eu"), TicketId("t_us")]

    def crossing_end(self, ask: End) -> int:
        self.waits = self.waits or (not ask.arrived and not self.once)  # its ticket is in the pool again
        return 1

    def of(self, what: str) -> list[Any]:
        return [body for ask, body in self.asked if ask == what]


@contextlib.asynccontextmanager
async def two(
    eu: dict[str, Any] | None = None, us: dict[str, Any] | None = None, **config: Any
) -> AsyncIterator[tuple[Fleet, Region, Region]]:
    async with fleet(settings(**config)) as made:
        made.running.services.exchange.warmed = True
        regions = [
            Region(made, RegionId("eu"), PlayerId("p_ada"), {"eu": 20.0, "us": 120.0}, **(eu or {})),
            Region(made, RegionId("us"), PlayerId("p_bob"), {"us": 15.0, "eu": 90.0}, **(us or {})),
        ]
        for region in regions:
            account = Account(player=region.player, secret_hash="", name=region.player, created_ms=0, **region.account)
            await made.store.account_add(account)
            await region.come()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(job()) for region in regions for job in (region.show, region.answer)]
            yield made, regions[0], regions[1]
            for task in tasks:
                task.cancel()


async def happens(what: Callable[[], Any], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not what():
            await asyncio.sleep(0.02)


def ended(made: Fleet, how: str) -> float:
    return made.running.services.metrics.value("coordinator_crossings_total", mode="duel", how=how)


async def test_a_match_is_granted_opened_sent_and_confirmed() -> None:
    async with two() as (made, eu, us):
        await happens(lambda: ended(made, "played") == 1, 30.0)  # a machine that is slow just then needs another try
        opening = eu.of("crossing_open")[-1]
        assert us.of("crossing_open") == [], "the worse-placed is nearer to eu"
        assert {ticket.id for ticket in opening.tickets} == {"t_eu", "t_us"}
        assert sorted(name for team in opening.teams for name in team) == ["t_eu", "t_us"]
        home, away = eu.of("crossing_send")[-1], us.of("crossing_send")[-1]
        assert home.match == away.match == opening.match
        assert home.seats["t_eu"].token == "", "who plays at home needs no other token"
        seat = away.seats["t_us"]
        claims = verify_token(seat.token, made.running.services.signer.keys, "eu", made.clock())
        assert (claims.sub, claims.rtt_ms, seat.match_token, away.region) == ("p_bob", {"us": 15.0, "eu": 90.0}, "k_t_us", "eu")
        assert away.urls[0] == "ws://127.0.0.1:9/eu"
        assert [(end.tickets, end.arrived) for end in us.of("crossing_end") if end.match == opening.match] == [(["t_us"], True)]


async def test_without_every_grant_nothing_is_opened_and_all_is_given_back() -> None:
    for refusal in ("gone", None, Granted(now_ms=1, tickets=[])):
        async with two(us={"instead": {"crossing_grant": lambda _, said=refusal: said}}) as (made, eu, us):
            eu.once = us.once = True
            await happens(lambda made=made: ended(made, "failed") >= 1)
            assert eu.of("crossing_open") == us.of("crossing_send") == eu.of("crossing_send") == []
            assert {end.arrived for end in eu.of("crossing_end")} == {False}
            assert {end.arrived for end in us.of("crossing_end")} == {False}, "its answer may only be lost"


async def test_a_host_that_refuses_or_is_silent_costs_nobody_the_ticket() -> None:
    for said in ("a rule is broken", None):
        async with two(eu={"instead": {"crossing_open": lambda _, said=said: said}}) as (made, eu, us):
            await happens(lambda made=made: ended(made, "failed") >= 1)
            assert eu.of("crossing_send") == us.of("crossing_send") == []
            assert {end.arrived for end in [*eu.of("crossing_end"), *us.of("crossing_end")]} == {False}


async def test_nobody_is_sent_where_their_data_must_not_be_or_while_they_are_banned() -> None:
    for more in ({"residency": "america"}, {"banned": True}):
        async with two(us={"account": more}, residency={"america": ["us"]}) as (made, eu, us):
            await happens(lambda made=made: ended(made, "failed") >= 1)
            assert eu.of("crossing_open") == us.of("crossing_open") == us.of("crossing_send") == []
            assert {end.arrived for end in [*eu.of("crossing_end"), *us.of("crossing_end")]} == {False}
            eu.waits = us.waits = True
            count = len(us.of("crossing_grant"))
            await asyncio.sleep(1.0)
            assert len(us.of("crossing_grant")) == count, "it is not asked again and again"


async def test_who_does_not_speak_it_is_not_asked() -> None:
    async with two(eu={"speaks": 0}, us={"speaks": VERSION + 1}) as (made, eu, us):
        await asyncio.sleep(1.5)
        assert eu.asked == us.asked == []
        assert ended(made, "failed") == 0


async def test_regions_of_other_rules_do_not_meet() -> None:
    other = to_json(msgspec.structs.replace(RULES, timeout_ms=5_000))
    async with two(us={"rules": other}) as (_, eu, us):
        await asyncio.sleep(1.5)
        assert eu.asked == us.asked == []


async def test_switched_off_it_asks_nobody() -> None:
    async with two(exchange=False) as (_, eu, us):
        await asyncio.sleep(1.0)
        assert eu.asked == us.asked == []


async def test_what_is_no_waiting_message_is_dropped_and_counted() -> None:
    async with fleet() as made:
        await made.edge("eu")
        good = Shown(ticket="t", who="12345678", age_ms=1, rating=1.0, sigma=1.0)
        wrong = [
            b"",
            b"{}",
            b"\xff",
            b'{"edge":"e1","rules":"","tickets":[{"ticket":"t","who":"12345678","age_ms":-1,"rating":1,"sigma":1}]}',
        ]
        for data in wrong:
            await made.bus.publish(topics.waiting(RegionId("eu"), "duel"), data)
        waiting = encode(Waiting(edge="e1", rules=b"?", tickets=[good]))
        await made.bus.publish(topics.waiting(RegionId("nowhere"), "duel"), waiting)
        await made.bus.publish(topics.waiting(RegionId("eu"), "Not A Mode"), waiting)
        await made.bus.publish(topics.waiting(RegionId("eu"), "duel"), waiting)
        metrics = made.running.services.metrics
        await happens(lambda: metrics.value("coordinator_bus_dropped_total", why="bad_waiting") == len(wrong) + 2)
        exchange = made.running.services.exchange
        await happens(lambda: list(exchange._heard) == [("eu", "duel")])
        await asyncio.sleep(0.6)
        assert metrics.value("coordinator_errors_total", where="exchange") == 0


async def test_of_two_coordinators_one_proposes() -> None:
    async with two(eu={"waits": False}) as (made, eu, us):
        services = made.running.services
        await made.bus.publish(topics.proposing("a-lesser-name"), b"1")
        await happens(lambda: "a-lesser-name" in services.exchange._others)
        eu.waits = True
        await asyncio.sleep(1.0)
        assert eu.asked == us.asked == []
        await happens(lambda: ended(made, "played") == 1)  # the other is silent: it is this one's turn
