"""What a process says of itself, and the desired state that it converges to."""

import asyncio

from gameedge.bus import topics
from gameedge.bus.payloads import Desired, ModelWish, encode
from gameedge.core.ids import RegionId
from gameedge.edge.tick import NPC_MODEL
from gameedge.telemetry import compact

from .parts import ME, REGION, bench


async def test_figures_count_what_is_there() -> None:
    async with bench() as on:
        _, _, ada = on.connect("ada")
        on.connect("bob")
        record = on.record("m_1", ada)
        await on.claim(record)
        await on.edge.matches.open(record)
        report = on.edge.reports.figures()
        assert (report.players, report.players_max, report.matches, report.free_matches) == (2, 8, 1, 3)
        assert report.matches_started == 1
        assert report.npcs == 2, "nobody has joined: NPCs play"
        await on.edge.reports.beat_once()
        (beat,) = await on.store.edges()
        assert (beat.edge, beat.matches, beat.free_entities, beat.draining) == (ME, 1, 14, False)
        on.edge.reports.refresh()
        assert on.edge.metrics.value("players") == 2


async def test_models_are_measured_for_prometheus_and_for_the_report() -> None:
    async with bench() as on:
        _, _, ada = on.connect("ada")
        record = on.record("m_1", ada)
        await on.claim(record)
        await on.edge.matches.open(record)
        calls = on.edge.engine.figures(NPC_MODEL).calls  # type: ignore[union-attr]
        for _ in range(5):
            on.edge.tick.run(on.edge.clock.monotonic_ms())
            on.edge.reports.ticked(0.4, 1.5, on.edge.clock.monotonic_ms())
        ran = on.edge.engine.figures(NPC_MODEL).calls - calls  # type: ignore[union-attr]
        assert ran > 0
        text = on.edge.metrics.text().decode()
        for name in ("inference_ms", "inference_batch_rows"):
            assert f'gameedge_{name}_count{{model="npc"}} {float(ran)}' in text
        report = on.edge.reports.figures()
        assert sum(report.histograms["inference_batch_rows"]) == sum(report.histograms["inference_ms"]) == ran
        assert report.histograms["tick_lateness_ms"][2] == 5  # over 0.25 and at most 0.5
        assert "queue_wait_ms" not in report.histograms  # nobody waited
        for name, counts in report.histograms.items():
            assert len(counts) == len(compact.BOUNDS[name]) + 1
        assert compact.merge([report.histograms, report.histograms])["tick_ms"][5] == 10


async def test_why_it_is_not_ready() -> None:
    async with bench() as on:
        assert on.edge.ready() is None
        on.edge.reports.store_ok = False
        assert "store" in str(on.edge.ready())
        assert on.edge.reports.health()["why"] == on.edge.ready()
        on.edge.stop()
        assert on.edge.ready() == "draining"


async def test_only_what_asks_this_process_drains_it_and_old_revisions_are_ignored() -> None:
    async with bench() as on:
        follower = asyncio.create_task(on.edge.reports.follow_desired())
        await asyncio.sleep(0)

        async def say(data: bytes) -> bool:
            await on.edge.bus.publish(topics.desired(RegionId(REGION)), data, retain=True)
            for _ in range(20):
                await asyncio.sleep(0)
            return on.edge._stopping.is_set()

        assert not await say(b"{garbage")
        assert not await say(encode(Desired(revision=5, draining_edges=["another"])))
        assert not await say(encode(Desired(revision=4, draining=True))), "an old revision"
        assert await say(encode(Desired(revision=6, draining_edges=[ME])))
        follower.cancel()


async def test_a_ban_is_heard_while_a_model_is_made_ready() -> None:
    async with bench() as on:
        edge, wishes = on.edge, list[dict[str, ModelWish]]()
        made = asyncio.Event()

        async def slow(wanted: dict[str, ModelWish], now_ms: float) -> None:
            wishes.append(wanted)
            await made.wait()

        edge.rollout.want = slow  # type: ignore[method-assign]
        parts = [asyncio.create_task(part()) for part in (edge.reports.follow_desired, edge.reports.meet_wishes)]
        await asyncio.sleep(0)
        topic = topics.desired(RegionId(REGION))
        for number, name in enumerate(("first", "second", "third"), 1):
            blocked = {"eve": 10**15} if name == "third" else {}
            wish = {NPC_MODEL: ModelWish(stable=name)}
            await edge.bus.publish(topic, encode(Desired(revision=number, models=wish, blocked=blocked)), retain=True)
            for _ in range(20):
                await asyncio.sleep(0)
        assert edge.lobby.blocked == {"eve": 10**15}
        made.set()
        for _ in range(20):
            await asyncio.sleep(0)
        assert [wanted[NPC_MODEL].stable for wanted in wishes] == ["first", "third"], "only the last wish counts"
        for part in parts:
            part.cancel()
        await asyncio.gather(*parts, return_exceptions=True)
