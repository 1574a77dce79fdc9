"""`@kernel`: a function compiled by numba and kept on disk, so that only the first start of an installation compiles.

Problem. numba's own cache is wrong for a program of several files. It keeps machine code for as long as the file that defines a
function is unchanged, although constants and callees of other files are compiled into it. And its files have the same names
before and after a change, the index being written before the code: of two processes that start after a change, the second can
find the new index beside the old code, run that, and compile it into its callers for good.

Method. Compiled code lies in a folder whose name is a hash of everything that it can depend on: all sources of the rooms
that hold kernels (and of the folder that a game outside of it lies in), Python, numba, llvmlite and numpy. Old and new code
cannot meet. A function whose sources changed while this process was starting is compiled and not kept.

Guarantee. The same inputs give the same bits on every machine: no fastmath, so that nothing is reordered and no multiplication
and addition are fused; no threads; and kernels call no transcendental functions of a C library.
"""

import hashlib
import platform
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeVar

import llvmlite
import numba
import numpy as np
from numba import njit

_settings: Any = numba.config  # has no types
_F = TypeVar("_F", bound=Callable[..., object])
_ROOT: Final = Path(__file__).resolve().parent.parent
_ROOMS: Final = ("core", "arena", "inference")  # whose files hold kernels and what these are made of
_STAMP_DIGITS: Final = 16
_kernels: Final[list[Any]] = []  # all of this process


def sources(folder: Path) -> tuple[Path, ...]:
    """The files that a kernel defined in `folder` may take constants or callees from, in a fixed order."""
    found = {path for room in _ROOMS for path in (_ROOT / room).rglob("*.py")}
    return tuple(sorted(found | set(folder.glob("*.py"))))


def fingerprint(files: Iterable[Path]) -> str:
    """A hash of files, and of the versions of what compiles them, 16 hex digits."""
    versions = (platform.python_version(), numba.__version__, llvmlite.__version__, np.__version__)
    digest = hashlib.sha256(repr(versions).encode())
    for path in files:
        content = path.read_bytes()
        digest.update(f"\0{path.parent.name}/{path.name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:_STAMP_DIGITS]


def _states(files: Iterable[Path]) -> list[tuple[int, int, int]]:
    return [(at.st_ino, at.st_size, at.st_mtime_ns) for at in (path.stat() for path in files)]


@lru_cache
def _stamped(folder: Path) -> tuple[tuple[Path, ...], list[tuple[int, int, int]], str]:
    files = sources(folder)
    return files, _states(files), fingerprint(files)


def cache_folder(base: Path, folder: Path) -> Path | None:
    """Where code of kernels defined in `folder` is kept, below `base`; None where its sources changed since they were hashed."""
    try:
        files, states, stamp = _stamped(folder)
        return base / f"kernels-{stamp}" if _states(files) == states else None
    except OSError:  # sources that cannot be read, as in a frozen program
        return None


def _compile(function: Callable[..., object], keep: Path) -> Any:
    """Compile for `keep`; numba looks at its setting when a function is decorated, and only then."""
    before, _settings.CACHE_DIR = _settings.CACHE_DIR, str(keep)
    try:
        return njit(cache=True)(function)
    finally:
        _settings.CACHE_DIR = before


def _dispatcher(function: Callable[..., object]) -> Any:
    folder = Path(function.__code__.co_filename).resolve().parent
    base = Path(_settings.CACHE_DIR) if _settings.CACHE_DIR else folder / "__pycache__"
    keep = cache_folder(base, folder)
    if keep is not None:
        try:
            keep.mkdir(parents=True, exist_ok=True)
            return _compile(function, keep)
        except OSError:
            pass
    return njit(function)


def kernel(function: _F) -> _F:
    """Compile `function` on its first call for the types it is called with; later processes load it from disk.

    Code is kept in the folder that NUMBA_CACHE_DIR names, else in `__pycache__` beside the source; nowhere, where that cannot be
    written.
    """
    made = _dispatcher(function)
    _kernels.append(made)
    return made  # type: ignore[no-any-return]


def forms() -> dict[str, int]:
    """For how many combinations of types each kernel of this process is there by now. One that comes while players play was not warmed up:
    after a fresh installation they wait for a compiler."""
    return {f"{made.py_func.__module__}.{made.py_func.__name__}": len(made.signatures) for made in _kernels}
