"""Compiled code is never older than what it was compiled from."""

import os
import re
import subprocess
import sys
from pathlib import Path

from numba import float64, int64, njit

from gameedge.arena import combat, geometry, inputs, view
from gameedge.core import kernel
from gameedge.core.anticheat import gate
from gameedge.core.npc import scripted

ROOT = Path(kernel.__file__).resolve().parent.parent.parent

CALLEE = "from gameedge.core.kernel import kernel\n@kernel\ndef callee(x: int) -> int:\n    return x + {constant}\n"
CALLER = "from callee import callee\nfrom gameedge.core.kernel import kernel\n@kernel\ndef caller(x: int) -> int:\n    return callee(x)\n"


def run(folder: Path) -> str:
    """What a fresh process gets from `caller(1)`, and how many functions it compiled."""
    code = "import caller; print(caller.caller(1), sum(caller.caller.stats.cache_misses.values()))"
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}
    environment.pop("NUMBA_CACHE_DIR", None)
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_changed_callee_reaches_its_callers_and_old_code_comes_back_only_with_old_sources(tmp_path: Path) -> None:
    (tmp_path / "caller.py").write_text(CALLER)
    (tmp_path / "callee.py").write_text(CALLEE.format(constant=10))
    assert run(tmp_path) == "11 1"
    assert run(tmp_path) == "11 0"  # loaded
    (tmp_path / "callee.py").write_text(CALLEE.format(constant=20))  # caller.py did not change: numba's own cache would not see it
    assert run(tmp_path) == "21 1"
    kept = list((tmp_path / "__pycache__").glob("kernels-*"))
    assert len(kept) == 2  # old and new code never share a file
    (tmp_path / "callee.py").write_text(CALLEE.format(constant=10))
    assert run(tmp_path) == "11 0"


def test_sources_that_change_while_a_process_starts_are_not_kept(tmp_path: Path) -> None:
    source = tmp_path / "game.py"
    source.write_text("A = 1\n")
    assert kernel.cache_folder(tmp_path, tmp_path) is not None
    source.write_text("A = 22\n")
    assert kernel.cache_folder(tmp_path, tmp_path) is None


def test_the_stamp_covers_every_file_with_a_kernel_or_a_constant_of_one() -> None:
    files = set(kernel.sources(ROOT / "gameedge" / "edge"))
    with_kernels = {path for path in (ROOT / "gameedge").rglob("*.py") if "@kernel" in path.read_text("utf-8")}
    assert with_kernels <= files
    assert ROOT / "gameedge/core/limits.py" in files
    assert ROOT / "gameedge/core/protocol/arena_map.py" in files
    for path in with_kernels | set(files):
        assert "@njit" not in path.read_text("utf-8").replace("`@njit`", ""), f"{path}: use gameedge.core.kernel"


def test_no_kernel_may_reorder_or_fuse() -> None:
    """Neither fastmath nor threads, and the machine code of what moves the game has no fused multiply-add."""
    for module in (combat, geometry, inputs, view, gate, scripted):
        for value in vars(module).values():
            options = getattr(value, "targetoptions", None)
            if options is not None:
                assert not options.get("fastmath")
                assert not options.get("parallel")
                assert not options.get("error_model")
    fresh = njit(inputs.move.py_func)  # type: ignore[attr-defined]
    fresh.compile((float64[:, ::1], int64))
    assembly = "\n".join(fresh.inspect_asm().values()).lower()
    assert "mul" in assembly
    assert not re.search(r"fn?m(add|sub|la|ls)", assembly)


def test_forms_say_that_a_kernel_was_called_with_other_types() -> None:
    @kernel.kernel
    def double(x: float) -> float:
        return x + x

    name = f"{__name__}.double"
    assert kernel.forms()[name] == 0
    assert double(1) == 2
    assert double(2) == 4
    assert kernel.forms()[name] == 1
    assert double(1.5) == 3.0
    assert kernel.forms()[name] == 2
