"""The few HTTP calls that a client makes: JSON in, JSON out, one connection each, no thread and no further dependency."""

import asyncio
import http.client
import io
import ssl
from typing import Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from gameedge.core.errors import Reason, RefusedError, UnavailableError
from gameedge_client.dial import Dial, dialled

ANSWER_BYTES_MAX: Final = 1 << 20
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
    try:
        async with asyncio.timeout(TIMEOUT_S):
            status, data = await _exchange(method, url, None if body is None else msgspec.json.encode(body), dial)
    except (OSError, TimeoutError, http.client.HTTPException, asyncio.IncompleteReadError) as error:
        raise UnavailableError(f"{method} {url}: {error or type(error).__name__}") from error
    if status >= 400:
        raise _problem(status, data, f"{method} {url}")
    try:
        return msgspec.json.decode(data, type=answer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnavailableError(f"{method} {url}: an answer of another form: {error}") from error


async def _exchange(method: str, url: str, body: bytes | None, dial: Dial | None) -> tuple[int, bytes]:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise OSError(f"{url!r} is not an http:// or https:// URL")
    secure = parts.scheme == "https"
    host, port = await dialled(dial, parts.hostname, parts.port or (443 if secure else 80))
    context = ssl.create_default_context() if secure else None
    reader, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=parts.hostname if secure else None)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        head = f"{method} {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: application/json\r\nConnection: close\r\n"
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        writer.write(head.encode("ascii") + b"\r\n" + (body or b""))
        await writer.drain()
        data = b""
        while chunk := await reader.read(65_536):
            data += chunk
            if len(data) > ANSWER_BYTES_MAX:
                raise OSError("the answer is too large")
    finally:
        writer.close()
    response = http.client.HTTPResponse(_Stored(data), method=method)  # type: ignore[arg-type]
    response.begin()
    return response.status, response.read()


def _problem(status: int, data: bytes, what: str) -> RefusedError:
    try:
        problem = msgspec.json.decode(data, type=_Problem)
        reason = Reason(problem.reason)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        return UnavailableError(f"{what}: HTTP {status}")
    return RefusedError(reason, problem.detail, retry_after_ms=problem.retry_after_ms)
