"""The state that a client last published, so that a broker which lost its memory hears it again."""

from collections.abc import Iterator
from typing import Final

TOPICS_MAX: Final = 1_024  # of one client; the one published longest ago is forgotten


class Retained:
    """Last retained payload by topic."""

    def __init__(self) -> None:
        self._last: dict[str, bytes] = {}

    def note(self, topic: str, payload: bytes) -> None:
        """An empty payload clears the topic, as in MQTT."""
        self._last.pop(topic, None)
        if payload:
            self._last[topic] = payload
        if len(self._last) > TOPICS_MAX:
            del self._last[next(iter(self._last))]

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        return iter(list(self._last.items()))
