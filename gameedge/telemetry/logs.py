"""Logs: one JSON object a line for machines, one short line for people at a terminal.

`log = logs.get(__name__)`; `log.info("match_started", match=match, mode=mode)`. The first argument is a stable word to search
for, the rest are fields of `FIELDS`. What others log through the standard `logging` module comes out in the same form.
"""

import datetime
import json
import logging
import math
import re
import sys
from collections.abc import Mapping
from typing import IO, Any, Final

from gameedge.core import limits
from gameedge.core.errors import ConfigError

FIELDS: Final[Mapping[str, str]] = {
    "t": "time, UTC, ISO 8601 with milliseconds",
    "level": "debug, info, warning or error",
    "logger": "the module that speaks",
    "event": "what happened: a stable word, or a sentence from a library",
    "region": "the region of this process",
    "edge": "the name of this process",
    "pid": "process id",
    "error": "what went wrong, one line",
    "trace": "a traceback, for our own faults",
    "player": "player id",
    "session": "session id",
    "ask": "what a coordinator asked a process",
    "ticket": "ticket id",
    "match": "match id",
    "mode": "game mode",
    "flag": "flag id",
    "rule": "the anti-cheat rule that fired",
    "reason": "why: a word of docs/protocol.md, or a sentence",
    "remote": "the peer's address",
    "url": "an address that was listened on or called",
    "route": "HTTP route",
    "status": "HTTP status or exit code",
    "topic": "MQTT topic or filter",
    "count": "how many",
    "bytes": "size",
    "ms": "how long it took",
    "retry_ms": "when it is tried again",
    "name": "the name of what this is about",
    "path": "a file",
    "model": "a model or an artifact",
    "backend": "a way to run a model",
    "detail": "more words",
}
_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Log:
    """A logger of events with fields. Calls below the level cost one comparison."""

    __slots__ = ("_logger",)

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def debug(self, event: str, **fields: object) -> None:
        if self._logger.isEnabledFor(logging.DEBUG):
            self._logger.debug(event, extra={"fields": fields})

    def info(self, event: str, **fields: object) -> None:
        if self._logger.isEnabledFor(logging.INFO):
            self._logger.info(event, extra={"fields": fields})

    def warning(self, event: str, **fields: object) -> None:
        self._logger.warning(event, extra={"fields": fields})

    def error(self, event: str, **fields: object) -> None:
        self._logger.error(event, extra={"fields": fields})

    def fault(self, event: str, error: BaseException, **fields: object) -> None:
        """Our own fault: level error, with the traceback."""
        fields.setdefault("error", f"{type(error).__name__}: {error}")
        self._logger.error(event, extra={"fields": fields}, exc_info=error)


def get(name: str) -> Log:
    """The log of a module."""
    return Log(logging.getLogger(name))


def configure(level: str = "info", *, form: str = "json", stream: IO[str] | None = None, **always: object) -> None:
    """Set up the process's logging once. `form`: json or text; `always`: fields on every line (region, edge).

    Logs go to stderr unless told otherwise: stdout belongs to what a command prints. Raises ConfigError for an unknown level.
    """
    if level not in _LEVELS:
        raise ConfigError(f"log_level = {level!r}: use debug, info, warning or error")
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonForm(always) if form == "json" else TextForm())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[level])
    for chatty in ("httpx", "httpcore", "uvicorn.access", "mqtt", "amqtt", "transitions", "asyncio", "websockets"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, _LEVELS[level]))


class JsonForm(logging.Formatter):
    """One JSON object a line, whatever the record holds."""

    def __init__(self, always: Mapping[str, object]) -> None:
        super().__init__()
        self._always = dict(always)

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {"t": _time(record), "level": record.levelname.lower(), "logger": record.name}
        line |= {"event": _cut(_message(record)), **self._always}
        for key, value in _fields(record).items():
            plain = isinstance(value, int | None) or (isinstance(value, float) and math.isfinite(value))  # JSON has no NaN
            line[key] = value if plain else _cut(str(value))
        if record.exc_info and record.exc_info[1] is not None:
            line.setdefault("trace", self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


class TextForm(logging.Formatter):
    """`12:00:00.123 warning broker_lost retry_ms=500`, for terminals: what peers said may neither begin a line nor move the cursor."""

    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{key}={_cut(str(value))}" for key, value in _fields(record).items())
        text = _visible(f"{_time(record)[11:23]} {record.levelname.lower():7} {_cut(_message(record))} {fields}".rstrip())
        if record.exc_info and record.exc_info[1] is not None:
            text += "\n" + self.formatException(record.exc_info)
        return text


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields = record.__dict__.get("fields")
    extra = {key: value for key, value in record.__dict__.items() if key not in _OWN and key != "fields"}
    return {**fields, **extra} if isinstance(fields, dict) else extra


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):  # a library's format string that does not fit its arguments
        return str(record.msg)


def _time(record: logging.LogRecord) -> str:
    at = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _visible(text: str) -> str:
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _cut(text: str) -> str:
    return text if len(text) <= limits.LOG_VALUE_CHARS_MAX else text[: limits.LOG_VALUE_CHARS_MAX - 1] + "…"
