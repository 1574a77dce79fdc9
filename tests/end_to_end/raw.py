"""A client that keeps no rule: bytes onto a socket, and whatever the server says until it ends the connection."""

import asyncio
import contextlib
import random
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from gameedge.core.protocol import SUBPROTOCOL

TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9
GREETING = (
    "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {}\r\n\r\n"
)


def greeting(subprotocol: str = SUBPROTOCOL) -> bytes:
    return GREETING.format(subprotocol).encode()


def frame(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """A client's frame. The mask is zero: allowed, and the payload stays readable."""
    head = bytes(((0x80 if fin else 0) | opcode,))
    size = len(payload)
    if size < 126:
        head += bytes((0x80 | size,))
    elif size < 65_536:
        head += bytes((0x80 | 126,)) + size.to_bytes(2, "big")
    else:
        head += bytes((0x80 | 127,)) + size.to_bytes(8, "big")
    return head + b"\0\0\0\0" + payload


@dataclass
class Answer:
    """What the server said."""

    status: int = 0  # of the upgrade; 0: none
    texts: list[bytes] = field(default_factory=list)
    binaries: int = 0
    close: int | None = None  # None: it ended without a close frame, or not at all
    ended: bool = False


async def say(url: str, data: bytes, *, wait_s: float = 3.0) -> Answer:
    """Write everything, and read until the server ends the connection, `wait_s` at most."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    heard, ended = bytearray(), False
    try:
        writer.write(data)
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(wait_s):
                while chunk := await reader.read(65_536):
                    heard += chunk
                    if _closed(heard):
                        break
                ended = True
    finally:
        writer.transport.abort()
    answer = read_answer(bytes(heard))
    answer.ended = ended or answer.close is not None
    return answer


def _closed(heard: bytearray) -> bool:
    return read_answer(bytes(heard)).close is not None if len(heard) < 65_536 else False


def read_answer(heard: bytes) -> Answer:
    """Status and frames; what is cut off at the end is left out."""
    answer = Answer()
    head, separator, rest = heard.partition(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 ") and separator:
        answer.status = int(head[9:12])
    if answer.status != 101:
        return answer
    while len(rest) >= 2:
        opcode, size, at = rest[0] & 15, rest[1] & 127, 2
        if size == 126:
            size, at = int.from_bytes(rest[2:4], "big"), 4
        elif size == 127:
            size, at = int.from_bytes(rest[2:10], "big"), 10
        if len(rest) < at + size:
            break
        payload, rest = rest[at : at + size], rest[at + size :]
        if opcode == TEXT:
            answer.texts.append(payload)
        elif opcode == BINARY:
            answer.binaries += 1
        elif opcode == CLOSE:
            answer.close = int.from_bytes(payload[:2], "big") if payload else 1005
    return answer


def bent(rng: random.Random, data: bytes) -> bytes:
    """Some bytes changed, put in or taken out."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(3):
            case 0 if out:
                out[at % len(out)] = rng.randrange(256)
            case 1:
                out[at:at] = rng.randbytes(rng.randint(1, 8))
            case _:
                del out[at : at + rng.randint(1, 8)]
    return bytes(out)
