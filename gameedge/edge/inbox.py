"""Commands of one tick as arrays: transports' callbacks write raw frames here, the tick reads them all at once.

No object, task or queue a message: a frame is copied into its row (about 0.3 us), decoding is vectorised. Full: the newest
frames are dropped and counted (limits.INBOX_COMMANDS_MAX).
"""

from typing import cast

import numpy as np

from gameedge.core.game import Bytes, Int32s
from gameedge.core.protocol.frames import COMMAND, COMMAND_HEADER, HEADER_SIZE


class Inbox:
    """A fixed buffer of `capacity` frames of `HEADER_SIZE + payload_size` bytes."""

    def __init__(self, capacity: int, payload_size: int) -> None:
        self.frame_size = HEADER_SIZE + payload_size
        self.capacity = capacity
        self.count = 0
        self.dropped = 0
        self._frames = np.zeros(capacity, np.dtype([("header", COMMAND_HEADER), ("payload", "u1", (payload_size,))]))
        self._slots: Int32s = np.zeros(capacity, np.int32)
        self._arrived = np.zeros(capacity, np.float64)
        # Item access through memoryviews costs half of numpy's.
        self._bytes: Bytes = self._frames.view(np.uint8).reshape(-1)
        self._raw = self._frames.data.cast("B")
        self._slot_items = self._slots.data
        self._arrived_items = cast("memoryview[float]", self._arrived.data)

    def put(self, slot: int, frame: bytes | memoryview, now_ms: float) -> bool:
        """Copy one frame that came from connection `slot`. False: it is not a command frame. Where there is no room it is dropped and
        counted: that is not its sender's fault."""
        size = self.frame_size
        if len(frame) != size or frame[0] != COMMAND:
            return False
        at = self.count
        if at >= self.capacity:
            self.dropped += 1
            return True
        self._raw[at * size : (at + 1) * size] = frame
        self._slot_items[at] = slot
        self._arrived_items[at] = now_ms
        self.count = at + 1
        return True

    @property
    def slots(self) -> Int32s:
        """int32 [count]"""
        return self._slots[: self.count]

    @property
    def arrived_ms(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """float64 [count], on the monotonic clock"""
        return self._arrived[: self.count]

    @property
    def headers(self) -> np.ndarray[tuple[int], np.dtype[np.void]]:
        """COMMAND_HEADER [count]"""
        return self._frames["header"][: self.count]

    @property
    def payloads(self) -> Bytes:
        """uint8 [count, payload_size]"""
        return self._frames["payload"][: self.count]

    @property
    def rows(self) -> tuple[Bytes, Int32s, np.ndarray[tuple[int], np.dtype[np.float64]]]:
        """Frames [capacity * frame_size], connections and times of arrival [capacity]: for who fills them and raises `count`."""
        return self._bytes, self._slots, self._arrived

    def clear(self) -> None:
        self.count = 0
