"""Stores and the bus over TLS, with an authority that the system does not know: named in the URL, or not trusted."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gameedge.bus import mqtt, open_bus
from gameedge.core.errors import ConfigError, UnavailableError
from gameedge.local.servers import broker_server
from gameedge.state.open import open_global_store, open_region_store
from tests.contract.stores import MAX, MODE, empty, ticket

WAIT_S = 8.0


@contextlib.asynccontextmanager
async def tls_before(port: int, certificate: tuple[Path, Path]) -> AsyncIterator[int]:
    """A port that speaks TLS and hands on to a server that does not."""

    async def hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, before = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(hand_on(reader, before), hand_on(behind, writer))

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with listener:
        yield int(listener.sockets[0].getsockname()[1])


async def test_a_store_whose_authority_is_named(servers: dict[str, str], certificate: tuple[Path, Path]) -> None:
    empty(servers["redis"])
    async with asyncio.timeout(WAIT_S), tls_before(int(servers["redis"].rpartition(":")[2]), certificate) as port:
        store = open_region_store(f"rediss://localhost:{port}?ca={certificate[0]}")
        await store.ticket_add(ticket(1), MAX)
        assert await store.tickets(MODE) == [ticket(1)]
        await store.close()
        unknown = open_region_store(f"rediss://localhost:{port}")
        with pytest.raises(UnavailableError, match="certificate"):
            await unknown.ping()
        await unknown.close()


async def test_a_broker_whose_authority_is_named(tmp_path: Path, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "START_S", 0.5)  # the one that is not trusted is not waited for
    async with (
        asyncio.timeout(4 * WAIT_S),
        broker_server(tmp_path) as server,
        tls_before(int(server.url.rpartition(":")[2]), certificate) as port,
    ):
        async with open_bus(f"mqtts://localhost:{port}?ca={certificate[0]}")("a") as bus, bus.subscribe("t") as messages:
            while not bus.online:
                await asyncio.sleep(0.05)
            await bus.publish("t", b"1", retain=True)
            assert (await anext(messages)).payload == b"1"
        async with open_bus(f"mqtts://localhost:{port}")("b") as unknown:
            assert not unknown.online


def test_a_file_that_holds_no_certificates_is_named_at_the_start(tmp_path: Path) -> None:
    empty_file = tmp_path / "empty.pem"
    empty_file.write_text("", "utf-8")
    for ca in (empty_file, tmp_path / "missing.pem"):
        for opener, url in (
            (open_region_store, f"rediss://h?ca={ca}"),
            (open_global_store, f"rediss+cluster://h?ca={ca}"),
            (open_region_store, f"rediss+sentinel://h/main?ca={ca}"),
            (open_bus, f"mqtts://h?ca={ca}"),
        ):
            with pytest.raises(ConfigError):
                opener(url)  # type: ignore[operator]
    for url in ("redis://h?ca=x", "redis+cluster://h?ca=x"):
        with pytest.raises(ConfigError, match="no option"):
            open_region_store(url)
    with pytest.raises(ConfigError, match="mqtts"):
        open_bus("mqtt://h?ca=x")
