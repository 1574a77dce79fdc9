"""What requests and answers of the HTTP API have in common, and how errors look."""

from typing import Annotated

import msgspec
from msgspec import Meta

from gameedge.core.errors import Reason

Id = Annotated[str, Meta(min_length=1, max_length=64)]
RegionName = Annotated[str, Meta(min_length=1, max_length=64)]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Unknown fields are ignored, so that a newer client may talk to an older coordinator."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The base of all answers."""


class ErrorBody(Answer, frozen=True, kw_only=True):
    """Every error has this form. `retry_after_ms`: when it is worth trying again; null: it will not help."""

    reason: Reason
    detail: str = ""
    retry_after_ms: int | None = None
