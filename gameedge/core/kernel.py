"""`@kernel`: a function compiled by numba and kept on disk, so that only the first start of an installation compiles.

numba keeps a compiled function for as long as the file that defines it is unchanged, and looks at nothing else: a changed
constant or helper in another file would leave the old machine code in use. Here the stamp is a hash of every file that
kernels may take constants or helpers from. Compiled without fastmath and without threads: the same inputs give the same bits
everywhere.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from numba import njit

_F = TypeVar("_F", bound=Callable[..., object])
_ROOT: Final = Path(__file__).resolve().parent.parent
_SOURCES: Final = (
    "arena/*.py",
    "core/motion.py",
    "core/npc/*.py",
    "core/protocol/arena_*.py",
    "core/limits.py",
    "core/game.py",
    "core/kernel.py",
)


def fingerprint() -> str:
    """A hash of the sources that compiled kernels depend on, 16 hex digits."""
    digest = hashlib.sha256()
    for pattern in _SOURCES:
        for path in sorted(_ROOT.glob(pattern)):
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


_STAMP: Final = fingerprint()


def kernel(function: _F) -> _F:
    """Compile `function` on its first call for the types it is called with; later processes load it from disk."""
    compiled: Any = njit(cache=True)(function)
    # The one private name of numba that is used; where a version lacks it, only the staleness check is lost.
    index: Any = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if hasattr(index, "_source_stamp"):
        index._source_stamp = _STAMP
    return compiled  # type: ignore[no-any-return]
