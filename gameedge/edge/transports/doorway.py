"""Listening sockets whose connections come in a few at a time.

Event loops accept everybody who waits in one go: a thousand players who lost their process would be a quarter of a second in which
nothing else runs, no tick and no heartbeat. Here ACCEPTS_AT_ONCE are accepted between two looks at everything else, and nobody while the
door is held: who connects then waits in the socket's own queue (`backlog`), connected as far as it can tell.
"""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from gameedge.core import limits

ACCEPTS_AT_ONCE: Final = 16
AGAIN_S: Final = 0.1  # after the process or the machine had no file descriptor left
_FULL: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


async def listening(host: str, port: int, backlog: int) -> list[socket.socket]:
    """Sockets that listen at every address of a host name. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            sockets.append(socket.socket(family, kind, protocol))
            sockets[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, True)
            if family == socket.AF_INET6:
                sockets[-1].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, True)
            sockets[-1].setblocking(False)
            sockets[-1].bind(address)
            sockets[-1].listen(backlog)
    except OSError:
        for each in sockets:
            each.close()
        raise
    return sockets


class Doorway:
    """`connect` makes a connection of an accepted socket; what it raises ends that connection alone. At most `coming_max` are being made
    at once (with TLS it takes as long as the peer likes, within the transport's time); one more is dropped."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        connect: Callable[[socket.socket], Awaitable[object]],
        coming_max: int = limits.HANDSHAKES_MAX,
    ) -> None:
        self.sockets = list(sockets)
        self._connect, self._coming_max = connect, coming_max
        self._loop = asyncio.get_running_loop()
        self._coming: set[asyncio.Task[None]] = set()
        self._held = True
        self.hold(False)

    def hold(self, held: bool) -> None:
        """Whether those who connect must wait. Harmless when repeated."""
        if held == self._held:
            return
        self._held = held
        for each in self.sockets:
            if held:
                self._loop.remove_reader(each.fileno())
            else:
                self._loop.add_reader(each.fileno(), self._accept, each)

    def close(self) -> None:
        """Listen no more. Harmless when repeated."""
        self.hold(True)
        for each in self.sockets:
            each.close()
        self.sockets.clear()
        for task in self._coming:
            task.cancel()

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(ACCEPTS_AT_ONCE):
            try:
                accepted, _ = listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue
            except OSError as error:
                if error.errno not in _FULL:
                    raise
                self._loop.remove_reader(listener.fileno())  # it would be ready without end
                self._loop.call_later(AGAIN_S, self._again, listener)
                return
            if len(self._coming) >= self._coming_max:
                accepted.close()
                continue
            accepted.setblocking(False)
            task = self._loop.create_task(self._take(accepted), name="accept")
            self._coming.add(task)
            task.add_done_callback(self._coming.discard)

    def _again(self, listener: socket.socket) -> None:
        if not self._held and listener in self.sockets:
            self._loop.add_reader(listener.fileno(), self._accept, listener)

    async def _take(self, accepted: socket.socket) -> None:
        try:
            await self._connect(accepted)
        except BaseException as error:
            with contextlib.suppress(OSError):
                accepted.close()
            if not isinstance(error, Exception):
                raise
