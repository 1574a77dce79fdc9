"""The queue as players see it: who may ask, what a store that is away means, and tickets that nobody waits for."""

import contextlib
from pathlib import Path

import msgspec
import pytest

from gameedge.core.anticheat import links
from gameedge.core.errors import ConfigError, Reason, UnavailableError
from gameedge.core.ids import MatchId, PlayerId
from gameedge.core.protocol.messages import Dequeued, Explain, Explained, Party, Queue, Queued, QueueStatus, Refused
from gameedge.edge.watching import WATCHED_POOL
from gameedge.state.base import InboxEvent

from .parts import ME, Bench, bench, ticket_of


async def asked(on: Bench, mode: str = "duel", *, draining: bool = False, full: bool = False, in_match: bool = False) -> list[object]:
    connection, _, ada = on.connect("ada")
    on.edge.queueing.draining, on.edge.queueing.store_full = draining, full
    ada.match = MatchId("m_1") if in_match else None
    on.edge.queueing.ask(ada, Queue(n=1, mode=mode), on.edge.clock.monotonic_ms())
    ada.flush()
    return list(connection.said())


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"draining": True}, Reason.DRAINING),
        ({"mode": "chess"}, Reason.UNSUPPORTED),
        ({"in_match": True}, Reason.IN_MATCH),
        ({"full": True}, Reason.UNAVAILABLE),
    ],
)
async def test_who_may_not_queue_is_told_why(given: dict[str, object], reason: Reason) -> None:
    async with bench() as on:
        (refused,) = await asked(on, **given)  # type: ignore[arg-type]
        assert isinstance(refused, Refused)
        assert refused.reason is reason


async def test_who_is_watched_queues_in_the_trust_pool_and_a_party_stays_whole() -> None:
    async with bench() as on:
        _, _, ada = on.connect("ada")
        watch = on.edge.tick.watch

        def trust(message: Queue) -> int:
            return on.edge.queueing._ticket(ada, message).trust

        assert trust(Queue(n=1, mode="duel")) == 0
        watch.enter(0, PlayerId("ada"))
        link = watch.link(PlayerId("ada"))
        assert link is not None
        link.fought(6_000, judged=False)
        assert trust(Queue(n=1, mode="duel")) == 0  # a bad link alone is no reason
        for at in range(0, 40, 2):
            link.second(links.COMBAT, True, at)
            link.second(links.IDLE, False, at + 1)
        assert trust(Queue(n=1, mode="duel")) == WATCHED_POOL
        assert trust(Queue(n=1, mode="squads", party=Party(id="us", size=2))) == 0
        assert on.edge.metrics.counter("watched_tickets_total", why="link").value == 1
        (seen,) = [on.edge.steering._seen(ada)]
        assert (seen.pool, seen.unjudged, seen.unjudged_s, seen.judged_s) == ("link", 1.0, 100.0, 0.0)
        assert watch.flags() == []


async def run_lanes(on: Bench) -> None:
    """What waits in the lanes, here and now."""
    for queue in on.edge.lanes._queues:
        while not queue.empty():
            job = queue.get_nowait()
            assert job is not None
            with contextlib.suppress(UnavailableError):
                await job()


async def test_a_store_that_is_away_ends_the_ticket_and_what_it_kept_of_it_is_tidied_up() -> None:
    async with bench() as on:
        connection, _, ada = on.connect("ada")
        await run_lanes(on)
        add = on.store.tickets_add

        async def lost_answer(*arguments: object) -> None:
            await add(*arguments)  # type: ignore[arg-type]
            raise UnavailableError("the answer was lost")

        on.store.tickets_add = lost_answer  # type: ignore[method-assign, assignment]
        on.edge.queueing.ask(ada, Queue(n=1, mode="duel"), 0.0)
        await run_lanes(on)
        queued, dequeued = connection.said()
        assert isinstance(queued, Queued)
        assert isinstance(dequeued, Dequeued)
        assert dequeued.reason is Reason.UNAVAILABLE
        assert len(await on.store.tickets("duel")) == 1, "the store has it all the same"
        await on.edge.queueing.tell_queues(lambda mode, waited: None)
        assert await on.store.tickets("duel") == []


async def test_where_a_queued_player_stands_and_a_ticket_that_is_nowhere() -> None:
    async with bench() as on:
        connection, _, ada = on.connect("ada")
        on.edge.queueing.ask(ada, Queue(n=1, mode="duel"), 0.0)
        await run_lanes(on)
        assert on.edge.queueing.queued == {"duel": 1}
        connection.said()
        await on.edge.queueing.tell_queues(lambda mode, waited: 1_000)
        (status,) = connection.said()
        assert isinstance(status, QueueStatus)
        assert (status.pool, status.eta_ms) == (1, 1_000)
        assert ada.ticket is not None
        await on.store.ticket_cancel("duel", ada.ticket)
        await on.edge.queueing.tell_queues(lambda mode, waited: None)
        assert connection.said() == [], "it may be on its way into a match"
        ada.ticket_seen_ms -= 60_000
        await on.edge.queueing.tell_queues(lambda mode, waited: None)
        (gone,) = connection.said()
        assert isinstance(gone, Dequeued)
        assert gone.reason is Reason.MATCH_LOST


async def test_a_player_who_is_forgotten_while_the_store_is_away_leaves_no_ticket() -> None:
    async with bench() as on:
        _, link, ada = on.connect("ada")
        on.edge.queueing.ask(ada, Queue(n=1, mode="duel"), 0.0)
        await run_lanes(on)
        on.store.available = False
        link.on_text(b'{"t":"bye"}')
        link.on_close(1000, "")
        await run_lanes(on)
        on.store.available = True
        assert len(await on.store.tickets("duel")) == 1
        await on.edge.queueing.tell_queues(lambda mode, waited: None)
        assert await on.store.tickets("duel") == []


async def leading(on: Bench) -> None:
    """This process leads the matching of duels, and has read the pool."""
    await on.edge.reports.beat_once()
    assert await on.edge.matcher._lease("duel")
    await on.edge.matcher._look("duel")
    assert await on.store.lease("matcher-duel", ME, 60_000)  # compiling may have taken longer than the lease


async def test_a_queued_player_hears_why_there_is_no_match_yet() -> None:
    async with bench(fill_ms=0) as on:
        connection, _, ada = on.connect("ada")
        on.edge.queueing.ask(ada, Queue(n=1, mode="duel"), 0.0)
        await run_lanes(on)
        far = msgspec.structs.replace(ticket_of(on.connect("bob")[2]), rating=900.0, created_ms=on.edge.clock.unix_ms())
        await on.store.ticket_add(far, 10)
        await leading(on)
        connection.said()
        on.edge.queueing.explaining.ask(ada, Explain(n=2), 0.0)
        await run_lanes(on)
        for event in await on.store.inbox_read(ME, 0):
            await on.edge.events.heard(event)
        (why,) = connection.said()
        assert isinstance(why, Explained)
        assert (why.ticket, why.others, why.needed, why.fits) == (ada.ticket, 1, 1, 0)
        assert why.state == "alone", "no window ever reaches that far"
        assert [(rule.rule, rule.excludes, rule.alone) for rule in why.rules] == [("skill", 1, 1)]
        on.edge.queueing.explaining.ask(ada, Explain(n=3), 100.0)
        ada.flush()
        (refused,) = connection.said()
        assert isinstance(refused, Refused)
        assert (refused.re, refused.reason) == ("explain", Reason.TOO_OFTEN)
        assert refused.retry_after_ms == 1_901


async def test_nobody_leads_or_nobody_can_say() -> None:
    async with bench(fill_ms=0) as on:
        connection, _, ada = on.connect("ada")
        on.edge.queueing.explaining.ask(ada, Explain(n=1), 0.0)
        ada.flush()
        (refused,) = connection.said()
        assert isinstance(refused, Refused)
        assert refused.reason is Reason.NOT_FOUND
        on.edge.queueing.ask(ada, Queue(n=2, mode="duel"), 0.0)
        await run_lanes(on)
        connection.said()
        on.edge.queueing.explaining.ask(ada, Explain(n=3), 0.0)
        await run_lanes(on)
        (refused,) = connection.said()
        assert isinstance(refused, Refused)
        assert refused.reason is Reason.UNAVAILABLE
        # It was asked, and leads no more.
        asked = InboxEvent(kind="explain", mode="duel", ticket=ada.ticket, session=ada.session.session, edge=ME)
        await on.edge.events.heard(asked)
        (refused,) = connection.said()
        assert isinstance(refused, Refused)
        assert refused.reason is Reason.UNAVAILABLE


async def test_rules_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text("[modes.duel.skill]\nwindow = 5\n[modes.duel]\nfill_ms = 750\n")
    async with bench(match_rules=str(file)) as on:
        assert on.edge.match_rules["duel"].fill_ms == 750
        assert set(on.edge.match_rules) == set(on.edge.game.spec.modes), "the others are matched by rating alone"
        assert on.edge.matcher._pools["duel"].mirror.rules is on.edge.match_rules["duel"]
    file.write_text("[modes.chess]\nteams = 2\n")
    with pytest.raises(ConfigError, match="chess"):
        async with bench(match_rules=str(file)):
            pass
    with pytest.raises(ConfigError, match="match_rules"):
        async with bench(match_rules=str(tmp_path / "none.toml")):
            pass


WISHES = """
[modes.duel]
[[modes.duel.equal]]
attribute = "input"
[[modes.duel.distance]]
attribute = "level"
window = 5
[modes.duel.latency]
limit_ms = 80
"""


async def test_what_a_client_says_reaches_its_ticket(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(WISHES)
    async with bench(match_rules=str(file)) as on:
        connection, link, ada = on.connect("ada")
        link.rtt_ms = 12.5  # as the process measured it
        said = {"t": "queue", "n": 1, "mode": "duel", "attributes": {"input": "pad", "level": 3, "shoe": 42}, "blocks": ["bob"]}
        link.on_text(msgspec.json.encode(said | {"rtt_ms": {"test-1": 1.0, "atlantis": 2.0}, "loss": {"test-1": 0.02}}))
        await run_lanes(on)
        (ticket,) = await on.store.tickets("duel")
        assert ticket.attributes == {"input": "pad", "level": 3.0}
        assert ticket.rtt_ms == {"test-1": 12.5}, "not nearer than it is, and no region that nobody knows"
        assert (ticket.loss, ticket.blocks, ticket.player) == ({"test-1": 0.02}, ["bob"], ada.id)
        assert isinstance(connection.said()[0], Queued)


async def test_a_wish_that_nobody_could_meet_is_refused_at_once(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(WISHES)
    async with bench(match_rules=str(file)) as on:
        connection, link, _ = on.connect("ada")
        link.rtt_ms = 12.5
        link.on_text(b'{"t":"queue","n":1,"mode":"duel"}')
        link.rtt_ms = 300.0
        link.on_text(b'{"t":"queue","n":2,"mode":"duel","attributes":{"level":1}}')
        await run_lanes(on)
        no_level, too_far = connection.said()
        assert isinstance(no_level, Refused)
        assert isinstance(too_far, Refused)
        assert (no_level.reason, no_level.n) == (Reason.UNSUPPORTED, 1)
        assert "'level'" in no_level.detail
        assert "300 ms away" in too_far.detail
        assert await on.store.tickets("duel") == []


async def test_live_rules_name_the_words_that_clients_may_say(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text('[[modes.duel.overlap]]\nattribute = "maps"\n')
    with pytest.raises(ConfigError, match=r"overlap\[0\]\.values"):
        async with bench(match_rules=str(file)):
            pass


async def test_a_ticket_that_waited_too_long_ends_with_a_reason() -> None:
    async with bench(fill_ms=0) as on:
        connection, _, ada = on.connect("ada")
        on.edge.queueing.ask(ada, Queue(n=1, mode="duel"), 0.0)
        await run_lanes(on)
        connection.said()
        ada.queued_ms -= on.edge.match_rules["duel"].timeout_ms + 1
        await on.edge.queueing.tell_queues(lambda mode, waited: None)
        (dequeued,) = connection.said()
        assert isinstance(dequeued, Dequeued)
        assert dequeued.reason is Reason.NOT_FOUND
        assert await on.store.tickets("duel") == []
        on.edge.queueing.ask(ada, Queue(n=2, mode="duel"), 0.0)
        await run_lanes(on)
        assert isinstance(connection.said()[0], Queued), "and may queue again"


async def test_a_ticket_that_an_earlier_life_left_makes_way() -> None:
    async with bench(fill_ms=0) as on:
        _, _, ada = on.connect("ada")
        await on.store.ticket_add(ticket_of(ada), 10)  # of a session that is gone
        on.edge.queueing.ask(ada, Queue(n=1, mode="duel"), 0.0)
        await run_lanes(on)
        (ticket,) = await on.store.tickets("duel")
        assert ticket.id == ada.ticket
