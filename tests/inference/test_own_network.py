"""What docs/models.md says of a studio's own network is true of the example, configured as it says."""

from pathlib import Path

import pytest
import safetensors.numpy

from examples import own_network
from gameedge.core.npc import action, observation
from gameedge.inference import artifacts
from gameedge.inference.depot import Depot, factories


def test_the_example_plays_a_match(capsys: pytest.CaptureFixture[str]) -> None:
    own_network.main()
    said = capsys.readouterr().out
    assert "36000 actions in a minute of squads" in said
    kills = [int(score) for score in said[said.index("[") + 1 : said.index("]")].split(",")]
    assert sum(kills) > 0


def test_it_is_configured_by_its_entry_point(tmp_path: Path) -> None:
    data = safetensors.numpy.save({"w": own_network.weights()}, {"kind": "chaser", "version": "1"})
    (tmp_path / artifacts.file_name("chaser", data)).write_bytes(data)
    backend = Depot([tmp_path], kinds=factories(["chaser=examples.own_network:make"])).build("chaser", 64)
    assert isinstance(backend, own_network.Chaser)
    assert (backend.input_size, backend.output_size) == (observation.OBSERVATION_SIZE, action.ACTION_SIZE)
