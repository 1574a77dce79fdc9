"""A player in plain Node that uses only what docs/protocol.md says plays a match on a running deployment of real processes."""

import asyncio
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from gameedge.local.deployment import Deployment, Plan
from tests.local.test_deployment import Teller, until_online

from .inprocess import stack
from .programs import run_program

CLIENT = Path(__file__).parent / "node_client" / "client.js"
EXAMPLE = Path(__file__).parents[2] / "examples" / "play_a_match.py"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed: the client in JavaScript cannot be run here")


async def run_client(url: str, mode: str) -> dict[str, Any]:
    assert NODE is not None
    said = json.loads(await run_program(str(CLIENT), url, mode, program=NODE))
    assert isinstance(said, dict)
    return said


def check(said: dict[str, Any], mode: str, players: int) -> None:
    """What any match shows."""
    assert said["mode"] == mode
    assert said["roster"] == players
    assert (said["welcomes"], said["resumes"], said["cuts"]) == (2, 1, 1)
    assert said["refused"] == []
    assert said["result"]["t"] == "match_ended"
    assert said["result"]["reason"] in ("finished", "score")
    assert len(said["result"]["seat_scores"]) == players
    assert said["snapshots"] > 60
    assert said["processed"] > said["commands_before_cut"], "commands after the resume were processed, too"
    assert said["moved"] > 2.0, "world units"
    assert said["prediction_error_max"] < 0.25, "nothing moves faster than the document says"
    assert said["closed"] == 1000
    assert said["rtt_ms"] > 0.0


@needs_node
@pytest.mark.slow
async def test_on_a_deployment_of_real_processes(tmp_path: Path) -> None:
    teller = Teller()
    deployment = Deployment(Plan(regions=1, bots=0, port=0), tmp_path, teller, lambda _: None)
    try:
        await deployment.start()
        await until_online(deployment, ["us-east/e1"])
        said, example = await asyncio.gather(run_client(deployment.url, "ffa"), run_program(str(EXAMPLE), deployment.url, "squads"))
    finally:
        await deployment.stop()
    check(said, "ffa", 8)
    assert said["region"] == "us-east"
    assert len(said["beacons"]["us-east"]) == 3
    assert said["seen"] > 0
    assert re.match(r"MatchEnded\(s=\d+, match='m_\w+', ranks=\[\d, \d\], .*reason='finished'\)", example), example
    assert teller.faults == []


@needs_node
@pytest.mark.parametrize("transport", ["picows", "websockets"])
async def test_over_each_transport(transport: str) -> None:
    async with stack(transport=transport, fill_ms=100) as running, asyncio.timeout(60):
        said = await run_client(running.url, "duel")
        refused = running.edge.tick.figures.refused
    check(said, "duel", 2)
    assert refused[16:].sum() - refused[255] == 0, "the gate found nothing wrong with its commands"


async def test_the_example_of_thirty_lines_plays_a_match() -> None:
    assert len(EXAMPLE.read_text("utf-8").splitlines()) <= 30
    async with stack(fill_ms=100) as running, asyncio.timeout(60):
        said = await run_program(str(EXAMPLE), running.url, "duel")
        processed = running.edge.tick.figures.commands
    assert "reason='finished'" in said
    assert processed > 60, "it did send commands"
