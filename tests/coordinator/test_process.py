"""`gameedge coordinator` as a process: with real Redis and a real broker, started, killed, and stopped as an operator does."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec

from gameedge.bus import open_bus, topics
from gameedge.bus.payloads import Acks, Codec, EdgeReport, Presence, ResultEnvelope, encode
from gameedge.core.ids import EdgeId, PlayerId, RegionId
from gameedge.core.tokens import load_keys, verify_token
from gameedge.local.child import free_port
from gameedge.local.servers import broker_server, redis_server
from gameedge.state.base_global import Rating
from gameedge.state.redis_global import RedisGlobalStore
from tests.coordinator.fleet import AUTH, OPERATOR, Clock, match_result

EU = RegionId("eu")


def configuration(folder: Path, redis: str, bus: str, port: int = 0) -> Path:
    file = folder / "coordinator.toml"
    file.write_text(f'redis = "{redis}"\nbus = "{bus}"\noperator_token = "{OPERATOR}"\n[listen]\nport = {port}\n', "utf-8")
    return file


async def command(*words: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gameedge", *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )


@contextlib.asynccontextmanager
async def coordinator(file: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The process and its URL, from the ready line."""
    process = await command("coordinator", "--config", str(file))
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 20)
        assert line, (await process.communicate())[1].decode()
        ready = json.loads(line)
        assert ready["ready"] == "coordinator"
        yield process, ready["url"]
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def eventually(client: httpx.AsyncClient, path: str, status: int, seconds: float = 10.0) -> httpx.Response:
    async with asyncio.timeout(seconds):
        while True:
            with contextlib.suppress(httpx.HTTPError):
                answer = await client.get(path, headers=AUTH)
                if answer.status_code == status:
                    return answer
            await asyncio.sleep(0.05)


async def test_it_starts_serves_and_stops_with_status_zero(tmp_path: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        async with coordinator(configuration(tmp_path, "memory://", "memory://")) as (process, url):
            async with httpx.AsyncClient(base_url=url) as client:
                assert (await client.get("/healthz")).json()["ok"] is True
            process.send_signal(number)
            output, errors = await asyncio.wait_for(process.communicate(), 10)
            assert (process.returncode, output) == (0, b""), errors.decode()
            events = [json.loads(line)["event"] for line in errors.decode().splitlines()]
            assert events == ["coordinator_ready", "coordinator_stopping"]


async def test_bad_configuration_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    for text, words in (
        ('redis = "memory://"\nbus = "memory://"\nlisten.port = 99999\n', "listen.port"),
        ('redis = "http://x"\nbus = "memory://"\nlisten.port = 0\n', "redis"),
        ('redis = "memory://"\nbus = "memory://"\nlisten = { host = "192.0.2.1", port = 0 }\n', "listen"),
        ("redis = 1", "redis"),
        ("[", "TOML"),
    ):
        file.write_text(text, "utf-8")
        process = await command("coordinator", "--config", str(file))
        _, errors = await asyncio.wait_for(process.communicate(), 20)
        assert process.returncode == 2, errors.decode()
        assert errors.decode().startswith("gameedge: "), errors.decode()
        assert words in errors.decode()
        assert errors.count(b"\n") == 1


async def test_stopping_before_the_store_is_there(tmp_path: Path) -> None:
    process = await command("coordinator", "--config", str(configuration(tmp_path, f"redis://127.0.0.1:{free_port()}", "memory://")))
    assert process.stderr is not None
    assert b"store_unavailable" in await asyncio.wait_for(process.stderr.readline(), 20)
    os.kill(process.pid, signal.SIGTERM)
    await asyncio.wait_for(process.communicate(), 10)
    assert process.returncode == 0


async def test_with_redis_and_a_broker_results_survive_kill_minus_nine(tmp_path: Path) -> None:
    """Two coordinators, then one killed: placements, ratings and exactly-once go on."""
    async with redis_server(tmp_path / "redis") as redis, broker_server(tmp_path / "broker") as broker:
        file = configuration(tmp_path, redis.url, broker.url)
        keys = await command("keys", "--config", str(file))
        public = (await asyncio.wait_for(keys.communicate(), 20))[0].decode().strip()
        bus_factory = open_bus(broker.url)
        async with (
            coordinator(file) as (first, url_first),
            coordinator(file) as (_, url),
            bus_factory("test-region") as bus,
            httpx.AsyncClient(base_url=url) as client,
            httpx.AsyncClient(base_url=url_first) as other,
            bus.subscribe(topics.acks(EU)) as acks,
        ):
            presence = Presence(online=True, region="eu", region_title="Europe", url="ws://127.0.0.1:9")
            await bus.publish(topics.presence(EU, EdgeId("e1")), encode(presence), retain=True)
            report = encode(EdgeReport(at_ms=1, players=1, players_max=10, free_matches=5))
            await bus.publish(topics.report(EU, EdgeId("e1")), report, retain=True)
            guest = (await other.post("/v1/guests", json={"name": "Ada"})).json()
            placed = await _placed(client, guest)
            assert verify_token(placed["token"], load_keys([public]), "eu", Clock()()).sub == guest["player"]

            first.kill()
            await first.wait()
            player = PlayerId(guest["player"])
            data = ResultEnvelope(at="1-0", result=_packed(player))
            for _ in range(3):
                await bus.publish(topics.results(EU), encode(data))
            heard = await asyncio.wait_for(anext(acks), 10)
            assert Codec(Acks).decode(heard.payload) is not None
            profile = (await client.get(f"/v1/players/{player}")).json()
            assert profile["ratings"]["duel"]["games"] == 1

            # Redis is killed and comes back: told meanwhile, and nothing is forgotten.
            await redis.kill()
            assert (await eventually(client, "/readyz", 503)).json()["store"] != "ok"
            refused = await client.post("/v1/guests", json={"name": "x"})
            assert (refused.status_code, refused.json()["reason"]) == (503, "unavailable")
            await redis.restart()
            await eventually(client, "/readyz", 200)
            assert (await client.get(f"/v1/players/{player}")).json()["ratings"]["duel"]["games"] == 1
        store = RedisGlobalStore(redis.url)
        ratings = await store.ratings_of("duel", [player])
        assert ratings[player].mu > Rating().mu
        await store.close()


def _packed(player: PlayerId) -> bytes:
    return msgspec.msgpack.encode(match_result("m1", [[player], ["p_other"]], [0, 1]))


async def _placed(client: httpx.AsyncClient, guest: dict[str, str]) -> dict[str, str]:
    async with asyncio.timeout(10):
        while True:
            answer = await client.post("/v1/placements", json={**guest, "rtt_ms": {"eu": [10]}})
            if answer.status_code == 200:
                return dict(answer.json())
            assert answer.json()["reason"] == "unavailable", answer.text
            await asyncio.sleep(0.05)


async def test_the_command_line_says_what_it_can() -> None:
    for words, expected in (
        (("--help",), "coordinator"),
        (("version",), "0."),
        (("admin", "--help"), "verdicts"),
        (("coordinator", "--help"), "--config"),
    ):
        process = await command(*words)
        output, errors = await asyncio.wait_for(process.communicate(), 20)
        assert process.returncode == 0, errors.decode()
        assert expected in output.decode()
    process = await command("keys", "--redis", "memory://")
    _, errors = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, errors.count(b"\n")) == (2, 1)
