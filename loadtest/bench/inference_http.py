"""The usual way to serve a net, beside which the engine is measured: HTTP, a request a row, batched in the server.

`--serve` runs a plain server in one process: asyncio, HTTP/1.1 with connections kept alive, JSON `{"x": [...]}` in and `{"y": [...]}`
out, requests gathered for at most BATCH_WAIT_MS into one batch. `--url` measures any server that takes the same requests, so that
others (LitServe, Ray Serve) meet the same net and the same arrivals; `--weights` writes the net as a file that they can load.
"""

import argparse
import asyncio
import json
import subprocess
import sys
from time import perf_counter
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from gameedge.core.npc import policy
from gameedge.inference import artifacts
from gameedge.inference.backends import npc_policy
from gameedge.inference.backends.numpy_mlp import NumpyMlp
from gameedge.inference.base import Backend, Floats
from loadtest.bench.report import ROOT

BATCH_WAIT_MS: Final = 2.0
BATCH_MAX: Final = 256
PERIOD_S: Final = 0.1  # at least, between the begins of two bursts
CONNECTIONS: Final = 64
BODY_BYTES_MAX: Final = 65_536
START_S: Final = 60.0


class Server:
    """Gathers requests into batches of one net."""

    def __init__(self, net: Backend) -> None:
        self._net = net
        self._waiting: list[tuple[list[float], asyncio.Future[Floats]]] = []
        self._full = asyncio.Event()

    async def batches(self) -> None:
        while True:
            await self._full.wait()
            if len(self._waiting) < BATCH_MAX:
                await asyncio.sleep(BATCH_WAIT_MS / 1000.0)
            batch, self._waiting = self._waiting[:BATCH_MAX], self._waiting[BATCH_MAX:]
            if not self._waiting:
                self._full.clear()
            rows = np.array([x for x, _ in batch], np.float32)
            out = np.zeros((len(batch), self._net.output_size), np.float32)
            self._net.run(rows, np.arange(len(batch), dtype=np.int32), out)
            for (_, future), y in zip(batch, out, strict=True):
                if not future.done():
                    future.set_result(y)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
                body = await reader.readexactly(min(size, BODY_BYTES_MAX))
                future: asyncio.Future[Floats] = asyncio.get_running_loop().create_future()
                self._waiting.append((json.loads(body)["x"], future))
                self._full.set()
                data = json.dumps({"y": (await future).tolist()}).encode()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(data) + data)
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            writer.close()


async def serve(net: Backend) -> None:
    """Until killed. Prints the port."""
    server = Server(net)
    listening = await asyncio.start_server(server.answer, "127.0.0.1", 0)
    print(listening.sockets[0].getsockname()[1], flush=True)
    async with asyncio.TaskGroup() as group:
        group.create_task(server.batches(), name="batches")
        group.create_task(listening.serve_forever(), name="connections")


async def load(url: str, rows: int, bursts: int, seed: int = 1) -> NDArray[np.float64]:
    """Bursts of `rows` requests at once, as a tick has them; ms from a burst's begin to each of its answers, the first burst left out."""
    parts = urlsplit(url)
    links = [await asyncio.open_connection(parts.hostname, parts.port) for _ in range(CONNECTIONS)]
    features = np.random.default_rng(seed).uniform(-1, 1, (rows, policy.FEATURE_SIZE)).astype(np.float32)
    asks = []
    for x in features:
        body = json.dumps({"x": x.tolist()}).encode()
        head = f"POST {parts.path or '/'} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
        head += f"content-length: {len(body)}\r\n\r\n"
        asks.append(head.encode() + body)
    took: list[float] = []

    async def work(link: tuple[asyncio.StreamReader, asyncio.StreamWriter], mine: list[bytes], began: float, keep: bool) -> None:
        reader, writer = link
        for ask in mine:
            writer.write(ask)
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in head.partition(b"\r\n")[0]:
                raise ConnectionError(head.decode(errors="replace"))
            await reader.readexactly(int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]))
            if keep:
                took.append((perf_counter() - began) * 1e3)

    for burst in range(bursts + 1):
        began = perf_counter()
        async with asyncio.TaskGroup() as group:
            for k, link in enumerate(links):
                group.create_task(work(link, asks[k::CONNECTIONS], began, burst > 0), name="requests")
        await asyncio.sleep(max(0.0, PERIOD_S - (perf_counter() - began)))
    for _, writer in links:
        writer.close()
    return np.array(took)


def measure(rows: int, bursts: int) -> NDArray[np.float64]:
    """Against the plain server in a process of its own, ms."""
    command = [sys.executable, "-m", "loadtest.bench.inference_http", "--serve"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            return asyncio.run(load(f"http://127.0.0.1:{port}/predict", rows, bursts))
        finally:
            process.kill()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.bench.inference_http", description=__doc__)
    parser.add_argument("--serve", action="store_true", help="run the plain server; prints its port")
    parser.add_argument("--url", help="measure a server that is there, on this machine")
    parser.add_argument("--rows", type=int, default=256, help="requests at once")
    parser.add_argument("--bursts", type=int, default=40)
    parser.add_argument("--weights", help="write the net to this .npz: w0, b0, ... (relu between, linear at the end)")
    options = parser.parse_args()
    artifact = artifacts.load("npc")
    if options.weights:
        tensors: dict[str, Any] = {name: np.asarray(tensor) for name, tensor in artifact.tensors.items()}
        np.savez(options.weights, **tensors)
    if options.serve:
        asyncio.run(serve(NumpyMlp(artifact, npc_policy.metadata())))
    if options.url:
        if urlsplit(options.url).hostname not in ("127.0.0.1", "::1", "localhost"):
            parser.error("--url: load goes to this machine alone")
        took = asyncio.run(load(options.url, options.rows, options.bursts))
        p50, p99 = np.percentile(took, (50, 99)).tolist()
        print(json.dumps({"rows": options.rows, "answers": len(took), "p50_ms": round(p50, 2), "p99_ms": round(p99, 2)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
