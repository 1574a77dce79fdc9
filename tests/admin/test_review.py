"""`gameedge admin review` on a real Redis: list, show with a picture, decide, appeal bit for bit, erase; and what is not there."""

import asyncio
import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from gameedge.admin.cli import app
from gameedge.core.anticheat import clips
from gameedge.core.anticheat.watch import REPEAT, Watch
from gameedge.core.ids import FlagId, MatchId, PlayerId
from gameedge.inference.artifacts import load_aim
from gameedge.state.base import Evidence
from tests.contract.stores import (
    empty,
    region_store,
    servers,  # noqa: F401
)
from tests.core.anticheat.test_strokes import play, recorded
from tests.core.anticheat.test_watch import run


@pytest.fixture
def region(servers: dict[str, str]) -> Iterator[str]:  # noqa: F811
    """A region's store with a flag of each level, and one whose clip was changed."""
    url = servers["redis"]
    empty(url)
    watch = Watch(8, load_aim())
    watch.enter(0, PlayerId("p1"))
    run(watch, 60)
    first, second = watch.flags()
    clip = clips.decode(first.clip)
    clip.blocks[0] = msgspec.structs.replace(clip.blocks[0], mean=clip.blocks[0].mean + 1.0)

    async def fill() -> None:
        async with region_store(url) as store:
            for name, state, data in (
                ("f1", "open", first.clip),
                ("f2", "recommended", second.clip),
                ("f3", "open", msgspec.msgpack.encode(clip)),
            ):
                await store.evidence_add(
                    Evidence(
                        flag=FlagId(name),
                        player=first.player,
                        match=MatchId("m1"),
                        at_ms=1_800_000_000_000,
                        rule=first.rule,
                        score=first.score,
                        reasons=["[b]odd", *first.reasons],
                        clip=data,
                        state=state,
                        model=first.model,
                    )
                )

    asyncio.run(fill())
    yield url
    empty(url)


def test_repeats_are_shown_drawn_and_compute_again(servers: dict[str, str], tmp_path: Path) -> None:  # noqa: F811
    url = servers["redis"]
    empty(url)
    watch = Watch(1, load_aim())
    watch.enter(0, PlayerId("p1"))
    play(watch, recorded(40, 8))
    flag = next(flag for flag in watch.flags() if flag.rule == REPEAT)

    async def fill() -> None:
        async with region_store(url) as store:
            at = {"at_ms": 1_800_000_000_000, "match": MatchId("m1"), "state": "open", "model": flag.model}
            given = {"player": flag.player, "rule": flag.rule, "score": flag.score, "reasons": list(flag.reasons), "clip": flag.clip}
            await store.evidence_add(Evidence(flag=FlagId("f1"), **at, **given))  # type: ignore[arg-type]

    asyncio.run(fill())
    try:
        picture = tmp_path / "f1.svg"
        answer = json.loads(review(url, "show", "f1", "--picture", str(picture), "--json").stdout)
        assert len(answer["repeats"]) >= 4
        assert all(row["differ"] < 0.03 for row in answer["repeats"])
        assert answer["repeats"][-1]["wealth"] >= 100
        assert picture.read_text("utf-8").count("they differ by") == 4
        assert "movements of the cursor" in review(url, "show", "f1").stdout
        assert json.loads(review(url, "appeal", "f1", "--json").stdout)["same"] is True
    finally:
        empty(url)


def review(url: str, *words: str) -> Result:
    return CliRunner().invoke(app, ["review", "--redis", url, *words], env={"COLUMNS": "240", "TERM": "dumb"})


def test_list_and_show(region: str, tmp_path: Path) -> None:
    found = json.loads(review(region, "list", "--json").stdout)
    assert [entry["flag"] for entry in found] == ["f3", "f2", "f1"]
    assert [entry["flag"] for entry in json.loads(review(region, "list", "--state", "recommended", "--json").stdout)] == ["f2"]
    assert "[b]odd" in review(region, "list").stdout
    picture, data = tmp_path / "f1.svg", tmp_path / "f1.bin"
    shown = review(region, "show", "f1", "--picture", str(picture), "--clip", str(data), "--json")
    answer = json.loads(shown.stdout)
    assert len(answer["reasons"]) >= 3
    assert answer["timeline"][-1]["wealth"] >= 100
    assert answer["clip_bytes"] == len(data.read_bytes())
    tags = [element.tag.rpartition("}")[2] for element in ET.fromstring(picture.read_text()).iter()]
    assert tags.count("polyline") == 1
    assert tags.count("circle") > 40
    text = review(region, "show", "f1").stdout
    assert "what contributed" in text
    assert "0 s of combat judged, 0 s not" in text  # these shots came without ticks


def test_decide(region: str) -> None:
    upheld = review(region, "decide", "f2", "upheld")
    assert "recommended -> upheld" in upheld.stdout
    assert "players ban p1" in upheld.stdout
    assert review(region, "decide", "f1", "cleared").exit_code == 0
    states = {entry["flag"]: entry["state"] for entry in json.loads(review(region, "list", "--json").stdout)}
    assert states == {"f1": "cleared", "f2": "upheld", "f3": "open"}
    assert review(region, "decide", "f1", "banned").exit_code == 6
    again = review(region, "decide", "f1", "upheld")
    assert again.exit_code == 6
    assert "is cleared already" in again.stderr
    assert "cleared -> upheld" in review(region, "decide", "f1", "upheld", "--again").stdout


def test_an_appeal_computes_the_same_bits_or_says_where_not(region: str) -> None:
    same = review(region, "appeal", "f1", "--json")
    assert same.exit_code == 0
    assert json.loads(same.stdout)["same"] is True
    assert json.loads(same.stdout)["level"] == "review"
    other = review(region, "appeal", "f3")
    assert other.exit_code == 6
    assert "NOT the same" in other.stdout
    assert "block 0: mean" in other.stdout


def test_erase_and_what_is_not_there(region: str) -> None:
    assert "3 records" in review(region, "erase", "p1", "--yes").stdout
    assert json.loads(review(region, "list", "--json").stdout) == []
    gone = review(region, "show", "f1")
    assert gone.exit_code == 5
    assert "no flag 'f1'" in gone.stderr
    assert review("redis://127.0.0.1:1", "list").exit_code == 3
    unasked = review(region, "erase", "p1")
    assert (unasked.exit_code, unasked.stdout) == (2, "")
    assert "--yes" in unasked.stderr
    everywhere = CliRunner().invoke(app, ["review", "erase", "p1", "--yes"], env={"GAMEEDGE_REGION_REDIS": ""})
    assert "players erase" in everywhere.stderr
