"""The HTTP server: routes, limits, and the ASGI shell that counts and times every request."""

import asyncio
import contextlib
import re
import socket
import time
from collections.abc import Iterator
from typing import Final

import msgspec
import uvicorn
from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from gameedge.config import CoordinatorConfig
from gameedge.coordinator import api_admin, api_public, errors, web
from gameedge.coordinator.schemas.base import ErrorBody
from gameedge.coordinator.services import Services
from gameedge.core import limits
from gameedge.core.errors import ConfigError, Reason
from gameedge.telemetry.metrics import Registry as Metrics

REQUEST_S_MAX: Final = 20.0  # body included: a client that sends a byte a second does not hold a connection for ever
STOP_S_MAX: Final = 5
_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._-]{0,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::(\d{0,5}))?")


def make_app(services: Services) -> Litestar:
    """The API as an ASGI application."""
    return Litestar(
        route_handlers=[*api_public.routes(services), api_admin.router(services), *web.routes()],
        exception_handlers=errors.handlers(services.metrics),
        request_max_body_size=limits.BODY_BYTES_MAX,
        # Clients in browsers come from the studio's own origin; nothing here reads cookies.
        cors_config=CORSConfig(allow_origins=["*"], allow_methods=["GET", "POST"], allow_headers=["content-type", "authorization"]),
        openapi_config=OpenAPIConfig(
            title="gameedge coordinator",
            version=services.version,
            description="Accounts, placement, ratings, and the operators' API.",
            path="/schema",
            render_plugins=[JsonRenderPlugin()],
            use_handler_docstrings=True,
            components=Components(security_schemes={"operator": SecurityScheme(type="http", scheme="bearer")}),
        ),
        logging_config=None,
    )


class Shell:
    """Around the application: a time limit, a count and a duration for every request, by route (never by path)."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if str(scope["type"]) == "websocket" and not _host_is_good(scope):
            await send({"type": "websocket.close", "code": 1008, "reason": "the Host header is no host and port"})
            return
        if str(scope["type"]) != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0

        async def counting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            async with asyncio.timeout(REQUEST_S_MAX):
                if _host_is_good(scope):
                    await self._app(scope, receive, counting)
                else:
                    await _say(counting, 400, ErrorBody(reason=Reason.MALFORMED, detail="the Host header is no host and port"))
        except TimeoutError:
            if not status:
                await _say(counting, 408, ErrorBody(reason=Reason.SLOW, detail=f"a request may take {REQUEST_S_MAX:.0f} s"))
        finally:
            route = str(scope.get("path_template") or "none")
            self._metrics.counter("coordinator_requests_total", route=route, status=str(status)).add()
            self._metrics.histogram("coordinator_request_ms", route=route).observe((time.perf_counter() - started) * 1000)


def _host_is_good(scope: Scope) -> bool:
    """litestar builds a URL of this header, and raises on a port that is none."""
    found = [_HOST.fullmatch(value) for name, value in scope["headers"] if name == b"host"]
    return len(found) <= 1 and all(host is not None and int(host[1] or 0) <= 65_535 for host in found)


async def _say(send: Send, status: int, error: ErrorBody) -> None:
    """An answer without the application."""
    body = msgspec.json.encode(error)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


class Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the composition root owns them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(config: CoordinatorConfig) -> socket.socket:
    """The listening socket. Raises ConfigError with what to change."""
    host, port = config.listen.host, config.listen.port
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise ConfigError(f"listen: cannot listen on {host}:{port} ({error.strerror}); choose another port, or 0") from error
    # Accepted sockets inherit it. asyncio leaves it out for sockets made this way, and an answer in two writes then waits
    # for the client's delayed acknowledgement: 48 ms a placement instead of 2.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def url_of(config: CoordinatorConfig, sock: socket.socket) -> str:
    """What this machine reaches the server by."""
    host, port = sock.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    scheme = "https" if config.listen.certificate else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def make_server(config: CoordinatorConfig, services: Services) -> Server:
    """The server, not listening yet. Raises ConfigError for a certificate or key that cannot be used."""
    settings = uvicorn.Config(
        Shell(make_app(services), services.metrics),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        ws="websockets-sansio",  # for the dashboards; the module that works with websockets 15 and later
        ws_max_size=limits.FRAME_BYTES_MAX,
        proxy_headers=bool(config.trusted_proxies),
        forwarded_allow_ips=config.trusted_proxies or None,
        limit_concurrency=limits.HTTP_CONNECTIONS_MAX,
        backlog=1024,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=STOP_S_MAX,
        h11_max_incomplete_event_size=16_384,
        ssl_certfile=config.listen.certificate or None,
        ssl_keyfile=config.listen.key or None,
    )
    try:
        settings.load()
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        raise ConfigError(f"listen.certificate, listen.key: {error}; they name PEM files that belong together") from error
    return Server(settings)
