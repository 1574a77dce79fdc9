"""Every way to run a net: the same answers in every batch size, the choice between them, and what happens where one is missing."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from gameedge.core.errors import ConfigError
from gameedge.inference import artifacts, parity
from gameedge.inference.artifacts import Artifact
from gameedge.inference.autotune import SIZES, Tuned, kind_of
from gameedge.inference.backends import npc_policy, tiles, ways
from gameedge.inference.backends.kernel_mlp import KernelMlp
from gameedge.inference.backends.npc_policy import NpcPolicy
from gameedge.inference.backends.numpy_mlp import NumpyMlp
from gameedge.inference.depot import built_in, tuned_in


def net(folder: Path, sizes: tuple[int, ...], activation: str = "relu", output: str = "linear", seed: int = 1) -> Artifact:
    rng, tensors = np.random.default_rng(seed), {}
    for i, (a, b) in enumerate(itertools.pairwise(sizes)):
        tensors[f"w{i}"] = rng.normal(0, a**-0.5, (a, b)).astype(np.float32)
        tensors[f"b{i}"] = rng.normal(0, 0.1, b).astype(np.float32)
    data = safetensors.numpy.save(tensors, {"kind": "mlp", "version": "1", "activation": activation, "output": output})
    (folder / artifacts.file_name("net", data)).write_bytes(data)
    return artifacts.read(folder / artifacts.file_name("net", data))


def exact(artifact: Artifact, rows: np.ndarray, activation: str, output: str) -> np.ndarray:
    x, layers = rows.astype(np.float64), len(artifact.tensors) // 2
    for i in range(layers):
        x = x @ artifact.tensors[f"w{i}"] + artifact.tensors[f"b{i}"]
        kind = output if i == layers - 1 else activation
        x = np.tanh(x) if kind == "tanh" else np.maximum(x, 0) if kind == "relu" else x
    return x


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=2, max_size=5),
    st.integers(1, 3 * tiles.BLOCK + 5),
    st.sampled_from(["relu", "tanh"]),
    st.sampled_from(["linear", "tanh"]),
)
def test_tiles_are_the_net_whatever_its_shape(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], n: int, activation: str, output: str
) -> None:
    artifact = net(tmp_path_factory.mktemp("net"), tuple(sizes), activation, output)
    rows = np.random.default_rng(n).normal(size=(n, sizes[0])).astype(np.float32)
    kernel, entities = KernelMlp(artifact), np.arange(n, dtype=np.int32)
    whole = parity.answers(kernel, rows, entities, n)
    assert np.abs(whole - exact(artifact, rows, activation, output)).max() < 1e-4
    for size in (1, 2, 5, 7):  # the same bits in every batch
        assert (parity.answers(kernel, rows, entities, size) == whole).all()


def test_what_is_not_finite_stays_so(tmp_path: Path) -> None:
    kernel = KernelMlp(net(tmp_path, (5, 20, 3)))
    rows, out = np.ones((8, 5), np.float32), np.zeros((8, 3), np.float32)
    rows[3, 2] = np.nan
    kernel.run(rows, np.arange(8, dtype=np.int32), out)
    assert np.isnan(out[3]).all()
    assert np.isfinite(np.delete(out, 3, axis=0)).all()


@pytest.mark.parametrize("name", ["onnxruntime", "torch"])
@pytest.mark.parametrize(("activation", "output"), [("relu", "linear"), ("tanh", "tanh")])
def test_libraries_answer_as_numpy_does(tmp_path: Path, name: str, activation: str, output: str) -> None:
    pytest.importorskip(name, reason="an extra: edge processes run without it")
    artifact = net(tmp_path, (24, 33, 16, 5), activation, output)
    make = ways.way(name)
    assert make is not None
    backend, rows = make(artifact, None), np.random.default_rng(2).normal(size=(200, 24)).astype(np.float32)
    for _ in range(2):  # buffers that are bound already
        assert parity.check(backend, rows, reference=NumpyMlp(artifact), sizes=(1, 2, 17, 64), tolerance=1e-5)
    backend.run(rows[:0], np.zeros(0, np.int32), np.zeros((0, 5), np.float32))


def test_torch_keeps_one_set_of_buffers_a_bucket(tmp_path: Path) -> None:
    """What a GPU runs, on a CPU: static buffers, rows copied in, the net, answers copied out; no graph."""
    pytest.importorskip("torch", reason="for training and GPUs; edge processes run without it")
    from gameedge.inference.backends.torch_mlp import TorchMlp

    artifact = net(tmp_path, (24, 32, 5))
    backend, rows = TorchMlp(artifact).prepare("cpu"), np.random.default_rng(2).normal(size=(200, 24)).astype(np.float32)
    out = np.zeros((200, 5), np.float32)
    for n in (1, 16, 17, 30, 200):
        backend.run(rows[:n], np.arange(n, dtype=np.int32), out[:n])
    assert sorted(backend._buckets) == [16, 32, 256]
    assert all(bucket.graph is None for bucket in backend._buckets.values())
    assert np.abs(out - exact(artifact, rows, "relu", "linear")).max() < 1e-5
    half = TorchMlp(artifact).prepare("cpu", "bfloat16")
    assert half.kind == "torch-cpu-bfloat16"
    with_half = Tuned([NumpyMlp(artifact), half])  # three digits are not parity for this net
    assert "differs by" in with_half.left_out["torch-cpu-bfloat16"]


@pytest.mark.parametrize("name", ["onnxruntime", "torch"])
def test_a_process_starts_without_the_libraries(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, name, None)  # as if it were not installed
    tuned = ways.tuned(net(tmp_path, (4, 3)), None, ("numpy", "kernel", name))
    assert set(tuned.chosen().values()) <= {"numpy", "kernel"}
    assert name in tuned.left_out


def test_the_fastest_at_each_size_runs(tmp_path: Path) -> None:
    artifact, now, costs = net(tmp_path, (4, 3)), [0], {"small": (1_000, 1_000), "large": (50_000, 10)}

    class Timed(NumpyMlp):
        def run(self, rows: np.ndarray, entities: np.ndarray, out: np.ndarray) -> None:
            super().run(rows, entities, out)
            start, row = costs[self.kind]
            now[0] += start + row * len(rows)

    candidates = [Timed(artifact), Timed(artifact)]
    candidates[0].kind, candidates[1].kind = "small", "large"
    tuned = Tuned(candidates, timer=lambda: now[0])
    assert tuned.chosen() == {size: "small" if 1_000 * (1 + size) < 50_000 + 10 * size else "large" for size in SIZES}
    assert kind_of(tuned.pick(1)) == "small"
    assert kind_of(tuned.pick(100_000)) == "large"
    assert tuned.describe().startswith("1: small 2 us")


def test_unknown_ways_are_refused() -> None:
    with pytest.raises(ConfigError, match="model_backends: abacus unknown; use numpy, kernel, onnxruntime"):
        built_in(["numpy", "abacus"])


def test_a_decision_in_one_call_is_that_of_its_stages() -> None:
    """The NPC's fused kernel against the same stages one by one around numpy's net: the same choices, so the same hands."""
    artifact = artifacts.load("npc")
    fused = NpcPolicy.from_artifact(artifact, entities_max=300, nets=lambda found: KernelMlp(found, npc_policy.metadata()))
    staged = NpcPolicy.from_artifact(artifact, entities_max=300, nets=lambda found: NumpyMlp(found, npc_policy.metadata()))
    rng, entities = np.random.default_rng(5), np.arange(300, dtype=np.int32)[::-1].copy()
    out = np.zeros((2, 300, fused.output_size), np.float32)
    same = 0
    for _ in range(20):
        rows = rng.uniform(-1, 1, (300, fused.input_size)).astype(np.float32)
        staged.state[:] = fused.state
        fused.run(rows, entities, out[0])
        staged.run(rows, entities, out[1])
        same += int((np.abs(out[0] - out[1]) < 1e-5).all(axis=1).sum())
    assert same > 0.999 * 20 * 300  # a logit that differs in its last bit may turn a draw now and then
    assert tuned_in(fused) is None
