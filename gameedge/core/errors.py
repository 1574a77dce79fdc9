"""The error tree. Every message says what to do; peers get a `Reason`, never a traceback."""

from enum import StrEnum


class Reason(StrEnum):
    """Why something was refused: stable words that clients may switch on (docs/protocol.md lists them)."""

    MALFORMED = "malformed"  # not the documented form
    TOO_LARGE = "too_large"  # over the documented size
    TOO_OFTEN = "too_often"  # over the rate budget of its type
    UNSUPPORTED = "unsupported"  # a version, mode or message that this server does not know
    OUT_OF_ORDER = "out_of_order"  # a message that this state of the session does not take
    REPLAYED = "replayed"  # a sequence number that was already used
    TOKEN_INVALID = "token_invalid"  # signature, issuer or form
    TOKEN_EXPIRED = "token_expired"  # get a new placement
    WRONG_REGION = "wrong_region"  # the token is for another region
    NOT_FOUND = "not_found"
    ALREADY_QUEUED = "already_queued"
    IN_MATCH = "in_match"
    POOL_FULL = "pool_full"  # the queue is at its limit; try later
    SERVER_FULL = "server_full"  # no slot in this process; placement knows others
    UNAVAILABLE = "unavailable"  # the region's state store cannot be reached; running matches go on
    DRAINING = "draining"  # this process is going away; use the next URL
    MATCH_LOST = "match_lost"  # the process that ran the match died
    REPLACED = "replaced"  # the same player connected elsewhere
    IDLE = "idle"  # nothing was heard for too long
    SLOW = "slow"  # the connection could not take what was sent
    PARTY_LEFT = "party_left"  # a member of the party left the queue: the others leave with it
    FORBIDDEN = "forbidden"  # not allowed for this account
    INTERNAL = "internal"  # our fault; logged with an id


class GameEdgeError(Exception):
    """The root of all errors that this project raises on purpose."""


class ConfigError(GameEdgeError):
    """A configuration that cannot work; the message names the key and what it takes."""


class RefusedError(GameEdgeError):
    """An operation refused for a reason that its caller may tell a client."""

    def __init__(self, reason: Reason, detail: str = "", *, retry_after_ms: int | None = None) -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail
        self.retry_after_ms = retry_after_ms


class UnavailableError(RefusedError):
    """A store or broker that cannot be reached just now; the operation may be tried again."""

    def __init__(self, detail: str, *, retry_after_ms: int = 1000) -> None:
        super().__init__(Reason.UNAVAILABLE, detail, retry_after_ms=retry_after_ms)


class ArtifactError(GameEdgeError):
    """A model artifact that must not be loaded; the message names what was expected and what was found."""
