"""Another game behind the seam: a match of tag through real sockets, hosted by an edge process that knows nothing of it."""

import asyncio
from pathlib import Path

import pytest

from examples.tag import SEATS, SIZE, SNAPSHOT
from gameedge_client import Client, MatchEnded
from tests.end_to_end.inprocess import stack
from tests.end_to_end.programs import run_program
from tests.end_to_end.test_match import rated

GAME = "examples.tag:TagGame"
EDGE = Path(__file__).parents[2] / "gameedge" / "edge"
STAY, EAST, NORTH, WEST, SOUTH = range(5)


def way_to(x: int, y: int, to_x: int, to_y: int) -> int:
    if x != to_x:
        return EAST if to_x > x else WEST
    return STAY if y == to_y else NORTH if to_y > y else SOUTH


class Seen:
    """What one player saw of its match."""

    def __init__(self, player: str) -> None:
        self.player = player
        self.match = ""
        self.game = ""
        self.seat = -1
        self.cells: list[tuple[int, int]] = []
        self.its: list[int] = []
        self.processed = 0
        self.result: MatchEnded | None = None


async def play(url: str, name: str, corner: tuple[int, int] | None) -> Seen:
    """Walk to a corner, or (None) after whoever sits in the next seat."""
    client = await Client.guest(url, name=name)
    seen = Seen(client.account.player)
    async with client.connect(await client.place(mode="tag")) as session:
        seen.game = session.welcome.game
        match = await session.play("tag")
        seen.match, seen.seat = match.info.match, match.info.seat
        async for snapshot in match:
            seat, it, _, size, players, *rest = SNAPSHOT.unpack(snapshot.payload)
            assert (seat, size, players) == (seen.seat, SIZE, SEATS)
            cells = [(rest[3 * i], rest[3 * i + 1]) for i in range(SEATS)]
            x, y = cells[seat]
            match.send_payload(bytes([way_to(x, y, *(corner or cells[(seat + 1) % SEATS]))]))
            seen.cells.append((x, y))
            seen.its.append(it)
            seen.processed = snapshot.header.processed
        seen.result = match.result
    return seen


@pytest.mark.parametrize("transport", ["picows", "websockets"])
async def test_a_match_of_tag_through_real_sockets(transport: str) -> None:
    async with stack(game=GAME, transport=transport, fill_ms=1_500) as running, asyncio.timeout(25):
        runner, hunter = await asyncio.gather(play(running.url, "runner", (SIZE - 1, 0)), play(running.url, "hunter", None))
        assert runner.match == hunter.match
        assert runner.game == "tag"
        assert runner.cells[-1] == (SIZE - 1, 0), "its commands moved it where it wanted"
        for seen in (runner, hunter):
            assert len(seen.cells) > 80, "about twenty snapshots a second for six seconds"
            assert seen.processed > 60
            assert seen.result is not None
            assert seen.result.reason == "finished"
            assert len(seen.result.scores) == SEATS
            best = max(seen.result.scores)
            assert [rank == 0 for rank in seen.result.ranks] == [score == best for score in seen.result.scores]
        assert runner.result == hunter.result or (runner.result and hunter.result and runner.result.scores == hunter.result.scores)
        await rated(running, runner.player, hunter.player)


async def test_a_resume_in_the_middle_of_another_game() -> None:
    async with stack(game=GAME, fill_ms=100) as running, asyncio.timeout(25):
        client = await Client.guest(running.url, name="flaky")
        async with client.connect(await client.place(mode="tag")) as session:
            match = await session.play("tag")
            async for _ in match:
                match.send_payload(bytes([EAST]))
                if match.snapshots_received == 30:
                    session.drop_connection()
            assert session.resumes == 1
            assert match.result is not None
            assert match.snapshots_received > 60


def test_the_edge_knows_no_game_by_name() -> None:
    for path in EDGE.rglob("*.py"):
        text = path.read_text("utf-8")
        imports = [line for line in text.splitlines() if line.lstrip().startswith(("import ", "from "))]
        assert not [line for line in imports if "arena" in line or "tag" in line.split()[1].split(".")], path


async def test_its_example_plays_a_match() -> None:
    async with stack(game=GAME, fill_ms=100) as running, asyncio.timeout(25):
        said = await run_program("-m", "examples.play_tag", running.url)
        assert "reason='finished'" in said
        assert running.edge.tick.figures.commands > 60
