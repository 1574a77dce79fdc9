"""A `gameedge` process as a child: it says on stdout, in one JSON line, that it is ready and where."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from gameedge.local.child import ChildProcess

READY_S = 180.0  # the first run may compile the game's kernels, several processes at once on few cores


class Node:
    """`address` is the ready line; empty until it was heard."""

    def __init__(self, name: str, arguments: Sequence[str], log: Path) -> None:
        self.name = name
        self.address: dict[str, str] = {}
        self.child = ChildProcess(
            name,
            [sys.executable, "-m", "gameedge", *arguments],
            log=log,
            probe=self._is_ready,
            ready_s=READY_S,
            on_line=json_lines(self._hear),
            env=child_env(),
        )

    async def start(self) -> None:
        """Until the ready line. Raises ChildError."""
        self.address = {}
        await self.child.start()

    async def _is_ready(self) -> bool:
        return bool(self.address)

    def _hear(self, said: dict[str, object]) -> None:
        if "ready" in said:
            self.address = {key: str(value) for key, value in said.items()}


def json_lines(hear: Callable[[dict[str, object]], None]) -> Callable[[bytes], None]:
    """Hand each line that is a JSON object on; others are ignored."""
    decoder = msgspec.json.Decoder(dict[str, object])

    def line(data: bytes) -> None:
        try:
            said = decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        hear(said)

    return line


def child_env() -> dict[str, str]:
    """Ours, with numeric libraries kept to one thread: processes share the cores, and a tick is one thread."""
    return {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **os.environ, "PYTHONUNBUFFERED": "1"}
