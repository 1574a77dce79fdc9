"""Where connections really go. A `dial` hook sees every host and port before a connection is opened to it, HTTP and WebSocket
alike, and may answer with another: a load test routes everything through emulated links with it."""

import inspect
from collections.abc import Awaitable, Callable

Address = tuple[str, int]
Dial = Callable[[str, int], Address | Awaitable[Address]]


async def dialled(dial: Dial | None, host: str, port: int) -> Address:
    """The address to connect to."""
    if dial is None:
        return host, port
    answer = dial(host, port)
    if inspect.isawaitable(answer):
        answer = await answer
    return answer
