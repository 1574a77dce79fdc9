"""`gameedge match`: the commands that docs/matchmaking.md shows, and what they make of damaged input."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gameedge.admin.match import app
from gameedge.core.errors import ConfigError

ROOT = Path(__file__).parent.parent.parent
RULES = "[modes.duel]\nteams = 2\nteam_size = 1\nskill = { window = 5 }\n"


def run(*words: str) -> Result:
    result = CliRunner().invoke(app, list(words), prog_name="gameedge match")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def replay(folder: Path, lines: list[object], rules: str = RULES, *more: str) -> tuple[list[dict[str, Any]], dict[str, Any], Result]:
    (folder / "r.toml").write_text(rules)
    (folder / "t.jsonl").write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    out = folder / "out.jsonl"
    result = run("simulate", "--rules", str(folder / "r.toml"), "--tickets", str(folder / "t.jsonl"), "--json", str(out), *more)
    found = [json.loads(line) for line in out.read_text().splitlines()]
    return found[:-1], found[-1]["summary"], result


def one(name: str, at: int = 0, **fields: object) -> dict[str, object]:
    return {"id": name, "at_ms": at, "mode": "duel", "rating": 25.0} | fields


def test_a_match_as_a_line_and_a_summary_last(tmp_path: Path) -> None:
    matches, summary, result = replay(tmp_path, [one("a", 100), one("b", 400), one("c", 500, rating=99)])
    assert matches == [
        {
            "match": "m1",
            "at_ms": 400,
            "region": None,
            "teams": [["a"], ["b"]],
            "quality": 1.0,
            "waits_ms": [300, 0],
            "mode": "duel",
        }
    ]
    assert (summary["tickets"], summary["matched"], summary["violations"]) == (3, 2, 0)
    [left] = summary["unmatched"]
    assert left["id"] == "c"
    assert "too few ever fit" in left["reason"]
    assert result.exit_code == 0
    assert "2 of 3 people matched in 1 matches" in result.stderr
    assert "c waited" in result.stderr


def test_damaged_lines_are_named_and_the_others_play(tmp_path: Path) -> None:
    lines: list[object] = [
        one("a"),
        "{not json",
        "[1]",
        one("", 1),
        one("x", -5),
        {"id": "y", "at_ms": "soon", "mode": "duel"},
        one("z", mode="chess"),
        one("a", 3),
        one("w", 3, rating="high"),
        one("v", 3, rtt_ms={"eu": "near"}),
        one("u", 3, attributes={"k": {"nested": 1}}),
        one("b", 5),
    ]
    matches, summary, result = replay(tmp_path, lines)
    assert [m["teams"] for m in matches] == [[["a"], ["b"]]]
    assert sorted(int(re.match(r"line (\d+): ", text)[1]) for text in summary["errors"]) == [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]  # type: ignore[index]
    assert result.exit_code == 1
    assert "line 2: not JSON" in result.output


def test_nan_ratings_count_as_newcomers_and_clocks_never_go_back(tmp_path: Path) -> None:
    line = '{"id": "n", "at_ms": 900, "mode": "duel", "rating": NaN}'
    matches, summary, result = replay(tmp_path, [one("a", 1_000), line, one("h", 1_100, rating=10**400), one("i", 1_100)])
    assert [m["teams"] for m in matches] == [[["a"], ["n"]], [["h"], ["i"]]]
    assert matches[0]["at_ms"] == 1_000
    assert len(summary["warnings"]) == 3
    assert result.exit_code == 0


@pytest.mark.parametrize("form", ["name", "number", "list"])
def test_parties_in_all_forms_stay_together(tmp_path: Path, form: str) -> None:
    rules = "[modes.duel]\nteams = 2\nteam_size = 2\nskill = { window = 5 }\n"
    if form == "number":
        lines: list[object] = [one("a", party=2), one("c", 10), one("d", 20), one("big", 30, party=3)]
    else:
        party = "p" if form == "name" else ["a", "b"]
        lines = [one("a", party=party), one("b", 5, party=party), one("c", 10), one("d", 20), one("big", 30, party="q", party_size=3)]
    [match], summary, _ = replay(tmp_path, lines, rules)
    assert [sorted(team) for team in match["teams"]] == [["a"] if form == "number" else ["a", "b"], ["c", "d"]]
    [left] = summary["unmatched"]
    assert left["id"] == "big"
    assert ("larger than a team" if form == "number" else "1 of 3 members") in left["reason"]


def test_a_shadow_is_compared_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "wide.toml").write_text(RULES.replace("window = 5", "window = 100"))
    lines: list[object] = [one("a"), one("b", 10), one("c", 20, rating=60), one("d", 30, rating=90)]
    plain, _, _ = replay(tmp_path, lines)
    matches, summary, _ = replay(tmp_path, lines, RULES, "--shadow", str(tmp_path / "wide.toml"))
    assert matches == plain
    assert summary["shadow"]["matched_more"] == 2
    assert summary["shadow"]["same_matches"] == 1


def test_the_same_arrivals_give_the_same_bytes(tmp_path: Path) -> None:
    words = ("simulate", "--rules", str(ROOT / "examples/matchmaking/squads.toml"), "--tickets")
    for name in ("1", "2"):
        assert run(*words, str(ROOT / "examples/matchmaking/evening.jsonl"), "--json", str(tmp_path / name)).exit_code == 0
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_rules_that_cannot_be_read_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        run("check", "--rules", str(tmp_path / "none.toml"))
    (tmp_path / "bad.toml").write_text("[modes.duel]\nteams = 2\nteam_size = 1\nskil = 3")
    with pytest.raises(ConfigError, match=r"bad\.toml: modes\.duel: unknown key `skil`"):
        run("check", "--rules", str(tmp_path / "bad.toml"))


def test_every_command_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each `gameedge match ...` line of docs/matchmaking.md, in the checkout, with its output elsewhere."""
    page = (ROOT / "docs" / "matchmaking.md").read_text("utf-8")
    commands = re.findall(r"^    gameedge match (.+)$", page, re.MULTILINE)
    assert len(commands) >= 4
    monkeypatch.chdir(ROOT)
    for i, command in enumerate(commands):
        words = shlex.split(command, comments=True)
        if "--json" in words:
            at = words.index("--json") + 1
            words[at] = str(tmp_path / f"{i}.jsonl")
        assert run(*words).exit_code == 0, command
        if "--json" in words:
            last = json.loads((tmp_path / f"{i}.jsonl").read_text().splitlines()[-1])["summary"]
            assert last["matches"] > 0
            assert last["violations"] == 0


def test_every_toml_block_of_the_page_is_a_rule_file(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "matchmaking.md").read_text("utf-8")
    blocks = re.findall(r"```toml\n(.+?)```", page, re.DOTALL)
    assert blocks
    for i, block in enumerate(blocks):
        path = tmp_path / f"{i}.toml"
        path.write_text(block)
        assert run("check", "--rules", str(path)).exit_code == 0
