"""The few HTTP calls that a client makes: JSON in, JSON out, no thread and no further dependency."""

import asyncio
import http.client
import io
import ssl
from typing import Final, Self, TypeVar
from urllib.parse import urlsplit

import msgspec

from gameedge.core.errors import Reason, RefusedError, UnavailableError
from gameedge_client.dial import Dial, dialled

ANSWER_BYTES_MAX: Final = 1 << 20
HEAD_BYTES_MAX: Final = 1 << 16
TIMEOUT_S: Final = 10.0
T = TypeVar("T")


class _Problem(msgspec.Struct):
    reason: str = ""
    detail: str = ""
    retry_after_ms: int | None = None


class _Stored:
    """What http.client reads a response from."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


async def call(method: str, url: str, answer: type[T], *, body: object = None, dial: Dial | None = None) -> T:
    """Send one request. Raises RefusedError with the server's reason, UnavailableError where there was no usable answer."""
    async with Line(url, dial) as line:
        return await line.call(method, url, answer, body=body)


class Line:
    """One connection to one server for calls that follow one another: a round trip less each, two less with TLS."""

    def __init__(self, url: str, dial: Dial | None = None) -> None:
        """`url`: any of the server's."""
        self._parts = urlsplit(url)
        self._dial = dial
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._close()

    async def call(self, method: str, url: str, answer: type[T], *, body: object = None) -> T:
        """See `call`."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                status, data = await self._exchange(method, url, None if body is None else msgspec.json.encode(body))
        except (OSError, ValueError, TimeoutError, http.client.HTTPException, asyncio.IncompleteReadError) as error:
            self._close()
            raise UnavailableError(f"{method} {url}: {error or type(error).__name__}") from error
        if status >= 400:
            raise _problem(status, data, f"{method} {url}")
        try:
            return msgspec.json.decode(data, type=answer)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UnavailableError(f"{method} {url}: an answer of another form: {error}") from error

    def _close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = self._parts
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise OSError(f"{parts.geturl()!r} is not an http:// or https:// URL")
        secure = parts.scheme == "https"
        host, port = await dialled(self._dial, parts.hostname, parts.port or (443 if secure else 80))
        context = ssl.create_default_context() if secure else None
        name = parts.hostname if secure else None
        return await asyncio.open_connection(host, port, ssl=context, server_hostname=name, limit=HEAD_BYTES_MAX)

    async def _exchange(self, method: str, url: str, body: bytes | None) -> tuple[int, bytes]:
        kept = self._streams
        reader, writer = self._streams = kept or await self._open()
        try:
            writer.write(_request(method, url, body))
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
        except (OSError, asyncio.IncompleteReadError) as error:
            if kept is None or (isinstance(error, asyncio.IncompleteReadError) and error.partial):
                raise
            self._close()  # the server ended a connection that it had kept for a while: it has not seen this request
            return await self._exchange(method, url, body)
        except asyncio.LimitOverrunError as error:
            raise OSError("the head of the answer is too large") from error
        response = http.client.HTTPResponse(_Stored(head), method=method)  # type: ignore[arg-type]
        response.begin()
        data = await _body(reader, response)
        if response.will_close:
            self._close()
        return response.status, data


def _request(method: str, url: str, body: bytes | None) -> bytes:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    head = f"{method} {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: application/json\r\n"
    if body is not None:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode("ascii") + b"\r\n" + (body or b"")


async def _body(reader: asyncio.StreamReader, response: http.client.HTTPResponse) -> bytes:
    """What follows a head: as long as it says, in chunks, or until the end."""
    data = b""
    if response.length is not None and not response.chunked:
        if response.length > ANSWER_BYTES_MAX:
            raise OSError("the answer is too large")
        return await reader.readexactly(response.length)
    while True:
        if response.chunked:
            size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
            chunk = (await reader.readexactly(size + 2))[:size] if 0 <= size <= ANSWER_BYTES_MAX else None
        else:
            chunk = await reader.read(65_536)
        if chunk is None or len(data) + len(chunk) > ANSWER_BYTES_MAX:
            raise OSError("the answer is too large")
        if not chunk:
            return data
        data += chunk


def _problem(status: int, data: bytes, what: str) -> RefusedError:
    try:
        problem = msgspec.json.decode(data, type=_Problem)
        reason = Reason(problem.reason)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        return UnavailableError(f"{what}: HTTP {status}")
    return RefusedError(reason, problem.detail, retry_after_ms=problem.retry_after_ms)
