"""The admin command as operators run it, against a real coordinator on loopback."""

import asyncio
import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gameedge.admin.cli import app
from gameedge.bus import topics
from gameedge.bus.payloads import Verdict, encode
from gameedge.core.ids import RegionId
from tests.coordinator.fleet import OPERATOR, Fleet, fleet, until


async def admin(url: str, *words: str, token: str = OPERATOR) -> Result:
    """In a thread, since the coordinator serves in this loop."""
    env = {"GAMEEDGE_URL": url, "GAMEEDGE_TOKEN": token, "COLUMNS": "200", "TERM": "dumb"}
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, list(words), env=env))


async def told(world: Fleet, *words: str) -> Any:
    result = await admin(world.running.url, *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


async def test_every_command_in_both_forms() -> None:
    async with fleet() as world:
        guest = await world.sign_up("[red]Mallory[/] <b>")
        player = guest["player"]
        verdict = Verdict(
            flag="f1", player=player, match="m1", at_ms=1_800_000_000_000, rule="aim", score=0.97, reasons=["[b]too straight"]
        )
        await world.bus.publish(topics.verdicts(RegionId("eu")), encode(verdict))
        await until(lambda: world.running.services.verdicts.heard_count)

        assert (await told(world, "status"))["regions"][0]["region"] == "eu"
        assert (await told(world, "regions", "list"))[0]["edges"][0]["edge"] == "e1"
        assert (await told(world, "verdicts"))["verdicts"][0]["verdict"]["flag"] == "f1"
        assert (await told(world, "drain", "eu"))["draining"] is True
        assert (await told(world, "resume", "eu"))["draining"] is False
        assert (await told(world, "drain", "eu", "--edge", "e1"))["draining_edges"] == ["e1"]
        assert (await told(world, "resume", "eu", "--edge", "e1"))["draining_edges"] == []
        assert (await told(world, "players", "ban", player, "--reason", "aim"))["banned"] is True
        assert (await told(world, "players", "show", player))["banned"] is True
        assert (await told(world, "players", "unban", player))["banned"] is False
        assert len((await told(world, "audit", "--limit", "3"))["entries"]) == 3
        assert (await admin(world.running.url, "place", "explain", player)).exit_code == 5
        assert (await world.place(guest, rtt_ms={"eu": [30.0, 31.0]})).status_code == 200
        explained = await told(world, "place", "explain", player)
        assert (explained["region"], explained["samples"], explained["why"]["eu"]["rtt_ms"]) == ("eu", {"eu": 2}, 30.12)

        for words, expected in (
            (("status",), "1 players"),
            (("regions", "list"), "ws://127.0.0.1:9/eu/e1"),
            (("verdicts",), "[b]too straight"),
            (("players", "show", player), "[red]Mallory[/] <b>"),
            (("audit",), "reason=aim"),
            (("place", "explain", player), "measured"),
            (("drain", "eu"), "eu drains"),
            (("resume", "eu"), "eu takes players"),
        ):
            result = await admin(world.running.url, *words)
            assert result.exit_code == 0, result.output
            assert expected in result.stdout


async def test_the_wrong_token_is_told_and_has_its_own_status() -> None:
    async with fleet() as world:
        for token, status in (("wrong", 4), ("", 4), ("ü", 4)):
            result = await admin(world.running.url, "status", token=token)
            assert result.exit_code == status
            assert "token" in result.stderr


async def test_what_is_not_there() -> None:
    async with fleet() as world:
        for words in (("players", "show", "p_nobody"), ("drain", "mars"), ("players", "ban", "../status")):
            result = await admin(world.running.url, *words)
            assert (result.exit_code, result.stdout) == (5, ""), words
            assert result.stderr.startswith("gameedge admin: ")
        world.broker.down()
        assert (await admin(world.running.url, "drain", "eu")).exit_code == 3


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "not a url", "ftp://x", "http://[::bad"])
async def test_no_coordinator(url: str) -> None:
    result = await admin(url, "status")
    assert result.exit_code == 3
    assert "coordinator" in result.stderr
    assert "Traceback" not in result.output


async def test_something_else_answers() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        result = await admin(f"http://127.0.0.1:{port}", "status")
        assert result.exit_code == 3
        assert "is no coordinator" in result.stderr


async def test_wrong_use_is_status_two() -> None:
    for words in ((), ("nothing",), ("verdicts", "--limit", "0"), ("drain",)):
        assert (await admin("http://127.0.0.1:1", *words)).exit_code == 2
