"""Signed and encrypted artifacts, the learned policy as a backend, and every refusal that a bad artifact must meet."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
import safetensors.numpy
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gameedge.core import motion as motion_limits
from gameedge.core.errors import ArtifactError, ConfigError
from gameedge.core.npc import action, hand, policy
from gameedge.core.npc import observation as o
from gameedge.inference import artifacts, parity, signing
from gameedge.inference.autotune import Tuned
from gameedge.inference.backends import npc_policy
from gameedge.inference.backends.kernel_mlp import KernelMlp
from gameedge.inference.backends.numpy_mlp import NumpyMlp
from gameedge.inference.depot import Depot, factories

KEY = Ed25519PrivateKey.generate()


def data(seed: int = 1, **metadata: str) -> bytes:
    """A random policy with the layout of this code."""
    rng = np.random.default_rng(seed)
    sizes = (policy.FEATURE_SIZE, 16, 16, policy.LOGITS)
    tensors = {}
    for i in range(3):
        tensors[f"w{i}"] = rng.normal(0, sizes[i] ** -0.5, (sizes[i], sizes[i + 1])).astype(np.float32)
        tensors[f"b{i}"] = np.zeros(sizes[i + 1], np.float32)
    levels = json.dumps(np.linspace(1, 0, 10)[None].repeat(8, 0).tolist())
    return safetensors.numpy.save(tensors, npc_policy.metadata() | {"levels": levels} | metadata)


def release(folder: Path, content: bytes, sequence: int = 1, **more: object) -> signing.Manifest:
    metadata = {k: v for k, v in npc_policy.metadata().items() if k in ("kind", "version", "layout")}
    return signing.release(folder, content, "npc", metadata, KEY, sequence=sequence, **more)  # type: ignore[arg-type]


def depot(folder: Path, **more: object) -> Depot:
    return Depot([folder], keys=[KEY.public_key()], **more)  # type: ignore[arg-type]


def test_a_signed_policy_plays(tmp_path: Path) -> None:
    manifest = release(tmp_path, data())
    backend = depot(tmp_path).build(manifest.artifact, 8)
    assert backend.name == manifest.artifact
    rows, out = np.zeros((8, o.OBSERVATION_SIZE), np.float32), np.full((8, action.ACTION_SIZE), np.nan, np.float32)
    rows[:, o.ALIVE] = 1.0
    backend.run(rows, np.arange(8, dtype=np.int32), out)
    assert np.isfinite(out).all()
    assert signing.public_keys([signing.public_text(KEY.public_key())])[0] == KEY.public_key()


@pytest.mark.parametrize(("what", "message"), [
    ("no manifest", "expected .*manifest beside it"),
    ("other key", "expected a signature by one of the 1 keys"),
    ("manifest changed", "expected a signature by one of the 1 keys"),
    ("manifest cut", "expected a signed manifest"),
    ("tensor changed", "with sha256 .* as signed"),
    ("file cut", "with sha256 .* as signed"),
    ("empty", "with sha256 .* as signed"),
])  # fmt: skip
def test_what_is_not_as_signed_is_refused(tmp_path: Path, what: str, message: str) -> None:
    manifest = release(tmp_path, data())
    model, signed = tmp_path / f"{manifest.artifact}.safetensors", tmp_path / f"{manifest.artifact}.manifest"
    content, body = model.read_bytes(), signed.read_bytes()
    if what == "no manifest":
        signed.unlink()
    elif what == "other key":
        signed.write_bytes(signing.sign(manifest, Ed25519PrivateKey.generate()))
    elif what == "manifest changed":
        signed.write_bytes(body.replace(b'"sequence":1', b'"sequence":9'))
    elif what == "manifest cut":
        signed.write_bytes(body[:40])
    elif what == "tensor changed":
        model.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    else:
        model.write_bytes(content[: len(content) // 2] if what == "file cut" else b"")
    with pytest.raises(ArtifactError, match=message):
        depot(tmp_path).load("npc")


def test_an_encrypted_artifact_opens_for_its_region_and_key_alone(tmp_path: Path) -> None:
    secret = bytes(range(32))
    manifest = release(tmp_path, data(), region="eu", secret=secret)
    assert depot(tmp_path, region="eu", secret=secret).load("npc").id == manifest.artifact
    with pytest.raises(ArtifactError, match="it does not open"):
        depot(tmp_path, region="eu", secret=bytes(32)).load("npc")
    with pytest.raises(ArtifactError, match="name the key's file in model_secret"):
        depot(tmp_path, region="eu").load("npc")
    with pytest.raises(ArtifactError, match="is signed for region eu, this is us"):
        depot(tmp_path, region="us", secret=secret).load("npc")
    assert b'"dtype"' not in (tmp_path / f"{manifest.artifact}.safetensors").read_bytes()
    elsewhere = signing.Manifest(**{**{f: getattr(manifest, f) for f in manifest.__struct_fields__}, "region": "us"})
    (tmp_path / f"{manifest.artifact}.manifest").write_bytes(signing.sign(elsewhere, KEY))
    with pytest.raises(ArtifactError, match="in region us with the key"):
        depot(tmp_path, region="us", secret=secret).load("npc")


def test_an_older_release_needs_a_rollback_that_is_signed(tmp_path: Path) -> None:
    heights = signing.Heights(tmp_path / "heights")
    content = data(1)
    old, new = release(tmp_path, content, sequence=3), release(tmp_path, data(2), sequence=7)
    assert depot(tmp_path, heights=heights).load(new.artifact).id == new.artifact
    again = signing.Heights(tmp_path / "heights")  # after a restart
    with pytest.raises(ArtifactError, match="release 3 of npc is older than release 7"):
        depot(tmp_path, heights=again).load(old.artifact)
    release(tmp_path, content, sequence=3, rollback_from=6)
    with pytest.raises(ArtifactError, match="rollback_from = 7 or more"):
        depot(tmp_path, heights=again).load(old.artifact)
    release(tmp_path, content, sequence=3, rollback_from=7)
    assert depot(tmp_path, heights=again).load(old.artifact).id == old.artifact


def test_processes_that_share_a_file_of_heights_take_nothing_of_it_back(tmp_path: Path) -> None:
    path = tmp_path / "heights"
    one, two = signing.Heights(path), signing.Heights(path)  # of two processes of a machine, which start together
    old, new = release(tmp_path, data(1), sequence=3), release(tmp_path, data(2), sequence=7)
    one.accept(new)
    two.accept(msgspec.structs.replace(new, name="aim", sequence=1))
    with pytest.raises(ArtifactError, match="older than release 7"):
        signing.Heights(path).accept(old)
    with pytest.raises(ArtifactError, match="older than release 7"):
        two.accept(old)
    assert sorted(entry.name for entry in tmp_path.glob("heights*")) == ["heights"], "nothing is left behind"


def test_a_release_that_cannot_be_remembered_is_not_used(tmp_path: Path) -> None:
    heights = signing.Heights(tmp_path / "no-such-folder" / "heights")
    manifest = release(tmp_path, data(1), sequence=3)
    for _ in range(2):
        with pytest.raises(ArtifactError, match="cannot be kept"):
            depot(tmp_path, heights=heights).load(manifest.artifact)


@pytest.mark.parametrize(("changed", "message"), [
    ({"layout": "000000000000"}, "expected layout = [0-9a-f]{12}, found 000000000000"),
    ({"version": "99"}, "expected version = 1, found 99"),
    ({"kind": "unheard-of"}, "expected one of the kinds mlp, npc-policy, found unheard-of"),
    ({"levels": "[[1]]"}, "expected levels for 8 styles and 10 levels"),
    ({"levels": "{"}, "expected levels as JSON numbers"),
])  # fmt: skip
def test_a_layout_of_other_code_is_refused_by_both_names(tmp_path: Path, changed: dict[str, str], message: str) -> None:
    content = data(**changed)
    (tmp_path / artifacts.file_name("npc", content)).write_bytes(content)
    with pytest.raises(ArtifactError, match=message):
        Depot([tmp_path]).build("npc", 8)


def test_a_studios_own_kind(tmp_path: Path) -> None:
    kinds = factories(["my-net=examples.own_network:make"])
    assert "my-net" in kinds
    with pytest.raises(ConfigError, match="use kind=module:attribute"):
        factories(["my-net=no.such.module:thing"])


def test_every_way_to_run_a_net_answers_alike() -> None:
    artifact = artifacts.load("npc")
    nets = [kind(artifact, npc_policy.metadata()) for kind in (NumpyMlp, KernelMlp)]
    rows = np.random.default_rng(3).normal(0, 0.5, (200, policy.FEATURE_SIZE)).astype(np.float32)
    for net in nets:
        assert parity.check(net, rows, reference=nets[0], sizes=(1, 2, 16, 200), tolerance=2e-4).difference_max < 2e-4
    tuned = Tuned(nets)
    assert set(tuned.chosen().values()) <= {"numpy", "kernel"}
    assert parity.check(tuned, rows, reference=nets[0], tolerance=2e-4)


def test_torch_answers_alike() -> None:
    pytest.importorskip("torch", reason="torch is for training and GPUs; edge processes run without it")
    from gameedge.inference.backends.torch_mlp import TorchMlp

    artifact = artifacts.load("npc")
    net = TorchMlp(artifact, npc_policy.metadata()).prepare("cpu")
    rows = np.random.default_rng(3).normal(0, 0.5, (200, policy.FEATURE_SIZE)).astype(np.float32)
    assert parity.check(net, rows, reference=NumpyMlp(artifact, npc_policy.metadata()), tolerance=2e-4)


def test_a_candidate_that_differs_is_left_out() -> None:
    artifact = artifacts.load("npc")
    wrong = KernelMlp(artifact, npc_policy.metadata())
    wrong.kind = "wrong"
    wrong.packed.packed += 0.1
    tuned = Tuned([NumpyMlp(artifact, npc_policy.metadata()), wrong])
    assert "differs by" in tuned.left_out["wrong"]
    assert set(tuned.chosen().values()) == {"numpy"}


def test_a_broken_net_does_not_hide_behind_the_hand(tmp_path: Path) -> None:
    content = data()
    (tmp_path / artifacts.file_name("npc", content)).write_bytes(content)
    backend = Depot([tmp_path]).build("npc", 4)
    rows, out = np.zeros((2, o.OBSERVATION_SIZE), np.float32), np.zeros((2, action.ACTION_SIZE), np.float32)
    rows[:, o.ALIVE] = 1.0
    rows[1, o.X] = np.nan
    backend.run(rows, np.arange(2, dtype=np.int32), out)
    assert np.isfinite(out[0]).all()
    assert np.isnan(out[1]).all()


def test_shipped_policy_reacts_no_faster_than_people() -> None:
    """An enemy appears; until the shortest human reaction has passed the cursor has not set out and no shot falls."""
    backend = Depot().build("npc", 64)
    entities = np.arange(64, dtype=np.int32)
    rows, out = np.zeros((64, o.OBSERVATION_SIZE), np.float32), np.zeros((64, action.ACTION_SIZE), np.float32)
    rows[:, o.ALIVE], rows[:, o.HEALTH], rows[:, o.LEVEL], rows[:, o.HURT] = 1.0, 1.0, 1.0, 1.0
    for _ in range(90):
        backend.run(rows, entities, out)
    before = out[:, action.AIM_X : action.FIRE].copy() * action.AIM_UNIT
    first = o.ENEMIES
    rows[:, [first + o.E_PRESENT, first + o.E_VISIBLE, first + o.E_HEALTH]] = 1.0
    rows[:, first + o.E_DX], rows[:, first + o.E_DY] = -0.3, 0.2
    ticks = int(motion_limits.REACTION_MS_MIN / (1000 / 60))
    fired_at, state = np.full(64, 999), backend.state  # type: ignore[attr-defined]
    for tick in range(120):
        backend.run(rows, entities, out)
        if tick < ticks:
            assert (state[:, hand.READY] > state[:, hand.TICK] - 2).all()
            assert not (out[:, action.FIRE] > 0.5).any()
        fired_at = np.minimum(fired_at, np.where(out[:, action.FIRE] > 0.5, tick, 999))
    aimed = np.hypot(*(out[:, action.AIM_X : action.FIRE] * action.AIM_UNIT - np.array([-12.0, 8.0])).T)
    assert np.median(aimed) < 1.5  # and in the end they do aim at it
    assert fired_at.min() * 1000 / 60 >= motion_limits.REACTION_MS_MIN
    assert np.median(fired_at) < 90
    assert before.shape == (64, 2)
