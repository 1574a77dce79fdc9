"""Records as msgpack.

What comes out of a store is checked like anything else from outside: it may be of another version, cut off or not ours at all.
"""

from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")
FAULTS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError, ValueError)
encode = msgspec.msgpack.Encoder().encode


class Counter:
    """Counts records that could not be decoded."""

    def __init__(self) -> None:
        self.corrupt = 0


class Codec(Generic[T]):
    """Decodes one type; what is not of that type is counted and skipped."""

    def __init__(self, kind: type[T], counter: Counter) -> None:
        self._one: msgspec.msgpack.Decoder[T] = msgspec.msgpack.Decoder(kind)
        self._many: msgspec.msgpack.Decoder[list[T]] = msgspec.msgpack.Decoder(list[kind])  # type: ignore[valid-type]
        self._counter = counter

    def one(self, data: object) -> T | None:
        """None for None (nothing stored) and for what cannot be decoded."""
        if data is None:
            return None
        try:
            if isinstance(data, bytes):
                return self._one.decode(data)
        except FAULTS:
            pass
        self._counter.corrupt += 1
        return None

    def some(self, data: object) -> list[T]:
        """Those of a list that can be decoded."""
        if not isinstance(data, list):
            return []
        return [record for record in map(self.one, data) if record is not None]

    def joined(self, count: int, data: bytes) -> list[T] | None:
        """`count` records, one behind the other. None where a single one cannot be decoded: take them one by one."""
        try:
            return self._many.decode(b"\xdd" + count.to_bytes(4, "big") + data)
        except FAULTS:
            return None
