"""Edge processes that share an engine process: real processes, killed on either side."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from gameedge.core.errors import ArtifactError, ConfigError
from gameedge.inference import artifacts, parity, serve, shared
from gameedge.inference.artifacts import Artifact
from gameedge.inference.backends import ways
from gameedge.inference.backends.numpy_mlp import NumpyMlp
from gameedge.inference.engine import Engine
from gameedge.inference.model import HOLD_CALLS
from gameedge.inference.serve import EngineServer
from gameedge.inference.shared import SharedNet

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs Linux")
SIZES = (24, 5)
ENTITIES = np.arange(40, dtype=np.int32)


@pytest.fixture
def net(tmp_path: Path) -> Artifact:
    rng = np.random.default_rng(1)
    tensors = {"w0": rng.normal(0, 0.2, (24, 20)), "b0": rng.normal(0, 1, 20), "w1": rng.normal(0, 0.2, (20, 5)), "b1": np.zeros(5)}
    metadata = {"kind": "mlp", "version": "1", "activation": "relu", "output": "linear"}
    data = safetensors.numpy.save({name: tensor.astype(np.float32) for name, tensor in tensors.items()}, metadata)
    (tmp_path / artifacts.file_name("tiny", data)).write_bytes(data)
    return artifacts.load("tiny", [tmp_path])


def start(folder: Path, clients_max: int = 8) -> subprocess.Popen[str]:
    config = folder / "engine.toml"
    config.write_text(
        f'socket = "{folder}/engine.sock"\nmodel_folder = "{folder}"\nmodel_backends = ["numpy", "kernel"]\nclients_max = {clients_max}\n'
    )
    process = subprocess.Popen([sys.executable, "-m", "gameedge", "inference", "--config", str(config)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert "listening" in process.stdout.readline()
    return process


@pytest.fixture
def process(tmp_path: Path, net: Artifact) -> Iterator[subprocess.Popen[str]]:
    process = start(tmp_path)
    yield process
    process.kill()
    process.wait()


class Minus:
    name, input_size, output_size = "minus", *SIZES

    def run(self, rows: np.ndarray, entities: np.ndarray, out: np.ndarray) -> None:
        out[:] = -1.0

    def forget(self, entities: np.ndarray) -> None:
        pass


def open_net(folder: Path, net: Artifact, **more: float) -> SharedNet:
    return SharedNet(f"{folder}/engine.sock", net.id, SIZES, **{"wait_ms": 5_000.0, **more})  # type: ignore[arg-type]


def test_it_answers_as_the_net_does_here(tmp_path: Path, net: Artifact, process: subprocess.Popen[str]) -> None:
    reference, rows = NumpyMlp(net), np.random.default_rng(2).normal(size=(200, 24)).astype(np.float32)
    clients = [open_net(tmp_path, net, capacity=size) for size in (200, 64)]  # the second sends 200 rows in turn
    for client in clients:
        assert parity.check(client, rows, reference=reference, tolerance=1e-5)
        client.close()
    tuned = ways.tuned(net, None, ("numpy", f"engine:{tmp_path}/engine.sock"))
    assert {timing.backend for timing in tuned.timings} == {"numpy", "engine"}
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert not (tmp_path / "engine.sock").exists()


def test_a_killed_engine_costs_no_answer_and_another_is_found(tmp_path: Path, net: Artifact, process: subprocess.Popen[str]) -> None:
    engine, client = Engine(entities_max=64), open_net(tmp_path, net, wait_ms=1000.0)
    engine.register("npc", client, 64, 5_000.0, Minus())
    rows = np.random.default_rng(2).normal(size=(40, 24)).astype(np.float32)

    def call() -> np.ndarray:
        engine.rows("npc", 40)[:] = rows
        return engine.run("npc", ENTITIES, 40).copy()

    whole = call()
    process.kill()
    process.wait()
    for _ in range(HOLD_CALLS):
        assert (call() == whole).all()  # held
    assert (call() == -1.0).all()
    figures = engine.figures("npc")
    assert figures is not None
    assert (figures.failures, figures.actions, figures.held, figures.fallbacks) == (HOLD_CALLS + 1, 40, 40 * HOLD_CALLS, 40)
    again = start(tmp_path)
    try:
        until = time.monotonic() + 8
        while client.reconnects == 0 and time.monotonic() < until:
            time.sleep(0.05)
        assert (call() == whole).all()
        assert figures.actions == 80
    finally:
        client.close()
        again.kill()
        again.wait()


def test_a_killed_client_frees_its_place(tmp_path: Path, net: Artifact) -> None:
    process = start(tmp_path, clients_max=1)
    code = (
        "import sys, time; from gameedge.inference.shared import SharedNet\n"
        f"net = SharedNet({str(tmp_path / 'engine.sock')!r}, {net.id!r}, {SIZES!r}); print('in', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "in\n"
        with pytest.raises(ArtifactError, match="1 clients are served already"):
            open_net(tmp_path, net)
        other.kill()
        other.wait()
        until = time.monotonic() + 5
        while True:
            try:
                client = open_net(tmp_path, net)
                break
            except ArtifactError:
                assert time.monotonic() < until
                time.sleep(0.02)
        out = np.zeros((1, 5), np.float32)
        client.run(np.zeros((1, 24), np.float32), ENTITIES[:1], out)
        assert np.abs(out).max() > 0
        client.close()
    finally:
        other.kill()
        process.kill()
        process.wait()


@pytest.mark.parametrize("said", [b'{"refused": "1 clients are served already"}', b""])
def test_an_engine_that_closes_before_it_reads_is_heard(
    tmp_path: Path, net: Artifact, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full engine answers and closes at once, perhaps before the client has written its line; one that dies says nothing."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "engine.sock"))
    listener.listen()
    connect = socket.socket.connect

    def connect_and_be_refused(self: socket.socket, path: str) -> None:
        connect(self, path)
        peer, _ = listener.accept()
        peer.send(said)
        peer.close()

    monkeypatch.setattr(socket.socket, "connect", connect_and_be_refused)
    expected = pytest.raises(ArtifactError, match="served already") if said else pytest.raises(ConnectionError, match="before it answered")
    with listener, expected:
        open_net(tmp_path, net)


def test_what_an_engine_does_not_have_is_refused(tmp_path: Path, net: Artifact, process: subprocess.Popen[str]) -> None:
    path = f"{tmp_path}/engine.sock"
    with pytest.raises(ArtifactError, match="refused: other-000000000000: expected"):
        SharedNet(path, "other-000000000000", SIZES)
    with pytest.raises(ArtifactError, match="expected 24 to 6 values, the engine's maps 24 to 5"):
        SharedNet(path, net.id, (24, 6))
    with pytest.raises(ArtifactError, match="rows must be 1 to"):
        open_net(tmp_path, net, capacity=100_000)
    with pytest.raises(ConfigError, match="another engine listens there"):
        EngineServer(path, lambda name: NumpyMlp(net))
    left = ways.tuned(net, None, ("numpy", f"engine:{tmp_path}/nobody.sock")).left_out
    assert list(left) == [f"engine:{tmp_path}/nobody.sock"]


BAD_HELLOS = {
    "no JSON": b"hello\n",
    "no object": b"[1, 2]\n",
    "endless rows": b'{"model": "tiny", "rows": 1e999}\n',
    "rows of text": b'{"model": "tiny", "rows": "many"}\n',
    "no rows": b'{"model": "tiny", "rows": 0}\n',
    "no model": b'{"rows": 4}\n',
    "nested without end": b"[" * 8_000 + b"\n",
    "no line": b"x" * 5_000,
    "bytes": bytes(range(128, 256)) + b"\n",
}


def test_a_client_that_says_nonsense_costs_nobody_else_anything(tmp_path: Path, net: Artifact, process: subprocess.Popen[str]) -> None:
    client, out = open_net(tmp_path, net), np.zeros((3, 5), np.float32)
    for what, said in BAD_HELLOS.items():
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(20)
            peer.connect(f"{tmp_path}/engine.sock")
            peer.sendall(said)
            heard = b""
            try:
                while data := peer.recv(4_096):
                    heard += data
            except ConnectionResetError:  # it was dropped with bytes unread
                pass
            assert b"refused" in heard or len(said) > 4_096, what
        client.run(np.ones((3, 24), np.float32), ENTITIES[:3], out)
        assert process.poll() is None, what
    client.close()


def test_a_client_cannot_take_its_memory_away_from_the_engine(tmp_path: Path, net: Artifact, process: subprocess.Popen[str]) -> None:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(60)
        peer.connect(f"{tmp_path}/engine.sock")
        peer.sendall(b'{"model": "%s", "rows": 4}\n' % net.id.encode())
        _, (descriptor,), _, _ = socket.recv_fds(peer, 4_096, 1)
        try:
            for size in (0, 1 << 20):
                with pytest.raises(PermissionError):
                    os.ftruncate(descriptor, size)
        finally:
            os.close(descriptor)


class Sums:
    """A net of any size: each answer is the sum of its row."""

    name = "sums"

    def __init__(self, inputs: int, outputs: int) -> None:
        self.input_size, self.output_size = inputs, outputs

    def run(self, rows: np.ndarray, entities: np.ndarray, out: np.ndarray) -> None:
        out[:] = rows.sum(axis=1, keepdims=True)

    def forget(self, entities: np.ndarray) -> None:
        pass


def test_a_net_that_takes_anothers_place_gets_buffers_of_its_own_size(tmp_path: Path) -> None:
    server = EngineServer(f"{tmp_path}/engine.sock", lambda name: Sums(3, 2))
    try:
        for inputs, outputs in ((3, 2), (5, 4)):
            batch = serve._Batch("sums", Sums(inputs, outputs))
            for _ in range(2):
                descriptor = os.memfd_create("test")
                os.ftruncate(descriptor, shared.Memory.size(4, inputs, outputs))
                memory = shared.Memory.map(descriptor, 4, inputs, outputs)
                os.close(descriptor)
                memory.rows[:] = 1.0
                batch.asks.append((serve._Client(socket.socket(), memory=memory), 1, 4))
            server._run(batch, 8)
            assert [(client.memory.answers == inputs).all() for client, _, _ in batch.asks if client.memory is not None] == [True, True]
            for client, _, _ in batch.asks:
                client.socket.close()
        server._forget_unused()
        assert server._buffers == {}
    finally:
        server.close()


def test_an_engine_that_hangs_costs_one_wait(tmp_path: Path, net: Artifact, process: subprocess.Popen[str]) -> None:
    client = open_net(tmp_path, net, wait_ms=30.0)
    rows, out = np.zeros((3, 24), np.float32), np.zeros((3, 5), np.float32)
    client.run(rows, ENTITIES[:3], out)
    good = out.copy()
    os.kill(process.pid, signal.SIGSTOP)
    with pytest.raises(TimeoutError, match="no answer within 30 ms"):
        client.run(rows, ENTITIES[:3], out)
    os.kill(process.pid, signal.SIGCONT)
    out[:] = 0.0
    until = time.monotonic() + 5
    while not out.any():  # the answer to the request that was given up is not taken for that to the next
        try:
            client.run(rows, ENTITIES[:3], out)
        except TimeoutError:
            assert time.monotonic() < until
    assert (out == good).all()
    client.close()
