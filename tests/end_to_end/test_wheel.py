"""The wheel: everything that a process serves or reads at run time is in it, and is found where it is installed. No network."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("hatchling", reason="hatchling builds the wheel; it is in the extra dev")
ROOT = Path(__file__).parents[2]
STRANGERS = ("tests/", "docs/", "models/", "deploy/", "examples/", "clients/")

# Runs beside the installed wheel, far from the checkout: serve, fetch every page and whatever it refers to, read models and scripts.
SCRIPT = r"""
import asyncio, json, re, sys
from pathlib import Path

import httpx

import gameedge
from gameedge.bus.memory import MemoryBroker
from gameedge.config import CoordinatorConfig, Listen
from gameedge.coordinator.app import serve
from gameedge.inference.artifacts import load, load_aim
from gameedge.state.memory_global import MemoryGlobalStore

REFERENCE = re.compile(r'(?:src|href)="(/[^"#?]+)"|from "(\.{1,2}/[^"]+)"|fetch\("(/[^"]+)"\)')


async def main():
    config = CoordinatorConfig(redis="memory://", bus="memory://", listen=Listen(port=0), operator_token="x" * 24)
    seen, waiting, bad = {}, ["/", "/watch", "/dashboard", "/favicon.ico"], []
    async with serve(config, MemoryGlobalStore(), MemoryBroker().factory) as running, httpx.AsyncClient(base_url=running.url) as http:
        while waiting:
            path = waiting.pop()
            if path in seen or path.startswith("/v1/"):
                continue
            answer = await http.get(path)
            seen[path] = answer.headers.get("content-type", "")
            if answer.status_code != 200 or not answer.content:
                bad.append(path)
                continue
            if path.endswith(".svg") or path == "/favicon.ico":
                continue
            base = httpx.URL({"/": "/web/", "/watch": "/web/", "/dashboard": "/web/dashboard/"}.get(path, path))
            for absolute, relative, fetched in REFERENCE.findall(answer.text):
                waiting.append(absolute or fetched or str(base.join(relative)))
    load_aim()
    load("npc")
    lua = list((Path(gameedge.__file__).parent / "state" / "functions").glob("*.lua"))
    print(json.dumps({"at": gameedge.__file__, "seen": seen, "bad": bad, "lua": len(lua)}))


asyncio.run(main())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("*.whl"))


def test_what_is_in_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
    for folder, patterns in (("clients/web", ("**/*.js", "**/*.css", "**/*.html", "*.svg")), ("clients/js", ("*.js",))):
        for pattern in patterns:
            wanted = {f"gameedge/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / folder).glob(pattern)}
            assert wanted, pattern
            assert wanted <= names, wanted - names
    assert "gameedge/clients/vectors/arena_map.json" in names
    assert {f"gameedge/weights/{path.name}" for path in (ROOT / "models" / "weights").glob("*.safetensors")} <= names
    assert {f"gameedge/state/functions/{path.name}" for path in (ROOT / "gameedge" / "state" / "functions").glob("*.lua")} <= names
    assert {"gameedge/py.typed", "gameedge_client/py.typed"} <= names
    assert not [name for name in names if name.startswith(STRANGERS) or "__pycache__" in name]
    assert wheel.stat().st_size < 8 * 1024 * 1024


@pytest.mark.slow
def test_an_installed_coordinator_serves_every_page_and_all_that_it_refers_to(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as opened:  # pure Python: unpacked is installed
        opened.extractall(site)
    environment = {**os.environ, "PYTHONPATH": str(site), "NUMBA_DISABLE_JIT": "1", "NUMBA_CACHE_DIR": str(tmp_path / "numba")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert Path(found["at"]).is_relative_to(site), "not the checkout"
    assert found["bad"] == []
    needed = ("/web/play.js", "/web/dashboard/evidence.js", "/js/predict.js", "/vectors/arena_map.json", "/web/theme.css")
    assert set(needed) <= set(found["seen"])
    assert len(found["seen"]) > 30
    assert found["lua"] >= 20
