"""Rules are read, checked, and named where they are wrong."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gameedge.core.errors import ConfigError
from gameedge.core.game import ModeSpec
from gameedge.core.matchmaking import rules, widening

HEAD = "[modes.squads]\nteams = 2\nteam_size = 5\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("modes = 3", "modes: Expected"),
        ("version = 2\n" + HEAD, "version"),
        ("[modes]\n", "modes"),
        ("[modes.Squads]\nteams = 1", "modes.Squads: a mode's name"),
        ("nonsense", "not TOML"),
        (HEAD + "sizes = 3", "modes.squads: unknown key `sizes`"),
        (HEAD + "skill = { windo = 3 }", "modes.squads.skill: unknown key `windo`"),
        (HEAD + "skill = {}", "modes.squads.skill: missing key `window`"),
        (HEAD + 'skill = { window = "wide" }', "modes.squads.skill.window: a limit is a number"),
        (HEAD + "skill = { window = -1 }", "skill.window: values must be numbers of 0 or more"),
        (HEAD + "skill = { window = nan }", "skill.window: values must be numbers of 0 or more"),
        (HEAD + "skill = { window = { steps = [[0, 9], [5, 3]] } }", "skill.window: values must not fall"),
        (HEAD + "skill = { window = { steps = [[5, 9]] } }", "skill.window: starts at age 5"),
        (HEAD + "skill = { window = { curve = [[0, 9], [0, 10]] } }", "skill.window: ages must"),
        (HEAD + "skill = { window = { curve = [[0, 9], [10, inf]] } }", "skill.window: inf stands in steps"),
        (HEAD + "skill = { window = { steps = [[0, 9], [700_000, 10]] } }", "is never reached"),
        (HEAD + "skill = { window = { start = 9, per_s = 1, max = 3 } }", "do not widen"),
        (HEAD + '[[modes.squads.distance]]\nattribute = "x"\nwindow = true', "modes.squads.distance[0].window"),
        (HEAD + 'latency = { limit_ms = 80, party = "best" }', "modes.squads.latency.party"),
        (HEAD + f"skill = {{ window = 1{'0' * 400} }}", "skill.window: a number has too many digits"),
        (HEAD + f"skill = {{ window = {{ steps = [[0, 1], [1{'0' * 400}, 2]] }} }}", "skill.window: a number has too many digits"),
        (HEAD + "skill = { window = 4.0, default = nan }", "skill.default: Expected `float`"),
        (HEAD + "skill = { window = 4.0, scale = inf }", "skill.scale: Expected `float`"),
        (HEAD + '[[modes.squads.distance]]\nattribute = "x"\nwindow = 1\nmissing = nan', "distance[0].missing: Expected `float`"),
    ],
)
def test_a_wrong_key_is_named(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as error:
        rules.load(text, name="r.toml")
    assert says in str(error.value)
    assert str(error.value).startswith("r.toml: ")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[modes.a]\nteams = 2", "team_size: can never match: it is not given"),
        ("[modes.a]\nteams = 30\nteam_size = 30", "900 seats"),
        (HEAD + "party_sizes = [6]", "party_sizes[0]: can never match: no party of 6"),
        (HEAD + "party_sizes = [2, 4]", "never add up to a team of 5"),
        (HEAD + "roles = { tank = 1, healer = 1 }", "roles: can never match: they add up to 2, a team has 5"),
        (HEAD + "latency = { limit_ms = 0 }", "latency.limit_ms: can never match"),
        (HEAD + 'latency = { limit_ms = 9, regions = ["a", "a"] }', "named twice"),
        (HEAD + "timeout_ms = 5_000\nfill_ms = 6_000", "fill_ms: can never match: tickets end after 5000 ms"),
        (HEAD + "npc_fill = false\nfill_ms = 6_000", "fill_ms: can never match"),
        (HEAD + 'timeout_ms = 5_000\n[[modes.squads.equal]]\nattribute = "x"\nrelax_ms = 5_000', "equal[0].relax_ms"),
        (HEAD + '[[modes.squads.equal]]\nattribute = "x"\n[[modes.squads.overlap]]\nattribute = "x"', "is a set in overlap"),
        (HEAD + "balance = { gap_max = 3 }", "there is no rule skill"),
        (HEAD + "skill = { window = 9, default = 9, bound = 5 }", "skill.default"),
    ],
)
def test_rules_that_can_never_match_are_refused_with_the_reason(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as error:
        rules.load(text)
    assert says in str(error.value)
    assert "can never match" in str(error.value)


def test_sizes_come_from_the_game_and_must_agree_with_it() -> None:
    modes = {"squads": ModeSpec("squads", teams=2, team_size=5, duration_ms=1)}
    found = rules.load("[modes.squads]", modes)["squads"]
    assert (found.teams, found.team_size) == (2, 5)
    with pytest.raises(ConfigError, match="the game's mode has 2"):
        rules.load("[modes.squads]\nteams = 3", modes)
    with pytest.raises(ConfigError, match="no such mode"):
        rules.load("[modes.duel]", modes)


def test_twos_and_threes_add_up_to_five() -> None:
    assert rules.load(HEAD + "party_sizes = [2, 3]")["squads"].party_sizes == [2, 3]


@st.composite
def limits_(draw: st.DrawFn) -> widening.Widening:
    ages = sorted(draw(st.sets(st.integers(1, 60_000), max_size=5)))
    values = sorted(draw(st.lists(st.integers(0, 1_000), min_size=len(ages) + 1, max_size=len(ages) + 1)))
    return widening.Widening([0.0, *map(float, ages)], [float(v) for v in values], stepped=draw(st.booleans()))


@given(limit=limits_(), need=st.integers(0, 1_200))
def test_the_age_at_which_a_limit_is_enough_is_the_first(limit: widening.Widening, need: int) -> None:
    age = float(limit.age_when(np.array([float(need)]))[0])
    grid = np.arange(0.0, 60_001.0, 50.0)
    enough = limit.at(grid) >= need
    if age == np.inf:
        assert not enough.any()
        return
    assert limit.at(np.array([age + 1e-6]))[0] >= need - 1e-6
    assert not enough[grid < age - 1e-6].any()


def test_forms_of_a_limit() -> None:
    ages = np.array([-5.0, 0.0, 999.0, 1_000.0, 5_000.0])
    steps = widening.parse({"steps": [[0, 1], [1_000, float("inf")]]})
    assert steps.at(ages).tolist() == [1, 1, 1, widening.NO_LIMIT, widening.NO_LIMIT]
    assert widening.parse({"curve": [[0, 1], [1_000, 3]]}).at(np.array([500.0]))[0] == 2
    assert widening.parse({"start": 1, "per_s": 2, "max": 5}).at(ages).tolist() == [1, 1, 2.998, 3, 5]
    assert widening.parse(7).at(ages).tolist() == [7] * 5
    assert widening.parse({"start": 1, "per_s": 1e-3, "max": 1e9}).values[-1] == pytest.approx(1.6)
    assert steps.next_step_ms(0) == 1_000
    assert steps.next_step_ms(1_000) is None


def test_rules_from_another_region_are_refused_and_never_raise_anything_else() -> None:
    for text in (b"", b"\xff", b"[" * 100_000, b'{"teams":2,"team_size":1,"skill":{"window":1' + b"0" * 400 + b"}}"):
        with pytest.raises(ConfigError):
            rules.from_json(text)
