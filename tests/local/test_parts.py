"""The parts of `gameedge up` that decide without starting anything."""

import io
import json
import os
import tempfile
import tomllib
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from gameedge.bus.payloads import EdgeReport, Quantiles, Verdict
from gameedge.config import CoordinatorConfig, EdgeConfig, Listen, load
from gameedge.coordinator.schemas.world import CoordinatorStatus, EdgeStatus, RegionStatus, Status, VerdictView
from gameedge.core.errors import ConfigError
from gameedge.core.ids import is_name
from gameedge.local import deployment, summary, toml, up, view
from gameedge.local.child import ChildError, ChildProcess
from gameedge.local.cli import duration_s
from gameedge.local.deployment import Plan, check_plan, own_folder
from gameedge.local.picture import FAULTS_MAX, Picture, Spread
from gameedge.local.regions import REGIONS


def status(*edges: EdgeStatus, applied: int = 0, name: str = "c1") -> Status:
    region = RegionStatus(region="eu", title="Frankfurt [bold]", latitude=1, longitude=2, draining=False, revision=0, edges=list(edges))
    coordinator = CoordinatorStatus(
        name=name, version="1", started_ms=1, now_ms=2, bus_online=True, store_ms=0.1, placements=0, accounts=0, dropped={}
    )
    return Status(regions=[region], players=0, matches=0, results_applied=applied, verdicts=0, coordinator=coordinator)


def edge(*, started_ms: int = 1, online: bool = True, **figures: object) -> EdgeStatus:
    report = msgspec.convert({"at_ms": 1, **figures}, EdgeReport)
    return EdgeStatus(
        edge="e1", online=online, doubt="", draining=False, url="ws://x", admin_url="", version="1",
        started_ms=started_ms, age_ms=1, report=report,
    )  # fmt: skip


def flag(player: str, rule: str = "aim") -> VerdictView:
    verdict = Verdict(flag=f"f{player}", player=player, match="m", at_ms=1, rule=rule, score=9.5, reasons=["[red]too[/red] good"])
    return VerdictView(region="eu", verdict=verdict)


def bots(**more: object) -> dict[str, object]:
    return {"t": "bots", "players": 4, "connected": 3, "input_to_snapshot_ms": {"p50": 80.0, "p99": 190.0, "count": 9}, **more}


def test_config_files_read_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    for config in (
        EdgeConfig(region="eu", edge="e1", region_title='q"\\\té\x7f', redis="r", bus="b", token_keys=["a", "b"], latitude=-1.5, demo=True),
        CoordinatorConfig(redis="r", bus="b", listen=Listen(port=1234), operator_token="x"),
        CoordinatorConfig(redis="r", bus="b", residency={"EU, only": ["eu-1"], 'a."b': []}, region_cost_ms={"eu-1": 2.5}),
    ):
        path.write_text(toml.dumps(config), "utf-8")
        assert load(path, type(config)) == config
        assert set(tomllib.loads(path.read_text("utf-8"))) == set(type(config).__struct_fields__)


def test_regions_are_distinct_and_may_be_named() -> None:
    assert len({region.name for region in REGIONS}) == len(REGIONS) >= 12
    assert all(is_name(region.name) and -90 <= region.lat <= 90 and -180 <= region.lon <= 180 for region in REGIONS)


@pytest.mark.parametrize(("text", "expected"), [("30s", 30.0), ("500ms", 0.5), ("5m", 300.0), ("1h", 3600.0), ("2", 2.0), ("1.5s", 1.5)])
def test_durations(text: str, expected: float) -> None:
    assert duration_s(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "s", "-1s", "0s", "1d", "1 s", "nan", "1e9s"])
def test_durations_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--for"):
        duration_s(text)


@pytest.mark.parametrize(
    ("plan", "option"),
    [
        (Plan(regions=0), "--regions 0: 1 to 12"),
        (Plan(regions=13), "--regions 13"),
        (Plan(edges_per_region=0), "--edges-per-region"),
        (Plan(bots=-1), "--bots"),
        (Plan(game="examples.tag:TagGame"), "--game examples.tag:TagGame: the bots play"),
        (Plan(bots=10**6), "--bots"),
        (Plan(cheaters=1.5), "--cheaters"),
        (Plan(cheaters=float("nan")), "--cheaters"),
        (Plan(cheats="homing recordings"), "--cheats 'homing recordings': kinds"),
        (Plan(cheats="homing:-1"), "--cheats"),
    ],
)
def test_plans_that_cannot_work_name_the_option(plan: Plan, option: str) -> None:
    with pytest.raises(ConfigError, match=option):
        check_plan(plan)


def test_bots_without_the_harness_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gameedge.local.deployment.has_bots", lambda: False)
    check_plan(Plan(bots=0))
    with pytest.raises(ConfigError, match="--bots 0"):
        check_plan(Plan(bots=1))


def test_a_folder_belongs_to_one_deployment(tmp_path: Path) -> None:
    with own_folder(tmp_path / "d"), pytest.raises(ConfigError, match="another"), own_folder(tmp_path / "d"):
        pass
    with own_folder(tmp_path / "d"):
        pass


def test_counters_survive_restarts_of_processes_and_coordinators() -> None:
    picture = Picture()
    picture.hear_status(status(edge(started_ms=1, matches_started=5, npc_actions=100, errors=1), applied=4), 0.0)
    picture.hear_status(status(edge(started_ms=2, matches_started=2, npc_actions=50), applied=1, name="c2"), 2.0)
    picture.hear_status(status(edge(started_ms=2, matches_started=3, npc_actions=60), applied=2, name="c2"), 2.1)
    assert picture.total("matches_started") == 8
    assert picture.total("npc_actions") == 160
    assert picture.results_applied == 6
    assert picture.npc_rate["eu"] == pytest.approx(25.0)
    assert picture.errors == 1


def test_the_summary_counts_who_was_flagged_and_who_deserved_it() -> None:
    picture = Picture()
    picture.hear_bots(bots(cheaters={"a": "aimbot", "b": "aimbot", "c": "speedhack"}, errors=2, last_errors=["bot 1: lost"]))
    picture.hear_bots(bots(t="summary", connected=1, errors=2, last_errors=["bot 1: lost"]))
    picture.hear_verdicts([flag("a"), flag("a"), flag("honest")])
    picture.hear_status(status(edge(matches_started=7, matches_finished=6, tick_lateness_ms={"p50": 1.0, "p99": 4.0})), 0.0)
    picture.fault("edge died\nlast lines")
    lateness = Spread(*picture.lateness())
    built = summary.build(picture, Plan(), started_s=1.234, played_s=9.0, outbox_left=0, lateness=lateness)
    assert built["cheaters"] == 3
    assert built["cheaters_flagged"] == 1
    assert built["innocents_flagged"] == 1
    assert built["cheaters_by_kind"] == {"aimbot": {"players": 2, "flagged": 1}, "speedhack": {"players": 1, "flagged": 0}}
    assert built["players_connected"] == 3
    assert built["errors"] == 3
    assert built["error_details"] == ["edge died\nlast lines", "bot 1: lost"]
    assert built["tick_lateness_ms"] == {"p50": 1.0, "p99": 4.0}
    assert built["input_to_snapshot_ms"] == {"p50": 80.0, "p99": 190.0}
    wanted = {
        "regions", "players_connected", "matches_started", "matches_finished", "results_applied", "npc_actions", "cheaters",
        "cheaters_flagged", "innocents_flagged", "input_to_snapshot_ms", "tick_lateness_ms", "placement_ms", "queue_wait_ms",
        "errors", "error_details", "started_s", "machine",
    }  # fmt: skip
    assert wanted <= set(built)
    assert json.loads(json.dumps(built)) == built
    assert any("errors 3" in line for line in view.closing(built))


def test_a_summary_file_is_whole_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "s.json"
    summary.write(path, {"a": 1})
    assert json.loads(path.read_text("utf-8")) == {"a": 1}
    assert [found.name for found in path.parent.iterdir()] == ["s.json"]


def test_what_bots_say_wrongly_is_a_fault_and_bounded() -> None:
    picture = Picture()
    picture.hear_bots({"no": "t"})
    picture.hear_bots({"t": "bots", "players": "many"})
    picture.hear_bots({"t": "something else"})
    assert picture.bots is None
    assert picture.errors == 2
    for _ in range(FAULTS_MAX * 2):
        picture.fault("x")
    assert len(picture.faults) == FAULTS_MAX
    assert picture.errors == 2 + FAULTS_MAX * 2


def test_the_view_shows_regions_flags_and_who_cheats_and_trusts_no_markup() -> None:
    picture = Picture()
    picture.hear_status(
        status(edge(players=12, matches=3, npcs=9, flags=2, tick_busy=0.5, queued={"duel": 4}), edge(online=False, players=99)), 0.0
    )
    picture.hear_bots(bots(cheaters={"p_cheat": "aimbot"}))
    picture.hear_verdicts([flag("p_cheat"), flag("p_honest")])
    picture.note("edge died [bold]")
    console = Console(file=io.StringIO(), width=200, record=True)
    console.print(view.screen(picture, {"API": "http://127.0.0.1:1"}, 5.0))
    text = console.export_text()
    row = next(line for line in text.splitlines() if "Frankfurt [bold]" in line)
    assert row.split()[3:6] == ["12", "3", "4"]
    assert "aimbot" in text
    assert "innocent" in text
    assert "[red]too[/red] good" in text
    assert "http://127.0.0.1:1" in text
    line = view.line(picture, 5.0)
    assert "cheaters flagged 1/1" in line
    assert "innocents 1" in line
    assert "\n" not in line


def test_an_empty_picture_can_be_shown() -> None:
    Console(file=io.StringIO()).print(view.screen(Picture(), {}, 0.0))
    assert "players 0" in view.line(Picture(), 0.0)
    assert Picture().lateness() == (0.0, 0.0)
    assert Quantiles() == Quantiles(p50=0.0, p99=0.0)


def test_a_pool_that_two_processes_see_is_one_pool() -> None:
    picture = Picture()
    picture.hear_status(status(edge(queued={"duel": 5, "squads": 2}), edge(queued={"duel": 5, "squads": 2})), 1.0)
    console = Console(file=io.StringIO(), width=200)
    console.print(view.screen(picture, {}, 1.0))
    row = next(line for line in console.file.getvalue().splitlines() if "Frankfurt" in line)  # type: ignore[attr-defined]
    assert "  7  " in row
    assert "14" not in row


async def test_a_child_whose_log_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    child = ChildProcess("store", ["true"], log=tmp_path / "file" / "store.log")
    with pytest.raises(ChildError, match=r"store: its log .* cannot be written"):
        await child.start()


async def test_a_start_that_is_refused_leaves_no_folder_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> None:
        raise ConfigError("no Redis: install it")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(deployment, "redis_server", none)
    with pytest.raises(ConfigError, match="no Redis"):
        await up.run(up.Options(plan=Plan(bots=0)))
    assert os.listdir(tmp_path) == []
