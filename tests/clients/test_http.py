"""The SDK's HTTP: one connection for calls that follow one another, whatever form an answer has."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec
import pytest

from gameedge.core.errors import RefusedError, UnavailableError
from gameedge_client.http import ANSWER_BYTES_MAX, Line, call


class Said(msgspec.Struct):
    text: str = ""


class Server:
    """Answers each request of a connection with the next of `answers`; b"" ends the connection."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.connections = 0
        self.requests: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError):
            while self.answers:
                head = await reader.readuntil(b"\r\n\r\n")
                size = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0)
                answer = self.answers.pop(0)
                if not answer:
                    break
                self.requests.append(head.split(b"\r\n")[0] + b" " + await reader.readexactly(size))
                writer.write(answer)
                if b"Connection: close" in answer:
                    break
        writer.close()


@contextlib.asynccontextmanager
async def running(*answers: bytes) -> AsyncIterator[tuple[Server, str]]:
    made = Server(*answers)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    async with server:
        yield made, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def answer(text: str, status: str = "200 OK") -> bytes:
    body = msgspec.json.encode(Said(text))
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


CHUNKED = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8;x=1\r\n{"text":\r\n6\r\n"four"\r\n1\r\n}\r\n0\r\n\r\n'
UNTIL_THE_END = b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"text":"three"}'


async def test_calls_share_a_connection() -> None:
    async with running(answer("one"), answer("two"), CHUNKED) as (server, url), Line(url) as line:
        assert (await line.call("GET", f"{url}/a?b=1", Said)).text == "one"
        assert (await line.call("POST", f"{url}/c", Said, body={"d": 2})).text == "two"
        assert (await line.call("GET", url, Said)).text == "four"
        assert server.connections == 1
        assert server.requests == [b"GET /a?b=1 HTTP/1.1 ", b'POST /c HTTP/1.1 {"d":2}', b"GET / HTTP/1.1 "]


async def test_a_connection_that_the_server_ended_is_made_anew() -> None:
    async with running(answer("one"), b"", answer("two"), answer("three")) as (server, url), Line(url) as line:
        for text in ("one", "two", "three"):
            assert (await line.call("GET", url, Said)).text == text
        assert server.connections == 2


async def test_refusals_keep_the_line_and_answers_until_the_end_do_not() -> None:
    refusal = b'{"reason":"server_full","detail":"no","retry_after_ms":5}'
    full = b"HTTP/1.1 503 Busy\r\nContent-Length: %d\r\n\r\n%s" % (len(refusal), refusal)
    async with running(full, UNTIL_THE_END, answer("four")) as (server, url), Line(url) as line:
        with pytest.raises(RefusedError) as refused:
            await line.call("GET", url, Said)
        assert (str(refused.value.reason), refused.value.retry_after_ms) == ("server_full", 5)
        assert (await line.call("GET", url, Said)).text == "three"
        assert server.connections == 1
        assert (await line.call("GET", url, Said)).text == "four"


@pytest.mark.parametrize(
    "broken",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n{}" % (ANSWER_BYTES_MAX + 1),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnone\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n[12]",
        b"SMTP ready\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
        b"",
    ],
)
async def test_what_is_no_answer_is_unavailable(broken: bytes) -> None:
    async with running(broken, b"") as (_, url):
        with pytest.raises(UnavailableError):
            await call("GET", url, Said)
