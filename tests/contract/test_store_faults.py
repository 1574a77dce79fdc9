"""A region's store that dies, hangs or holds rubbish: on a real server, killed for real."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from gameedge.core.errors import UnavailableError
from gameedge.core.ids import MatchId, PlayerId, TicketId
from gameedge.local.servers import Server, redis_server
from gameedge.state.base import InboxEvent
from gameedge.state.base_global import Account, Rating
from gameedge.state.redis_global import RedisGlobalStore
from gameedge.state.redis_region import RedisRegionStore
from tests.contract.stores import MODE, A, B, edge_record, empty, evidence, match, result, session, ticket


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with redis_server(tmp_path / "redis", fsync="always") as started:
        yield started


@pytest.fixture
async def store(server: Server) -> AsyncIterator[RedisRegionStore]:
    opened = RedisRegionStore(server.url, wait_ms=500)
    yield opened
    await opened.close()


async def test_what_was_acknowledged_survives_kill_9(server: Server, store: RedisRegionStore) -> None:
    """Writers write until the server is killed under them; whatever was answered is there after the restart."""
    closed: list[MatchId] = []
    queued: list[TicketId] = []

    async def play(worker: int) -> None:
        with contextlib.suppress(UnavailableError):
            for number in range(100_000):
                name, mine = f"m_{worker}_{number}", ticket(worker * 1_000_000 + number)
                await store.ticket_add(mine, 1_000_000)
                queued.append(mine.id)
                if number % 3:
                    assert await store.claim(match(name, mine), "") == []
                    assert await store.match_close(MODE, MatchId(name), result(name))
                    queued.remove(mine.id)
                    closed.append(MatchId(name))

    async with asyncio.timeout(9), asyncio.TaskGroup() as group:
        for worker in range(4):
            group.create_task(play(worker))
        await asyncio.sleep(random.Random(1).uniform(0.3, 0.6))
        while not closed:  # a busy machine has not come to it yet
            await asyncio.sleep(0.05)
        await server.kill()
    await server.restart()
    kept = {entry.result.match for entry in await store.outbox_read("", 1_000_000)}
    assert set(closed) <= kept
    # One operation a worker may have been made without its answer having arrived: nothing more.
    assert len(kept) <= len(closed) + 4
    waiting = {t.id for t in await store.tickets(MODE)}
    assert len(set(queued) - waiting) <= 4


async def test_away_is_said_at_once_and_over_by_itself(server: Server, store: RedisRegionStore) -> None:
    fence = await store.lease("matcher-duel", A, 60_000)
    await store.ticket_add(ticket(1), 10)
    await server.kill()
    async with asyncio.timeout(5):
        for call in (
            lambda: store.ticket_add(ticket(2), 10),
            lambda: store.tickets(MODE),
            lambda: store.inbox_read(A, 100),
            lambda: store.outbox_read("", 1),
            lambda: store.ping(),
        ):
            with pytest.raises(UnavailableError):
                await call()
    await server.restart()
    # Connections and server-side functions are gone: the first call of each kind must do.
    assert [t.id for t in await store.tickets(MODE)] == ["t_1"]
    assert await store.lease("matcher-duel", A, 60_000) == fence
    await store.ticket_add(ticket(2), 10)
    assert await store.claim(match("m_1", ticket(1), ticket(2), fence=fence or 0), "matcher-duel") == []
    assert [event.kind for event in await store.inbox_read(B, 100)] == ["host"]


async def test_waiting_reader_hears_of_the_death_and_recovers(server: Server, store: RedisRegionStore) -> None:
    reader = asyncio.create_task(store.inbox_read(A, 10_000))
    await asyncio.sleep(0.1)
    await server.kill()
    with pytest.raises(UnavailableError):
        await asyncio.wait_for(reader, 5)
    await server.restart()
    await store.inbox_post(A, [InboxEvent(kind="found")])
    assert [event.kind for event in await store.inbox_read(A, 1_000)] == ["found"]


async def test_forgotten_functions_are_loaded_again(server: Server, store: RedisRegionStore) -> None:
    await store.ticket_add(ticket(1), 10)
    async with Redis.from_url(server.url) as client:
        await client.script_flush()
    await store.ticket_add(ticket(2), 10)
    async with Redis.from_url(server.url) as client:
        await client.script_flush()
    assert await store.claim(match("m_1", ticket(1), ticket(2)), "") == []
    assert len(await store.inbox_read(B, 0)) == 1


async def test_a_server_that_accepts_but_never_answers() -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(mute, "127.0.0.1", 0)
    async with listener, asyncio.timeout(8):
        store = RedisRegionStore(f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}", wait_ms=200)
        with pytest.raises(UnavailableError):
            await store.tickets(MODE)
        answers = await asyncio.gather(*(store.ping() for _ in range(40)), return_exceptions=True)
        assert all(isinstance(answer, UnavailableError) for answer in answers)
        await store.close()


NONSENSE = (
    *(b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\xff\r\n", b"x" * 100_000),
    *(b":abc\r\n", b"$abc\r\n", b"$-5\r\n", b"*x\r\n", b"*1\r\n" * 3_000),
)


@pytest.mark.parametrize("answer", NONSENSE, ids=lambda answer: repr(answer[:8]))
async def test_a_server_that_speaks_nonsense(answer: bytes) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while await reader.read(4096):
                writer.write(answer * 8)
                await writer.drain()
        writer.close()

    listener = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with listener, asyncio.timeout(8):
        store = RedisRegionStore(f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}", wait_ms=500)
        for call in (store.ping, lambda: store.tickets(MODE), lambda: store.inbox_read(A, 50)):
            with pytest.raises(UnavailableError):
                await call()
        await store.close()


async def test_an_inbox_is_waited_at_while_its_server_deletes_nothing(server: Server, store: RedisRegionStore) -> None:
    """As when a server cannot keep what it is told (MISCONF, NOREPLICAS): reads go on, writes are refused."""
    async with Redis.from_url(server.url) as client:
        await store.inbox_post(A, [InboxEvent(kind="found")])
        await client.acl_setuser("default", enabled=True, commands=["-xdel"], keys=["*"])
        assert [event.kind for event in await store.inbox_read(A, 0)] == ["found"]
        reader = asyncio.create_task(store.inbox_read(A, 10_000))
        await asyncio.sleep(0.3)
        assert not reader.done(), "what was given already wakes nobody"
        await store.inbox_post(A, [InboxEvent(kind="lost")])
        assert [event.kind for event in await asyncio.wait_for(reader, 5)] == ["lost"]
        await client.delete("ge:{edge-edge-a}:inbox")
        assert await store.inbox_read(A, 0) == []
        assert not any(store._inboxes._taken.values()), "what the server forgot need not be remembered"
        await client.acl_setuser("default", enabled=True, commands=["+xdel"])
        await store.inbox_post(A, [InboxEvent(kind="found")])
        assert [event.kind for event in await store.inbox_read(A, 1_000)] == ["found"]
        assert await store.inbox_read(A, 0) == []


RUBBISH = (b"", b"\xc1", b"\x80", b"\xdb\xff\xff\xff\xff", b"not msgpack", b"\x91" * 5_000, b"\x82\xa2id\x01\xa4mode\xc0")


async def test_rubbish_is_skipped_and_counted(servers: dict[str, str]) -> None:
    url = servers["redis"]
    empty(url)
    store = RedisRegionStore(url)
    await store.ticket_add(ticket(1), 100)
    await store.ticket_add(ticket(2), 100)
    await store.claim(match("m_1", ticket(1)), "")
    await store.match_close(MODE, MatchId("m_1"), result("m_1"))
    await store.session_put(session(1), 60_000)
    await store.evidence_add(evidence(1))
    async with Redis.from_url(url) as client:
        for number, blob in enumerate(RUBBISH):
            await client.hset("ge:{duel}:tickets", f"t_bad{number}", blob)
            await client.hset("ge:{duel}:matches", f"m_bad{number}", blob)
            await client.hset("ge:{duel}:members", f"m_bad{number}", blob)
            await client.xadd("ge:{duel}:outbox", {"r": blob})
            await client.xadd("ge:{duel}:outbox", {"x": "no result"})
            await client.xadd("ge:{edge-edge-b}:inbox", {"e": blob})
            await client.hset("ge:{edges}:records", f"edge-bad{number}", blob)
            await client.zadd("ge:{edges}:expiries", {f"edge-bad{number}": 9e15})
            await client.hset("ge:{evidence}:records", f"f_bad{number}", blob)
            await client.zadd("ge:{evidence}:all", {f"f_bad{number}": 9e15})
        await client.set("ge:session:bad", b"\xff\xfe")
        await client.hset("ge:{duel}:moved", "t_2", b"\xc1")
        await client.xadd("ge:{duel}:outbox", {"r": await client.hget("ge:{duel}:matches", "m_bad0") or b""})
    await store.ticket_add(ticket(3), 100)
    await store.claim(match("m_3", ticket(3)), "")
    await store.match_close(MODE, MatchId("m_3"), result("m_3"))
    before = store.corrupt
    assert [t.id for t in await store.tickets(MODE)] == ["t_2"]
    assert await store.matches(MODE) == []
    assert await store.match_get(MODE, MatchId("m_bad1")) is None
    # A reader of a few at a time gets past the unreadable ones.
    assert [entry.result.match for entry in await store.outbox_read("", 2)] == ["m_1", "m_3"]
    assert [event.match_id for event in await store.inbox_read(B, 0)] == ["m_1", "m_3"]
    assert await store.edges() == []
    assert [e.flag for e in await store.evidence_list(100)] == ["f_1"]
    assert await store.session_get("bad") is None
    assert await store.match_close(MODE, MatchId("m_bad4"), None)
    assert store.corrupt >= before + 6 * len(RUBBISH)
    await store.close()


async def test_half_a_removal_lets_nobody_live_for_ever(servers: dict[str, str]) -> None:
    """A server that dies, or refuses, between the two parts of `edge_forget`."""
    empty(servers["redis"])
    store = RedisRegionStore(servers["redis"])
    await store.edge_beat(edge_record(A), 60_000)
    await store.edge_beat(edge_record(B), 60_000)
    async with Redis.from_url(servers["redis"]) as client:
        await client.zrem("ge:{edges}:expiries", A)
    assert [record.edge for record in await store.edges()] == [B]
    await store.edge_beat(edge_record(A), 60_000)
    assert [record.edge for record in await store.edges()] == [A, B]
    await store.close()


async def test_an_erasure_that_was_broken_off_leaves_no_name_when_it_is_asked_again(server: Server) -> None:
    store = RedisGlobalStore(server.url, wait_ms=500)
    player = PlayerId("p_1")
    await store.account_add(Account(player=player, secret_hash="ab", name="Ana", created_ms=1))
    async with Redis.from_url(server.url) as client:
        await client.acl_setuser("default", enabled=True, commands=["-zrem"], keys=["*"])
        with pytest.raises(UnavailableError):
            await store.account_erase(player)
        await client.acl_setuser("default", enabled=True, commands=["+zrem"])
        await store.account_erase(player)
        assert await store.account_get(player) is None
        assert await client.zrange("gg:find", 0, -1) == []
    await store.close()


async def test_keys_of_another_type_do_not_kill_the_caller(servers: dict[str, str]) -> None:
    url = servers["redis"]
    empty(url)
    store = RedisRegionStore(url)
    async with Redis.from_url(url) as client:
        await client.set("ge:{duel}:tickets", "a string")
    with pytest.raises(UnavailableError):
        await store.tickets(MODE)
    await store.close()
    empty(url)


async def test_a_rating_that_cannot_be_read_counts_as_none(servers: dict[str, str]) -> None:
    url = servers["redis"]
    player = PlayerId("p_1")
    for blob in (*RUBBISH, b"\x83\xa2mu\xa1x\xa5sigma\x01\xa5games\x01"):
        empty(url)
        store = RedisGlobalStore(url)
        async with Redis.from_url(url) as client:
            await client.hset("gg:{duel}:ratings", player, blob)
        # (A record of other fields reads as a newcomer's, which is the same to whoever computes the next.)
        assert (await store.ratings_of(MODE, [player])).get(player, Rating()) == Rating()
        assert await store.result_apply(result("m_1"), {player: Rating(mu=26.0, games=1)}, {})
        assert await store.ratings_of(MODE, [player]) == {player: Rating(mu=26.0, games=1)}
        await store.close()
