"""An emulated WAN in user space: one TCP proxy a player, on loopback, that makes bytes arrive as late as they would.

Problem. Bots on one machine are 0.05 ms from the server; players are 10 to 300 ms away, behind lossy last miles that drop out.
    Kernel tools (netem) need root and a network namespace for each player.
Method. Each `Link` listens on a loopback port for each target it is asked for and forwards both ways. When a chunk arrives is
    drawn by a `DelayLine`: sending at the link's bandwidth, half the round trip, exponential jitter, and for a lost packet
    a retransmission (the larger of 200 ms and two round trips). Connecting costs a round trip before the first byte leaves.
Guarantee. What TCP promises: every byte once and in order (arrival times never decrease), until the link is cut. Waiting bytes
    are bounded (`BUFFER_BYTES_MAX` a direction: reading pauses; policy `pause`). Targets outside loopback are refused.
Cost. One timer a direction, not a chunk.
Not modelled: congestion control, packet boundaries inside a chunk, loss of pure acknowledgements.
"""

import asyncio
import random
import socket
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self, cast

BUFFER_BYTES_MAX: Final = 131_072  # waiting in one direction of one connection; pause
BUFFER_BYTES_RESUME: Final = 32_768
PACKET_BYTES: Final = 1_448
RTO_MS_MIN: Final = 200.0  # what Linux waits at least before it sends again
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
CONNECT_S_MAX: Final = 10.0
_LINGER_RESET: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class LinkProfile:
    """One path: round trip and jitter in ms, loss as a share of packets, bandwidth in bytes a second (each way)."""

    rtt_ms: float
    jitter_ms: float = 0.0
    loss: float = 0.0
    bytes_per_s: float = 12.5e6

    def __post_init__(self) -> None:
        if not (0 <= self.rtt_ms < 60_000 and 0 <= self.jitter_ms < 10_000 and 0 <= self.loss < 1 and self.bytes_per_s > 0):
            raise ValueError(f"not a link: {self}")


class DelayLine:
    """When bytes arrive at the other end of one direction. Pure: time is an argument, randomness the generator given."""

    def __init__(self, profile: LinkProfile, rng: random.Random) -> None:
        self.profile = profile
        self._rng = rng
        self._sent_ms = 0.0
        self._last_ms = 0.0

    def arrival_ms(self, size: int, now_ms: float) -> float:
        """The time at which `size` bytes that leave now have arrived: never before those that left earlier."""
        profile, rng = self.profile, self._rng
        self._sent_ms = max(now_ms, self._sent_ms) + size / profile.bytes_per_s * 1000.0
        arrival = self._sent_ms + profile.rtt_ms / 2
        if profile.jitter_ms:
            arrival += rng.expovariate(2.0 / profile.jitter_ms)  # half of the round trip's jitter a direction
        if profile.loss:
            packets = 1 + (size - 1) // PACKET_BYTES
            if rng.random() < 1.0 - (1.0 - profile.loss) ** packets:
                arrival += max(RTO_MS_MIN, 2 * profile.rtt_ms)
        self._last_ms = max(self._last_ms, arrival)
        return self._last_ms


class _Flow:
    """One direction of one connection: reads from `source`, writes to `sink` when the bytes are due."""

    def __init__(self, line: DelayLine, loop: asyncio.AbstractEventLoop) -> None:
        self.source: asyncio.Transport | None = None
        self.sink: asyncio.Transport | None = None
        self._line = line
        self._loop = loop
        self._waiting: deque[tuple[float, bytes]] = deque()  # b"": the end of the stream
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._held_until = 0.0
        self._sink_full = False
        self._paused = False

    def feed(self, data: bytes) -> None:
        """Bytes from the source; b"" for its end."""
        now_ms = self._loop.time() * 1000.0
        self._waiting.append((self._line.arrival_ms(len(data), now_ms), data))
        self._bytes += len(data)
        if self._bytes > BUFFER_BYTES_MAX and not self._paused and self.source is not None:
            self._paused = True
            self.source.pause_reading()
        if self._timer is None:
            self._arm()

    def hold(self, until_s: float) -> None:
        """Nothing arrives before this time of the loop's clock."""
        self._held_until = until_s
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._arm()

    def sink_full(self, full: bool) -> None:
        """The sink's own buffer is over (or again under) its mark."""
        self._sink_full = full
        if not full:
            self._arm()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._waiting.clear()
        self.source = self.sink = None

    def _arm(self) -> None:
        if self._waiting and self._timer is None and not self._sink_full and self.sink is not None:
            self._timer = self._loop.call_at(max(self._waiting[0][0] / 1000.0, self._held_until), self._deliver)

    def _deliver(self) -> None:
        self._timer = None
        sink = self.sink
        if sink is None:
            return
        due_ms = self._loop.time() * 1000.0 + 0.5  # the clock of timers has a grain of a millisecond
        chunks: list[bytes] = []
        ended = False
        while self._waiting and self._waiting[0][0] <= due_ms:
            data = self._waiting.popleft()[1]
            self._bytes -= len(data)
            ended = ended or not data
            chunks.append(data)
        if chunks:
            sink.write(chunks[0] if len(chunks) == 1 else b"".join(chunks))
        if ended:
            sink.close()  # what was written goes out first
            return
        if self._paused and self._bytes <= BUFFER_BYTES_RESUME and self.source is not None:
            self._paused = False
            self.source.resume_reading()
        self._arm()


class _Side(asyncio.Protocol):
    """One end of a pipe: hands what it reads to `out`, and tells `into` when its socket is full."""

    def __init__(self, out: _Flow, into: _Flow, on_made: Callable[[], None], on_lost: Callable[[], None]) -> None:
        self._out, self._into, self._on_made, self._on_lost = out, into, on_made, on_lost

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._out.source = self._into.sink = cast(asyncio.Transport, transport)
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._on_made()

    def data_received(self, data: bytes) -> None:
        self._out.feed(bytes(data))

    def eof_received(self) -> bool:
        self._out.feed(b"")  # the end travels through the delay line like bytes do
        return True

    def pause_writing(self) -> None:
        self._into.sink_full(True)

    def resume_writing(self) -> None:
        self._into.sink_full(False)

    def connection_lost(self, exc: Exception | None) -> None:
        self._on_lost()


class _Pipe:
    """One connection through a link: client side, server side and a flow each way."""

    def __init__(self, link: "Link", target: tuple[str, int], profile: LinkProfile) -> None:
        self._link = link
        self._target = target
        self.profile = profile
        self._loop = asyncio.get_running_loop()
        self._up = _Flow(DelayLine(profile, link.rng), self._loop)
        self._down = _Flow(DelayLine(profile, link.rng), self._loop)
        self.client = _Side(self._up, self._down, self._accepted, self._client_lost)
        self.server = _Side(self._down, self._up, self._connected, self._server_lost)

    def _accepted(self) -> None:
        assert self._up.source is not None
        self._up.source.pause_reading()
        self._link.adopt(self)

    async def connect(self) -> None:
        """Open the far side one round trip later; the near side is reset where that fails."""
        await asyncio.sleep(self.profile.rtt_ms / 1000.0)
        try:
            async with asyncio.timeout(CONNECT_S_MAX):
                await self._loop.create_connection(lambda: self.server, *self._target)
        except (OSError, TimeoutError):
            self.abort()

    def _connected(self) -> None:
        if self._up.source is None:
            self.abort()
        else:
            self._up.source.resume_reading()
            self._up.sink_full(False)  # uvloop reads a first chunk in spite of the pause: it has waited for this sink

    def _client_lost(self) -> None:
        self._end(self._up)

    def _server_lost(self) -> None:
        self._end(self._down)

    def _end(self, flow: _Flow) -> None:
        """One socket is gone: what it sent still arrives, then the other one closes."""
        other = self._down if flow is self._up else self._up
        flow.source, other.sink = None, None
        if flow.sink is None:
            self._forget()
        else:
            flow.feed(b"")

    def _forget(self) -> None:
        self._up.stop()
        self._down.stop()
        self._link.forget(self)

    def hold(self, until_s: float) -> None:
        self._up.hold(until_s)
        self._down.hold(until_s)

    def abort(self) -> None:
        """Reset both sockets; what was under way is lost."""
        for transport in {self._up.source, self._down.source, self._up.sink, self._down.sink}:
            if transport is None:
                continue
            raw = transport.get_extra_info("socket")
            if raw is not None and not transport.is_closing():
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
            transport.abort()
        self._forget()


class Link:
    """One player's way to the world. An asynchronous context manager: leaving it closes all that it opened.

    `profile_of(host, port)` says what the path to a target is like; it is asked for every connection. Clients dial `route`.
    """

    def __init__(self, profile_of: Callable[[str, int], LinkProfile], seed: int) -> None:
        self.rng = random.Random(seed)
        self._profile_of = profile_of
        self._servers: dict[tuple[str, int], asyncio.Server] = {}
        self._pipes: set[_Pipe] = set()
        self._tasks = asyncio.TaskGroup()
        self._lock = asyncio.Lock()
        self._connects: set[asyncio.Task[None]] = set()
        self._closed = False
        self._held_until = 0.0

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._closed = True
        for server in self._servers.values():
            server.close()
        self.cut()
        for task in list(self._connects):
            task.cancel()
        await self._tasks.__aexit__(kind, error, trace)

    @property
    def connections(self) -> int:
        return len(self._pipes)

    async def route(self, host: str, port: int) -> tuple[str, int]:
        """Where to connect instead of `host:port`. Raises ValueError for a target that is not on this machine."""
        if host not in LOOPBACK:
            raise ValueError(f"{host}:{port}: links lead to this machine only; use --no-wan for other servers")
        target = (host, port)
        async with self._lock:
            server = self._servers.get(target)
            if server is None:
                loop = asyncio.get_running_loop()
                server = await loop.create_server(lambda: _Pipe(self, target, self._profile_of(*target)).client, "127.0.0.1", 0)
                self._servers[target] = server
        return "127.0.0.1", int(server.sockets[0].getsockname()[1])

    def adopt(self, pipe: _Pipe) -> None:
        """A client connected: open its far side."""
        if self._closed:
            pipe.abort()
            return
        self._pipes.add(pipe)
        if self._held_until:
            pipe.hold(self._held_until)
        task = self._tasks.create_task(pipe.connect(), name="link connect")
        self._connects.add(task)
        task.add_done_callback(self._connects.discard)

    def forget(self, pipe: _Pipe) -> None:
        self._pipes.discard(pipe)

    def cut(self) -> int:
        """Reset every connection; how many there were. New ones may be opened at once."""
        pipes = list(self._pipes)
        for pipe in pipes:
            pipe.abort()
        return len(pipes)

    def blackhole(self, seconds: float) -> int:
        """For this long nothing arrives at either end, and nothing is said of it; then all of it does, in order."""
        self._held_until = asyncio.get_running_loop().time() + seconds
        for pipe in self._pipes:
            pipe.hold(self._held_until)
        return len(self._pipes)
