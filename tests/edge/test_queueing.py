"""The queue as players see it: who may ask, what a store that is away means, and tickets that nobody waits for."""

import contextlib

import pytest

from gameedge.core.errors import Reason, UnavailableError
from gameedge.core.ids import MatchId
from gameedge.core.protocol.messages import Dequeued, Queue, Queued, QueueStatus, Refused

from .parts import Bench, bench


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
        add = on.store.ticket_add

        async def lost_answer(*arguments: object) -> None:
            await add(*arguments)  # type: ignore[arg-type]
            raise UnavailableError("the answer was lost")

        on.store.ticket_add = lost_answer  # type: ignore[method-assign, assignment]
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
