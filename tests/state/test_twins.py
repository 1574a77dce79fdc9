"""The memory twin and a real server give the same answers, for random sequences of operations."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from gameedge.core.errors import RefusedError
from gameedge.core.ids import EdgeId, FlagId, MatchId, PlayerId, SessionId, TicketId
from gameedge.state.base import InboxEvent, MatchRecord, RegionStore, StoredResult, Ticket
from gameedge.state.memory import MemoryRegionStore
from gameedge.state.redis_region import RedisRegionStore
from tests.contract.stores import (
    edge_record,
    empty,
    evidence,
    match,
    result,
    servers,  # noqa: F401
    session,
    ticket,
)

MODES = st.sampled_from(["duel", "squads"])
NUMBERS = st.integers(0, 6)
EDGES = st.sampled_from([EdgeId("edge-a"), EdgeId("edge-b")])
LEASES = st.sampled_from(["matcher-duel", "matcher-squads", "relay"])
LONG = 600_000
OUTBOX_MAX = 4


class Twins(RuleBasedStateMachine):
    url = ""

    @initialize()
    def open(self) -> None:
        empty(self.url)
        self.loop = asyncio.new_event_loop()
        self.memory = MemoryRegionStore(outbox_max=OUTBOX_MAX)
        self.redis = RedisRegionStore(self.url, wait_ms=10_000, outbox_max=OUTBOX_MAX)  # a busy machine is no reason to fail
        self.now_ms = 0
        self.records: dict[str, MatchRecord] = {}

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.loop.run_until_complete(self.redis.close())
            self.loop.close()

    def both(self, call: Callable[[RegionStore], Awaitable[Any]]) -> Any:
        """The answer, or the reason of a refusal; the same of both."""

        async def ask(store: RegionStore) -> Any:
            try:
                return await call(store)
            except RefusedError as error:
                return ("refused", error.reason)

        async def ask_both() -> tuple[Any, Any]:
            return await ask(self.memory), await ask(self.redis)

        expected, found = self.loop.run_until_complete(ask_both())
        assert found == expected
        return found

    @rule(number=NUMBERS, player=NUMBERS, mode=MODES, edge=EDGES, pool_max=st.sampled_from([3, 100]))
    def ticket_add(self, number: int, player: int, mode: str, edge: EdgeId, pool_max: int) -> None:
        asked = ticket(number, mode=mode, edge=edge, player=PlayerId(f"p_{player}"), created_ms=number * 7 % 3)
        self.both(lambda store: store.ticket_add(asked, pool_max))

    @rule(number=NUMBERS, mode=MODES)
    def ticket_cancel(self, number: int, mode: str) -> None:
        self.both(lambda store: store.ticket_cancel(mode, TicketId(f"t_{number}")))

    @rule(number=NUMBERS, mode=MODES, edge=EDGES, new=NUMBERS)
    def ticket_move(self, number: int, mode: str, edge: EdgeId, new: int) -> None:
        self.both(lambda store: store.ticket_move(mode, TicketId(f"t_{number}"), SessionId(f"s_{new}"), edge))

    @rule(mode=MODES, live=st.sets(EDGES), later_ms=st.integers(0, 2_000))
    def tickets_of_edge_gone(self, mode: str, live: set[EdgeId], later_ms: int) -> None:
        self.now_ms += later_ms
        self.both(lambda store: store.tickets_of_edge_gone(mode, live, self.now_ms, 1_500))

    @rule(name=LEASES, owner=EDGES)
    def lease(self, name: str, owner: EdgeId) -> None:
        self.both(lambda store: store.lease(name, owner, LONG))

    @rule(name=LEASES, owner=EDGES)
    def lease_release(self, name: str, owner: EdgeId) -> None:
        self.both(lambda store: store.lease_release(name, owner))

    @rule(name=NUMBERS, mode=MODES, host=EDGES, fence=st.integers(0, 3), known=st.booleans(), numbers=st.sets(NUMBERS, min_size=1))
    def claim(self, name: int, mode: str, host: EdgeId, fence: int, known: bool, numbers: set[int]) -> None:
        pool: list[Ticket] = self.both(lambda store: store.tickets(mode))
        chosen = pool[: len(numbers)] if known and pool else [ticket(n, mode=mode) for n in sorted(numbers)]
        record = match(f"m_{name}", *chosen, mode=mode, host=host, fence=fence)
        if self.both(lambda store: store.claim(record, f"matcher-{mode}")) == []:
            self.records.setdefault(record.match, record)

    @precondition(lambda self: self.records)
    @rule(data=st.data(), again=st.booleans())
    def match_unclaim(self, data: st.DataObject, again: bool) -> None:
        record = self.records[data.draw(st.sampled_from(sorted(self.records)))]
        self.both(lambda store: store.match_unclaim(record))
        if not again:
            self.records.pop(record.match)

    @rule(name=NUMBERS, mode=MODES, finished=st.booleans())
    def match_close(self, name: int, mode: str, finished: bool) -> None:
        ended = result(f"m_{name}", mode=mode) if finished else None
        self.both(lambda store: store.match_close(mode, MatchId(f"m_{name}"), ended))

    @rule(edge=EDGES, count=st.integers(0, 4))
    def inbox_post(self, edge: EdgeId, count: int) -> None:
        events = [InboxEvent(kind="found", session=SessionId(f"s_{n}")) for n in range(count)]
        self.both(lambda store: store.inbox_post(edge, events))

    @rule(edge=EDGES)
    def inbox_read(self, edge: EdgeId) -> None:
        async def read(store: RegionStore) -> list[str]:
            # Claims and posts each keep their order; between the two it is not promised.
            return sorted(map(repr, await store.inbox_read(edge, 0)))

        self.both(read)

    @rule(ack=st.integers(0, 2), count=st.integers(1, 3))
    def outbox(self, ack: int, count: int) -> None:
        async def results(store: RegionStore) -> list[str]:
            entries: list[StoredResult] = []
            while page := await store.outbox_read(entries[-1].at if entries else "", count):
                entries += page
            entries.sort(key=lambda entry: entry.result.match)
            await store.outbox_ack([entry.at for entry in entries[:ack]])
            return [entry.result.match for entry in entries]

        self.both(results)

    @rule(number=NUMBERS, player=NUMBERS, edge=EDGES)
    def session_put(self, number: int, player: int, edge: EdgeId) -> None:
        # The resume token is drawn anew for each session, so that one hash stays with one player.
        record = session(number * 10 + player, edge=edge, player=f"p_{player}")
        self.both(lambda store: store.session_put(record, LONG))

    @rule(number=NUMBERS, player=NUMBERS, delete=st.booleans())
    def session_get(self, number: int, player: int, delete: bool) -> None:
        resume_hash = session(number * 10 + player).resume_hash
        self.both(lambda store: store.session_get(resume_hash))
        if delete:
            self.both(lambda store: store.session_delete(resume_hash))

    @rule(edge=EDGES, players=NUMBERS, forget=st.booleans())
    def edge_beat(self, edge: EdgeId, players: int, forget: bool) -> None:
        self.both(lambda store: store.edge_beat(edge_record(edge, players=players), LONG))
        if forget:
            self.both(lambda store: store.edge_forget(edge))

    @rule(number=NUMBERS, player=NUMBERS)
    def evidence_add(self, number: int, player: int) -> None:
        self.both(lambda store: store.evidence_add(evidence(number, player=f"p_{player}")))

    @rule(number=NUMBERS, state=st.sampled_from(["cleared", "upheld"]))
    def evidence_set_state(self, number: int, state: str) -> None:
        self.both(lambda store: store.evidence_set_state(FlagId(f"f_{number}"), state))

    @rule(number=NUMBERS, state=st.sampled_from(["cleared", "upheld"]), expected=st.sampled_from(["open", "cleared"]))
    def evidence_decide(self, number: int, state: str, expected: str) -> None:
        self.both(lambda store: store.evidence_decide(FlagId(f"f_{number}"), state, expected))

    @rule(player=NUMBERS)
    def erase_player(self, player: int) -> None:
        self.both(lambda store: store.erase_player(PlayerId(f"p_{player}")))

    @rule(mode=MODES, number=NUMBERS, limit=st.integers(0, 5))
    def look(self, mode: str, number: int, limit: int) -> None:
        for call in (
            lambda store: store.tickets(mode),
            lambda store: store.pool_version(mode),
            lambda store: store.matches(mode),
            lambda store: store.match_get(mode, MatchId(f"m_{number}")),
            lambda store: store.match_of_ticket(mode, TicketId(f"t_{number}")),
            lambda store: store.outbox_size(),
            lambda store: store.edges(),
            lambda store: store.evidence_list(limit),
            lambda store: store.evidence_get(FlagId(f"f_{number}")),
        ):
            self.both(call)


@pytest.fixture
def server(servers: dict[str, str]) -> Iterator[str]:  # noqa: F811
    yield servers["cluster"]
    empty(servers["cluster"])


def test_same_answers(server: str) -> None:
    Twins.url = server
    quick = settings(
        max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
    )
    run_state_machine_as_test(Twins, settings=quick)
