"""A net that runs in another process of this machine: several edge processes share one accelerator, with the interface of a backend.

Problem. Forty edge processes cannot each hold a GPU, and one batch of all of them costs it hardly more than one of one. But a
    request through a socket costs a copy into the kernel and one out, and a process that dies must take nobody with it.
Method. A client connects to the engine process's Unix socket (stream), names an artifact and gets a piece of memory that both have
    mapped (a memfd, passed over the socket): a few words, the rows, the answers. To ask it writes its rows and then a sequence
    number, and looks at the answer's number until it is the same: first by spinning, then asleep on the socket, where the engine
    sends one byte. An engine that sleeps is woken the same way. The socket is the sign of life: the kernel closes it with its process.
Guarantee. A call returns whole answers, or raises ConnectionError or TimeoutError within WAIT_MS: then the caller's ladder answers
    (hold, fallback) and counts. A dead engine raises at once, until a new one is found, which is looked for once a second away from
    the tick. What a client writes cannot make the engine read or write outside of that client's memory.
Cost. Two copies of the rows, and on one machine without an accelerator about what `python -m loadtest bench inference` says.
"""

import json
import mmap
import os
import select
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gameedge.core import limits
from gameedge.core.errors import ArtifactError
from gameedge.inference import atomics
from gameedge.inference.base import Floats

# -- words at the begin of the memory, int64, each on its own cache line
REQUEST, ANSWER, ROWS, STATUS, CLIENT_SLEEPS, ENGINE_SLEEPS = range(0, 48, 8)
WORDS: Final = 64
GOOD: Final = 0
HELLO_BYTES_MAX: Final = 4_096
WAIT_MS: Final = 8.0
SPINS: Final = 20_000  # about 20 us to 40 us
RETRY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Memory:
    """The shared piece: words int64 [WORDS], rows float32 [capacity, inputs], answers float32 [capacity, outputs]."""

    raw: mmap.mmap
    words: NDArray[np.int64]
    rows: Floats
    answers: Floats

    @staticmethod
    def size(capacity: int, inputs: int, outputs: int) -> int:
        """Bytes."""
        return 8 * WORDS + 4 * capacity * (inputs + outputs)

    @classmethod
    def map(cls, descriptor: int, capacity: int, inputs: int, outputs: int) -> "Memory":
        """Map what a descriptor stands for. Raises OSError or ValueError where it is smaller."""
        raw = mmap.mmap(descriptor, cls.size(capacity, inputs, outputs))
        words = np.frombuffer(raw, np.int64, WORDS)
        rows = np.frombuffer(raw, np.float32, capacity * inputs, 8 * WORDS).reshape(capacity, inputs)
        answers = np.frombuffer(raw, np.float32, capacity * outputs, 8 * WORDS + rows.nbytes).reshape(capacity, outputs)
        return cls(raw, words, rows, answers)

    def at(self, word: int) -> int:
        """The address of a word."""
        return int(self.words.ctypes.data) + 8 * word


class _Link:
    """One connection with its memory."""

    def __init__(self, path: str, artifact: str, capacity: int, wait_s: float) -> None:
        """Raises OSError where nobody listens, ArtifactError where the engine refuses."""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.socket.settimeout(wait_s)
            self.socket.connect(path)
            with suppress(BrokenPipeError):  # an engine that is full says so and closes, before it has read a word: hear it out
                self.socket.sendall(json.dumps({"model": artifact, "rows": capacity}).encode() + b"\n")
            data, descriptors, _, _ = socket.recv_fds(self.socket, HELLO_BYTES_MAX, 1)
            if not data:
                raise ConnectionResetError(f"{artifact}: the engine at {path} closed the connection before it answered")
            answer = json.loads(data)
            if not descriptors:
                raise ArtifactError(f"{artifact}: the engine at {path} refused: {answer.get('refused', 'it gave no reason')}")
            self.sizes: tuple[int, int] = (int(answer["inputs"]), int(answer["outputs"]))
            self.kind = str(answer.get("kind", ""))
            try:
                self.memory = Memory.map(descriptors[0], capacity, *self.sizes)
            finally:
                os.close(descriptors[0])
            self.socket.setblocking(False)
        except BaseException:
            self.socket.close()
            raise
        self.poll = select.poll()
        self.poll.register(self.socket, select.POLLIN)
        self.request, self.answer = self.memory.at(REQUEST), self.memory.at(ANSWER)
        self.sequence = 0

    def alive(self) -> bool:
        """Take the engine's wake-ups off the socket; False once it is closed."""
        try:
            while self.socket.recv(64):
                pass
            return False
        except BlockingIOError:
            return True
        except OSError:
            return False


class SharedNet:
    """A `Backend` without memory whose answers come from the engine process at `path`."""

    kind = "engine"

    def __init__(
        self, path: str, artifact: str, sizes: tuple[int, int], *, capacity: int = limits.ENGINE_ROWS_MAX, wait_ms: float = WAIT_MS
    ) -> None:
        """artifact: exact name; sizes: values of a row in and out; capacity: rows of one request (more are sent in turn).

        Raises OSError where no engine listens, ArtifactError where it refuses or its net has other sizes.
        """
        self.name, (self.input_size, self.output_size) = artifact, sizes
        atomics.warm()
        self._path, self._capacity, self.wait_ms = path, capacity, wait_ms
        self._link: _Link | None = self._open()
        self._seeker: threading.Thread | None = None
        self._closed = threading.Event()
        self.reconnects = 0

    def _open(self) -> _Link:
        link = _Link(self._path, self.name, self._capacity, limits.ENGINE_LOAD_S_MAX)
        if link.sizes != (self.input_size, self.output_size):
            link.socket.close()
            found = f"{link.sizes[0]} to {link.sizes[1]}"
            raise ArtifactError(f"{self.name}: expected {self.input_size} to {self.output_size} values, the engine's maps {found}")
        return link

    def run(self, rows: Floats, entities: NDArray[np.int32], out: Floats) -> None:
        """See `Backend.run`. Raises ConnectionError and TimeoutError."""
        for start in range(0, len(rows), self._capacity):
            self._ask(rows[start : start + self._capacity], out[start : start + self._capacity])

    def _ask(self, rows: Floats, out: Floats) -> None:
        link, n = self._link, len(rows)
        if link is None:
            raise ConnectionError(f"{self.name}: no engine at {self._path}")
        memory = link.memory
        memory.rows[:n] = rows
        memory.words[ROWS] = n
        link.sequence += 1
        atomics.store(link.request, link.sequence)
        try:
            if memory.words[ENGINE_SLEEPS]:
                link.socket.send(b"\0")
            if not atomics.wait_for(link.answer, link.sequence, SPINS):
                self._sleep(link)
        except (BrokenPipeError, ConnectionResetError) as error:
            self._lost()
            raise ConnectionError(f"{self.name}: the engine at {self._path} is gone") from error
        if memory.words[STATUS] != GOOD:
            raise RuntimeError(f"{self.name}: the engine's backend raised")
        out[:] = memory.answers[:n]

    def _sleep(self, link: _Link) -> None:
        """Until the answer is there; the engine wakes who says that it sleeps."""
        until = time.monotonic() + self.wait_ms / 1000.0
        sleeps = link.memory.at(CLIENT_SLEEPS)
        atomics.store(sleeps, 1)
        try:
            while not atomics.wait_for(link.answer, link.sequence, 1):
                left_ms = (until - time.monotonic()) * 1000.0
                if left_ms <= 0.0:
                    raise TimeoutError(f"{self.name}: no answer within {self.wait_ms:g} ms")
                if link.poll.poll(left_ms) and not link.alive():
                    raise ConnectionResetError
        finally:
            atomics.store(sleeps, 0)

    def _lost(self) -> None:
        if self._link is not None:
            self._link.socket.close()
            self._link = None
        if self._seeker is None or not self._seeker.is_alive():
            self._seeker = threading.Thread(target=self._seek, name=f"engine {self._path}", daemon=True)
            self._seeker.start()

    def _seek(self) -> None:
        """Away from the tick: look for an engine until there is one."""
        while not self._closed.wait(RETRY_S):
            with suppress(OSError, ArtifactError, ValueError, KeyError):
                self._link = self._open()
                self.reconnects += 1
                return

    def forget(self, entities: NDArray[np.int32]) -> None:
        """Nothing is remembered."""

    def close(self) -> None:
        """Give the memory back."""
        self._closed.set()
        if self._link is not None:
            self._link.socket.close()
            self._link = None
