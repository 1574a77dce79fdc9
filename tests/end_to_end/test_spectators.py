"""Watching a match: what a spectator sees, when, and who may not."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from gameedge.core import limits
from gameedge.core.ids import MatchId, PlayerId, RegionId
from gameedge.core.protocol import arena_v1, frames
from gameedge.core.protocol.arena_v1 import Subtick
from gameedge.state.base_global import Account
from gameedge_client import Client, Match
from gameedge_client.beacons import open_socket

from .inprocess import Stack, stack

STEP = Subtick(10.0, 0.0, 1.0, 0.0, True)


@contextlib.asynccontextmanager
async def played(running: Stack, mode: str = "ffa") -> AsyncIterator[Match]:
    """A match with one player who runs and shoots until the context ends."""
    client = await Client.guest(running.url, name="Star")
    async with client.connect(await client.place(mode=mode)) as session:
        match = await session.play(mode)

        async def play() -> None:
            async for _ in match:
                match.command((STEP, STEP, STEP))

        playing = asyncio.create_task(play(), name="play")
        try:
            yield match
        finally:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)


async def token(running: Stack, name: str = "Watcher") -> str:
    async with httpx.AsyncClient(base_url=running.url, trust_env=False) as http:
        guest = (await http.post("/v1/guests", json={"name": name})).json()
        return str((await http.post("/v1/placements", json=guest)).json()["token"])


async def watch(running: Stack, watch_token: str, match: str) -> ClientConnection:
    socket = await open_socket(running.edge.seating.url, None, timeout_s=5)
    await socket.send(msgspec.json.encode({"t": "watch", "token": watch_token, "match": match}).decode())
    return socket


async def closed(socket: ClientConnection) -> int:
    """The close code; whatever came before it is thrown away."""
    async with asyncio.timeout(8):
        with contextlib.suppress(ConnectionClosed):
            while True:
                await socket.recv()
    code = socket.close_code
    assert code is not None
    return code


async def first_view(socket: ClientConnection) -> tuple[frames.SnapshotHeader, arena_v1.View]:
    async with asyncio.timeout(8):
        while isinstance(data := await socket.recv(), str):
            pass
    found = frames.decode_snapshot(data)
    assert found is not None
    view = arena_v1.decode_snapshot(found[1])
    assert view is not None
    return found[0], view


async def test_everybody_is_seen_and_late() -> None:
    async with stack(spectate_delay_ms=700) as running, played(running) as match:
        socket = await watch(running, await token(running), match.info.match)
        began = time.monotonic()
        watching: dict[str, Any] = msgspec.json.decode(await socket.recv())
        assert (watching["t"], watching["match"], watching["delay_ms"], len(watching["roster"])) == ("watching", match.info.match, 700, 8)
        header, view = await first_view(socket)
        assert time.monotonic() - began >= 0.6
        assert running.edge.tick.tick - header.tick >= 40, "700 ms are 42 ticks"
        assert header.tick >= watching["tick"], "nothing from before the spectator came"
        assert header.processed == 0
        assert view.seat == arena_v1.SPECTATOR
        assert not view.alive
        assert [other.seat for other in view.others] == list(range(8)), "the fog is not for spectators"
        assert sum(not other.npc for other in view.others) == 1
        newer, _ = await first_view(socket)
        assert newer.tick == header.tick + 3
        hosted = running.edge.host.get(MatchId(match.info.match))
        assert hosted is not None
        running.edge.host.drop(hosted)  # it is over here, or went on in another process
        assert await closed(socket) == 1000, "after the last frame was shown"
        assert len(running.edge.spectators) == 0


async def test_the_list_of_matches() -> None:
    async with stack() as running, httpx.AsyncClient(base_url=running.url, trust_env=False) as http:
        assert (await http.get("/v1/matches")).json() == {"matches": []}
        async with played(running) as match:
            for _ in range(100):
                listed = (await http.get("/v1/matches")).json()["matches"]
                if listed:
                    break
                await asyncio.sleep(0.05)
            found = listed[0]
            assert (found["match"], found["mode"], found["region"], found["people"]) == (match.info.match, "ffa", "test-1", 1)
            assert (found["url"], found["seats"], len(found["scores"])) == (running.edge.seating.url, 8, 8)


async def test_who_may_not_watch() -> None:
    async with stack(fill_ms=200) as running, played(running) as match:
        good = await token(running)
        assert await closed(await watch(running, good, "m_nowhere")) == 4009
        assert await closed(await watch(running, good[:-6] + "AAAAAA", match.info.match)) == 4006
        config = running.coordinator.services.config
        running.coordinator.services.config = msgspec.structs.replace(config, token_life_ms=0)
        assert await closed(await watch(running, await token(running, "Late"), match.info.match)) == 4007
        running.coordinator.services.config = config
        first = await watch(running, good, match.info.match)
        await first.recv()
        second = await watch(running, good, match.info.match)
        assert await closed(first) == 4017, "one match a player"
        await second.recv()
        assert len(running.edge.spectators) == 1
        await second.send(b"\x01" + b"\0" * 39)
        assert await closed(second) == 4004, "a spectator sends no commands"


async def test_a_token_of_another_region_will_do() -> None:
    async with stack(fill_ms=200) as running, played(running) as match:
        services = running.coordinator.services
        account = Account(player=PlayerId("p_spectator"), secret_hash="", name="Far", created_ms=0)
        text, _ = services.signer.session_token(account, RegionId("far-away"), {}, services.now_ms(), 60_000)
        socket = await watch(running, text, match.info.match)
        assert msgspec.json.decode(await socket.recv())["t"] == "watching"
        await socket.close()


async def test_spectators_are_bounded_and_can_be_off() -> None:
    async with stack(fill_ms=200, spectators_max=1) as running, played(running) as match:
        socket = await watch(running, await token(running), match.info.match)
        await socket.recv()
        assert await closed(await watch(running, await token(running, "Second"), match.info.match)) == 4013
        await socket.close()
    async with stack(fill_ms=200, spectators_max=0) as running, played(running) as match:
        assert await closed(await watch(running, await token(running), match.info.match)) == 4003
        async with httpx.AsyncClient(base_url=running.url, trust_env=False) as http:
            assert (await http.get("/v1/matches")).json() == {"matches": []}


async def test_what_else_a_spectator_says_is_refused() -> None:
    async with stack(fill_ms=200) as running, played(running) as match:
        socket = await watch(running, await token(running), match.info.match)
        await socket.recv()
        await socket.send('{"t":"ping","id":7}')
        assert msgspec.json.decode(await socket.recv())["id"] == 7
        for text in (
            '{"t":"queue","n":1,"mode":"ffa"}',
            '{"t":"watch","token":"a","match":"b"}',
            '{"t":"hello","token":"a"}',
            '{"t":"ack","s":1}',
        ):
            await socket.send(text)
            answer = await socket.recv()
            assert isinstance(answer, str)
            assert msgspec.json.decode(answer)["t"] == "refused"
        await socket.send("{}")
        for _ in range(limits.REFUSALS_MAX):
            await socket.send('{"t":"leave","n":1}')
        assert await closed(socket) == 4002
        assert len(running.edge.spectators) == 0
