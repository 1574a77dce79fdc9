"""Every command where something is wrong: no coordinator, another program, no or a bad token. One sentence, the documented status."""

import asyncio
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from gameedge.admin.cli import app
from tests.coordinator.fleet import config, fleet

ROOT = Path(__file__).parents[2]
ARGUMENTS: dict[str, list[str]] = {
    "PLAYER": ["p_x"],
    "MATCH": ["m_x"],
    "FLAG": ["f_x"],
    "DECISION": ["upheld"],
    "KEY=VALUE...": ["fill_ms=1"],
    "NAME": ["ann"],
    "ROLE": ["viewer"],
    "BEFORE": ["0"],
    "VERSION": ["0"],
}
LOCAL = {("doctor",), ("review", "erase")}  # have answers of their own (test_doctor, test_review)


def commands() -> list[tuple[str, ...]]:
    """Every command that there is, with arguments that it takes."""
    found: list[tuple[str, ...]] = []

    def walk(command: Any, words: tuple[str, ...]) -> None:
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, (*words, name))
        if not hasattr(command, "commands") and words not in LOCAL:
            required = [p for p in command.params if p.param_type_name == "argument" and (p.required or p.nargs == -1)]
            arguments = [word for p in required for word in ARGUMENTS.get(p.metavar or p.name.upper(), ["x"])]
            yes = ["--yes"] if any("--yes" in p.opts for p in command.params) else []
            found.append((*words, *arguments, *yes))

    walk(typer.main.get_command(app), ())
    return found


def run(words: tuple[str, ...], url: str, token: str) -> Any:
    env = {"GAMEEDGE_URL": url, "GAMEEDGE_TOKEN": token, "GAMEEDGE_RUN": "/nonexistent", "GAMEEDGE_REGION_REDIS": "", "TERM": "dumb"}
    return CliRunner().invoke(app, list(words), env=env)


def test_there_are_as_many_as_there_should_be() -> None:
    found = {words[:2] for words in commands()}
    assert len(commands()) >= 35
    assert {("players", "kick"), ("matches", "watch"), ("config", "set"), ("tail",), ("drain", "x")} <= found


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_no_coordinator(words: tuple[str, ...]) -> None:
    result = run(words, "http://127.0.0.1:1", "token")
    assert (result.exit_code, result.stdout) == (3, ""), result.output
    assert "no coordinator answers" in result.stderr


async def test_no_token_and_a_bad_one() -> None:
    async with fleet(config(operator_failures_per_minute=0)) as world:
        for words in commands():
            for token in ("", "wrong", "eyJhbGciOiJub25lIn0.e30."):
                result = await asyncio.to_thread(run, words, world.running.url, token)
                assert (result.exit_code, result.stdout) == (4, ""), (words, token, result.output)
                assert "token" in result.stderr or "often" in result.stderr


async def test_names_with_markup_and_marks_cannot_move_the_cursor() -> None:
    from gameedge.admin.tables import CELL_CHARS_MAX, clean

    assert clean("\x1b[2Jgone") == "\ufffd[2Jgone"
    assert clean("a\u202egnp\u2066") == "a\ufffdgnp\ufffd"
    assert clean("two\nlines\r") == "two\ufffdlines\ufffd"
    assert clean("\N{WOMAN}\u200d\N{GIRL}") == "\N{WOMAN}\u200d\N{GIRL}"
    assert len(clean("x" * 10_000)) == CELL_CHARS_MAX


@pytest.mark.parametrize(("answer", "status", "said"), [(b"n\n", 6, "nothing was done"), (b"y\n", 3, "no coordinator answers")])
def test_a_person_is_asked_before_what_cannot_be_undone(answer: bytes, status: int, said: str) -> None:
    leader, follower = pty.openpty()
    argv = [sys.executable, "-m", "gameedge", "admin", "players", "erase", "p_x"]
    env = {**os.environ, "GAMEEDGE_URL": "http://127.0.0.1:1", "GAMEEDGE_TOKEN": "token", "TERM": "dumb"}
    try:
        process = subprocess.Popen(argv, env=env, stdin=follower, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        os.write(leader, answer)
        out, err = process.communicate(timeout=60)
    finally:
        os.close(leader)
        os.close(follower)
    assert (process.returncode, out) == (status, "")
    assert "cannot be undone" in err
    assert said in err
