"""The engine process: `gameedge inference --config FILE`. Answers edge processes of this machine out of shared memory (shared.py).

One loop: look at every client's request word, run all that are there as one batch a model, answer, wake who sleeps. It spins for
SPIN_S after work came, since a tick asks in bursts, then sleeps on its sockets. Artifacts are found, verified and tuned by the same
depot as in an edge process, in a thread, so that who is served does not wait for who comes.
"""

import fcntl
import json
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gameedge.config import InferenceConfig
from gameedge.core import limits
from gameedge.core.errors import ArtifactError, ConfigError
from gameedge.inference import atomics, shared, signing
from gameedge.inference.artifacts import FOLDERS
from gameedge.inference.autotune import kind_of
from gameedge.inference.backends import ways
from gameedge.inference.base import Backend, Floats
from gameedge.inference.depot import Depot, built_in, tuned_in
from gameedge.telemetry import logs

SPIN_S: Final = 0.0005
SLEEP_S: Final = 0.25  # at most: a wake-up that was lost costs no more, and signals are heard
LOOKS: Final = 200  # at all request words between two looks at the clock
LOOK_S: Final = 0.005  # between two looks at the sockets while there is work
log = logs.get(__name__)

WAYS: Final = (*ways.DEFAULT, "torch-cuda", "torch-cuda-bf16")

Load = Callable[[str], Backend]  # an exact artifact name to its net, which must have no memory; raises ArtifactError


def _failed(error: Exception) -> str:
    return str(error)[:512]


@dataclass(eq=False)
class _Client:
    """A connection, and once its model is there, its memory."""

    socket: socket.socket
    heard: bytes = b""
    since: float = 0.0
    wanted: str = ""
    capacity: int = 0
    loading: "Future[Backend] | None" = None
    net: Backend | None = None
    memory: shared.Memory | None = None
    answered: int = 0


@dataclass
class Counted:
    """Since the start."""

    requests: int = 0
    batches: int = 0
    rows: int = 0
    failures: int = 0
    refused: int = 0


@dataclass
class _Batch:
    """Requests for one net."""

    name: str
    net: Backend
    asks: list[tuple[_Client, int, int]] = field(default_factory=list)  # client, sequence, rows


class EngineServer:
    """Serves until `stop`. Not thread-safe but for `stop`."""

    def __init__(self, path: str, load: Load, *, clients_max: int = limits.ENGINE_CLIENTS_MAX) -> None:
        """path: of the socket, which is made for this user alone. Raises ConfigError where another engine listens there."""
        atomics.warm()
        self._path, self._load, self._clients_max = path, load, clients_max
        self._listener = _listen(path)
        self._wake, self._woken = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        for waiting in (self._listener, self._woken):
            waiting.setblocking(False)
            self._selector.register(waiting, selectors.EVENT_READ)
        self._clients: dict[socket.socket, _Client] = {}
        self._nets: dict[str, Future[Backend]] = {}
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._served: list[_Client] = []
        self._addresses: NDArray[np.int64] = np.zeros(0, np.int64)
        self._answered: NDArray[np.int64] = np.zeros(0, np.int64)
        self._buffers: dict[str, tuple[Floats, Floats]] = {}  # by model, for the rows of several clients
        self._stopping = False
        self.counted = Counted()

    def stop(self) -> None:
        """From a signal or another thread."""
        self._stopping = True
        with suppress(OSError):
            self._wake.send(b"\0")

    def serve(self) -> None:
        """Until `stop`."""
        busy_until = looked = 0.0
        try:
            while not self._stopping:
                asked = atomics.any_differs(self._addresses, self._answered, LOOKS)
                if asked:
                    self._answer_all()
                now = time.monotonic()
                if asked:
                    busy_until = now + SPIN_S
                if now >= busy_until:
                    self._sleep()
                elif now - looked > LOOK_S:
                    looked = now
                    self._sockets(0.0)
        finally:
            self.close()

    def close(self) -> None:
        """Everybody's socket, and the path."""
        self._loader.shutdown(wait=False, cancel_futures=True)
        for client in list(self._clients.values()):
            self._drop(client)
        self._selector.close()
        for one in (self._listener, self._wake, self._woken):
            one.close()
        with suppress(OSError):
            os.unlink(self._path)

    # -- requests

    def _answer_all(self) -> None:
        batches: dict[int, _Batch] = {}
        for k, client in enumerate(self._served):
            assert client.memory is not None
            assert client.net is not None
            sequence = atomics.load(int(self._addresses[k]))
            if sequence == client.answered:
                continue
            n = min(max(int(client.memory.words[shared.ROWS]), 0), client.capacity)
            client.answered = self._answered[k] = sequence
            batches.setdefault(id(client.net), _Batch(client.wanted, client.net)).asks.append((client, sequence, n))
        for batch in batches.values():
            self._answer(batch)

    def _answer(self, batch: _Batch) -> None:
        counted = self.counted
        counted.batches += 1
        counted.requests += len(batch.asks)
        total = sum(n for _, _, n in batch.asks)
        counted.rows += total
        status = shared.GOOD
        try:
            self._run(batch, total)
        except Exception as error:  # a net that breaks is its clients' loss, not the engine's
            counted.failures += 1
            status = 1
            if counted.failures == 1:
                log.fault("engine_net_failed", error)
        for client, sequence, _ in batch.asks:
            memory = client.memory
            assert memory is not None
            memory.words[shared.STATUS] = status
            atomics.store(memory.at(shared.ANSWER), sequence)
            if memory.words[shared.CLIENT_SLEEPS]:
                with suppress(OSError):  # full: it is awake; broken: the selector will say so
                    client.socket.send(b"\0")

    def _run(self, batch: _Batch, total: int) -> None:
        """One client's rows are run where they lie; those of several are put together."""
        entities = np.zeros(total, np.int32)
        if len(batch.asks) == 1:
            memory = batch.asks[0][0].memory
            assert memory is not None
            batch.net.run(memory.rows[:total], entities, memory.answers[:total])
            return
        inputs, outputs = batch.net.input_size, batch.net.output_size
        rows, answers = self._buffers.get(batch.name, (np.zeros((0, 0), np.float32), np.zeros((0, 0), np.float32)))
        if len(rows) < total or (rows.shape[1], answers.shape[1]) != (inputs, outputs):
            size = 1 << max(total - 1, 1).bit_length()
            rows, answers = np.zeros((size, inputs), np.float32), np.zeros((size, outputs), np.float32)
            self._buffers[batch.name] = rows, answers
        at = 0
        for client, _, n in batch.asks:
            assert client.memory is not None
            rows[at : at + n] = client.memory.rows[:n]
            at += n
        batch.net.run(rows[:total], entities, answers[:total])
        at = 0
        for client, _, n in batch.asks:
            assert client.memory is not None
            client.memory.answers[:n] = answers[at : at + n]
            at += n

    # -- sockets

    def _sleep(self) -> None:
        """On the sockets, after saying so and looking once more: who asks from then on sends a byte."""
        for client in self._served:
            assert client.memory is not None
            atomics.store(client.memory.at(shared.ENGINE_SLEEPS), 1)
        awake = atomics.any_differs(self._addresses, self._answered, 1)
        self._sockets(0.0 if awake else SLEEP_S)
        for client in self._served:
            assert client.memory is not None
            client.memory.words[shared.ENGINE_SLEEPS] = 0

    def _sockets(self, wait_s: float) -> None:
        for key, _ in self._selector.select(wait_s):
            if key.fileobj is self._listener:
                self._accept()
            elif key.fileobj is self._woken:
                with suppress(BlockingIOError):
                    self._woken.recv(4_096)
            elif isinstance(key.fileobj, socket.socket) and (known := self._clients.get(key.fileobj)) is not None:
                self._hear(known)
        self._loaded()

    def _accept(self) -> None:
        with suppress(OSError):
            peer, _ = self._listener.accept()
            if len(self._clients) >= self._clients_max:
                self._refuse(peer, f"{self._clients_max} clients are served already")
                return
            peer.setblocking(False)
            self._clients[peer] = _Client(peer, since=time.monotonic())
            self._selector.register(peer, selectors.EVENT_READ)

    def _refuse(self, peer: socket.socket, why: str) -> None:
        self.counted.refused += 1
        log.warning("engine_client_refused", detail=why)
        with suppress(OSError):
            peer.send(json.dumps({"refused": why}).encode())
        peer.close()

    def _hear(self, client: _Client) -> None:
        try:
            data = client.socket.recv(shared.HELLO_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(client)
        elif client.wanted:
            pass  # a wake-up
        else:
            client.heard += data
            if b"\n" in client.heard or len(client.heard) > shared.HELLO_BYTES_MAX:
                self._hello(client)

    def _hello(self, client: _Client) -> None:
        try:
            asked = json.loads(client.heard)
            wanted, capacity = str(asked["model"])[:128], int(asked["rows"])
            if not wanted or not 1 <= capacity <= limits.ENGINE_ROWS_MAX:
                raise ValueError(f"rows must be 1 to {limits.ENGINE_ROWS_MAX}")
            if wanted not in self._nets and len(self._nets) >= limits.ENGINE_MODELS_MAX:
                self._forget_unused()
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            self._drop(client, f"expected a line with model and rows, found: {_failed(error)}")
            return
        if wanted not in self._nets and len(self._nets) >= limits.ENGINE_MODELS_MAX:
            self._drop(client, f"{limits.ENGINE_MODELS_MAX} models are in use already")
            return
        client.wanted, client.capacity = wanted, capacity
        if wanted not in self._nets or (self._nets[wanted].done() and self._nets[wanted].exception() is not None):
            self._nets[wanted] = self._loader.submit(self._load, wanted)
            self._nets[wanted].add_done_callback(lambda _: self._stopping or self._wake.send(b"\0"))
        client.loading = self._nets[wanted]

    def _forget_unused(self) -> None:
        used = {client.wanted for client in self._clients.values()}
        self._nets = {name: net for name, net in self._nets.items() if name in used}
        self._buffers = {name: buffers for name, buffers in self._buffers.items() if name in used}

    def _loaded(self) -> None:
        """Give memory to those whose model is there; let go of those that never said which."""
        now = time.monotonic()
        for client in list(self._clients.values()):
            if not client.wanted and now - client.since > limits.ENGINE_HELLO_S_MAX:
                self._drop(client, "expected a line with model and rows, found none in time")
            if client.loading is None or not client.loading.done():
                continue
            try:
                client.net, client.loading = client.loading.result(), None
                self._admit(client, client.net)
            except Exception as error:  # an artifact that cannot be used is the client's matter
                client.loading = None
                self._drop(client, _failed(error))

    def _admit(self, client: _Client, net: Backend) -> None:
        descriptor = os.memfd_create("gameedge-engine", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(descriptor, shared.Memory.size(client.capacity, net.input_size, net.output_size))
            # A client that made it smaller would end us with our next look at it (SIGBUS).
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
            client.memory = shared.Memory.map(descriptor, client.capacity, net.input_size, net.output_size)
            said = {"inputs": net.input_size, "outputs": net.output_size, "kind": kind_of(net)}
            socket.send_fds(client.socket, [json.dumps(said).encode()], [descriptor])
        finally:
            os.close(descriptor)
        self._served.append(client)
        self._changed()
        log.info("engine_client", model=client.wanted, detail=f"{client.capacity} rows, {len(self._served)} served")

    def _drop(self, client: _Client, why: str = "") -> None:
        self._clients.pop(client.socket, None)
        with suppress(KeyError, ValueError):
            self._selector.unregister(client.socket)
        if why:
            self._refuse(client.socket, why)
        client.socket.close()
        if client in self._served:
            self._served.remove(client)
            self._changed()

    def _changed(self) -> None:
        memories = [client.memory for client in self._served if client.memory is not None]
        self._addresses = np.array([memory.at(shared.REQUEST) for memory in memories], np.int64)
        self._answered = np.array([client.answered for client in self._served], np.int64)


def _listen(path: str) -> socket.socket:
    if not hasattr(os, "memfd_create") or not hasattr(socket, "send_fds"):
        raise ConfigError("an engine process needs Linux")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.settimeout(1.0)
        other.connect(path)
        raise ConfigError(f"socket = {path!r}: another engine listens there")
    with suppress(OSError):
        os.unlink(path)  # of one that was killed
    before = os.umask(0o177)
    try:
        listener.bind(path)
        listener.listen(limits.ENGINE_CLIENTS_MAX)
    except OSError as error:
        raise ConfigError(f"socket = {path!r}: cannot listen there ({error.strerror})") from error
    finally:
        os.umask(before)
    return listener


def loader(depot: Depot) -> Load:
    """Nets of the depot's artifacts: a plain net whole, of an NPC policy the network (its hands stay with the edge process)."""

    def load(name: str) -> Backend:
        net = tuned_in(depot.build(name, 1))
        if net is None:
            raise ArtifactError(f"{name}: an engine process runs nets without memory; this kind is run by the edge process itself")
        return net

    return load


def main(config: InferenceConfig, *, ready: Callable[[str], None] = lambda text: None, arguments: Sequence[str] = ()) -> int:
    """Until SIGTERM or SIGINT. Raises ConfigError."""
    logs.configure(config.log_level)
    depot = Depot(
        [Path(config.model_folder)] if config.model_folder else FOLDERS,
        keys=signing.public_keys(config.model_keys),
        secret=signing.read_secret(config.model_secret),
        region=config.region,
        kinds=built_in(config.model_backends or WAYS),
    )
    server = EngineServer(config.socket, loader(depot), clients_max=config.clients_max)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    sys.stdout.write(f"listening on {config.socket}\n")
    sys.stdout.flush()
    server.serve()
    return 0
