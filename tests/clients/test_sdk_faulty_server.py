"""The SDK against a server that loses a critical message: it gives the connection up and resumes from the last good one."""

import asyncio
import json
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from clients.vectors.messages import WELCOME
from gameedge.core.protocol.messages import encode
from gameedge_client import Session


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
