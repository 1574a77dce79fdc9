"""Close codes: one WebSocket close code for each `Reason`, and what a client should do after it.

The numbers are part of `gameedge.v1`: a code is never given another meaning, a new reason takes the next free number.
"""

from enum import Enum
from typing import Final, NamedTuple

from gameedge.core.errors import Reason

NORMAL: Final = 1000  # said goodbye (`bye`), or the client left
GOING_AWAY: Final = 1001  # the process stops listening
LOST: Final = 1006  # never sent: the connection ended without a close frame
TRY_AGAIN_LATER: Final = 1013  # refused before a session existed

CLOSE_CODES: Final[dict[Reason, int]] = {
    Reason.MALFORMED: 4000,
    Reason.TOO_LARGE: 4001,
    Reason.TOO_OFTEN: 4002,
    Reason.UNSUPPORTED: 4003,
    Reason.OUT_OF_ORDER: 4004,
    Reason.REPLAYED: 4005,
    Reason.TOKEN_INVALID: 4006,
    Reason.TOKEN_EXPIRED: 4007,
    Reason.WRONG_REGION: 4008,
    Reason.NOT_FOUND: 4009,
    Reason.ALREADY_QUEUED: 4010,
    Reason.IN_MATCH: 4011,
    Reason.POOL_FULL: 4012,
    Reason.SERVER_FULL: 4013,
    Reason.UNAVAILABLE: 4014,
    Reason.DRAINING: 4015,
    Reason.MATCH_LOST: 4016,
    Reason.REPLACED: 4017,
    Reason.IDLE: 4018,
    Reason.SLOW: 4019,
    Reason.FORBIDDEN: 4020,
    Reason.INTERNAL: 4021,
    Reason.PARTY_LEFT: 4022,
}
_REASONS: Final = {code: reason for reason, code in CLOSE_CODES.items()}


class Retry(Enum):
    """What a client does after a connection ended."""

    RESUME = "resume"  # connect again with the resume token, the same URL first, then the next ones
    PLACE = "place"  # ask the coordinator for a new placement
    NEVER = "never"  # the same again would end the same way


_PLACE: Final = frozenset({Reason.TOKEN_EXPIRED, Reason.WRONG_REGION, Reason.SERVER_FULL, Reason.DRAINING})
_RESUME: Final = frozenset({Reason.IDLE, Reason.SLOW, Reason.UNAVAILABLE, Reason.INTERNAL})


class Close(NamedTuple):
    """A connection is to be closed: the code, and the text of the close frame (at most 123 bytes)."""

    code: int
    reason: Reason | None
    detail: str = ""

    @property
    def text(self) -> str:
        """`reason` or `reason: detail`, cut to what a close frame takes."""
        words = str(self.reason) if self.reason else "bye"
        text = f"{words}: {self.detail}" if self.detail else words
        return text.encode("utf-8", "replace")[:123].decode("utf-8", "ignore")


def close_for(reason: Reason, detail: str = "") -> Close:
    return Close(CLOSE_CODES[reason], reason, detail)


def reason_of(code: int) -> Reason | None:
    """The reason of a close code; None for codes of WebSocket itself and for unknown ones."""
    return _REASONS.get(code)


def retry_after(code: int) -> Retry:
    """What a client does after this close code. Unknown codes of a newer server count as never."""
    reason = _REASONS.get(code)
    if reason is None:
        return Retry.NEVER if code == NORMAL or 4000 <= code < 4100 else Retry.RESUME
    if reason in _PLACE:
        return Retry.PLACE
    return Retry.RESUME if reason in _RESUME else Retry.NEVER
