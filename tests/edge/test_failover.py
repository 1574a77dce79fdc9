"""Many matches and many sessions at once: in the order of their age, together, and each once."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from gameedge.core import tokens
from gameedge.core.errors import UnavailableError
from gameedge.core.ids import EdgeId, MatchId, PlayerId
from gameedge.core.protocol.messages import Fallback, MatchFound, MatchStarted, Welcome
from gameedge.core.tokens import Claims, load_keys
from gameedge.edge import checkpoints, failover, lobby
from gameedge.edge.failover import heir
from gameedge.state.base import EdgeRecord, MatchRecord
from gameedge.state.base_global import Account
from gameedge.state.memory import MemoryRegionStore
from tests.edge.parts import ME, OTHER, REGION, SIGNER, Bench, FakeConnection, bench


def signed(player: str, at_ms: int) -> str:
    account = Account(player=PlayerId(player), secret_hash="", name=player, created_ms=0)
    return SIGNER.session_token(account, REGION, {}, at_ms, 60_000)[0]


async def started(on: Bench, number: int) -> MatchRecord:
    """A match of nobody who is here, hosted here and with a state in the store."""
    _, _, player = on.connect(f"p{number}")
    record = on.record(f"m_{number}", player)
    await on.claim(record)
    await on.edge.matches.open(record)
    return record


async def left_by_another(on: Bench, *numbers: int) -> list[MatchRecord]:
    """Matches of another process, which died with their states in the store."""
    records = []
    for number in numbers:
        mine = await started(on, number)
        theirs = await on.store.match_adopt(mine, OTHER)
        assert theirs is not None
        hosted = on.edge.host.get(mine.match)
        assert hosted is not None
        on.edge.host.drop(hosted)
        records.append(theirs)
    return records


async def test_the_state_that_is_oldest_is_put_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "AT_ONCE", 2)
    async with bench(matches_max=8, connections_max=16) as on:
        names = {(await started(on, number)).match for number in range(5)}
        kept = on.edge.checkpoints
        seen: list[MatchId] = []
        now_ms = on.edge.clock.monotonic_ms() + 10_000.0
        for turn in range(3):
            due = [match.id for match in kept._take_due(now_ms + turn)]
            assert len(due) == (1 if turn == 2 else 2)
            seen += due
        assert set(seen) == names, "each once before any twice"
        assert kept._take_due(now_ms + 3) == []
        again = [match.id for match in kept._take_due(now_ms + checkpoints.CHECKPOINT_MS + 10)]
        assert again == seen[:2], "and again in that order"
        gone = on.edge.host.get(seen[2])
        assert gone is not None
        on.edge.host.drop(gone)
        assert seen[2] not in [match.id for match in kept._take_due(now_ms + checkpoints.CHECKPOINT_MS + 10)]


async def test_matches_are_taken_over_together_and_their_players_told() -> None:
    async with bench(matches_max=8, entities_max=32, connections_max=16) as on:
        edge = on.edge
        records = await left_by_another(on, 1, 2, 3)
        connection, link, player = on.connect("p1")  # came here before the match did
        player.mode, player.match, player.asked_ms = "duel", records[0].match, edge.clock.monotonic_ms()
        assert await edge.failover._adopt_many("duel", records) == 3
        assert {match.id for match in edge.host} == {record.match for record in records}
        stored = await on.store.matches_get("duel", [record.match for record in records])
        assert {(record.host, record.epoch) for record in stored if record is not None} == {(ME, 2)}
        (found,) = [message for message in connection.said() if isinstance(message, MatchFound)]
        assert found.match == records[0].match
        assert player.asked_ms is None
        link.on_text(msgspec.json.encode({"t": "join", "n": 1, "match": found.match, "match_token": found.match_token}))
        assert [type(message) for message in connection.said()] == [MatchStarted]
        assert await edge.failover._adopt_many("duel", records) == 0, "they are here"


async def test_only_as_many_as_there_is_room_for() -> None:
    async with bench(matches_max=3, entities_max=16) as on:
        records = await left_by_another(on, 1, 2)
        await started(on, 3)
        await started(on, 4)
        assert await on.edge.failover._adopt_many("duel", records) == 1
        assert len(on.edge.host) == 3
        assert not await on.edge.failover.adopt(records[1])


async def test_a_match_that_the_game_cannot_pack_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(matches_max=8, connections_max=16) as on:
        records, edge = [await started(on, number) for number in range(3)], on.edge
        hosted = [edge.host.get(record.match) for record in records]
        bad = hosted[1]
        assert bad is not None
        pack = edge.game.pack_match  # type: ignore[attr-defined]
        before = [await on.store.checkpoint_get("duel", record.match) for record in records]

        def broken(slot: int) -> bytes:
            if slot == bad.slot:
                raise IndexError("a studio's own bug")
            return bytes(pack(slot))

        monkeypatch.setattr(edge.game, "pack_match", broken)
        await asyncio.sleep(0.005)
        await edge.checkpoints._put(edge.checkpoints._take_due(edge.clock.monotonic_ms() + 10_000.0))
        after = [await on.store.checkpoint_get("duel", record.match) for record in records]
        assert [one == two for one, two in zip(before, after, strict=True)] == [False, True, False]
        assert edge.metrics.value("errors_total", where="failover") == 1
        again = edge.checkpoints._take_due(edge.clock.monotonic_ms() + 20_000.0)
        assert bad.id not in {match.id for match in again}, "it is not tried again"
        await edge.failover.hand_over()
        assert edge.host.get(bad.id) is bad, "it is played to its end here"


async def test_a_match_that_the_game_cannot_unpack_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(matches_max=8, entities_max=32, connections_max=16) as on:
        records = await left_by_another(on, 1, 2, 3)
        unpack, calls = on.edge.game.unpack_match, 0  # type: ignore[attr-defined]

        def broken(slot: int, data: bytes) -> None:
            nonlocal calls
            calls += 1
            if calls == 1:
                raise IndexError("a studio's own bug")
            unpack(slot, data)

        monkeypatch.setattr(on.edge.game, "unpack_match", broken)
        assert await on.edge.failover._adopt_many("duel", records) == 2
        assert {match.id for match in on.edge.host} == {record.match for record in records[1:]}
        assert await on.store.match_get("duel", records[0].match) is None, "it is settled: its players are told that it is lost"
        assert on.edge.metrics.value("errors_total", where="failover") == 1


async def test_a_drain_without_a_store_does_not_ask_for_each_match(monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(matches_max=8, entities_max=32, connections_max=16) as on:
        for number in range(6):
            await started(on, number)
        asked = 0

        async def away() -> list[EdgeRecord]:
            nonlocal asked
            asked += 1
            raise UnavailableError("away")

        monkeypatch.setattr(on.store, "edges", away)
        await on.edge.failover.hand_over()
        assert asked == failover.HAND_OVER_FAILURES_MAX
        assert len(on.edge.host) == 6, "they are played to their end here"


class Forgetful(MemoryRegionStore):
    """Does what it is asked and then cannot say so."""

    async def matches_adopt(self, mode: str, records: Sequence[MatchRecord], host: EdgeId) -> list[tuple[MatchRecord, bytes] | None]:
        await super().matches_adopt(mode, records, host)
        raise UnavailableError("the answer was lost")


async def test_a_lost_answer_loses_no_match() -> None:
    async with bench() as on:
        records = await left_by_another(on, 1, 2)
        store = Forgetful()
        store.__dict__.update(on.store.__dict__)
        on.edge.store = store
        with pytest.raises(UnavailableError):
            await on.edge.failover._adopt_many("duel", records)
        assert len(on.edge.host) == 0
        on.edge.store = on.store
        await on.edge.failover._take_over(on.edge.clock.monotonic_ms())
        assert {match.id for match in on.edge.host} == {record.match for record in records}


async def test_a_session_of_another_process_goes_on_and_its_token_is_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(connections_max=16) as on:
        edge = on.edge
        _, link, player = on.connect("ada")
        resume, now_ms = player.session.resume_token, edge.clock.unix_ms()
        link.on_close(1006, "")
        checked: list[str] = []

        def verify(token: str, *more: Any) -> Claims:
            checked.append(token)
            return tokens.verify_token(token, *more)

        monkeypatch.setattr(lobby, "verify_token", verify)

        async def arrive(token: str) -> str:
            """As in a process that never saw the session."""
            await edge.players._write_some()
            for index in (edge.players._by_resume, edge.players._by_session, edge.players._by_player):
                index.clear()
            connection = FakeConnection()
            new = edge.lobby.accept(connection)  # type: ignore[arg-type]
            assert new is not None
            new.on_text(msgspec.json.encode({"t": "hello", "token": token, "resume": resume, "last_s": 0}))
            assert connection.said() == [], "its record is asked for with those of others"
            await edge.lobby.arrivals.let_in([edge.lobby.arrivals._waiting.popleft()])
            welcomes = [message for message in connection.said() if isinstance(message, Welcome)]
            return "resumed" if welcomes and welcomes[0].resumed else "new" if welcomes else "closed"

        token = signed("ada", now_ms + 1_000)
        assert await arrive(token) == "resumed"
        assert await arrive(token) == "resumed"
        assert checked == [token], "its signature was checked by the process before"
        middle = token.rindex(".") + 8
        forged = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]
        assert await arrive(forged) == "closed"
        assert await arrive(signed("bob", now_ms)) == "new", "a resume token opens its player's session alone"
        monkeypatch.setattr(edge.lobby, "_keys", load_keys([]))
        assert await arrive(token) == "closed", "its key was withdrawn"


async def test_records_that_the_store_did_not_take_are_written_later() -> None:
    async with bench() as on:
        players = on.edge.players
        _, _, ada = on.connect("ada")
        on.store.available = False
        assert not await players._write_some()
        ada.mode = "duel"
        on.store.available = True
        writing = asyncio.create_task(players.run())
        await players.finish()
        writing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writing
        record = await on.store.session_get(ada.resume_hash)
        assert record is not None
        assert (record.mode, record.edge) == ("duel", ME)


async def test_players_know_who_would_go_on_with_their_match() -> None:
    async with bench() as on:
        edge = on.edge
        records = await left_by_another(on, 1)
        await edge.failover._adopt_many("duel", records)
        match = edge.host.get(records[0].match)
        assert match is not None
        connection, link, player = on.connect("p1")
        player.match, player.mode = match.id, "duel"
        edge.seating.tell_again(player)
        (found,) = [message for message in connection.said() if isinstance(message, MatchFound)]
        link.on_text(msgspec.json.encode({"t": "join", "n": 1, "match": found.match, "match_token": found.match_token}))
        connection.said()
        await edge.reports.beat_once()
        for name in ("e1", "e2"):
            beat = EdgeRecord(edge=EdgeId(name), region=REGION, url=f"ws://{name}", pid=1, started_ms=0, players=0, matches=0)
            await on.store.edge_beat(beat, 60_000)
        telling = asyncio.create_task(edge.failover.tell_heirs())
        try:
            async with asyncio.timeout(10):
                while not match.fallback:
                    await asyncio.sleep(0.02)
        finally:
            telling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await telling
        assert match.fallback == f"ws://{heir(match.id, [EdgeId('e1'), EdgeId('e2')])}"
        assert [message.url for message in connection.said() if isinstance(message, Fallback)] == [match.fallback]


def test_shares_are_even_whatever_the_names() -> None:
    names = [EdgeId(f"e{i}") for i in range(3)]
    shares = [sum(heir(MatchId(f"m_{i:05d}"), names) == name for i in range(3_000)) for name in names]
    assert min(shares) > 900
    without = [name for name in names if name != "e1"]
    moved = [i for i in range(300) if heir(MatchId(f"m_{i}"), names) not in ("e1", heir(MatchId(f"m_{i}"), without))]
    assert moved == [], "who leaves takes nobody else's share along"
