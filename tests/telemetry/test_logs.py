"""Log lines: always one line, always JSON, always declared fields."""

import ast
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

import gameedge
from gameedge.core import limits
from gameedge.core.errors import ConfigError
from gameedge.telemetry import logs


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


def test_one_json_object_a_line(out: io.StringIO) -> None:
    logs.configure("info", stream=out, region="eu", edge="e1")
    log = logs.get("gameedge.test")
    log.info("match_started", match="m_1", count=2, detail="line\nbreak")
    log.debug("not_shown")
    logging.getLogger("library").warning("took %d ms", 3, extra={"status": 5})
    logging.getLogger("library").warning("wrong %d", "format")
    log.error("with_object", detail=object())
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["match_started", "took 3 ms", "wrong %d", "with_object"]
    assert lines[0] | {"t": ""} == {
        "t": "", "level": "info", "logger": "gameedge.test", "event": "match_started", "region": "eu", "edge": "e1",
        "match": "m_1", "count": 2, "detail": "line\nbreak",
    }  # fmt: skip
    assert lines[1]["status"] == 5
    assert lines[0]["t"].endswith("Z")


def test_faults_carry_a_traceback_and_long_values_are_cut(out: io.StringIO) -> None:
    logs.configure("error", stream=out)
    try:
        raise ValueError("x" * 10_000)
    except ValueError as error:
        logs.get("t").fault("broke", error, match="m_1")
    line = json.loads(out.getvalue())
    assert "Traceback" in line["trace"]
    assert len(line["error"]) == limits.LOG_VALUE_CHARS_MAX


def test_text_form_is_for_people(out: io.StringIO) -> None:
    logs.configure("debug", form="text", stream=out)
    logs.get("t").warning("broker_lost", retry_ms=500)
    assert "warning broker_lost retry_ms=500" in out.getvalue()


def test_what_a_peer_said_forges_no_line_and_moves_no_cursor(out: io.StringIO) -> None:
    logs.configure("debug", form="text", stream=out)
    logs.get("t").warning("refused", detail="x\n12:00:00.000 error   forged\r\x1b[2J\x9b31m\u2028", name="h\u00e9llo")
    (line,) = out.getvalue().splitlines()
    assert "detail=x\\n12:00:00.000 error   forged\\r\\x1b[2J\\x9b31m\\u2028 name=h\u00e9llo" in line


def test_numbers_that_json_does_not_have_are_words(out: io.StringIO) -> None:
    def no_constant(word: str) -> None:
        raise AssertionError(word)

    logs.configure("info", stream=out)
    logs.get("t").info("measured", ms=float("nan"), count=float("inf"), bytes=1.5)
    line = json.loads(out.getvalue(), parse_constant=no_constant)
    assert (line["ms"], line["count"], line["bytes"]) == ("nan", "inf", 1.5)


def test_unknown_level_names_what_is_taken() -> None:
    with pytest.raises(ConfigError, match="debug, info, warning or error"):
        logs.configure("loud")


def test_every_field_that_is_logged_is_declared() -> None:
    unknown = []
    for path in Path(gameedge.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            owner = node.func.value
            name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
            if name.lower() in ("log", "_log") and node.func.attr in ("debug", "info", "warning", "error", "fault"):
                known = (*logs.FIELDS, "exc_info", "stack_info", "stacklevel", "extra")
                unknown += [f"{path.name}:{node.lineno} {key.arg}" for key in node.keywords if key.arg and key.arg not in known]
    assert not unknown, f"declare these in gameedge/telemetry/logs.py: {unknown}"
