"""The SDK against servers that are at fault: they lose critical messages, name addresses that are none, and drop whom they welcomed."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from clients.vectors.messages import WELCOME
from gameedge.core.errors import Reason, RefusedError
from gameedge.core.protocol.messages import encode
from gameedge_client import Session, Wishes


async def test_a_gap_in_the_numbers_is_resumed_and_nothing_is_handed_out_twice() -> None:
    hellos: list[dict[str, Any]] = []
    codes: list[int | None] = []

    async def handler(socket: ServerConnection) -> None:
        hello = json.loads(await socket.recv())
        hellos.append(hello)
        welcome = json.loads(encode(WELCOME)) | {"resumed": "resume" in hello, "received": 1 if "resume" in hello else 0}
        await socket.send(json.dumps(welcome))
        if len(hellos) == 1:
            await socket.send('{"t":"queued","s":1,"ticket":"t_1","mode":"duel"}')
            await socket.send('{"t":"queued","s":3,"ticket":"t_3","mode":"duel"}')  # 2 is lost
        else:
            found = {"t": "match_found", "s": 2, "ticket": "t_1", "match": "m_1", "mode": "duel", "match_token": "k", "join_ms": 1}
            await socket.send(json.dumps(found | {"url": url}))
        await socket.wait_closed()
        codes.append(socket.close_code)

    async with serve(handler, "127.0.0.1", 0, subprotocols=[Subprotocol("gameedge.v1")]) as server, asyncio.timeout(10):
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with Session("token", [url]) as session:
            found = await session.queue("duel")
            assert found.match == "m_1"
            assert (session.connections, session.resumes) == (2, 1)
    assert [hello.get("last_s", 0) for hello in hellos] == [0, 1]
    assert hellos[1]["resume"] == WELCOME.resume_token
    assert codes[0] == 4004


class Odd:
    """A server that does what a test says: `says(socket, message)` is asked after every message of a client but pings."""

    def __init__(self, says: Callable[["Odd", ServerConnection, dict[str, Any]], Awaitable[None]]) -> None:
        self._says = says
        self.hellos: list[dict[str, Any]] = []
        self.heard: list[str] = []
        self.sent = 0
        self.url = ""

    async def say(self, socket: ServerConnection, **message: Any) -> None:
        """A critical message."""
        self.sent += 1
        await socket.send(json.dumps({"s": self.sent, **message}))

    async def serve(self, socket: ServerConnection) -> None:
        async for text in socket:
            message = json.loads(text)
            if message["t"] == "hello":
                self.hellos.append(message)
                self.sent = 0 if "resume" not in message else self.sent
                told = json.loads(encode(WELCOME)) | {"resumed": "resume" in message, "received": self.received}
                await socket.send(json.dumps(told))
            elif message["t"] == "ping":
                await socket.send(json.dumps({"t": "pong", "id": message["id"], "received": self.received}))
                continue
            elif message["t"] != "ack":
                self.heard.append(message["t"])
            await self._says(self, socket, message)

    @property
    def received(self) -> int:
        return len(self.heard)


@contextlib.asynccontextmanager
async def odd(says: Callable[[Odd, ServerConnection, dict[str, Any]], Awaitable[None]]) -> AsyncIterator[Odd]:
    made = Odd(says)
    async with serve(made.serve, "127.0.0.1", 0, subprotocols=[Subprotocol("gameedge.v1")]) as server, asyncio.timeout(20):
        made.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield made


def found(url: str, ticket: str, mode: str) -> dict[str, Any]:
    return {"t": "match_found", "ticket": ticket, "match": f"m of {ticket}", "mode": mode, "url": url, "match_token": "k", "join_ms": 5_000}


async def test_who_leaves_the_queue_and_queues_again_at_once_waits_for_the_new_ticket() -> None:
    """As a real server does it: a second ticket beside the first is refused, and the first one's end takes a moment."""
    tickets: list[str] = []
    ended = 0

    async def says(server: Odd, socket: ServerConnection, message: dict[str, Any]) -> None:
        nonlocal ended
        if message["t"] == "queue" and len(tickets) > ended:
            await socket.send(json.dumps({"t": "refused", "re": "queue", "reason": "already_queued", "n": message["n"]}))
        elif message["t"] == "queue":
            tickets.append(f"t_{len(tickets) + 1}")
            await server.say(socket, t="queued", ticket=tickets[-1], mode=message["mode"])
            if message["mode"] == "squads":
                await server.say(socket, **found(server.url, tickets[-1], "squads"))
        elif message["t"] == "cancel":

            async def end() -> None:
                nonlocal ended
                await asyncio.sleep(0.1)
                ended += 1
                await server.say(socket, t="dequeued", ticket=tickets[-1])

            ends.append(asyncio.create_task(end()))

    ends: list[asyncio.Task[None]] = []
    async with odd(says) as server, Session("token", [server.url]) as session:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(session.queue("duel"), 0.2)
        match = await session.queue("squads")
        assert (match.ticket, match.mode) == ("t_2", "squads")
        assert server.heard == ["queue", "cancel", "queue"]


async def test_a_match_that_comes_after_its_queue_was_left_is_left_too() -> None:
    async def says(server: Odd, socket: ServerConnection, message: dict[str, Any]) -> None:
        if message["t"] == "queue":
            await server.say(socket, t="queued", ticket="t_1", mode=message["mode"])
            if message["mode"] == "squads":
                await server.say(socket, **found(server.url, "t_2", "squads"))
        elif message["t"] == "cancel":
            await server.say(socket, **found(server.url, "t_1", "duel"))  # it came first: the server says no more of the cancel

    async with odd(says) as server, Session("token", [server.url]) as session:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(session.queue("duel"), 0.2)
        assert (await session.queue("squads")).ticket == "t_2"
        assert server.heard == ["queue", "cancel", "leave", "queue"]


async def test_wishes_that_cannot_be_said_are_an_error_of_the_caller_alone() -> None:
    async def says(server: Odd, socket: ServerConnection, message: dict[str, Any]) -> None:
        if message["t"] == "queue":
            await server.say(socket, **found(server.url, "t_1", message["mode"]))

    async with odd(says) as server, Session("token", [server.url]) as session:
        with pytest.raises(TypeError):
            await session.queue("duel", wishes=Wishes(attributes={"skin": object()}))  # type: ignore[dict-item]
        session.drop_connection()
        assert (await session.queue("duel")).mode == "duel"
        assert server.heard == ["queue"]


async def test_a_server_that_takes_a_session_and_drops_it_at_once_is_not_stormed() -> None:
    async def says(server: Odd, socket: ServerConnection, message: dict[str, Any]) -> None:
        await socket.close(4021, "internal")

    async with odd(says) as server, Session("token", [server.url]):
        await asyncio.sleep(1.5)
        assert len(server.hellos) < 15


@pytest.mark.parametrize("bad", ["ws://127.0.0.1:99999", "ws://" + "a" * 70 + ".test", "ws://[::1", "nonsense", ""])
async def test_an_address_that_is_none_costs_an_attempt_and_not_the_session(bad: str) -> None:
    async def says(server: Odd, socket: ServerConnection, message: dict[str, Any]) -> None:
        if message["t"] == "queue":
            await server.say(socket, **found(bad, "t_1", message["mode"]))
        elif message["t"] == "join":
            await socket.send(json.dumps({"t": "refused", "re": "join", "reason": "not_found", "n": message["n"]}))

    async with odd(says) as server, Session("token", [server.url]) as session:
        match = await session.queue("duel")
        with pytest.raises(RefusedError) as refused:
            await session.join(match)
        assert refused.value.reason is Reason.NOT_FOUND
        assert (session.url, session.resumes) == (server.url, 1)


async def test_a_placement_without_an_address_is_asked_for_again() -> None:
    asked = 0

    async def place() -> tuple[str, tuple[str, ...]]:
        nonlocal asked
        asked += 1
        return "token", (server.url,) if asked == 3 else ()

    async def says(server: Odd, socket: ServerConnection, message: dict[str, Any]) -> None:
        if message["t"] == "hello" and asked < 3:
            await socket.close(4015, "draining")

    async with odd(says) as server, Session("token", [server.url], place=place) as session:
        async with asyncio.timeout(10):
            while asked < 3 or not session.connected:
                await asyncio.sleep(0.02)
