"""Words in shared memory that order what is written around them: what two processes need to hand a buffer over without a lock.

Compiled, since Python has no such operations: `store` makes all earlier writes visible before the word changes and orders it before
later reads (sequentially consistent); `wait_for` spins on a word. Addresses are of aligned 64-bit integers.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from gameedge.core.kernel import kernel

_I64 = ir.IntType(64)


def _emit_load(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
    return builder.load_atomic(builder.inttoptr(arguments[0], _I64.as_pointer()), "acquire", 8, typ=_I64)


def _emit_store(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
    builder.store_atomic(arguments[1], builder.inttoptr(arguments[0], _I64.as_pointer()), "seq_cst", 8)
    return context.get_dummy_value()


def _load(context: Any, address: Any) -> Any:
    return types.int64(types.int64), _emit_load


def _store(context: Any, address: Any, value: Any) -> Any:
    return types.void(types.int64, types.int64), _emit_store


_load_word: Any = intrinsic(_load)
_store_word: Any = intrinsic(_store)


@kernel
def load(address: int) -> int:
    """The word; later reads see at least what was written before it was stored."""
    return int(_load_word(address))


@kernel
def store(address: int, value: int) -> None:
    """Change the word after everything that was written before."""
    _store_word(address, value)


@kernel
def wait_for(address: int, value: int, spins: int) -> bool:
    """Look at a word up to `spins` times, until it has this value."""
    for _ in range(spins):  # noqa: SIM110, a compiled loop
        if _load_word(address) == value:
            return True
    return False


@kernel
def any_differs(addresses: NDArray[np.int64], values: NDArray[np.int64], spins: int) -> bool:
    """Look at several words up to `spins` times, until one differs from the value beside it."""
    for _ in range(spins):
        for k in range(addresses.shape[0]):
            if _load_word(addresses[k]) != values[k]:
                return True
    return False


def warm() -> None:
    """Compile (or load) all of them, so that no first request waits for it."""
    words: NDArray[np.int64] = np.zeros(2, np.int64)
    at = int(words.ctypes.data)
    store(at, 1)
    wait_for(at, load(at), 1)
    any_differs(np.array([at], np.int64), words[:1], 1)
