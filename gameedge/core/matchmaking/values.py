"""What a ticket says, as numbers that rows of arrays hold: whatever a client, a file or another version wrote."""

from collections.abc import Iterable
from hashlib import blake2b

from gameedge.core import limits


class Words:
    """Words as bits of a uint64, given back when nobody uses them. At most 64 different ones at a time."""

    def __init__(self) -> None:
        self.bits: dict[str, int] = {}
        self._used: dict[str, int] = {}
        self._free = list(range(limits.SET_VALUES_MAX - 1, -1, -1))

    def take(self, words: Iterable[str]) -> int | None:
        """The words' bits together; None, and nothing is taken, where there is no room."""
        asked = set(words)
        if len(asked - self.bits.keys()) > len(self._free):
            return None
        mask = 0
        for word in sorted(asked):
            if word not in self.bits:
                self.bits[word], self._used[word] = self._free.pop(), 0
            self._used[word] += 1
            mask |= 1 << self.bits[word]
        return mask

    def give_back(self, words: Iterable[str]) -> None:
        for word in set(words):
            self._used[word] -= 1
            if not self._used[word]:
                self._free.append(self.bits.pop(word))
                del self._used[word]


def number_of(found: object, missing: float | None) -> float | None:
    good = isinstance(found, int | float) and not isinstance(found, bool) and -1e300 < found < 1e300
    return float(found) if good else missing  # type: ignore[arg-type]


def code_of(found: object) -> int:
    """What equal values share: 63 bits of a hash, so that nothing has to be remembered for values that clients think up."""
    text = repr(sorted(found) if isinstance(found, list) else float(found) if isinstance(found, int) else found)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def words_of(found: object) -> frozenset[str] | None:
    """The set; None where nothing is wished."""
    if isinstance(found, str):
        return frozenset({found})
    return frozenset(map(str, found)) if isinstance(found, list) and found else None


def bounded(found: float | None, otherwise: float) -> float:
    return found if found is not None and 0 <= found < 1e6 else otherwise
