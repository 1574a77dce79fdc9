"""Connections of the process as rows: what the tick needs of them in arrays, the rest as objects beside.

A row is taken when a session opens and freed when its connection ends. `entity` is -1 where the connection has no seat.
"""

from typing import Final

import numpy as np

from gameedge.core.game import Bools, Floats, Int32s
from gameedge.edge.express import Express
from gameedge.edge.transports.base import Connection

NOBODY: Final = -1


class ConnectionTable:
    """At most `capacity` connections; `snapshot_every` phases spread their snapshots over the ticks."""

    def __init__(self, capacity: int, entities: int, snapshot_every: int, express: Express | None = None) -> None:
        self.capacity = capacity
        self.express = express
        # Sockets that frames may be written to past their transports; -1: through the connection.
        self.descriptors: Int32s = np.full(capacity, -1, np.int32) if express is None else express.descriptors
        self.entity: Int32s = np.full(capacity, NOBODY, np.int32)
        self.slot_of_entity: Int32s = np.full(entities, NOBODY, np.int32)
        self.rtt_ms: Floats = np.full(capacity, np.nan, np.float32)
        self.connections: list[Connection | None] = [None] * capacity
        self.skip: Bools = np.zeros(capacity, np.bool_)  # the socket is full: its snapshots are skipped
        self._free = list(range(capacity - 1, -1, -1))
        self._phases = snapshot_every
        self._viewers: list[tuple[Int32s, Int32s]] = []
        self._dirty = True

    def __len__(self) -> int:
        return self.capacity - len(self._free)

    @property
    def seated(self) -> int:
        return int((self.entity >= 0).sum())

    def take(self, connection: Connection) -> int | None:
        """A free row, or None where the process is full."""
        if not self._free:
            return None
        slot = self._free.pop()
        self.connections[slot] = connection
        self.entity[slot] = NOBODY
        self.rtt_ms[slot] = np.nan
        self.skip[slot] = False
        return slot

    def free(self, slot: int) -> None:
        if self.connections[slot] is None:
            return
        self.unseat(slot)
        if self.express is not None:
            self.express.leave(slot)
        self.connections[slot] = None
        self._free.append(slot)

    def seat(self, slot: int, entity: int) -> None:
        self.unseat(slot)
        self.entity[slot] = entity
        self.slot_of_entity[entity] = slot
        self._dirty = True

    def unseat(self, slot: int) -> None:
        entity = int(self.entity[slot])
        if entity >= 0:
            self.entity[slot] = NOBODY
            if self.slot_of_entity[entity] == slot:
                self.slot_of_entity[entity] = NOBODY
            self._dirty = True

    def viewers(self, tick: int) -> tuple[Int32s, Int32s]:
        """Rows whose snapshot is due at this tick, and their entities: int32 [N] each."""
        if self._dirty:
            seated = np.flatnonzero(self.entity >= 0).astype(np.int32)
            # Spread by rank, not by row, so that the phases stay even whoever leaves.
            groups = (np.ascontiguousarray(seated[phase :: self._phases]) for phase in range(self._phases))
            self._viewers = [(slots, self.entity[slots]) for slots in groups]
            self._dirty = False
        return self._viewers[tick % self._phases]
