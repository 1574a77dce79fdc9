"""A coordinator's questions to regions over the bus (gameedge/edge/asks.py answers): who asks, which process, and the wait."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import msgspec

from gameedge.bus import topics
from gameedge.bus.base import Bus
from gameedge.bus.payloads import Answer, Codec
from gameedge.coordinator.registry import Registry
from gameedge.coordinator.tokens import Signer
from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError, UnavailableError
from gameedge.core.ids import EdgeId, RegionId
from gameedge.telemetry.metrics import Registry as Metrics

WAIT_S: Final = 5.0
LIFE_MS: Final = 30_000
T = TypeVar("T")
_answer = Codec(Answer)


class Asking:
    """One a coordinator. At most limits.ASKS_OPEN_MAX questions wait; more are refused."""

    def __init__(self, name: str, bus: Bus, registry: Registry, signer: Signer, metrics: Metrics, now_ms: Callable[[], int]) -> None:
        self._name, self._bus, self._registry, self._signer, self._now_ms = name, bus, registry, signer, now_ms
        self._metrics = metrics
        self._open: dict[str, asyncio.Future[Answer]] = {}

    async def run(self) -> None:
        while True:
            async with self._bus.subscribe(topics.answers(self._name)) as messages:
                async for message in messages:
                    self._hear(message.payload)

    def _hear(self, payload: bytes) -> None:
        answer = _answer.decode(payload)
        waiting = self._open.get(answer.number) if answer is not None else None
        if answer is None or waiting is None or waiting.done():
            self._metrics.counter("coordinator_bus_dropped_total", why="bad_answer" if answer is None else "late_answer").add()
            return
        waiting.set_result(answer)

    def process(self, region: str) -> EdgeId:
        """A process of the region that works. Raises RefusedError(NOT_FOUND), UnavailableError."""
        known, now_ms = self._registry.regions.get(RegionId(region)), self._now_ms()
        if known is None:
            raise RefusedError(Reason.NOT_FOUND, "no such region; GET /v1/admin/status lists them")
        doubts = sorted((self._registry.doubt(edge, now_ms), edge.edge) for edge in known.edges.values())
        there = [edge for doubt, edge in doubts if doubt != "offline"]  # one without doubt comes first
        if not there:
            raise UnavailableError(f"no process of {region} is there to answer")
        return there[0]

    async def ask(
        self,
        region: str,
        ask: str,
        args: Mapping[str, str],
        kind: type[T],
        *,
        who: str,
        edge: str | None = None,
        body: bytes = b"",
        wait_s: float | None = None,
    ) -> T:
        """The answer of one process (`edge`, or any) of a region, within `wait_s` (None: WAIT_S).

        Raises RefusedError with what the region said, TOO_OFTEN where too many wait, UnavailableError where no answer came.
        """
        within_s = WAIT_S if wait_s is None else wait_s
        target = EdgeId(edge) if edge is not None else self.process(region)
        number = secrets.token_hex(12)
        try:
            token = self._signer.ask(
                RegionId(region),
                target,
                ask,
                args,
                who=who,
                number=number,
                reply=self._name,
                now_ms=self._now_ms(),
                life_ms=LIFE_MS,
                body=body,
            )
        except msgspec.ValidationError as error:
            raise RefusedError(Reason.MALFORMED, str(error)) from error
        if len(token) > (limits.ASK_BYTES_MAX if body else limits.TOKEN_BYTES_MAX):
            raise RefusedError(Reason.TOO_LARGE, "too many or too long arguments")
        async with self._waiting(number) as answered:
            await self._bus.publish(topics.ask(RegionId(region), target), token.encode())
            try:
                async with asyncio.timeout(within_s):
                    answer = await answered
            except TimeoutError:
                raise UnavailableError(f"{region}/{target} did not answer within {within_s:.0f} s") from None
        if not answer.ok:
            raise RefusedError(_reason(answer.reason), answer.detail)
        try:
            return msgspec.msgpack.decode(answer.body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnavailableError(f"{region}/{target} answered in a form that this release does not read") from error

    @asynccontextmanager
    async def _waiting(self, number: str) -> AsyncIterator["asyncio.Future[Answer]"]:
        if len(self._open) >= limits.ASKS_OPEN_MAX:
            raise RefusedError(Reason.TOO_OFTEN, "too many questions wait for regions; try again", retry_after_ms=1_000)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._open[number] = future
        try:
            yield future
        finally:
            del self._open[number]


def _reason(word: str) -> Reason:
    try:
        return Reason(word)
    except ValueError:
        return Reason.INTERNAL
