"""How full the machine is: memory, and the accelerator where models run on one; how many files this process may have open."""

import asyncio
import resource
import shutil
from pathlib import Path
from typing import Final

from gameedge.core import limits
from gameedge.inference.autotune import Tuned
from gameedge.inference.engine import Engine
from gameedge.telemetry import logs

LOOK_S: Final = 5.0
ASK_S_MAX: Final = 3.0
log = logs.get(__name__)


def allow_files(needed: int) -> int:
    """Raise the soft limit of open files to the hard one, as far as limits.OPEN_FILES_MAX: a login shell's 1,024 are a thousand players.
    The soft limit then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.OPEN_FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, limits.OPEN_FILES_MAX)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (OSError, ValueError) as error:
            log.warning("files_not_raised", count=soft, detail=str(error))
    allowed = limits.OPEN_FILES_MAX if soft == resource.RLIM_INFINITY else soft
    if allowed < needed:
        log.warning("too_few_files", count=allowed, detail=f"{needed} are needed for connections_max; see ulimit -Hn")
    return allowed


def memory_share(root: Path = Path("/")) -> float:
    """The share of memory that is taken, 0 to 1: of the control group where it has a limit, else of the machine; 0 where neither
    can be read."""
    return max(_group_share(root / "sys/fs/cgroup"), _machine_share(root / "proc/meminfo"))


def _group_share(folder: Path) -> float:
    try:
        most, taken = (folder / "memory.max").read_text().strip(), int((folder / "memory.current").read_text())
        if most == "max":
            return 0.0
        # What the kernel only caches of files it gives back at once.
        cached = next(
            (int(line.split()[1]) for line in (folder / "memory.stat").read_text().splitlines() if line.startswith("inactive_file")), 0
        )
        return min(1.0, max(0.0, (taken - cached) / int(most)))
    except (OSError, ValueError, IndexError, ZeroDivisionError):
        return 0.0


def _machine_share(meminfo: Path) -> float:
    try:
        found = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in meminfo.read_text().splitlines()) if rest}
        return min(1.0, max(0.0, 1.0 - found["MemAvailable"] / found["MemTotal"]))
    except (OSError, ValueError, KeyError, IndexError, ZeroDivisionError):
        return 0.0


def _kinds(backend: object) -> list[str]:
    """What runs it, and what runs the net within it where a measurement chooses one by batch size."""
    kinds = [str(getattr(backend, "kind", ""))]
    for part in (backend, getattr(backend, "net", None)):
        if isinstance(part, Tuned):
            kinds += part.chosen().values()
    return kinds


class Machine:
    """Looked at every LOOK_S, away from the tick; `memory`, `gpu` (shares) and `accelerator` are the newest answers."""

    def __init__(self, engine: Engine, command: str = "nvidia-smi") -> None:
        self._engine, self._command = engine, shutil.which(command)
        self.memory = self.gpu = 0.0
        self.accelerator = False

    async def run(self) -> None:
        """For the life of the process."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        self.memory = memory_share()
        self.accelerator = any("cuda" in kind for name in self._engine.names() for kind in _kinds(self._engine.model(name).stable.backend))
        self.gpu = await self._utilisation() if self.accelerator and self._command else 0.0

    async def _utilisation(self) -> float:
        """The busiest accelerator's; 0 where its tool does not say."""
        assert self._command is not None
        try:
            asked = await asyncio.create_subprocess_exec(
                self._command,
                "--query-gpu=utilization.gpu",
                "--format=csv,noheader,nounits",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except OSError as error:  # no process to be had just now
            log.debug("accelerator_not_read", error=str(error))
            return 0.0
        try:
            async with asyncio.timeout(ASK_S_MAX):
                said, _ = await asked.communicate()
            return min(1.0, max((float(line) / 100.0 for line in said.decode().splitlines()), default=0.0))
        except (TimeoutError, ValueError, OSError) as error:
            log.debug("accelerator_not_read", error=str(error))
            if asked.returncode is None:
                asked.kill()
                await asked.wait()
            return 0.0
