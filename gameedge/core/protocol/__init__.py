"""`gameedge.v1`: messages (JSON text frames), frames (binary hot path) and the session state machine. docs/protocol.md."""

from typing import Final

SUBPROTOCOL: Final = "gameedge.v1"
