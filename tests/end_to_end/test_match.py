"""A match through real sockets, as players of the SDK see it, over both transports."""

import asyncio
from pathlib import Path

import pytest

from gameedge.core.errors import Reason, RefusedError
from gameedge.core.protocol.arena_v1 import Subtick
from gameedge.edge.tick import NOT_SEATED
from gameedge_client import Client, MatchOffered, Session

from .inprocess import Stack, stack


async def play(url: str, name: str, mode: str) -> dict[str, object]:
    client = await Client.guest(url, name=name)
    placement = await client.place(mode=mode)
    assert placement.region == "test-1"
    async with client.connect(placement) as session:
        match = await session.play(mode)
        views = 0
        async for snapshot in match:
            assert snapshot.view is not None
            assert snapshot.view.seat == match.info.seat
            views += 1
            step = Subtick(10.0, 0.0, 1.0, 0.0, views % 4 == 0)
            match.command((step, step, step))
        assert match.result is not None
        return {
            "player": client.account.player,
            "match": match.info.match,
            "views": views,
            "reason": match.result.reason,
            "latency": list(match.input_to_snapshot_ms),
        }


@pytest.mark.parametrize("transport", ["picows", "websockets"])
async def test_two_people_play_a_duel_and_are_rated(transport: str) -> None:
    async with stack(transport=transport, fill_ms=5_000) as running, asyncio.timeout(30):
        a, b = await asyncio.gather(play(running.url, "ada", "duel"), play(running.url, "bob", "duel"))
        assert a["match"] == b["match"]
        assert a["reason"] == "finished"
        for player in (a, b):
            assert isinstance(player["views"], int)
            assert player["views"] > 100, "about twenty snapshots a second for eight seconds"
            assert player["latency"], "commands were processed"
        await rated(running, str(a["player"]), str(b["player"]))


async def rated(running: Stack, *players: str) -> None:
    async with asyncio.timeout(5):
        while not all([await running.global_store.ratings(player) for player in players]):  # type: ignore[arg-type]
            await asyncio.sleep(0.05)


async def test_one_person_gets_npcs_for_company() -> None:
    async with stack() as running, asyncio.timeout(30):
        played = await play(running.url, "solo", "coop")
        assert played["reason"] in ("survived", "overrun", "finished", "cleared")
        assert running.edge.tick.figures.npc_actions > 0


async def test_a_second_match_of_the_same_session_takes_commands_from_the_start() -> None:
    """Commands are numbered through a session's matches: numbers that start over would be refused as replays."""
    async with stack(fill_ms=100) as running, asyncio.timeout(30):
        client = await Client.guest(running.url, name="again")
        async with client.connect(await client.place(mode="duel")) as session:
            last = 0
            for _ in range(2):
                match = await session.play("duel")
                async for snapshot in match:
                    match.command((Subtick(9.0, 0.0, 1.0, 0.0, False),) * 3)
                    if match.snapshots_received == 20:
                        assert snapshot.header.processed > last
                        last = snapshot.header.processed
                        match.leave()
        assert running.edge.tick.figures.refused.sum() == running.edge.tick.figures.refused[NOT_SEATED]


async def test_a_match_that_one_declines_goes_on_with_who_comes_next(tmp_path: Path) -> None:
    """Everybody must say yes: the one who does not is out, the other is matched with the next and has lost no time."""
    rules = tmp_path / "rules.toml"
    rules.write_text("[modes.duel]\nnpc_fill = false\n[modes.duel.accept]\ndeadline_ms = 5_000\n")
    asked: list[str] = []

    async def queue(url: str, name: str, says: bool) -> tuple[Session, str]:
        client = await Client.guest(url, name=name)
        async with client.connect(await client.place(mode="duel")) as session:

            def offer(offered: MatchOffered) -> bool:
                asked.append(name)
                return says

            session.on_offer = offer
            found = await session.queue("duel")
            match = await session.join(found)
            match.leave()
            return session, found.match

    async with stack(fill_ms=60_000, match_rules=str(rules)) as running, asyncio.timeout(30):
        ada = asyncio.create_task(queue(running.url, "ada", True))
        with pytest.raises(RefusedError) as refused:
            await queue(running.url, "eve", False)
        assert refused.value.reason is Reason.NOT_FOUND
        assert not ada.done()
        _, of_bob = await queue(running.url, "bob", True)
        session, of_ada = await ada
        assert of_ada == of_bob
        assert sorted(asked) == ["ada", "ada", "bob", "eve"]
        assert session.queue_wait_ms is not None
