"""Artifacts are verified before use, and every refusal names what was expected and what was found."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from gameedge.core.errors import ArtifactError
from gameedge.inference import artifacts, parity
from gameedge.inference.backends.numpy_mlp import NumpyMlp

MLP = {"kind": "mlp", "version": "1", "activation": "tanh", "output": "linear"}


def write(folder: Path, name: str, tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> Path:
    data = safetensors.numpy.save(tensors, metadata)
    path = folder / artifacts.file_name(name, data)
    path.write_bytes(data)
    return path


def net(seed: int, *sizes: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    tensors = {}
    for i, (a, b) in enumerate(itertools.pairwise(sizes)):
        tensors[f"w{i}"] = rng.normal(0, a**-0.5, (a, b)).astype(np.float32)
        tensors[f"b{i}"] = rng.normal(0, 0.1, b).astype(np.float32)
    return tensors


def test_a_net_gives_the_same_answers_in_every_batch_size(tmp_path: Path) -> None:
    path = write(tmp_path, "tiny", net(1, 24, 32, 16, 5), MLP)
    backend = NumpyMlp(artifacts.load("tiny", [tmp_path]))
    assert (backend.input_size, backend.output_size, backend.name) == (24, 5, path.stem)
    rows = np.random.default_rng(2).normal(size=(200, 24)).astype(np.float32)
    found = parity.check(backend, rows, sizes=(1, 2, 7, 64), tolerance=1e-5)
    assert found.difference_max <= 1e-5
    tensors = net(1, 24, 32, 16, 5)
    x = rows.astype(np.float64)
    for i in range(3):
        x = x @ tensors[f"w{i}"] + tensors[f"b{i}"]
        x = np.tanh(x) if i < 2 else x
    out = parity.answers(backend, rows, np.arange(200, dtype=np.int32), 200)
    assert np.abs(out - x).max() < 1e-5


def test_parity_finds_a_backend_that_differs(tmp_path: Path) -> None:
    write(tmp_path, "one", net(1, 4, 3), MLP)
    write(tmp_path, "two", net(2, 4, 3), MLP)
    one, two = (NumpyMlp(artifacts.load(name, [tmp_path])) for name in ("one", "two"))
    rows = np.ones((5, 4), np.float32)
    with pytest.raises(ArtifactError, match="differs by"):
        parity.check(one, rows, reference=two)
    with pytest.raises(ArtifactError, match="differs by"):
        parity.check(one, np.full((5, 4), np.nan, np.float32))


def test_changed_content_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "tiny", net(1, 4, 3), MLP)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ArtifactError, match=rf"expected content with sha256 {path.stem[-12:]}\.\.\., found "):
        artifacts.load("tiny", [tmp_path])


def test_names(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="found none"):
        artifacts.load("tiny", [tmp_path, tmp_path / "missing"])
    first = write(tmp_path, "tiny", net(1, 4, 3), MLP)
    write(tmp_path, "tiny", net(2, 4, 3), MLP)
    with pytest.raises(ArtifactError, match="expected one file"):
        artifacts.load("tiny", [tmp_path])
    assert artifacts.load(first.stem, [tmp_path]).id == first.stem
    odd = tmp_path / "tiny.safetensors"
    odd.write_bytes(b"")
    with pytest.raises(ArtifactError, match="expected a name like"):
        artifacts.read(odd)


def test_garbage_with_the_right_hash_is_refused(tmp_path: Path) -> None:
    for data in (b"", b"\xff" * 40, b"\x80\x04K\x01."):
        path = tmp_path / artifacts.file_name("bad", data)
        path.write_bytes(data)
        with pytest.raises(ArtifactError, match="expected safetensors"):
            artifacts.read(path)
        path.unlink()


@pytest.mark.parametrize("kind", ["BF16", "F8_E4M3"])
def test_types_that_numpy_does_not_have_are_refused(tmp_path: Path, kind: str) -> None:
    """As they come out of a training in bfloat16."""
    head = json.dumps({"w0": {"dtype": kind, "shape": [2], "data_offsets": [0, 4 if kind == "BF16" else 2]}}).encode()
    data = len(head).to_bytes(8, "little") + head + bytes(4 if kind == "BF16" else 2)
    path = tmp_path / artifacts.file_name("half", data)
    path.write_bytes(data)
    with pytest.raises(ArtifactError, match=f"float32.*{kind}"):
        artifacts.read(path)


@pytest.mark.parametrize(
    ("tensors", "metadata", "message"),
    [
        ({"w0": np.zeros((4, 3), np.float32)}, MLP, "expected 1 to 16 layers"),
        (net(1, 4, 3), {**MLP, "kind": "aim"}, "expected kind = mlp, found aim"),
        (net(1, 4, 3), {**MLP, "version": "9"}, "expected version = 1, found 9"),
        (net(1, 4, 3), {**MLP, "activation": "step"}, "expected activation to be one of"),
        ({"w0": np.zeros((4, 3), np.float32), "b0": np.zeros(2, np.float32)}, MLP, "found \\[4, 3\\]"),
        ({"w0": np.zeros((4, 3)), "b0": np.zeros(3, np.float32)}, MLP, "found float64"),
        ({"w0": np.full((4, 3), np.inf, np.float32), "b0": np.zeros(3, np.float32)}, MLP, "expected finite values"),
        ({"x": np.zeros(3, np.float32), "b0": np.zeros(3, np.float32)}, MLP, "expected tensors"),
    ],
)
def test_a_layout_that_is_not_expected_is_refused(
    tmp_path: Path, tensors: dict[str, np.ndarray], metadata: dict[str, str], message: str
) -> None:
    write(tmp_path, "tiny", tensors, metadata)
    with pytest.raises(ArtifactError, match=message):
        NumpyMlp(artifacts.load("tiny", [tmp_path]))
