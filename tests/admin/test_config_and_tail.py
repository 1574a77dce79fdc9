"""`gameedge admin config` and `tail`: the live policy and events, against real processes with two coordinators."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.admin.live import LiveSystem
from tests.admin.test_players import playing, until
from tests.end_to_end.processes import REGION


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSystem]:
    with LiveSystem(tmp_path_factory.mktemp("live"), edges=1, coordinators=2, fill_ms=200) as system:
        yield system


def value_of(answer: Any, key: str) -> Any:
    return next(entry["value"] for entry in answer["keys"] if entry["key"] == key)


def test_a_change_is_versioned_checked_and_reaches_everybody(live: LiveSystem) -> None:
    before = live.told("config", "get")
    assert (before["version"]["number"], value_of(before, "deny_regions"), value_of(before, "fill_ms")) == (0, [], None)
    words = ("set", 'region_cost_ms={"test-1": 12.5}', "deny_regions=mars,venus", "fill_ms=700", "--note", "[b]why[/]")
    made = live.told("config", *words)
    assert made["version"]["number"] == 1
    assert made["version"]["who"] == "operator_token"
    assert made["changed"] == {
        "region_cost_ms": [None, {"test-1": 12.5}],
        "deny_regions": [None, ["mars", "venus"]],
        "fill_ms": [None, 700],
    }
    assert any("mars" in warning for warning in made["warnings"])

    other = live.made.coordinators[1].address["url"]
    assert value_of(live.told("config", "get", url=other), "region_cost_ms") == {"test-1": 12.5}
    guest = live.sign_up("payer")
    cost = until(lambda: live.do(guest.place(mode="duel")).why[REGION]["cost_ms"])
    assert cost == 12.5

    live.told("config", "set", "fill_ms=0", "--unset", "deny_regions")
    assert live.told("config", "get", "fill_ms")["keys"] == [{"key": "fill_ms", "value": 0, "live": True}]
    diff = live.told("config", "diff", "1", "2")
    assert diff["changed"] == {"deny_regions": [["mars", "venus"], None], "fill_ms": [700, 0]}
    back = live.told("config", "rollback", "1")
    assert (back["version"]["number"], back["version"]["back_to"]) == (3, 1)
    versions = live.told("config", "history")["versions"]
    assert [version["number"] for version in versions] == [3, 2, 1]
    assert versions[-1]["note"] == "[b]why[/]"
    for words in (("get",), ("history",), ("diff", "0"), ("rollback", "0")):
        shown = live.admin("config", *words)
        assert shown.exit_code == 0, shown.output
        assert "\x1b" not in shown.stdout
    assert "[b]why[/]" in live.admin("config", "history").stdout


def test_edge_processes_follow_and_a_queue_is_filled_accordingly(live: LiveSystem) -> None:
    live.told("config", "set", "fill_ms=0")  # nobody is completed with NPCs now
    time.sleep(1.0)
    alone = live.play("alone")
    until(
        lambda: sum(one["queue"]["tickets"] for one in live.told("queue", "show", "--mode", "duel")["queues"])
    )  # silent for a moment: none
    said = live.told("queue", "explain", alone.player)["explained"]
    assert said["ticket"]
    assert "t_" in live.admin("queue", "explain", alone.player).stdout
    time.sleep(1.0)
    assert alone.match == ""
    live.told("config", "set", "--unset", "fill_ms")
    until(lambda: alone.match)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("set", "nothing=1"), 6, "keys are"),
        (("set", "fill_ms=soon"), 6, "fill_ms"),
        (("set", "fill_ms=-1"), 6, "fill_ms"),
        (("set", "npc_level=11"), 6, "npc_level"),
        (("set", 'region_cost_ms={"eu": 5000}'), 6, "region_cost_ms"),
        (("set", "deny_regions=../x"), 6, "no name of a region"),
        (("set", f"deny_regions={REGION}"), 6, "leave no region"),
        (("set", "allow_regions=mars", "pin_region=venus"), 6, "pin_region"),
        (("set", "residency=[1]"), 6, "residency"),
        (("set", "fill_ms"), 2, "KEY=VALUE"),
        (("set",), 2, "nothing to change"),
        (("set", "fill_ms=1", "--expected", "99"), 6, "is the newest"),
        (("get", "nothing"), 2, "keys are"),
        (("rollback", "999"), 5, "no version 999"),
        (("diff", "999"), 5, "no version 999"),
    ],
)
def test_what_is_not_valid_is_refused_and_changes_nothing(live: LiveSystem, words: tuple[str, ...], status: int, said: str) -> None:
    before = live.told("config", "get")
    refused = live.admin("config", *words)
    assert (refused.exit_code, refused.stdout) == (status, ""), refused.output
    assert said in refused.stderr
    assert live.told("config", "get") == before


def test_only_owners_change_the_policy(live: LiveSystem) -> None:
    operator = live.told("tokens", "issue", "ann", "operator")["token"]
    assert live.admin("config", "get", token=operator).exit_code == 0
    assert live.admin("config", "set", "fill_ms=1", token=operator).exit_code == 4
    assert live.admin("config", "rollback", "0", token=operator).exit_code == 4


def test_events_as_they_happen(live: LiveSystem) -> None:
    """On the coordinator that does not do it: it is told."""
    kinds: dict[str, Any] = {}
    other = live.made.coordinators[1].address["url"]
    with live.started("tail", "--json", "--kind", "placement", "--kind", "match", "--kind", "operator", url=other) as following:
        live.heard(following)
        person = playing(live, "[red]Tim")
        live.admin("players", "kick", person.player, "--reason", "seen")
        while not {"placement placed", "match began", "operator kick"} <= kinds.keys():
            event = following.line()
            kinds[f"{event['kind']} {event['what']}"] = event
    assert kinds["placement placed"]["player"] == person.player
    assert kinds["operator kick"]["fields"]["reason"] == "seen"
    assert kinds["operator kick"]["by"].startswith("coordinator-")
    kept = live.admin("tail", "--since-start", "--for", "0.3", "--player", person.player).stdout
    assert "placed" in kept
    assert "kick" in kept
    assert "came" not in kept
    assert live.admin("tail", "--kind", "nonsense", "--for", "0.1").exit_code == 6
    viewer = live.told("tokens", "issue", "vic", "viewer")["token"]
    seen = live.admin("tail", "--since-start", "--for", "0.3", "--json", token=viewer).stdout
    assert "placement" in seen
    assert '"operator"' not in seen  # as little as the audit log
    assert live.admin("tail", "--kind", "operator", "--for", "0.1", token=viewer).exit_code == 4


def test_a_token_that_ends_ends_a_tail(live: LiveSystem) -> None:
    given = live.told("tokens", "issue", "short", "viewer", "--hours", "0.002")["token"]  # 7.2 s
    with live.started("tail", "--kind", "flag", token=given) as following:
        status, said = following.ended()
    assert status == 4
    assert "not allowed" in said


@pytest.mark.slow
def test_a_process_that_dies_is_told(live: LiveSystem) -> None:
    with live.started("tail", "--json", "--kind", "process", "--kind", "operator") as following:
        live.heard(following)
        live.do(live.made.edges[0].child.kill())
        gone = following.line()
        assert (gone["region"], gone["edge"]) == (REGION, "e0")
        assert gone["what"] in ("gone", "doubtful")
        live.do(live.made.edges[0].start(), 120)
        while gone["what"] not in ("came", "well"):
            gone = following.line()


@pytest.mark.slow
def test_a_tail_goes_on_over_a_restart(live: LiveSystem) -> None:
    with live.started("tail", "--json", "--kind", "operator") as following:
        live.heard(following)
        coordinator = live.made.coordinators[0]
        live.do(coordinator.child.kill())
        live.do(coordinator.start(), 60)
        until(lambda: live.admin("config", "get").exit_code == 0)
        live.told("tokens", "issue", "after", "viewer")
        while following.line()["fields"]["given_to"] != "after":
            pass  # marks of before
