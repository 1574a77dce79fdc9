"""`gameedge admin doctor` on a real deployment: green while all is well, and each part that is killed is named with what to do."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gameedge.admin import checks, checks_local, found
from gameedge.config import EdgeConfig, Listen
from gameedge.local import toml
from tests.admin.live import LiveSystem
from tests.admin.test_players import until
from tests.end_to_end.processes import OPERATOR, REGION


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSystem]:
    with LiveSystem(tmp_path_factory.mktemp("live"), edges=1) as system:
        yield system


def files(live: LiveSystem) -> list[str]:
    return [word for name in ("coordinator-0", "edge-0") for word in ("--config", str(live.made.folder / f"{name}.toml"))]


def faults(live: LiveSystem, *more: str, **how: Any) -> list[dict[str, str]]:
    result = live.admin("doctor", *(more or files(live)), "--json", **how)
    answer = json.loads(result.stdout)
    wrong = [finding for finding in answer["findings"] if finding["level"] == "fault"]
    assert result.exit_code == (1 if wrong else 0)
    assert answer["ok"] is not bool(wrong)
    assert all(finding["do"] for finding in wrong)
    return wrong


def named(findings: list[dict[str, str]]) -> set[tuple[str, str]]:
    return {(finding["check"], finding["subject"]) for finding in findings}


def test_all_is_well(live: LiveSystem) -> None:
    until(lambda: not faults(live))
    shown = live.admin("doctor", "--all", *files(live))
    assert shown.exit_code == 0
    checked = {finding["check"] for finding in json.loads(live.admin("doctor", "--json", *files(live)).stdout)["findings"]}
    wanted = {
        "store",
        "broker",
        "coordinator",
        "keys",
        "clock",
        "version",
        "port",
        "gpu",
        "files",
        "models",
        "token",
        "process",
        "python",
        "config",
    }
    assert wanted <= checked
    assert "0 faults" in shown.stdout


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("redis", {("store", f"store of {REGION}"), ("process", f"{REGION}/e0")}),
        ("global_redis", {("store", "global store"), ("coordinator", "coordinator")}),
        ("broker", {("broker", "broker"), ("coordinator", "coordinator")}),
    ],
)
def test_a_server_that_is_killed_is_named(live: LiveSystem, part: str, expected: set[tuple[str, str]]) -> None:
    server = getattr(live.made, part)
    live.do(server.kill())
    try:
        until(lambda: expected <= named(faults(live)))
    finally:
        live.do(server.restart(), 60)
    until(lambda: not faults(live))


def test_an_edge_that_is_killed_is_named(live: LiveSystem) -> None:
    live.do(live.made.edges[0].child.kill())
    try:
        wrong = until(lambda: [one for one in faults(live) if (one["check"], one["subject"]) == ("process", f"{REGION}/e0")])
        assert "start it" in wrong[0]["do"]
    finally:
        live.do(live.made.edges[0].start(), 120)
    until(lambda: not faults(live))


def test_a_coordinator_that_is_killed_is_named(live: LiveSystem) -> None:
    url = live.made.url
    live.do(live.made.coordinators[0].child.kill())
    try:
        assert ("coordinator", "coordinator") in named(faults(live, url=url))
    finally:
        live.do(live.made.coordinators[0].start(), 60)
    until(lambda: not faults(live))


def test_wrong_tokens_keys_files_and_artifacts(live: LiveSystem, tmp_path: Path) -> None:
    assert ("token", live.made.url) in named(faults(live, token="wrong"))
    base = EdgeConfig(
        region=REGION,
        edge="e0",
        redis=live.made.redis.url,
        bus=live.made.broker.url,
        token_keys=["A" * 43],
        npc_model="nobody-000000000000",
    )
    wrong = tmp_path / "edge.toml"
    wrong.write_text(toml.dumps(base), "utf-8")
    found_wrong = faults(live, "--config", str(wrong))
    assert {("keys", f"{REGION}/e0"), ("models", f"{REGION}/e0")} <= named(found_wrong)
    for text, about in (("region = ", "not TOML"), ('region = "x"\nnothing = 1\n', "nothing"), ("", "redis")):
        broken = tmp_path / "broken.toml"
        broken.write_text(text, "utf-8")
        (fault,) = [one for one in faults(live, "--config", str(broken)) if one["check"] == "config"]
        assert about in fault["found"] or about == "not TOML"
    assert ("config", str(tmp_path / "none.toml")) in named(faults(live, "--config", str(tmp_path / "none.toml")))


def test_certificates_clocks_limits_and_rules(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate", "utf-8")
    assert checks_local.certificates([("a", Listen(certificate=str(bad), key=str(bad)))])[0].level == "fault"
    assert [checks.clock("x", ahead).level for ahead in (100.0, -5_000.0, 60_000.0)] == ["ok", "warning", "fault"]
    config = EdgeConfig(
        region="a", edge="b", redis="memory://", bus="memory://", token_keys=[], connections_max=50_000_000, match_rules=str(bad)
    )
    assert checks_local.files([("a/b", config)], {})[0].level == "warning"
    assert checks_local.rules([("a/b", config)])[0].level == "fault"
    bad.chmod(0o644)
    assert checks_local.secrets_of([str(bad)])[0].level == "warning"
    assert checks.version("x", "0.0.0").level == "warning"


def test_what_up_left_word_of_is_found_and_only_that(live: LiveSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setenv("GAMEEDGE_RUN", str(tmp_path))
    assert found.default_target("") == (found.DEFAULT_URL, "")
    config = str(live.made.folder / "edge-0.toml")
    part = found.Part(name="edge-0", kind="edge", pid=live.made.edges[0].child.pid, config=config)
    gone = found.Part(name="bots", kind="bots", pid=2**22 + 1, log="bots.log")
    running = found.Running(
        pid=os.getpid(), started_ms=1, folder=str(tmp_path), url=live.made.url, token=OPERATOR, version="x", parts=[part, gone]
    )
    with found.left_word(running):
        (path,) = tmp_path.glob("up-*.json")
        assert path.stat().st_mode & 0o077 == 0
        assert found.default_target("") == (live.made.url, OPERATOR)
        assert found.default_target("http://elsewhere") == (found.DEFAULT_URL, "") or found.default_target("http://elsewhere")[1] == ""
        from typer.testing import CliRunner

        from gameedge.admin.cli import app

        env = {"GAMEEDGE_RUN": str(tmp_path), "GAMEEDGE_URL": "", "GAMEEDGE_TOKEN": ""}
        assert CliRunner().invoke(app, ["status"], env=env).exit_code == 0  # nothing was given
        result = CliRunner().invoke(app, ["doctor", "--json"], env=env)
        wrong = [one for one in json.loads(result.stdout)["findings"] if one["level"] == "fault"]
        assert named(wrong) == {("child", "bots")}
        assert "bots.log" in wrong[0]["do"]
        path.chmod(0o644)  # others could have written or read it: not trusted
        assert found.deployments() == []
        path.chmod(0o600)
        path.write_bytes(b"\xff{")
        assert found.deployments() == []
    assert list(tmp_path.glob("up-*.json")) == []
