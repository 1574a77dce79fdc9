"""score-aim: its form, its refusals, and that it tells machines from movement; paste and calibration; real people where they are."""

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from gameedge.core.anticheat import accumulate, aim
from gameedge.core.anticheat.stream import STREAM_COUNT
from gameedge.inference.artifacts import load_aim
from models.anticheat import calibrate, careers, evaluate_aim, evaluate_arena, mouse, paste, plain, plots, real, recurrent, score, train


def hands(n: int, seed: int = 0) -> np.ndarray:
    """Movements like a hand's, float32 [n, real.FINE, 2]: two overlapping bumps of speed, a bow, tremor."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 1, real.FINE)[None, :, None]
    far = np.exp(rng.uniform(np.log(100), np.log(500), n))[:, None, None]
    at, width = rng.uniform(0.45, 0.7, (n, 1, 1)), rng.uniform(0.05, 0.09, (n, 1, 1))
    done = 0.85 / (1 + np.exp(-(t - at) / width)) + 0.15 / (1 + np.exp(-(t - at - 0.2) / 0.03))
    angle = rng.uniform(0, 2 * np.pi, (n, 1))
    away = np.stack([np.cos(angle), np.sin(angle)], -1) * far * (1 - done)
    path = away + np.cumsum(rng.normal(0, 0.15, (n, real.FINE, 2)), axis=1)
    return (path - path[:, -1:]).astype(np.float32)


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "models.anticheat", *words], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("hz", mouse.RATES)
def test_score_aim_from_file_to_file(tmp_path: Path, hz: int) -> None:
    rng = np.random.default_rng(1)
    person = paste.shots(hands(300), hz, mouse.samples_of(hz), rng)
    snapped, usable = paste.paste("snap", hands(300, 1), rng)
    machine = paste.shots(snapped[usable], hz, mouse.samples_of(hz), rng)
    source, target = tmp_path / "in.npz", tmp_path / "out.npz"
    np.savez(source, paths=np.concatenate([person, machine]), hz=hz)
    found = score.score_file(source, target)
    with np.load(target) as out:
        assert out.files == ["score"]
        values = out["score"]
    assert values.dtype == np.float32
    assert values.shape == (found,)
    assert np.isfinite(values).all()
    above = (values[300:, None] > values[None, :300]).mean()
    assert above > 0.7  # of pairs of a machine's and a hand's; these hands are made too, and look a little like it


def test_the_command(tmp_path: Path) -> None:
    source, target = tmp_path / "in.npz", tmp_path / "out.npz"
    np.savez(source, paths=paste.shots(hands(5), 30, 30, np.random.default_rng(0)), hz=np.int64(30))
    assert run("score-aim", str(source), str(target)).returncode == 0
    assert target.exists()
    np.savez(source, paths=np.full((2, 30, 2), np.nan), hz=30)
    bad = run("score-aim", str(source), str(target))
    assert bad.returncode == 1
    assert "finite" in bad.stderr
    assert "Traceback" not in bad.stderr


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"paths": np.zeros((2, 30, 2), np.float32)}, "missing hz"),
        ({"hz": 30}, "missing paths"),
        ({"paths": np.zeros((2, 30), np.float32), "hz": 30}, "[N, T, 2]"),
        ({"paths": np.zeros((2, 30, 3), np.float32), "hz": 30}, "[N, T, 2]"),
        ({"paths": np.zeros((2, 3, 2), np.float32), "hz": 30}, "4 to 4096 samples"),
        ({"paths": np.zeros((2, 30, 2), np.float32), "hz": 25}, "20, 30, 60"),
        ({"paths": np.zeros((2, 30, 2), np.float32), "hz": [30, 30]}, "20, 30, 60"),
        ({"paths": np.array([["a"]]), "hz": 30}, "float32"),
        ({"paths": np.full((3, 30, 2), np.inf, np.float32), "hz": 30}, "the first is row 0"),
    ],
)
def test_bad_input_gets_a_clear_error(tmp_path: Path, given: dict[str, object], words: str) -> None:
    np.savez(tmp_path / "in.npz", **given)  # type: ignore[arg-type]
    with pytest.raises(score.InputError) as error:
        score.score_file(tmp_path / "in.npz", tmp_path / "out.npz")
    assert words in str(error.value)
    (tmp_path / "no.npz").write_bytes(b"no zip at all")
    with pytest.raises(score.InputError):
        score.score_file(tmp_path / "no.npz", tmp_path / "out.npz")


def test_nobody_to_score_is_no_fault_and_short_paths_are_taken() -> None:
    assert score.score(np.zeros((0, 30, 2), np.float32), 30).shape == (0,)
    assert np.isfinite(score.score(np.zeros((3, 4, 2), np.float32), 60)).all()  # never moved


def test_scores_do_not_depend_on_place_or_direction() -> None:
    rng = np.random.default_rng(2)
    paths = paste.shots(hands(40, 3), 30, 30, rng)
    plain = score.score(paths, 30)
    turned = np.stack([-paths[..., 1], paths[..., 0]], -1) + np.float32(37.0)
    assert score.score(turned, 30) == pytest.approx(plain, abs=0.02)


@pytest.mark.parametrize("hz", mouse.RATES)
def test_a_shot_is_scored_alike_alone_and_in_a_crowd(hz: int) -> None:
    paths = paste.shots(hands(60, 4), hz, mouse.samples_of(hz), np.random.default_rng(3))
    together = score.score(paths, hz)
    alone = np.concatenate([score.score(paths[k : k + 1], hz) for k in range(8)])
    assert alone == pytest.approx(together[:8], abs=1e-3)
    assert score.score(np.concatenate([paths] * 40), hz)[-60:] == pytest.approx(together, abs=1e-3)


def test_what_came_long_before_the_shot_is_not_looked_at() -> None:
    paths = paste.shots(hands(20, 6), 30, 48, np.random.default_rng(3))
    assert score.score(paths, 30) == pytest.approx(score.score(paths[:, -mouse.samples_of(30) :], 30), abs=1e-4)


def test_fewer_samples_are_as_if_the_rest_were_unknown() -> None:
    paths = paste.shots(hands(20, 7), 30, 32, np.random.default_rng(3))
    short = mouse.views(paths[:, -12:], 30)
    cut = mouse.views(paths, 30, np.full(20, 12))
    assert short[0] == pytest.approx(cut[0], abs=1e-4)
    assert short[1] == pytest.approx(cut[1], abs=1e-4)


def test_recording_again_stays_near_and_ends_where_it_ended() -> None:
    base = hands(50, 8)
    found = paste.recorded(base, np.random.default_rng(1))
    assert found[:, -1] == pytest.approx(np.round(base[:, -1]))
    assert np.median(np.hypot(*np.moveaxis(found - base, 2, 0))) < 2.0


def test_plain_machines_leave_the_person_and_arrive() -> None:
    rng = np.random.default_rng(2)
    paths = paste.shots(hands(80, 9), 30, 32, rng).astype(np.float64)
    for family in plain.FAMILIES:
        found = plain.pasted(family, paths, 30, rng, elsewhere=True)
        assert len(found) > 20
        assert np.isfinite(found).all()
        assert np.median(np.hypot(*found[:, -1].T)) < 15.0


def test_where_time_runs_back_another_recording_begins(tmp_path: Path) -> None:
    rows = ["user,session_min,t_ms,state,button,x,y"]
    for part in range(2):
        rows += [f"1,1,{90_000 * (1 - part) + 10 * k},{'Pressed' if k == 299 else 'Move'},Left,{k + 7 * part},5" for k in range(300)]
    file = tmp_path / "aim.csv.gz"
    file.write_bytes(gzip.compress("\n".join(rows).encode()))
    assert [len(data) for _, data in real.recordings(file)] == [300, 300]
    found = real.clicks(range(1, 2), file)
    assert found is not None
    assert len(found.user) == 2
    assert found.path[0] == pytest.approx(found.path[1])
    assert real.clicks(range(1, 2), tmp_path / "none") is None


@pytest.mark.parametrize("family", paste.FAMILIES + paste.EXTRA)
def test_pasted_machines_begin_as_the_person_and_end_on_the_target(family: str) -> None:
    base = hands(200, 5)
    paths, usable = paste.paste(family, base, np.random.default_rng(6), base)
    assert usable.mean() > 0.8
    assert np.isfinite(paths).all()
    end = np.hypot(*paths[usable, -1].T)
    assert np.median(end) < (25.0 if family == "magnet" else 15.0)  # a magnet but helps
    assert np.hypot(*paths[usable, 0].T).mean() > 50.0


def innocents_of(rates: np.ndarray, blocks: int, rng: np.random.Generator) -> calibrate.Found:
    """Blocks of people who score above `-log(q)` with the rate `q` times their own of `rates`, a cell alone."""
    who = np.repeat(np.arange(len(rates)), blocks)
    n = len(who)
    mean = -np.log(np.clip(rng.random(n) / rates[who], 1e-9, None))
    cell = {"label": 0, "cohort": 0, "row": calibrate.WITH_TICKS[0]}
    return {"who": who, "mean": mean, "tick": np.arange(n)} | {name: np.full(n, value) for name, value in cell.items()}


def test_people_who_differ_get_a_safer_null() -> None:
    rng = np.random.default_rng(7)
    who = np.repeat(np.arange(300), 60)
    rates = rng.gamma(0.5, 2.0, 300)
    assert calibrate.spread(rng.random(len(who)) < 0.05 * rates[who], who) == pytest.approx(2.0, rel=0.4)
    alike, unlike = (innocents_of(rates, 100, rng) for rates in (np.ones(500), rng.gamma(2.0, 0.5, 500)))
    safe, wide = (calibrate.null(found, calibrate.WITH_TICKS)[0][0, calibrate.WITH_TICKS[0]] for found in (alike, unlike))
    # Whoever exceeds three times as often as the average still has valid p-values, which the null of people who are alike does not offer.
    third, tails = 3.0, np.array(aim.TAILS[3:9])
    assert (third * np.exp(-wide[3:9]) <= tails).all()
    assert (third * np.exp(-safe[3:9]) > tails).all()


def test_how_people_differ_is_measured_where_the_threshold_is() -> None:
    """One in twenty people scores high a tenth of the time: at common thresholds hardly anything of it shows."""
    rng = np.random.default_rng(8)
    found = innocents_of(np.ones(600), 100, rng)
    odd = (found["who"] % 20 == 0) & (rng.random(len(found["who"])) < 0.1)
    found["mean"][odd] = 20.0 + rng.random(int(odd.sum()))
    p = calibrate.p_values(found, calibrate.null(found, calibrate.WITH_TICKS)[0])
    assert (p[found["who"] % 20 == 0] <= 0.05).mean() <= 0.05


def test_stretches_are_found_as_they_were_drawn() -> None:
    rng = np.random.default_rng(9)
    rates = np.repeat(rng.gamma(1.0, 1.0, (400, 24)), 10, axis=1).ravel()
    who = np.repeat(np.arange(400), 240)
    variance, blocks = calibrate.lingering(rng.random(len(who)) < 0.1 * rates, who, 0.0)
    assert variance == pytest.approx(0.9, rel=0.25)  # of neighbours, one in ten of whom are of two stretches
    assert 6 <= blocks <= 15
    assert calibrate.lingering(rng.random(len(who)) < 0.1, who, 0.0)[0] < 0.1


def test_careers_of_played_sessions() -> None:
    rng = np.random.default_rng(10)
    tails = np.array([1.0, *aim.TAILS])
    who = np.repeat(np.arange(200), 100)
    fair = tails[np.searchsorted(-tails, -rng.random(len(who)), side="right") - 1]
    assert careers.replayed(fair, who, 500, blocks=20_000)["ever_review"] <= 0.02
    # One session in twenty is a machine's: whoever plays for long meets it.
    assert careers.replayed(np.where(who % 20 == 0, 0.005, fair), who, 500, blocks=20_000)["ever_review"] > 0.95
    wealth = accumulate.Wealth()
    top = max(wealth.bet(float(value)) for value in fair[:100])
    again = careers.replayed(fair[:100], who[:100], 1, blocks=100)
    assert again["highest_wealth"] == pytest.approx(np.exp(top), abs=0.006)


def test_an_artifacts_name_does_not_hang_on_the_order_of_its_metadata() -> None:
    tensors = {"a": np.arange(3, dtype=np.float32)}
    parts = [train.ordered(safetensors.numpy.save(tensors, dict.fromkeys(names, "1"))) for names in ("xyz", "zyx", "yzx")]
    assert len(set(parts)) == 1
    assert (safetensors.numpy.load(parts[0])["a"] == tensors["a"]).all()


def test_careers_of_people_who_are_all_alike_stay_under_villes_bound() -> None:
    found = careers.simulate(np.array(aim.TAILS), 0.0, 2_000, worse=0, blocks=10_000)
    shares = dict(found["curve"])
    assert all(share <= 1.0 / wealth + 0.02 for wealth, share in shares.items())
    assert found["ever_review"] <= 0.01
    assert found["ever_ban"] == 0.0
    assert found["ever_ban_at_most"] == 0.0015  # what none of 2,000 says


def test_a_career_is_what_the_watch_would_make_of_the_same_blocks() -> None:
    """Peaks of the kernel against `accumulate.Wealth` over p-values drawn in another way: the same distribution."""
    rng, tails = np.random.default_rng(11), np.array([1.0, *aim.TAILS])
    found = careers.simulate(np.array(aim.TAILS), 0.0, 400, worse=0, blocks=400)
    peaks = []
    for _ in range(400):
        wealth = accumulate.Wealth()
        p = tails[np.searchsorted(-tails, -rng.random(400), side="right") - 1]
        peaks.append(max(wealth.bet(float(value)) for value in p))
    for level, share in found["curve"][:4]:
        assert share == pytest.approx(float((np.array(peaks) >= np.log(level)).mean()), abs=0.08)


def test_careers_break_where_people_are_worse_than_said() -> None:
    """What the stress is for: three times the rates said is no longer safe, and the report says so."""
    args = {"worse": 0, "blocks": 50_000}
    said = np.array(aim.TAILS)
    assert careers.simulate(said, 0.0, 200, **args)["ever_review"] < 0.02
    assert careers.simulate(np.minimum(3.0 * said, 1.0), 0.0, 200, **args)["ever_review"] > 0.5
    form = careers._play(np.array([1.0, *aim.TAILS]), careers.Crowd(form=4.0, stretch=25), 200, 50_000, 1)[0]
    even = careers._play(np.array([1.0, *aim.TAILS]), careers.Crowd(), 200, 50_000, 1)[0]
    assert np.median(form) > np.median(even)


def test_the_shipped_model_has_a_null_for_every_cohort() -> None:
    null = load_aim().null
    assert null.shape == (aim.COHORTS, aim.BLOCK_COUNTS, len(aim.TAILS))
    assert (null[:, :, 3] < calibrate.SCORE_TOP).all()
    assert accumulate.p_value(null, 0, 1, -50.0) == 1.0
    assert accumulate.p_value(null, 0, 1, 30.0) < 0.05


def test_the_way_back_through_the_ticks_is_the_slope_of_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recurrent, "NEXT", 0.0)  # its loss is not part of the one that is returned
    rng = np.random.default_rng(0)
    tensors = {name: tensor.astype(np.float64) for name, tensor in recurrent.begin(rng).items()}
    tensors["s_wo"] *= 10.0
    x, ticks, kind, weight = rng.normal(size=(7, 5, STREAM_COUNT)), np.array([7, 7, 3, 5, 7]), np.array([0, 1, 0, 3, 2]), np.ones(5)
    _, slopes = recurrent._gradients(tensors, x, x, ticks, kind, weight)
    for name in ("s_wx", "s_wh", "s_b", "s_wo"):
        at = np.unravel_index(int(np.abs(slopes[name]).argmax()), slopes[name].shape)
        losses = []
        for step in (0.01, -0.02):
            tensors[name][at] += step
            losses.append(recurrent._gradients(tensors, x, x, ticks, kind, weight)[0])
        tensors[name][at] += 0.01
        assert (losses[0] - losses[1]) / 0.02 == pytest.approx(float(slopes[name][at]), rel=0.05)


def test_p_values_of_the_innocents_that_made_the_null_are_valid_for_each_cohort_and_kind() -> None:
    rng = np.random.default_rng(1)
    n = 60_000
    found = {
        "who": np.repeat(np.arange(600), 100),
        "label": np.zeros(n, np.int64),
        "cohort": rng.integers(0, aim.COHORTS, n),
        "row": rng.choice(list(calibrate.WITH_TICKS), n),
        "mean": rng.normal(size=n),
        "tick": np.arange(n),
    }
    table, factors = calibrate.null(found, calibrate.WITH_TICKS)
    assert min(factors) >= 1.0
    p = calibrate.p_values(found, table)
    for tail in aim.TAILS:
        assert (p <= tail).mean() <= tail + 1e-3
    i = int(p.argmin())
    again = accumulate.p_value(
        table, int(found["cohort"][i]), int(found["row"][i]) - aim.SHOT_COUNTS, float(found["mean"][i]), streamed=True
    )
    assert again == p[i]


def test_a_chart_is_an_svg(tmp_path: Path) -> None:
    plots.lines(tmp_path / "a.svg", "<t>", plots.Axis("x", 1, 100, log=True), plots.Axis("y", 0, 1), {"one": [(1, 0), (50, 0.5)]})
    assert "&lt;t&gt;" in (tmp_path / "a.svg").read_text()


FLOORS = {"snap": 0.6, "smooth": 0.6, "minjerk": 0.55, "wind": 0.4}  # known of others: .96 / .76 / .58 / .16 on their machines


@pytest.mark.skipif(not real.FILE.exists(), reason="recorded people (shared/data/aim) are not beside this checkout")
def test_recorded_people_whom_training_has_not_seen_beat_the_floor() -> None:
    clicks = real.clicks(real.VALIDATE_USERS)
    assert clicks is not None
    innocents, found = evaluate_aim.scored(score.load_mouse(), clicks, 30, tuple(FLOORS), 8)
    for family, floor in FLOORS.items():
        assert evaluate_aim.share(found[family], innocents, 1e-3) > floor


def test_odds_that_are_calibrated_say_how_often() -> None:
    rng = np.random.default_rng(6)
    y = rng.random(40_000) < 0.3
    x = rng.normal(np.where(y, 1.0, -1.0), 1.0)  # the true log odds of even numbers are 2 x
    found = {"mean": x, "label": y.astype(np.int64)}
    given, said = calibrate.odds(found).tolist()
    assert said == sorted(said)
    fitted = calibrate.calibrated(x, given, said)
    inside = np.abs(x) < 1.5
    assert np.abs(fitted - 2.0 * x)[inside].mean() < 0.2
    assert evaluate_arena.calibration({"mean": fitted, "label": found["label"]}) < 0.01
    model = aim.AimModel.blank()
    model.odds[0][:], model.odds[1][:] = given, said
    again = [model.calibrated(float(value)) for value in x[:200]]
    assert again == pytest.approx(fitted[:200].tolist())


def test_thresholds_rest_on_as_many_innocents_as_there_are() -> None:
    def player(label: str, top: float) -> dict[str, object]:
        return {"label": label, "logs": np.array([0.0, top]), "strict": np.zeros(2), "s": np.array([1.0, 2.0])}

    people = {k: player("human", k / 1000.0) for k in range(1000)}
    machines = {2000 + k: player("snap", 0.9985 + k / 100.0) for k in range(4)}
    found = evaluate_arena.after_60_s(machines, people)
    assert found["innocents_above_at_0.01"] == 10
    assert found["innocents_above_at_0.001"] == 1
    assert found["innocents_above_at_0.0001"] == 0
    assert found["tpr_at_0.001"]["snap"] == 1.0
    assert found["tpr_at_0.0001"]["snap"] == 0.75
    assert found["tpr_at_wealth_100"]["all"] == 0.0
