"""OpenTelemetry traces: how long a player waited from asking for a place to the first snapshot, and where.

One trace a placement: the coordinator's `place`, then for each match that the placement's token is used for `queue`, `join` and
`first_snapshot` in the edge process. The context travels in the signed session token, as W3C `traceparent` (55 characters), so that
nobody but a coordinator decides what is traced, and a process without tracing ignores it.

Off unless `traces` names a collector: then nothing of OpenTelemetry is imported, no span exists and no token grows. Spans are sent by
a thread of the SDK, in batches, from a bounded queue; what does not fit is dropped, and a collector that is away costs nothing else.
"""

import asyncio
import re
from typing import TYPE_CHECKING, Any, Final, Protocol

from gameedge.core import limits
from gameedge.core.errors import ConfigError
from gameedge.telemetry import logs

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import SpanContext

CLOSE_S_MAX: Final = 3.0  # for the last batch at the end of a process
EXPORT_S_MAX: Final = 2.0  # of one batch
_TRACEPARENT: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
log = logs.get(__name__)


class Span(Protocol):
    """Something that takes time. `end` once."""

    @property
    def traceparent(self) -> str:
        """What a child elsewhere needs; empty where this is not recorded."""
        ...

    def end(self, outcome: str = "", **attributes: str | int | float) -> None:
        """`outcome`: why it did not go as it should; empty: it did."""
        ...


class _NoSpan:
    traceparent: Final = ""

    def end(self, outcome: str = "", **attributes: str | int | float) -> None:
        pass


NO_SPAN: Final[Span] = _NoSpan()


class _Recorded:
    """A span of the SDK."""

    __slots__ = ("_span",)

    def __init__(self, span: Any) -> None:
        self._span = span

    @property
    def traceparent(self) -> str:
        context = self._span.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}" if self._span.is_recording() else ""

    def end(self, outcome: str = "", **attributes: str | int | float) -> None:
        from opentelemetry.trace import StatusCode

        self._span.set_attributes(attributes)
        if outcome:
            self._span.set_attribute("outcome", outcome)
            self._span.set_status(StatusCode.ERROR, outcome)
        self._span.end()


class Traces:
    """The spans of one process. Without a provider (`OFF`) every call returns at once."""

    def __init__(self, provider: "TracerProvider | None" = None) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("gameedge") if provider is not None else None
        self.on: Final = provider is not None

    def begin(self, name: str, **attributes: str | int | float) -> Span:
        """A new trace; whether it is recorded is the sampler's to say. `linked`: a caller's own traceparent, which is noted but not
        obeyed: it may come from anybody."""
        if self._tracer is None:
            return NO_SPAN
        linked = str(attributes.pop("linked", ""))
        return self._start(name, None, linked, attributes)

    def follow(self, name: str, parent: str, **attributes: str | int | float) -> Span:
        """A span below `parent`, a traceparent from a token that was verified. NO_SPAN where that is not traced."""
        context = _context(parent) if self._tracer is not None and parent else None
        if context is None or not context.trace_flags & 1:
            return NO_SPAN
        return self._start(name, context, "", attributes)

    def _start(self, name: str, parent: "SpanContext | None", linked: str, attributes: dict[str, str | int | float]) -> Span:
        from opentelemetry.context import Context
        from opentelemetry.trace import Link, NonRecordingSpan, set_span_in_context

        assert self._tracer is not None
        context = set_span_in_context(NonRecordingSpan(parent), Context()) if parent is not None else Context()
        other = _context(linked)
        return _Recorded(self._tracer.start_span(name, context, attributes=attributes, links=[Link(other)] if other is not None else []))

    async def close(self) -> None:
        """Send what is left, for CLOSE_S_MAX at most."""
        if self._provider is None:
            return
        try:
            await asyncio.wait_for(asyncio.to_thread(self._provider.shutdown), CLOSE_S_MAX)
        except TimeoutError:
            log.warning("traces_not_sent", detail="the collector did not answer in time")


OFF: Final = Traces()


def open_traces(url: str, share: float, process: str, **resource: str) -> Traces:
    """Traces to an OTLP/HTTP collector, `share` of those that begin here; OFF without a URL. Raises ConfigError."""
    if not url:
        return OFF
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ConfigError(f"traces = {url!r} needs the extra otel: pip install 'gameedge[otel]' ({error})") from error
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"traces = {url!r}: an OTLP/HTTP address, such as http://127.0.0.1:4318/v1/traces")
    provider = make_provider(share, process, **resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url, timeout=EXPORT_S_MAX), schedule_delay_millis=1_000))
    return Traces(provider)


def make_provider(share: float, process: str, **resource: str) -> "TracerProvider":
    """A provider without an exporter; what follows a recorded parent is recorded, of the rest `share`."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

    attributes = {"service.namespace": "gameedge", "service.name": f"gameedge-{process}", **resource}
    return TracerProvider(sampler=ParentBasedTraceIdRatio(share), resource=Resource.create(attributes), shutdown_on_exit=False)


def _context(traceparent: str) -> "SpanContext | None":
    """None where it is none: it may be anybody's text."""
    from opentelemetry.trace import SpanContext, TraceFlags

    found = _TRACEPARENT.fullmatch(traceparent) if len(traceparent) == limits.TRACEPARENT_CHARS else None
    if found is None:
        return None
    context = SpanContext(int(found[1], 16), int(found[2], 16), is_remote=True, trace_flags=TraceFlags(int(found[3], 16)))
    return context if context.is_valid else None
