"""Servers under measurement: child processes on a core of their own, with their CPU time and tick lateness over a window.

A *bare* server prints {"port": N}, begins a window at SIGUSR1 and prints its figures at SIGUSR2. An *edge* process is the real
`gameedge edge` with stores in memory; its figures are differences of what its /metrics says.
"""

import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final

NATIVE: Final = Path(__file__).parent / "native"
ROOT: Final = Path(__file__).parent.parent.parent
START_S: Final = 90.0  # the arena's kernels may have to be compiled
REGION: Final = "bench"
EXCLUSIVE: Final = "GAMEEDGE_BENCH_EXCLUSIVE"  # set: real-time priority, for a machine that others use meanwhile (root)
PRIORITY: Final = -15  # of servers and load, so that a busy desktop disturbs less


class BenchError(Exception):
    """A measurement that cannot be made; the message says why, and becomes a note of the result."""


def cores() -> tuple[int, int]:
    """A core for the server and one for the load; the same one twice where there is no other."""
    mine = sorted(os.sched_getaffinity(0))
    return mine[0], mine[-1]


def compile_native(folder: Path) -> dict[str, Path]:
    """Build echo and load with `cc`. Raises BenchError."""
    built = {}
    for name in ("echo", "load"):
        command = ["cc", "-O2", "-std=gnu11", "-o", str(folder / name), str(NATIVE / f"{name}.c")]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
        except FileNotFoundError:
            raise BenchError("no `cc` on PATH: the load generator and the baseline are C; install a C compiler") from None
        except subprocess.CalledProcessError as error:
            raise BenchError(f"{name}.c does not compile here (it needs Linux): {error.stderr.strip()[:300]}") from None
        built[name] = folder / name
    return built


def read_json(stream: IO[str], seconds: float, what: str) -> dict[str, Any]:
    """The next line that is a JSON object. Raises BenchError when none comes in time."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([stream], [], [], left)[0]:
            break
        line = stream.readline()
        if not line:
            raise BenchError(f"{what} ended early")
        with contextlib.suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict):
                return found
    raise BenchError(f"{what} said nothing for {seconds:.0f} s")


def _settle_on(core: int) -> None:
    """Runs in a child: one core, and before other programs where that is permitted."""
    os.sched_setaffinity(0, {core})
    with contextlib.suppress(PermissionError):
        if EXCLUSIVE in os.environ:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        else:
            os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)


class Child:
    """A process pinned to one core. Its stderr goes to a file, whose end explains a failure."""

    def __init__(self, name: str, command: Sequence[str], core: int) -> None:
        self.name = name
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - lives as long as the child
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            bufsize=1,
            env=environment,
            preexec_fn=lambda: _settle_on(core),
        )

    def line(self, seconds: float) -> dict[str, Any]:
        assert self.process.stdout is not None
        try:
            return read_json(self.process.stdout, seconds, self.name)
        except BenchError as error:
            self._errors.seek(0)
            tail = self._errors.read()[-400:].strip()
            raise BenchError(f"{error}{': ' + tail if tail else ''}") from None

    def cpu_us(self) -> tuple[float, float]:
        """CPU time of all its threads, user and system, and how long they waited for a core, microseconds."""
        ran = waited = 0.0
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            with contextlib.suppress(OSError):
                columns = (task / "schedstat").read_text().split()
                ran += int(columns[0]) / 1000
                waited += int(columns[1]) / 1000
        return ran, waited

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(3)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._errors.close()


class Bare(Child):
    """native/echo.c or bare.py."""

    def __init__(self, name: str, command: Sequence[str], core: int) -> None:
        super().__init__(name, command, core)
        self.port = int(self.line(START_S)["port"])

    def begin(self) -> None:
        self.process.send_signal(signal.SIGUSR1)

    def end(self) -> dict[str, Any]:
        self.process.send_signal(signal.SIGUSR2)
        return self.line(10)


class Edge(Child):
    """The real thing."""

    def __init__(self, name: str, config: Path, core: int) -> None:
        super().__init__(name, [sys.executable, "-m", "gameedge", "edge", "--config", str(config)], core)
        ready = self.line(START_S)
        self.port = int(str(ready["url"]).rpartition(":")[2])
        self._metrics_url = f"{ready['ops']}/metrics"
        self._before: dict[str, float] = {}

    def metrics(self) -> dict[str, float]:
        """Every sample of /metrics by `name{labels}`."""
        return read_samples(self._metrics_url)

    def begin(self) -> None:
        self._before = self.metrics()

    def end(self) -> dict[str, Any]:
        after, before = self.metrics(), self._before
        grown = {name: value - before.get(name, 0.0) for name, value in after.items()}
        ticks = grown.get("gameedge_ticks_total", 0.0)
        stages = re.compile(r'gameedge_tick_stage_ms_total\{.*stage="(\w+)"')
        stage_us = {m[1]: grown[n] / max(ticks, 1) * 1000 for n in grown if (m := stages.match(n))}
        return {
            "ticks": ticks,
            "late_ms_p50": quantile(grown, "gameedge_tick_lateness_ms", 0.5),
            "late_ms_p99": quantile(grown, "gameedge_tick_lateness_ms", 0.99),
            "tick_ms_p50": quantile(grown, "gameedge_tick_ms", 0.5),
            "tick_ms_p99": quantile(grown, "gameedge_tick_ms", 0.99),
            "stage_us": stage_us,
            "players": before.get("gameedge_players", 0.0),  # afterwards the load may be gone
            "npcs": before.get("gameedge_npcs", 0.0),
            "refused": {n: v for n, v in grown.items() if n.startswith("gameedge_commands_total") and "accepted" not in n and v},
            "errors": sum(v for n, v in after.items() if n.startswith("gameedge_errors_total")),
        }


def read_samples(url: str) -> dict[str, float]:
    """Every sample of a Prometheus page by `name{labels}`."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        text = answer.read().decode()
    pairs = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


class Redis:
    """A Redis of its own, without files, for the processes of one region."""

    def __init__(self, folder: Path, core: int) -> None:
        self._folder, self._core = folder, core
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = int(free.getsockname()[1])
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def __enter__(self) -> "Redis":
        from gameedge.core.errors import ConfigError
        from gameedge.local.servers import redis_binary

        try:
            command = [redis_binary(), "--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder)]
        except ConfigError as error:
            raise BenchError(str(error)) from error
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=lambda: os.sched_setaffinity(0, {self._core})
        )
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1):
                return self
            time.sleep(0.05)
        self._process.kill()
        raise BenchError("redis did not answer within 5 s")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)


def quantile(samples: dict[str, float], name: str, share: float) -> float:
    """A quantile of a Prometheus histogram, linear within its bucket (the upper bound where that is infinite)."""
    pattern = re.compile(re.escape(name) + r'_bucket\{.*le="([^"]+)"')
    buckets = sorted((float(m[1]), value) for key, value in samples.items() if (m := pattern.match(key)))
    if not buckets or buckets[-1][1] <= 0:
        return 0.0
    rank, low, below = share * buckets[-1][1], 0.0, 0.0
    for high, count in buckets:
        if count >= rank:
            if high == float("inf"):
                return low
            return low + (high - low) * (rank - below) / max(count - below, 1e-9)
        low, below = high, count
    return low


def edge_config(folder: Path, name: str, public_key: str, **change: Any) -> Path:
    """Write the configuration of one edge process; `change` adds or replaces top-level keys."""
    values: dict[str, Any] = {
        "region": REGION,
        "edge": name,
        "redis": "memory://",
        "bus": "memory://",
        "token_keys": [public_key],
        "connections_max": 8192,
        "entities_max": 12288,
        "matches_max": 2048,
        "fill_ms": 4000,
        "drain_ms": 0,
        "log_level": "warning",
    }
    path = folder / f"{name}.toml"
    path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in (values | change).items()), "utf-8")
    return path


def write_tokens(folder: Path, count: int) -> tuple[Path, str]:
    """Sign `count` session tokens with a fresh key: the file, one token a line, and the public key for `token_keys`."""
    from gameedge.coordinator.tokens import Signer
    from gameedge.core.ids import PlayerId, RegionId
    from gameedge.state.base_global import Account

    signer, now_ms = Signer(os.urandom(32)), int(time.time() * 1000)
    path = folder / "tokens"
    with path.open("w") as file:
        for i in range(count):
            account = Account(player=PlayerId(f"p_bench{i:06d}"), secret_hash="", name=f"bench {i}", created_ms=now_ms)
            file.write(signer.session_token(account, RegionId(REGION), {}, now_ms, 3_600_000)[0] + "\n")
    return path, signer.public_text


@contextlib.contextmanager
def stopping(children: Sequence[Child]) -> Iterator[None]:
    try:
        yield
    finally:
        for child in children:
            child.stop()
