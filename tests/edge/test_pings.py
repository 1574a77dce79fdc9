"""Round trips to other regions over real sockets, and what a region tells of its players' networks."""

import contextlib
from collections.abc import AsyncIterator

from gameedge.bus import topics
from gameedge.bus.memory import MemoryBroker
from gameedge.bus.payloads import Codec, EdgeReport, Presence, encode
from gameedge.core import limits
from gameedge.core.ids import EdgeId, RegionId
from gameedge.edge.clock import SystemClock
from gameedge.edge.machine import memory_share
from gameedge.edge.pings import AGAIN_MS, Pings, ping
from gameedge.edge.spots import spot_reports
from gameedge.edge.transports.base import TransportSettings
from gameedge.edge.transports.websockets_shell import WebsocketsTransport

from .parts import bench

FAR = RegionId("far-1")


class Later(SystemClock):
    """A clock that a test moves."""

    ahead_ms = 0.0

    def monotonic_ms(self) -> float:
        return super().monotonic_ms() + self.ahead_ms


@contextlib.asynccontextmanager
async def beacon() -> AsyncIterator[str]:
    """The players' port of a real process, as another region sees it."""
    async with bench() as on:
        server = await WebsocketsTransport().serve(on.edge.lobby.accept, TransportSettings("127.0.0.1", 0, limits.FRAME_BYTES_MAX))
        try:
            yield f"ws://127.0.0.1:{server.port}"
        finally:
            await server.close()


def online(url: str, edge: str = "e1", **more: object) -> tuple[RegionId, EdgeId, Presence]:
    return FAR, EdgeId(edge), Presence(online=True, region=FAR, url=url)


async def test_a_region_is_measured_through_its_players_port() -> None:
    async with beacon() as url, MemoryBroker().factory("near") as bus:
        clock = Later()
        pings = Pings(RegionId("near-1"), bus, clock, ping)
        pings._hear(*online(url))
        await pings.once()
        (rtt_ms,) = pings.figures().values()
        assert 0.0 < rtt_ms < 3_000.0
        clock.ahead_ms = 700_000.0
        assert pings.figures() == {}, "an old figure is not told"


async def test_who_does_not_answer_is_asked_seldom_and_another_process_next() -> None:
    asked: list[str] = []

    async def silent(url: str) -> float | None:
        asked.append(url)
        return None

    async with MemoryBroker().factory("near") as bus:
        clock = Later()
        pings = Pings(RegionId("near-1"), bus, clock, silent)
        for edge in ("e1", "e2"):
            pings._hear(*online(f"ws://{edge}", edge))
        for _ in range(5):
            await pings.once()
        assert len(asked) == 1
        clock.ahead_ms = AGAIN_MS + 1
        await pings.once()
        assert sorted(asked) == ["ws://e1", "ws://e2"]
        assert pings.figures() == {}
        pings._hear(FAR, EdgeId("e1"), None)
        pings._hear(FAR, EdgeId("e2"), Presence(online=False))
        clock.ahead_ms = 3 * AGAIN_MS
        await pings.once()
        assert len(asked) == 2, "it is gone"


async def test_urls_from_the_bus_that_are_none_harm_nobody() -> None:
    for url in ("ws://", "ws://[", "ws://127.0.0.1:1/", "wss://127.0.0.1:1", "ws://127.0.0.1:99999"):
        assert await ping(url) is None


async def test_they_are_in_some_reports() -> None:
    async with bench() as on:
        on.edge.pings._ping = ping
        on.edge.pings._others.clear()
        on.edge.pings._hear(*online("ws://nowhere"))
        other = on.edge.pings._others[FAR]
        other.rtt_ms, other.at_ms = 81.5, on.edge.clock.monotonic_ms()
        assert on.edge.reports.figures().regions_ms == {}
        report = on.edge.reports.figures(network=True)
        assert report.regions_ms == {"far-1": 81.5}
        assert Codec(EdgeReport).decode(encode(report)) == report
        assert topics.parse_edge(topics.report(FAR, EdgeId("e1"))) == (FAR, "e1")


def test_nothing_is_told_of_fewer_than_five() -> None:
    few = [("3,4|8.8.4.0/24", 20.0 + i) for i in range(limits.SPOT_PLAYERS_MIN - 1)]
    assert spot_reports(few) == []
    both = spot_reports([*few, ("3,4|8.8.8.0/24", 90.0)])
    (city,) = both
    assert (city.spot, city.players, city.median_ms, city.low_ms) == ("3,4", 5, 22.0, 21.0)
    assert {report.spot for report in spot_reports([*few, ("3,4|8.8.4.0/24", 1.0)])} == {"3,4", "3,4|8.8.4.0/24"}
    assert spot_reports([("garbage", 5.0), ("", 5.0), ("3,4", float("nan")), ("3,4", -1.0)] * 9) == []
    many = [(f"{i},{k}", 10.0) for i in range(-40, 40) for k in range(2) for _ in range(5)]
    assert len(spot_reports(many)) == limits.SPOTS_REPORTED_MAX


def test_memory_is_a_share(tmp_path) -> None:  # type: ignore[no-untyped-def]
    assert 0.0 < memory_share() < 1.0
    assert memory_share(tmp_path) == 0.0, "nothing to read"
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 1000 kB\nMemAvailable: 400 kB\n")
    assert memory_share(tmp_path) == 0.6
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    for name, text in (("memory.max", "1000"), ("memory.current", "950"), ("memory.stat", "anon 5\ninactive_file 50\n")):
        (group / name).write_text(text)
    assert memory_share(tmp_path) == 0.9, "its own limit is nearer"
    (group / "memory.max").write_text("max\n")
    assert memory_share(tmp_path) == 0.6
