"""One player's way as one trace, across a coordinator and an edge process; and what it costs where it is off."""

import asyncio
import http.server
import json
import subprocess
import sys
import threading
from base64 import urlsafe_b64decode
from typing import Any

import pytest

from gameedge.core.errors import ConfigError
from gameedge.telemetry.traces import OFF, Traces, make_provider, open_traces
from gameedge_client import Client, Subtick
from tests.end_to_end.inprocess import Stack, stack

sdk = pytest.importorskip("opentelemetry.sdk.trace.export", reason="the extra otel is not installed")
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: E402

NAMES = ["place", "queue", "join", "first_snapshot"]


def trace(running: Stack, share: float = 1.0) -> InMemorySpanExporter:
    """From now on both processes' spans are kept."""
    kept = InMemorySpanExporter()
    for process in ("coordinator", "edge"):
        provider = make_provider(share if process == "coordinator" else 1.0, process)
        provider.add_span_processor(sdk.SimpleSpanProcessor(kept))
        if process == "coordinator":
            running.coordinator.services.traces = Traces(provider)
        else:
            running.edge.journeys.traces = Traces(provider)
    return kept


async def play(url: str, snapshots: int = 3) -> None:
    client = await Client.guest(url, name="traced")
    async with client.connect(await client.place(mode="duel")) as session:
        match = await session.play("duel")
        async for _ in match:
            match.command((Subtick(1, 0, 0, 0, fire=False),) * 3)
            snapshots -= 1
            if not snapshots:
                break


def claims(token: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))
    return found


async def test_from_placement_to_the_first_snapshot_is_one_trace() -> None:
    async with stack() as running:
        kept = trace(running)
        await play(running.url)
        async with asyncio.timeout(5):
            while len(kept.get_finished_spans()) < len(NAMES):
                await asyncio.sleep(0.02)
        spans = kept.get_finished_spans()
        assert [span.name for span in spans] == NAMES, "each ends before the next does"
        place, *others = spans
        assert place.parent is None
        assert len({span.context.trace_id for span in spans}) == 1
        assert {span.parent.span_id for span in others} == {place.context.span_id}
        assert all(span.status.is_ok or span.status.is_unset for span in spans)
        assert {span.resource.attributes["service.name"] for span in others} == {"gameedge-edge"}
        assert place.attributes["region"] == "test-1"
        starts, ends = [span.start_time for span in others], [span.end_time for span in others]
        assert ends[0] <= starts[1] + 1_000_000
        assert ends[1] <= starts[2] + 1_000_000, "one after the other"
        assert ends[2] - starts[2] < 1_000_000_000, "a snapshot comes at once"
        assert not running.edge.journeys.waiting


async def test_what_goes_wrong_is_said() -> None:
    async with stack(fill_ms=60_000) as running:
        kept = trace(running)
        client = await Client.guest(running.url, name="traced")
        account = client.account.player
        await running.coordinator.services.set_banned(account, True, "test", "here")
        with pytest.raises(Exception, match="banned"):
            await client.place(mode="duel")
        await running.coordinator.services.set_banned(account, False, "test", "here")
        async with client.connect(await client.place(mode="duel")) as session:
            waiting = asyncio.create_task(session.play("duel"))
            async with asyncio.timeout(5):
                while not running.edge.queueing.queued.get("duel"):
                    await asyncio.sleep(0.02)
            waiting.cancel()
        async with asyncio.timeout(5):
            while len(kept.get_finished_spans()) < 3:
                await asyncio.sleep(0.02)
        ends = [(span.name, span.attributes.get("outcome", "")) for span in kept.get_finished_spans()]
        assert ends[:2] == [("place", "forbidden"), ("place", "")]
        assert ends[2][0] == "queue"
        assert ends[2][1], "why it ended without a match"


async def test_only_a_coordinator_decides_what_is_traced() -> None:
    ours = f"00-{'a' * 32}-{'b' * 16}-01"
    async with stack() as running:
        kept = trace(running, share=0.0)
        client = await Client.guest(running.url, name="pushy")
        placement = await running.coordinator.services.place(
            client.account.player, client.account.secret, "duel", _seen(), "here", traceparent=ours
        )
        assert "trace" not in claims(placement[1])
        trace(running).clear()
        kept = trace(running)
        for header in (ours, ours.upper(), "00-zz", "x" * 10_000, f"00-{'0' * 32}-{'b' * 16}-01"):
            token = (
                await running.coordinator.services.place(
                    client.account.player, client.account.secret, "duel", _seen(), "here", traceparent=header
                )
            )[1]
            place = kept.get_finished_spans()[-1]
            version, trace_id, span_id, flags = claims(token)["trace"].split("-")
            assert (version, trace_id, span_id) == ("00", f"{place.context.trace_id:032x}", f"{place.context.span_id:016x}")
            assert int(flags, 16) & 1, "sampled"
            assert place.context.trace_id != int("a" * 32, 16), "a caller's trace is linked, not joined"
            assert [link.context.trace_id for link in place.links] == ([int("a" * 32, 16)] if header == ours else [])


def _seen() -> Any:
    from gameedge.core.routing.placement import Seen

    return Seen(rtt_ms={})


async def test_off_means_nothing_is_written_and_nothing_grows() -> None:
    async with stack() as running:
        assert running.edge.journeys.traces is OFF
        assert running.coordinator.services.traces is OFF
        client = await Client.guest(running.url, name="plain")
        placement = await client.place(mode="duel")
        assert "trace" not in claims(placement.token)
        await play(running.url)
        assert not running.edge.journeys.waiting


def test_off_means_nothing_is_imported() -> None:
    script = """
import sys
import gameedge.coordinator.app, gameedge.edge.serve
from gameedge.telemetry.traces import open_traces
span = open_traces("", 1.0, "edge").begin("place", linked="00-" + "a" * 32 + "-" + "b" * 16 + "-01")
span.end("outcome", more=1)
assert span.traceparent == ""
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "[]", done.stderr


async def test_spans_reach_a_collector_over_http() -> None:
    heard: list[tuple[str, bytes]] = []

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        traces = open_traces(f"http://127.0.0.1:{server.server_port}/v1/traces", 1.0, "edge", region="eu-1")
        traces.begin("place", mode="duel").end(region="eu-1")
        await traces.close()
    finally:
        server.shutdown()
        thread.join()
    assert [path for path, _ in heard] == ["/v1/traces"]
    assert all(word in heard[0][1] for word in (b"place", b"gameedge-edge", b"eu-1"))


@pytest.mark.slow
async def test_a_collector_that_is_away_does_not_hold_a_process_up() -> None:
    traces = open_traces("http://127.0.0.1:9/v1/traces", 1.0, "edge")
    traces.begin("place").end()
    async with asyncio.timeout(6):
        await traces.close()


@pytest.mark.parametrize("url", ["127.0.0.1:4318", "grpc://collector", "ftp://x/"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="OTLP/HTTP"):
        open_traces(url, 1.0, "edge")
