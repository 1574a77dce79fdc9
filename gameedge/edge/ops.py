"""The operator's HTTP port of a process: /healthz, /readyz, /metrics, POST /drain. Loopback by default; not for players.

A web page that an operator happens to have open may send requests to loopback, too: what changes something is refused to browsers,
which say where they come from.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from typing import Any, Final

import msgspec
import uvicorn

from gameedge.config import Listen
from gameedge.core.errors import ConfigError
from gameedge.telemetry.metrics import CONTENT_TYPE, Registry

JSON: Final = "application/json"
FROM_BROWSERS: Final = (b"origin", b"sec-fetch-site")
Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


class OpsApp:
    """An ASGI application of four routes. `ready` says why not, or None; `health` is what an operator wants to see."""

    def __init__(
        self,
        metrics: Registry,
        refresh: Callable[[], None],
        ready: Callable[[], str | None],
        health: Callable[[], dict[str, Any]],
        drain: Callable[[], None],
    ) -> None:
        self._metrics, self._refresh, self._ready, self._health, self._drain = metrics, refresh, ready, health, drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        method = scope["method"]
        if method not in ("GET", "HEAD") and any(name in FROM_BROWSERS for name, _ in scope["headers"]):
            status, kind, body = 403, JSON, b'{"reason":"forbidden","detail":"not from a web page; use curl or gameedge admin"}'
        else:
            status, kind, body = self._answer("GET" if method == "HEAD" else method, scope["path"])
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})

    def _answer(self, method: str, path: str) -> tuple[int, str, bytes]:
        match method, path:
            case "GET", "/healthz":
                return 200, JSON, msgspec.json.encode(self._health())
            case "GET", "/readyz":
                why_not = self._ready()
                return (
                    (503 if why_not else 200),
                    JSON,
                    msgspec.json.encode({"ready": not why_not, "why": why_not}),
                )
            case "GET", "/metrics":
                self._refresh()
                return 200, CONTENT_TYPE, self._metrics.text()
            case "POST", "/drain":
                self._drain()
                return 202, JSON, b'{"draining":true}'
        return 404, JSON, b'{"reason":"not_found","detail":"GET /healthz /readyz /metrics, POST /drain"}'


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@contextlib.asynccontextmanager
async def serve_ops(app: OpsApp, listen: Listen) -> AsyncIterator[str]:
    """Serve on the running loop; the address. Raises ConfigError where the port is taken."""
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none", timeout_graceful_shutdown=1)
    server = _Server(config)
    try:
        listener = socket.create_server((listen.host, listen.port))
    except OSError as error:
        raise ConfigError(f"ops: cannot listen on {listen.host}:{listen.port} ({error.strerror}); choose another port") from error
    # Accepted sockets inherit it: an answer in two writes otherwise waits for the client's delayed acknowledgement (40 ms).
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="ops-http")
    try:
        yield f"http://{listen.host}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving
        listener.close()
