"""docs/cli.md is what the commands say, and a shell completes them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gameedge.admin import docs
from gameedge.admin.client import STATUSES

ROOT = Path(__file__).parents[2]


def test_the_page_is_up_to_date() -> None:
    assert docs.main(["--check", str(ROOT)]) == 0, "run: python -m gameedge.admin.docs"


def test_check_notices_and_writing_mends(tmp_path: Path) -> None:
    assert docs.main(["--check", str(tmp_path)]) == 1
    assert docs.main([str(tmp_path)]) == 0
    assert docs.main(["--check", str(tmp_path)]) == 0
    page = (tmp_path / "docs" / "cli.md").read_text("utf-8")
    assert all(f"| {status} | {text} |" in page for status, text in STATUSES.items())
    for words in ("players erase", "matches end", "config rollback", "queue explain", "review decide", "regions drain", "models canary"):
        assert f"### `gameedge admin {words}`" in page
    for word in ("tail", "doctor", "status", "audit"):
        assert f"## `{word}`" in page


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("gameedge admin pla", "players"),
        ("gameedge admin players ", "erase"),
        ("gameedge admin players erase --", "--yes"),
        ("gameedge u", "up"),
    ],
)
def test_a_shell_completes(words: str, expected: str) -> None:
    at = len(words.split()) - (not words.endswith(" "))
    env = {**os.environ, "COMP_WORDS": words, "COMP_CWORD": str(at), "_GAMEEDGE_COMPLETE": "complete_bash"}
    done = subprocess.run([sys.executable, "-m", "gameedge"], env=env, capture_output=True, text=True, check=True, cwd=ROOT)
    assert expected in done.stdout.split()
