"""The report of the claim: same players in every setup, nobody left unmatched, pictures that are SVG."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from loadtest import matrix
from loadtest.claim import evening, report


def test_everybody_is_answered_in_every_setup_and_distance_shows() -> None:
    table = matrix.built_in()
    people = evening.crowd(table, 300, 40.0, 1)
    felt = [evening.play(table, people, setup, 2) for setup in evening.setups(table)]
    for each in felt:
        assert (each.answer_ms > 0).all()
        assert len(each.answer_ms) == 300
    edge, central, interval = felt[2], felt[3], felt[5]
    assert edge.rtt_ms.mean() < central.rtt_ms.mean()
    assert np.median(interval.answer_ms) > 10 * np.median(central.answer_ms)
    again = evening.play(table, people, evening.setups(table)[2], 2)
    assert (again.answer_ms == edge.answer_ms).all(), "the same seed is the same evening"
    for picture in report.pictures(table, people, felt).values():
        assert ET.fromstring(picture).tag.endswith("svg")


def test_the_command_prints_figures_and_refuses_nonsense(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report.main(["--players", "60"]) == 0
    assert "one central region" in json.loads(capsys.readouterr().out)
    assert report.main(["--rtt", str(tmp_path / "none.csv")]) == 2
    with pytest.raises(SystemExit):
        report.main(["--players", "3"])
