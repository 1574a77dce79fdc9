"""What can go wrong for a client. Refusals by a server are `RefusedError`, with a `Reason` that a program may switch on."""

from gameedge.core.errors import GameEdgeError, Reason, RefusedError

__all__ = ["ConnectionLostError", "GameEdgeError", "MatchLostError", "Reason", "RefusedError", "SessionLostError"]


class ConnectionLostError(GameEdgeError):
    """The connection could not be brought back; the session is over. Place and connect again."""


class SessionLostError(GameEdgeError):
    """The server no longer knows the session: a new one was opened, queue again."""


class MatchLostError(GameEdgeError):
    """The match ended without a result: its process died or the session was lost. It is not rated; queue again."""
