"""`gameedge admin players`, `matches`, `queue`, `regions` and `tokens` against real processes, Redis and broker."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gameedge.core.errors import RefusedError
from gameedge.core.ids import FlagId, MatchId, PlayerId
from gameedge.state.base import Evidence
from gameedge_client import Session, SessionLostError
from tests.admin.live import LiveSystem, Playing
from tests.end_to_end.processes import REGION

HOSTILE = ("[red]Mallory[/] <b>", "\N{SNAKE}\N{FAMILY}", "שלום עולם", "مرحبا", "a" * 32)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSystem]:
    with LiveSystem(tmp_path_factory.mktemp("live"), edges=2, fill_ms=200, game="gameedge.arena:Arena") as system:
        yield system


def until(happens: Callable[[], Any], seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := happens()):
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)
    return found


def playing(live: LiveSystem, name: str) -> Playing:
    person = live.play(name)
    until(lambda: person.match or person.gone)
    assert person.gone is None
    return person


def flag_of(live: LiveSystem, player: str, flag: str) -> None:
    evidence = Evidence(
        flag=FlagId(flag), player=PlayerId(player), match=MatchId("m"), at_ms=1_800_000_000_000, rule="gate", score=1.0, reasons=["odd"]
    )
    live.do(live.made.store.evidence_add(evidence))


def test_accounts_are_found_whatever_they_are_called(live: LiveSystem) -> None:
    ids = {name: str(live.sign_up(name).account.player) for name in HOSTILE}
    for name, player in ids.items():
        (found,) = live.told("players", "find", name[:8], "--limit", "1")["players"]
        assert (found["name"], found["player"]) == (name, player)
        shown = live.admin("players", "find", name)
        assert name.replace("\n", "") in shown.stdout.replace("\n", "") or len(name) > 20
        assert "\x1b" not in shown.stdout
        assert live.told("players", "show", player)["live"]["sessions"] == []
    assert live.told("players", "find", ids["שלום עולם"][:12])["players"][0]["name"] == "שלום עולם"
    for text in ("x" * 10_000, "nobody", "\u202egnp", "[/]"):
        assert live.told("players", "find", text)["players"] == []
    assert live.admin("players", "show", "x" * 10_000).exit_code == 6
    assert live.admin("players", "find", "").exit_code == 6


def test_a_kick_ends_the_session_wherever_it_is(live: LiveSystem) -> None:
    person = playing(live, "kicked")
    shown = live.told("players", "show", person.player)["live"]
    assert [(s["region"], s["session"]["match"]) for s in shown["sessions"]] == [(REGION, person.match)]
    assert (shown["asked"], shown["silent"]) == (2, [])
    kicked = live.told("players", "kick", person.player, "--reason", "[b]rude")
    assert len(kicked["sessions"]) == 1
    until(lambda: person.gone)
    assert "[b]rude" in str(person.gone)
    assert live.admin("players", "kick", person.player).exit_code == 5
    match = live.told("matches", "show", kicked["sessions"][0]["session"]["match"])
    (seat,) = [seat for seat in match["live"]["seats"] if seat["player"] == person.player]
    assert seat["here"] is False  # an NPC's now
    again = live.do(person.client.place(mode="duel"))  # a kick is no ban
    assert again.region == REGION


def test_a_ban_takes_effect_on_live_sessions_and_on_tokens_that_are_out(live: LiveSystem) -> None:
    person = playing(live, "banned")
    placement = live.do(person.client.place(mode="duel"))
    banned = live.told("players", "ban", person.player, "--reason", "aim")
    assert (banned["banned"], banned["told"], banned["waiting"]) == (True, [REGION], [])
    until(lambda: person.gone)
    back = Playing(person.client)
    live.do(back.live(placement.token, live.made.edge_urls(), "duel"))  # the token is good; the player is not
    assert "banned" in str(back.gone)
    assert live.told("players", "unban", person.player)["banned"] is False

    def allowed() -> bool:
        async def once() -> bool:
            try:
                async with Session(placement.token, live.made.edge_urls(), client="test"):
                    return True
            except (RefusedError, SessionLostError):
                return False

        return live.do(once())

    until(allowed)
    entries = [json.loads(entry) for entry in live.told("audit")["entries"]]
    assert {"ban", "unban"} <= {entry["action"] for entry in entries if entry.get("player") == person.player}
    assert all(entry["who"] for entry in entries)


def test_erase_leaves_nothing_and_gives_a_receipt(live: LiveSystem) -> None:
    person = playing(live, "[red]Erin")
    flag_of(live, person.player, "f_erin")
    exported = json.loads(live.admin("players", "export", person.player).stdout)
    assert exported["account"]["name"] == "[red]Erin"
    assert "secret" not in json.dumps(exported["account"])
    assert [flag["flag"] for flag in exported["evidence"]] == ["f_erin"]
    assert exported["regions"][REGION]["sessions"][0]["player"] == person.player
    assert exported["regions"][REGION]["matches"][0]["match"] == person.match
    assert exported["placement"]["region"] == REGION
    assert exported["silent"] == []

    refused = live.admin("players", "erase", person.player)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "--yes" in refused.stderr
    receipt = live.told("players", "erase", person.player, "--yes", "--reason", "asked")
    assert (receipt["complete"], receipt["waiting"], receipt["sessions_ended"]) == (True, [], 1)
    assert receipt["global_records"] >= 2
    assert receipt["regions"][REGION] >= 1
    until(lambda: person.gone)
    assert live.admin("players", "show", person.player).exit_code == 5
    assert live.told("players", "find", "[red]Erin")["players"] == []
    assert live.told("review", "list", "--player", person.player) == []
    again = live.told("players", "erase", person.player, "--yes")  # harmless
    assert (again["global_records"], again["regions"]) == (0, {REGION: 0})
    assert live.admin("players", "erase", "p_nobody", "--yes").exit_code == 5
    left = json.loads(live.admin("players", "export", person.player).stdout)
    assert (left["account"], left["ratings"], left["evidence"], left["placement"]) == (None, {}, [], None)
    assert not left["regions"][REGION]["sessions"]


def test_an_open_match_is_listed_watched_and_ended(live: LiveSystem) -> None:
    person = playing(live, "<i>Max")
    match = person.match
    listed = live.told("matches", "list", "--region", REGION)["matches"]
    assert match in [one["match"]["match"] for one in listed]
    assert "<i>Max" in live.admin("matches", "list").stdout
    assert live.told("matches", "show", match)["live"]["remaining_ms"] > 0
    shown = live.admin("matches", "show", match).stdout
    assert "its player" in shown
    assert "an NPC" in shown

    with live.started("matches", "watch", match, "--every", "0.2", "--json") as watching:
        looks = [watching.line() for _ in range(2)]
        assert live.admin("matches", "end", match).exit_code == 2  # nobody to ask, and no --yes
        stopped = live.told("matches", "end", match, "--yes", "--reason", "test")
        assert "rated for nobody" in stopped["rule"]
        looks += watching.rest()
        assert watching.ended() == (0, "")
    assert all(look["match"]["match"] == match for look in looks)
    until(lambda: person.ended)
    assert person.ended[0].reason == "stopped"
    assert live.admin("matches", "show", match).exit_code == 5
    assert live.admin("matches", "watch", match).exit_code == 5
    assert live.admin("matches", "end", match, "--yes").exit_code == 5
    profile = live.told("players", "show", person.player)
    assert profile["ratings"] == {}  # unrated
    until(lambda: person.match)  # and may queue again


def test_queues_through_the_coordinator(live: LiveSystem) -> None:
    queues = until(lambda: live.told("queue", "show", "--mode", "duel")["queues"])
    assert (queues[0]["region"], queues[0]["queue"]["mode"]) == (REGION, "duel")
    assert queues[0]["queue"]["leader"] in ("e0", "e1")
    assert "duel" in live.admin("queue", "show").stdout
    nobody = live.admin("queue", "explain", "p_nobody")
    assert nobody.exit_code == 5
    assert "does not wait" in nobody.stderr
    elsewhere = live.admin("queue", "show", "--region", "mars")
    assert elsewhere.exit_code == 5
    assert "mars" in elsewhere.stderr


def test_regions_and_tokens(live: LiveSystem) -> None:
    assert live.told("regions", "show", REGION)["region"] == REGION
    assert "processes" in live.admin("regions", "show", REGION).stdout
    assert live.admin("regions", "show", "mars").exit_code == 5
    assert live.told("me") == {"name": "operator_token", "role": "owner", "expires_ms": None}
    given = live.told("tokens", "issue", "vic", "viewer", "--hours", "1")
    assert live.told("me", token=given["token"])["role"] == "viewer"
    assert "vic" in live.admin("me", token=given["token"]).stdout
    person = live.sign_up("watched")
    player = str(person.account.player)
    for words in (("players", "kick", player), ("players", "ban", player), ("players", "erase", player, "--yes"),
                  ("players", "export", player), ("matches", "end", "m_x", "--yes"), ("regions", "drain", REGION), ("audit",),
                  ("review", "list"), ("tokens", "issue", "bo", "owner")):  # fmt: skip
        refused = live.admin(*words, token=given["token"])
        assert refused.exit_code == 4, (words, refused.output)
        assert "needs the role" in refused.stderr
    operator = live.told("tokens", "issue", "ann", "operator")["token"]
    assert live.admin("players", "erase", player, "--yes", token=operator).exit_code == 4  # an owner's
    assert live.admin("players", "ban", player, token=operator).exit_code == 0


def test_of_two_operators_the_second_hears_who_decided(live: LiveSystem) -> None:
    flag_of(live, "p_any", "f_two")
    ann, bob = (live.told("tokens", "issue", name, "operator")["token"] for name in ("ann", "bob"))
    assert [flag["flag"] for flag in live.told("review", "list", "--player", "p_any", token=ann)] == ["f_two"]
    decided = live.admin("review", "decide", "f_two", "upheld", "--region", REGION, token=ann)
    assert decided.exit_code == 0, decided.output
    late = live.admin("review", "decide", "f_two", "cleared", "--region", REGION, token=bob)
    assert late.exit_code == 6
    assert "upheld by ann" in late.stderr
    changed = live.admin("review", "decide", "f_two", "cleared", "--region", REGION, "--again", token=bob)
    assert changed.exit_code == 0
    assert live.admin("review", "show", "f_two", "--region", REGION, token=bob).exit_code == 0
    unknown = live.admin("review", "show", "f_nobody", token=bob)
    assert unknown.exit_code == 5
    assert "--region" in unknown.stderr


def test_a_token_that_ends_while_it_is_used(live: LiveSystem) -> None:
    given = live.told("tokens", "issue", "short", "viewer", "--hours", "0.001")["token"]  # 3.6 s
    assert live.admin("status", token=given).exit_code == 0
    ended = until(lambda: (found := live.admin("status", token=given)).exit_code and found)
    assert ended.exit_code == 4
    assert "expired" in ended.stderr or "ended" in ended.stderr
