"""What every bus promises: one suite over the twin in memory and a real broker that is killed with SIGKILL."""

import asyncio
import contextlib
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gameedge.bus import BusFactory, BusMessage, mqtt, open_bus
from gameedge.bus.memory import Faults, MemoryBroker
from gameedge.bus.subscription import matches
from gameedge.core import limits
from gameedge.core.errors import ConfigError, Reason, RefusedError, UnavailableError
from gameedge.local.servers import Server, broker_server

WAIT_S = 8.0

DYING_CLIENT = """
import asyncio, os, signal, sys
from gameedge.bus import open_bus
async def main():
    async with open_bus(sys.argv[1])("dying", will_topic=sys.argv[2], will_payload=sys.argv[3].encode()) as bus:
        await bus.publish("t/alive", b"yes", retain=True)
        os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


class Rig(Protocol):
    """A broker that can be broken."""

    factory: BusFactory

    async def down(self) -> None: ...
    async def up(self) -> None: ...
    async def die(self, will_topic: str, will_payload: bytes) -> None:
        """A client with this will publishes `t/alive` and then dies without a word."""
        ...


class MemoryRig:
    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self.factory: BusFactory = self.broker.factory

    async def down(self) -> None:
        self.broker.down()

    async def up(self) -> None:
        self.broker.up()

    async def die(self, will_topic: str, will_payload: bytes) -> None:
        async with self.factory("dying", will_topic=will_topic, will_payload=will_payload) as bus:
            await bus.publish("t/alive", b"yes", retain=True)
            self.broker.cut("dying")
            self.broker.clients.clear()


class RealRig:
    def __init__(self, server: Server) -> None:
        self.server = server
        self.factory = open_bus(server.url)

    async def down(self) -> None:
        await self.server.kill()

    async def up(self) -> None:
        await self.server.restart()

    async def die(self, will_topic: str, will_payload: bytes) -> None:
        argv = [sys.executable, "-c", DYING_CLIENT, self.server.url, will_topic, will_payload.decode()]
        process = await asyncio.create_subprocess_exec(*argv)
        assert await process.wait() == -9


@pytest.fixture(params=["memory", "real"])
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    if request.param == "memory":
        yield MemoryRig()
        return
    async with broker_server(tmp_path) as server:
        yield RealRig(server)


async def hear(messages: AsyncIterator[BusMessage], wanted: Callable[[BusMessage], bool] = lambda _: True) -> BusMessage:
    """The next message that is wanted; others (QoS 1 may repeat) are skipped."""
    async with asyncio.timeout(WAIT_S):
        while True:
            message = await anext(messages)
            if wanted(message):
                return message


async def until(happens: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not happens():
            await asyncio.sleep(0.01)


async def insist(call: Callable[[], Awaitable[None]]) -> None:
    """As callers do: try again while unavailable."""
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                return await call()
            except UnavailableError:
                await asyncio.sleep(0.05)


async def test_what_is_published_is_heard_by_everyone_who_asked(rig: Rig) -> None:
    async with (
        rig.factory("a") as a,
        rig.factory("b") as b,
        b.subscribe("t/one", "t/two") as first,
        b.subscribe("t/+") as second,
    ):
        assert a.online
        await a.publish("t/one", b"1")
        await a.publish("t/other", b"x", qos=0)
        await a.publish("t/two", b"\x00\xff2")
        assert await hear(first, lambda m: m.topic == "t/one") == ("t/one", b"1", False)
        assert (await hear(first, lambda m: m.topic != "t/one")).payload == b"\x00\xff2"
        assert {(await hear(second, lambda m, n=n: m.topic == n)).topic for n in ("t/one", "t/other")} == {"t/one", "t/other"}


async def test_retained_state_greets_newcomers_until_it_is_cleared(rig: Rig) -> None:
    async with rig.factory("a") as a, rig.factory("b") as b:
        await a.publish("s/x", b"old", retain=True)
        await a.publish("s/x", b"new", retain=True)
        await a.publish("s/y", b"passing")
        async with b.subscribe("s/#") as messages:
            assert await hear(messages) == ("s/x", b"new", True)
        await a.publish("s/x", b"", retain=True)
        async with b.subscribe("s/#") as messages:
            await a.publish("s/end", b"end")
            assert (await hear(messages)).topic == "s/end"


@pytest.mark.parametrize(
    ("pattern", "heard"),
    [("a/+/c", ["a/b/c"]), ("a/#", ["a", "a/b", "a/b/c"]), ("+", ["a"]), ("#", ["a", "a/b", "a/b/c"]), ("+/b", ["a/b"])],
)
async def test_wildcards(rig: Rig, pattern: str, heard: list[str]) -> None:
    async with rig.factory("a") as a, a.subscribe(pattern, "end") as messages:
        for topic in ("a", "a/b", "a/b/c", "end"):
            await a.publish(topic, b"")
        got: list[str] = []
        while not got or got[-1] != "end":
            message = await hear(messages)
            if message.topic not in got:
                got.append(message.topic)
        assert got == [*heard, "end"]


async def test_a_client_that_dies_leaves_its_will(rig: Rig) -> None:
    async with rig.factory("watch") as watch, watch.subscribe("t/presence", "t/alive") as messages:
        await rig.die("t/presence", b"gone")
        assert await hear(messages, lambda m: m.topic == "t/alive")
        assert (await hear(messages, lambda m: m.topic == "t/presence")).payload == b"gone"
        async with watch.subscribe("t/presence") as later:
            assert await hear(later) == ("t/presence", b"gone", True)


async def test_leaving_politely_publishes_the_will_too(rig: Rig) -> None:
    async with rig.factory("watch") as watch, watch.subscribe("t/presence") as messages:
        async with rig.factory("polite", will_topic="t/presence", will_payload=b"gone") as bus:
            await bus.publish("t/presence", b"here", retain=True)
            assert (await hear(messages)).payload == b"here"
        assert (await hear(messages, lambda m: m.payload != b"here")).payload == b"gone"


async def test_too_large_and_malformed_are_refused_and_nothing_breaks(rig: Rig) -> None:
    async with rig.factory("a") as a, a.subscribe("t/#") as messages:
        with pytest.raises(RefusedError) as refused:
            await a.publish("t/big", bytes(limits.BUS_PAYLOAD_BYTES_MAX + 1))
        assert refused.value.reason is Reason.TOO_LARGE
        for topic in ("", "t/+", "t/#", "t\0", "t" * 600):
            with pytest.raises(RefusedError) as refused:
                await a.publish(topic, b"")
            assert refused.value.reason is Reason.MALFORMED
        for pattern in ("", "a#", "#/a", "a/b+", "+a/b"):
            with pytest.raises(RefusedError):
                async with a.subscribe(pattern):
                    pass
        await a.publish("t/largest", bytes(limits.BUS_PAYLOAD_BYTES_MAX))
        assert len((await hear(messages)).payload) == limits.BUS_PAYLOAD_BYTES_MAX


async def test_control_resumes_by_itself_when_the_broker_was_killed(rig: Rig) -> None:
    async with (
        rig.factory("edge", will_topic="p/edge", will_payload=b"gone") as edge,
        rig.factory("coordinator") as coordinator,
        coordinator.subscribe("p/+", "r/+") as messages,
    ):
        await edge.publish("p/edge", b"here", retain=True)
        assert (await hear(messages, lambda m: m.payload == b"here")).topic == "p/edge"
        await rig.down()
        await until(lambda: not edge.online and not coordinator.online)
        with pytest.raises(UnavailableError):
            await edge.publish("r/1", b"lost")
        async with edge.subscribe("d/edge") as desired:  # begun while it is away
            await rig.up()
            await until(lambda: edge.online and coordinator.online)
            # the subscription lives, and what was retained is there again though the broker forgot it
            await insist(lambda: edge.publish("r/1", b"result"))
            assert (await hear(messages, lambda m: m.topic == "r/1")).payload == b"result"
            async with coordinator.subscribe("p/+") as fresh:
                assert (await hear(fresh, lambda m: m.payload != b"gone")).payload == b"here"
            await insist(lambda: coordinator.publish("d/edge", b"drain", retain=True))
            assert (await hear(desired)).payload == b"drain"


async def test_a_publish_that_waits_fails_when_the_broker_dies(rig: Rig) -> None:
    """However it is interleaved: a call returns (the broker had it) or raises UnavailableError; none hangs."""
    async with rig.factory("a") as a:
        await until(lambda: a.online)
        async with asyncio.timeout(WAIT_S):
            calls = [asyncio.ensure_future(a.publish("t/x", bytes(100_000))) for _ in range(50)]
            await asyncio.sleep(0)
            await rig.down()
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert all(outcome is None or isinstance(outcome, UnavailableError) for outcome in outcomes)
        await until(lambda: not a.online)


async def test_a_subscription_that_the_broker_was_too_slow_to_confirm_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with broker_server(tmp_path) as server:
        factory = open_bus(server.url)
        async with factory("listener") as listener, factory("speaker") as speaker:
            assert server.child is not None
            monkeypatch.setattr(mqtt, "CALL_S", 0.1)
            monkeypatch.setattr(mqtt, "PAUSE_S", (0.05, 0.2))
            os.kill(server.child.pid, signal.SIGSTOP)
            try:
                async with listener.subscribe("other", "t/+") as messages:
                    monkeypatch.setattr(mqtt, "CALL_S", 5.0)
                    os.kill(server.child.pid, signal.SIGCONT)

                    async def speak() -> None:
                        while True:
                            await speaker.publish("t/late", b"heard")
                            await asyncio.sleep(0.1)

                    speaking = asyncio.create_task(speak())
                    assert (await hear(messages)).payload == b"heard"
                    speaking.cancel()
                    await asyncio.wait([speaking])
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(server.child.pid, signal.SIGCONT)


async def test_a_slow_listener_is_bounded_and_loses_the_oldest(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig.factory("a") as a, a.subscribe("t/#") as slow, a.subscribe("t/end") as ends:
        monkeypatch.setattr(limits, "BUS_QUEUE_MAX", 10)
        for number in range(40):
            await a.publish("t/n", str(number).encode())
        await a.publish("t/end", b"")
        await hear(ends)
        assert a.dropped["slow"] >= 31
        left = [(await hear(slow)).payload for _ in range(10)]
        assert left[-1] == b""
        assert left[-2] == b"39"
        assert b"0" not in left


async def test_repeated_delivery_is_harmless_to_a_listener_that_counts_once(rig: Rig) -> None:
    async with rig.factory("a") as a, rig.factory("b") as b, b.subscribe("r/+") as messages:
        for _ in range(2):  # a publisher that saw no acknowledgement says it again
            await a.publish("r/1", b"one")
        await a.publish("r/2", b"two")
        seen: dict[str, int] = {}
        while "r/2" not in seen:
            message = await hear(messages)
            seen[message.topic] = seen.get(message.topic, 0) + 1
        assert seen["r/1"] >= 2


async def test_a_subscription_ends_with_its_context_and_others_go_on(rig: Rig) -> None:
    async with rig.factory("a") as a, a.subscribe("t/x") as stays:
        async with a.subscribe("t/x") as ends:
            await a.publish("t/x", b"1")
            await hear(ends)
        with pytest.raises(StopAsyncIteration):
            await anext(ends)
        await hear(stays)
        await a.publish("t/x", b"2")
        assert (await hear(stays, lambda m: m.payload != b"1")).payload == b"2"


async def test_the_callers_exception_arrives_unwrapped(rig: Rig) -> None:
    with pytest.raises(KeyError, match="mine"):
        async with rig.factory("a"):
            raise KeyError("mine")


async def test_a_factory_does_not_need_the_broker_to_start(rig: Rig) -> None:
    await rig.down()
    async with rig.factory("a", will_topic="w", will_payload=b"") as a, a.subscribe("t") as messages:
        assert not a.online
        await rig.up()
        await insist(lambda: a.publish("t", b"late"))
        assert (await hear(messages)).payload == b"late"


@pytest.mark.skipif(sys.platform == "win32", reason="uvloop is not for Windows")
def test_the_real_bus_works_on_uvloop(tmp_path: Path) -> None:
    import uvloop

    async def scenario() -> None:
        async with broker_server(tmp_path) as server, open_bus(server.url)("a") as a, a.subscribe("t") as messages:
            await insist(lambda: a.publish("t", b"1", retain=True))
            assert (await hear(messages)).payload == b"1"
            await server.kill()
            await until(lambda: not a.online)
            await server.restart()
            assert (await hear(messages)).payload == b"1"  # retained state is back

    uvloop.run(scenario())


async def test_memory_faults_lose_and_repeat_only_what_qos_1_may() -> None:
    broker = MemoryBroker(Faults(random.Random(7), duplicate=0.2, lost_ack=0.2, lost=0.2))
    async with broker.factory("a") as a, broker.factory("b") as b, b.subscribe("t/+") as messages:
        sent = 0
        for number in range(200):
            while True:
                sent += 1
                with contextlib.suppress(UnavailableError):
                    await a.publish(f"t/{number}", b"")
                    break
        heard = [(await hear(messages)).topic for _ in range(len(messages._waiting))]  # type: ignore[attr-defined]
        assert sent > 200
        assert len(heard) > 200
        assert set(heard) == {f"t/{number}" for number in range(200)}


async def test_memory_names_the_same_broker_in_a_process() -> None:
    async with open_bus("memory://x")("a") as a, open_bus("memory://x")("b") as b, open_bus("memory://y")("c") as c:
        await a.publish("t", b"1", retain=True)
        async with b.subscribe("t") as messages, c.subscribe("t") as other:
            assert (await hear(messages)).payload == b"1"
            assert not other._waiting  # type: ignore[attr-defined]


@pytest.mark.parametrize("url", ["", "mqtt://", "http://x", "mqtt://h:99999", "mqtt://h:x", "mqtt://h/path", "mqtt://[::1"])
def test_urls_of_another_form_are_config_errors(url: str) -> None:
    with pytest.raises(ConfigError, match="bus = "):
        open_bus(url)


@pytest.mark.parametrize(
    "url",
    [
        "mqtt://user:hunter2@h:99999",
        "mqtt://user:hunter2@h/path",
        "mqtt://user:hunter2#x@h",
        "mqtt://user:x/hunter2@h",
        "mqtt://user:hunter2@[::1",
        "amqp://user:hunter2@h",
        "user:hunter2@h:1883",
    ],
)
def test_a_password_is_in_no_message(url: str) -> None:
    with pytest.raises(ConfigError, match=r"bus = .*@(h|\[::1)") as caught:
        open_bus(url)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_a_broker_that_lets_us_hear_nothing_is_an_error_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Access rules refuse a filter in the SUBACK and keep the connection: nothing else would ever tell."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                kind, size = await reader.readexactly(2)  # all packets of this test are shorter than 128 bytes
                body = await reader.readexactly(size)
                if kind >> 4 == 1:
                    writer.write(b"\x20\x02\x00\x00")
                elif kind >> 4 == 8:
                    writer.write(b"\x90\x03" + body[:2] + (b"\x01" if b"allowed" in body else b"\x80"))
                elif kind >> 4 == 10:
                    writer.write(b"\xb0\x02" + body[:2])
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listener, asyncio.timeout(WAIT_S), open_bus(f"mqtt://127.0.0.1:{listener.sockets[0].getsockname()[1]}")("a") as a:
        await until(lambda: a.online)
        async with a.subscribe("t/allowed"), a.subscribe("t/secret"):
            refused = [record for record in caplog.records if record.message == "subscription_refused"]
            assert [record.__dict__["fields"]["topic"] for record in refused] == ["t/secret"]
            assert a.online


LEVELS = st.lists(st.sampled_from(["", "a", "b", "$c"]), min_size=1, max_size=4)


@given(LEVELS, st.lists(st.sampled_from(["", "a", "b", "$c", "+"]), min_size=1, max_size=4), st.booleans())
def test_matching_agrees_with_the_reference_client(topic: list[str], pattern: list[str], rest: bool) -> None:
    from paho.mqtt.client import topic_matches_sub

    sub, name = "/".join([*pattern, "#"] if rest else pattern), "/".join(topic)
    if not sub or not name:
        return
    assert matches(sub, name) == topic_matches_sub(sub, name)
