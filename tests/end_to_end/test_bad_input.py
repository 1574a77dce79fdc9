"""What nobody should send, over real sockets to a real edge: each gets its documented answer, and nobody else is disturbed."""

import asyncio
import gc
import random
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest

from gameedge.coordinator.tokens import Signer
from gameedge.core import limits
from gameedge.core.errors import Reason
from gameedge.core.ids import PlayerId, RegionId
from gameedge.core.protocol.close import CLOSE_CODES, NORMAL
from gameedge.core.protocol.frames import encode_command
from gameedge.core.protocol.messages import Refused, Unknown, Welcome, decode_server
from gameedge.state.base_global import Account

from .inprocess import stack
from .raw import BINARY, CLOSE, PING, TEXT, Answer, bent, frame, greeting, say
from .test_match import play

TRANSPORTS = ["picows", "websockets"]
FRAMES = 50_000  # of each transport
BATCH = 125  # frames of one connection
AT_ONCE = 16


def token(signer: Signer, player: str = "p_x", *, region: str = "test-1", life_ms: int = 60_000) -> str:
    account = Account(player=PlayerId(player), secret_hash="", name="x", created_ms=0)
    return signer.session_token(account, RegionId(region), {}, time.time_ns() // 1_000_000, life_ms)[0]


def text(**fields: object) -> bytes:
    return frame(TEXT, msgspec.json.encode(fields))


def refusals(answer: Answer) -> list[Reason]:
    messages = [decode_server(data) for data in answer.texts]
    return [message.reason for message in messages if isinstance(message, Refused)]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_each_wrong_has_its_answer(transport: str) -> None:
    async with stack(transport=transport) as running, asyncio.timeout(60):
        url, signer = running.edge.seating.url, running.coordinator.services.signer
        stranger = Signer(bytes(range(32)))
        hello = text(t="hello", token=token(signer))
        command = encode_command(1, 0, 0, bytes(running.edge.game.spec.command_size))

        async def close_of(data: bytes) -> int | None:
            answer = await say(url, greeting() + data, wait_s=8.0)
            assert answer.status == 101
            return answer.close

        async def refused(*frames: bytes) -> list[Reason]:
            answer = await say(url, greeting() + hello + b"".join(frames) + text(t="bye"), wait_s=8.0)
            assert answer.close == NORMAL
            assert isinstance(decode_server(answer.texts[0]), Welcome)
            return refusals(answer)

        for given, reason in (
            (text(t="hello", token=token(stranger)), Reason.TOKEN_INVALID),
            (text(t="hello", token="nonsense"), Reason.TOKEN_INVALID),
            (text(t="hello", token=token(signer)[:-6] + "AAAAAA"), Reason.TOKEN_INVALID),
            (text(t="hello", token=token(signer, life_ms=-1_000)), Reason.TOKEN_EXPIRED),
            (text(t="hello", token=token(signer, region="test-2")), Reason.WRONG_REGION),
            (text(t="hello"), Reason.MALFORMED),
            (frame(TEXT, b"{"), Reason.MALFORMED),
            (text(t="queue", n=1, mode="duel"), Reason.OUT_OF_ORDER),
            (frame(BINARY, command), Reason.OUT_OF_ORDER),
        ):
            assert await close_of(given) == CLOSE_CODES[reason], (given[:80], reason)

        # WebSocket's own rules
        assert await close_of(hello + frame(TEXT, b" " * (limits.FRAME_BYTES_MAX + 1))) == 1009
        assert await close_of(hello + frame(TEXT, b"\xff\xfe")) == 1007
        assert await close_of(hello + frame(CLOSE, b"\x00")) == 1002
        assert (await say(url, greeting("gameedge.v9"))).status == 400
        assert (await say(url, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")).status in (400, 426)

        # a session that is open goes on
        assert await refused(frame(TEXT, b"{")) == [Reason.MALFORMED]
        assert await refused(text(t="nobody")) == [Reason.MALFORMED]
        assert await refused(hello) == [Reason.OUT_OF_ORDER]
        assert await refused(text(t="queue", n=2, mode="duel")) == [Reason.OUT_OF_ORDER]
        assert await refused(text(t="ack", s=9)) == [Reason.OUT_OF_ORDER]
        assert await refused(text(t="queue", n=1, mode="chess")) == [Reason.UNSUPPORTED]
        assert await refused(text(t="leave", n=1), text(t="leave", n=1)) == [Reason.NOT_FOUND], "the second is a replay: ignored"
        assert await refused(text(t="cancel", n=1)) == [Reason.NOT_FOUND]
        assert await refused(text(t="join", n=1, match="m_x", match_token="y")) == [Reason.NOT_FOUND]
        assert await refused(frame(BINARY, command[:-1])) == [Reason.MALFORMED]
        assert await refused(frame(BINARY, command)) == [], "without a seat it is counted, not answered"
        assert Reason.TOO_OFTEN in await refused(*(text(t="ping", id=1) for _ in range(limits.CONTROL_BURST + 8)))
        flood = await say(url, greeting() + hello + frame(TEXT, b"{") * (limits.REFUSALS_MAX + 2), wait_s=8.0)
        assert flood.close == CLOSE_CODES[Reason.TOO_OFTEN]
        assert running.edge.metrics.value("errors_total") == 0


def hostile(rng: random.Random, signer: Signer, frames: int, command: bytes) -> bytes:
    """One connection's bytes: an upgrade, mostly a good hello, then frames; now and then not even frames."""
    good = [
        text(t="ack", s=1), text(t="queue", n=1, mode="duel"), text(t="queue", n=2, mode="ffa", party={"id": "x", "size": 2}),
        text(t="cancel", n=3), text(t="join", n=4, match="m_1", match_token="tok"), text(t="leave", n=5), text(t="ping", id=7),
        frame(BINARY, command), frame(PING, b"x"), frame(TEXT, b'{"t":"ack"', fin=False),
    ]  # fmt: skip
    known = f"p_{rng.randrange(64)}"
    parts = [greeting(), text(t="hello", token=token(signer, known) if rng.random() < 0.9 else rng.randbytes(9).hex())]
    raw = rng.random() < 0.1
    for _ in range(frames):
        choice, base = rng.random(), rng.choice(good)
        if raw:
            parts.append(bent(rng, base))  # the framing itself
        elif choice < 0.4:
            parts.append(frame(BINARY, bent(rng, command) if choice < 0.2 else command))
        elif choice < 0.5:
            parts.append(frame(rng.choice((TEXT, BINARY)), rng.randbytes(rng.randint(0, 64))))
        else:
            parts.append(frame(TEXT, bent(rng, base[6:])) if choice < 0.9 else base)
    return b"".join(parts)


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


@pytest.mark.slow
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_fifty_thousand_frames_disturb_nobody(transport: str, caplog: pytest.LogCaptureFixture) -> None:
    rng = random.Random(transport)
    async with stack(game="tests.end_to_end.quick:QuickArena", transport=transport, fill_ms=30_000) as running, asyncio.timeout(120):
        edge, signer = running.edge, running.coordinator.services.signer
        command = encode_command(1, 0, 0, bytes(edge.game.spec.command_size))
        honest = asyncio.gather(*(play(running.url, name, "duel") for name in ("ada", "bob")))
        batches = iter(range(FRAMES // BATCH))
        seen: list[Answer] = []
        grown: list[float] = []

        async def attack(batches: Iterator[int]) -> None:
            for number in batches:
                if number == FRAMES // BATCH // 4:
                    gc.collect()
                    grown.append(resident_mb())
                answer = await say(edge.seating.url, hostile(rng, signer, BATCH, command), wait_s=0.5)
                for data in answer.texts:
                    assert not isinstance(decode_server(data), Unknown), data
                assert answer.close in (None, NORMAL, 1002, 1007, 1009, 1013, *CLOSE_CODES.values())
                assert answer.close != CLOSE_CODES[Reason.INTERNAL]
                answer.texts.clear()
                seen.append(answer)

        await asyncio.gather(*(attack(batches) for _ in range(AT_ONCE)))
        gc.collect()
        grown.append(resident_mb())
        played = await honest
        assert len(seen) == FRAMES // BATCH
        assert sum(answer.ended for answer in seen) > len(seen) // 2, "most were thrown out"
        assert all(one["reason"] == "finished" and int(str(one["views"])) > 20 for one in played)
        assert grown[1] - grown[0] < 48, "memory grows with what was sent"
        assert len(edge.players) <= 64 + 8, "a session a player, however often it comes"
        assert edge.metrics.value("errors_total") == 0
    assert not [record for record in caplog.records if record.exc_info], "an exception was logged"


async def test_http_garbage(caplog: pytest.LogCaptureFixture) -> None:
    """The coordinator says 4xx with a reason to whatever comes, and goes on serving."""
    rng = random.Random(7)
    async with stack() as running, httpx.AsyncClient(base_url=running.url, trust_env=False) as client, asyncio.timeout(60):
        bodies = [
            b"", b"null", b"[]", b"{", b'{"name":7}', b'{"name":"\\ud800"}', b'{"name":"' + b"x" * 100 + b'"}', b"\xff" * 64, b"[" * 5_000,
            b'{"player":"p","secret":"s","rtt_ms":{"x":[1e999]}}', b'{"player":"p","secret":"s","rtt_ms":{"x":[-1]}}',
            b'{"player":"p","secret":"s","latitude":"north"}',
        ]  # fmt: skip
        for path in ("/v1/guests", "/v1/placements", "/v1/admin/drain", "/v1/nothing", "/v1/players/%00", "/v1/admin/status"):
            for body in (*bodies, *(bent(rng, rng.choice(bodies[4:])) for _ in range(40))):
                answer = await client.post(path, content=body, headers={"content-type": "application/json"})
                if answer.status_code < 300:  # bent into something good
                    assert path == "/v1/guests"
                    continue
                assert 400 <= answer.status_code < 500, (path, body[:60], answer.text)
                assert Reason(answer.json()["reason"]), answer.text
        parts = urlsplit(running.url)
        for _ in range(60):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            writer.write(bent(rng, b"POST /v1/guests HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n" + b'{"name":"x"}') + b"\r\n\r\n")
            writer.write_eof()
            await asyncio.wait_for(reader.read(4096), 25)
            writer.transport.abort()
        assert (await client.get("/healthz")).json()["ok"] is True
        assert (await client.post("/v1/guests", json={"name": "good"})).status_code == 201
        assert running.coordinator.services.metrics.value("coordinator_errors_total") == 0
    assert not [record for record in caplog.records if record.exc_info], [r.message for r in caplog.records if r.exc_info]
