"""What a client says of itself: what of it counts, and that lying does not pay."""

import pytest

from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError
from gameedge.core.matchmaking.pool import PoolArrays
from gameedge.core.matchmaking.rules import ModeRules, load
from gameedge.core.matchmaking.ticket import Ticket
from gameedge.core.matchmaking.wishes import Wish, believed

FILE = """
[modes.squads]
teams = 2
team_size = 2
blocks_max = 2
roles = { tank = 1, healer = 1 }
[[modes.squads.overlap]]
attribute = "maps"
values = ["dust", "mill"]
[[modes.squads.equal]]
attribute = "input"
[[modes.squads.distance]]
attribute = "level"
window = 5
[modes.squads.latency]
limit_ms = 80
"""
RULES = load(FILE)["squads"]


def hears(wish: Wish, rules: ModeRules = RULES, *, placed: dict[str, float] | None = None, measured: float | None = None) -> Wish:
    return believed(wish, [rules], "me", "eu", placed_ms=placed or {}, measured_ms=measured)


def test_what_rules_look_at_is_kept_and_nothing_else() -> None:
    said = Wish({"maps": ["mill"], "input": "pad", "level": 7.0, "shoe": 42.0}, ["tank"], {}, {}, ["p2", "me", "p2"])
    found = hears(said)
    assert found.attributes == {"maps": ["mill"], "input": "pad", "level": 7.0}
    assert (found.roles, found.blocks) == (["tank"], ["p2"])
    plain = hears(said, load("[modes.duel]\nteams = 2\nteam_size = 1")["duel"], placed={"eu": 5.0}, measured=6.0)
    assert (plain.attributes, plain.roles, plain.rtt_ms) == ({}, [], {}), "no rule looks at any of it"


def test_a_shadows_attributes_are_kept_beside() -> None:
    plain = load("[modes.squads]\nteams = 2\nteam_size = 2")["squads"]
    found = believed(Wish({"input": "pad"}), [plain, RULES], "me", "eu", placed_ms={"eu": 9.0}, measured_ms=None)
    assert found.attributes == {"input": "pad"}
    assert found.rtt_ms == {"eu": 9.0}


@pytest.mark.parametrize(
    ("said", "word"),
    [
        (Wish({"maps": ["dust", "moon"]}), "'moon' is none of maps: dust, mill"),
        (Wish({"maps": "moon"}), "'moon'"),
        (Wish(roles=["bard"]), "'bard' is no role"),
        (Wish(blocks=["p1", "p2", "p3"]), "at most 2"),
    ],
)
def test_what_the_mode_does_not_know_is_refused_with_what_it_takes(said: Wish, word: str) -> None:
    with pytest.raises(RefusedError, match=word) as refused:
        hears(said)
    assert refused.value.reason is Reason.UNSUPPORTED


def test_nobody_is_nearer_than_they_were_placed_by_or_than_we_measure() -> None:
    lying = Wish(rtt_ms={"eu": 1.0, "us": 1.0})
    found = hears(lying, placed={"eu": 20.0, "us": 110.0}, measured=31.5)
    assert found.rtt_ms == {"eu": 31.5, "us": 110.0}
    assert hears(Wish(rtt_ms={"us": 150.0}), placed={"eu": 20.0, "us": 110.0}).rtt_ms == {"eu": 20.0, "us": 150.0}, "further is their word"
    assert hears(Wish(), placed={"eu": 20.0}).rtt_ms == {"eu": 20.0}, "who says nothing is where the placement found them"


def test_regions_that_a_token_has_no_room_for_are_no_nearer_than_those_it_has() -> None:
    names = [f"r{number}" for number in range(limits.TOKEN_REGIONS_MAX + 2)]
    rules = load(FILE.replace("limit_ms = 80", f"limit_ms = 80\nregions = {['eu', *names]}"))["squads"]
    placed = {"eu": 300.0} | {name: 20.0 + 10.0 * at for at, name in enumerate(names[: limits.TOKEN_REGIONS_MAX - 1])}
    lying = Wish(rtt_ms={names[-1]: 1.0, names[-2]: 120.0})
    found = hears(lying, rules, placed=placed).rtt_ms
    assert (found[names[-1]], found[names[-2]]) == (80.0, 120.0)
    del placed[names[0]]  # all that are known went in
    assert hears(lying, rules, placed=placed).rtt_ms[names[-1]] == 1.0
    no_home = dict.fromkeys(names[: limits.TOKEN_REGIONS_MAX], 20.0)
    assert hears(Wish(rtt_ms={"eu": 5.0}), rules, placed=no_home).rtt_ms["eu"] == 5.0


def test_invented_regions_take_no_places() -> None:
    """A pool knows 64 regions at once: a client that invents some must not push real ones out."""
    invented = {f"atlantis-{i}": 1.0 for i in range(limits.TICKET_REGIONS_MAX)}
    found = hears(Wish(rtt_ms=invented, loss=dict.fromkeys(invented, 0.1)), placed={"eu": 20.0, "us": 110.0})
    assert (set(found.rtt_ms), found.loss) == ({"eu", "us"}, {})


def test_what_could_never_be_matched_is_known_before_it_waits() -> None:
    pool = PoolArrays(RULES)

    def problem(**said: object) -> str:
        fields: dict[str, object] = {"attributes": {"level": 3.0}, "rtt_ms": {"eu": 20.0}} | said
        return pool.problem(Ticket(id="t", player="p", session="s", edge="e", mode="squads", **fields))  # type: ignore[arg-type]

    assert problem() == ""
    assert problem(attributes={"level": 3.0, "maps": ["dust"]}) == ""
    assert "'level'" in problem(attributes={})
    assert "no region" in problem(rtt_ms={})
    assert "120 ms away" in problem(rtt_ms={"eu": 120.0})
    assert (len(pool), pool._words[0].bits, pool.blocking) == (0, {}, {}), "the scratch pool stays as it was"
