"""The routing benchmark: any matrix may be tried, damaged ones are refused with the line, and figures are what they say."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from gameedge.core.errors import ConfigError
from gameedge.core.routing.probing import AGAIN_MAX, contenders
from loadtest import matrix
from loadtest.bench import routing
from loadtest.bench.cli import main


def write(folder: Path, text: str) -> Path:
    path = folder / "rtt.csv"
    path.write_text(text)
    return path


def test_rectangles_gaps_headers_and_names(tmp_path: Path) -> None:
    found = matrix.load(write(tmp_path, "city,a,b,c\nRome,10,nan,30\n# a comment\nOslo,5,,7\n"))
    assert found.rtt_ms.shape == (2, 3)
    assert np.isnan(found.rtt_ms[:, 1]).all()
    assert found.rtt_ms[1, 2] == 7


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no matrix"),
        ("1\n2\n", "no matrix"),
        ("1,2\n3\n", "line 2"),
        ("1,2\n3,x\n", "line 2"),
        ("1,-2\n3,4\n", "round trip"),
        ("1,inf\n3,4\n", "round trip"),
    ],
)
def test_damaged_files_are_refused_with_the_place(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        matrix.load(write(tmp_path, text))


def test_places_must_fit(tmp_path: Path) -> None:
    path = write(tmp_path, "1,2\n2,1\n")
    where = tmp_path / "places.csv"
    where.write_text("lat,lon\n1,nan\n2,3\n")
    with pytest.raises(ConfigError, match="places"):
        matrix.load(path, where)


def test_regret_is_zero_where_regions_are_far_apart_and_found_where_not(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = [[float(x) for x in rng.permutation([10.0, 90.0, 200.0])] for _ in range(30)]
    part = matrix.load(write(tmp_path, "\n".join(",".join(map(str, row)) for row in rows)))
    rows_found = {row.name: row.value for row in routing.placements(part, trials=2, notes=[])}
    assert rows_found["mean regret"] == 0.0
    assert rows_found["places within 5 ms of the best region"] == 100.0


def test_the_command_takes_a_file_and_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "\n".join(f"{5 + i},{40 - i},nan,{20 + i}" for i in range(20)))
    assert main(["routing", "--rtt", str(path), "--regions", "0,1,3", "--json", "--quick"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {row["name"] for row in found["rows"]} >= {"mean regret", "a decision, 20 regions"}
    assert main(["routing", "--rtt", str(path), "--regions", "0,9", "--quick"]) == 2
    with pytest.raises(SystemExit):
        main(["codec", "--rtt", str(path)])


def test_places_that_cannot_be_placed_are_left_out() -> None:
    options = argparse.Namespace(rtt=None, places=None, regions="0,5")
    rows = routing.run([], quick=True, options=options)
    assert all(row.met is not False or row.unit != "%" or "lower" in row.name for row in rows)


def test_second_looks_are_few_and_only_where_needed() -> None:
    assert contenders({}) == []
    assert contenders({"a": [10.0], "b": [90.0]}) == []
    assert contenders({"a": [10.0, 30.0], "b": [12.0], "c": []}) == ["a", "b"]
    assert len(contenders({f"r{i}": [10.0 + i] for i in range(9)})) == AGAIN_MAX
