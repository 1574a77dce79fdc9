"""The live policy in its versions, and events."""

from typing import Annotated, Any

from msgspec import Meta

from gameedge.coordinator.events import Event
from gameedge.coordinator.schemas.base import Answer, Request


class ConfigVersion(Answer, frozen=True, kw_only=True):
    """`overrides`: what it names; the rest is as configured. `back_to`: it is a rollback to that version."""

    number: int
    at_ms: int
    who: str
    note: str
    back_to: int | None
    overrides: dict[str, Any]


class ConfigKey(Answer, frozen=True, kw_only=True):
    key: str
    value: Any
    live: bool


class ConfigView(Answer, frozen=True, kw_only=True):
    version: ConfigVersion
    keys: list[ConfigKey]


class ConfigHistory(Answer, frozen=True, kw_only=True):
    versions: list[ConfigVersion]


class ConfigDiff(Answer, frozen=True, kw_only=True):
    before: int
    after: int
    changed: dict[str, list[Any]]


class ConfigChange(Request, frozen=True, kw_only=True):
    """`set` replaces whole values; `unset`: as configured again."""

    set: Annotated[dict[str, Any], Meta(max_length=16)] = {}
    unset: Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=16)] = []
    expected: int | None = None
    note: Annotated[str, Meta(max_length=256, description="why, for the history")] = ""


class ConfigRollback(Request, frozen=True, kw_only=True):
    to: Annotated[int, Meta(ge=0)]
    expected: int | None = None
    note: Annotated[str, Meta(max_length=256)] = ""


class ConfigChanged(Answer, frozen=True, kw_only=True):
    """`waiting`: regions that will be told once the broker is there."""

    version: ConfigVersion
    changed: dict[str, list[Any]]
    warnings: list[str]
    waiting: list[str]


class EventsView(Answer, frozen=True, kw_only=True):
    stream: str
    events: list[Event]
    next: int
    missed: int
