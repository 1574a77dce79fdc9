"""Training's parts (rewards, calibration, checkpoints, classifier) and what the shipped policy's results promise."""

import json
from pathlib import Path

import numpy as np
import pytest

from gameedge.arena import world as at
from gameedge.arena.arena import Arena
from gameedge.core.game import Seat
from gameedge.core.npc.style import LEVEL_MAX, STYLE_COUNT, STYLES
from gameedge.inference.artifacts import load
from models.npc import build, human, rewards, styles

RESULTS = Path(build.__file__).parent / "results.json"


def situation(**figures: float) -> np.ndarray:
    """A dull place: nobody near, between the middle and the edge, standing in sight of somebody."""
    base = {"ENEMY": 40.0, "ALLY": 30.0, "MIDDLE": 20.0, "EDGE": 15.0, "SEEN": 1.0, "BEHIND": 0.5}
    out = np.zeros(rewards.SITUATION, np.float32)
    for name, value in (base | figures).items():
        out[getattr(rewards, name)] = value
    return out


LIKED = {
    "aggressive": situation(ENEMY=3.0, SPEED=5.0),
    "careful": situation(ENEMY=30.0, SEEN=0.0),
    "flanker": situation(EDGE=28.0, MIDDLE=29.0, SPEED=6.0, TRAVEL=5.5, ENEMY=15.0, BEHIND=1.0),
    "guardian": situation(MIDDLE=5.0, EDGE=4.0),
    "roamer": situation(SPEED=6.0, TRAVEL=5.8),
    "sniper": situation(ENEMY=28.0, SEES=1.0),
    "support": situation(ALLY=6.0, FRONT=-4.0),
    "swarm": situation(ALLY=1.2, MATES=3.0, ENEMY=6.0),
}


@pytest.mark.parametrize("style", STYLES)
def test_each_style_likes_its_own_situation_most(style: str) -> None:
    index = STYLES.index(style)
    worth = {name: rewards.liking(place, index) for name, place in LIKED.items()}
    assert max(worth, key=lambda name: worth[name]) == style
    assert 0.8 < worth[style] <= 1.0
    assert 0.0 <= rewards.liking(situation(), index) < 0.6


def test_a_situation_is_what_is_seen_on_the_map() -> None:
    arena = Arena(matches_max=1, entities_max=10)
    slot = arena.open_match("squads", 3, [Seat(seat // 5, None, 5, "roamer") for seat in range(10)])
    world = arena._world
    rows = world.rows[slot, :10]
    world.f[at.X, rows], world.f[at.Y, rows] = 2.0, 2.0 + 6.0 * np.arange(10)
    for seat, (x, y) in {0: (40.0, 40.0), 1: (40.0, 42.0), 5: (46.0, 40.0)}.items():
        world.f[at.X, rows[seat]], world.f[at.Y, rows[seat]] = x, y
    world.f[at.DX, rows[5]], world.f[at.DY, rows[5]] = 1.0, 0.0  # looks away
    world.f[at.VX, rows[0]], world.f[at.VY, rows[0]] = 3.0, 4.0
    out = np.zeros(rewards.SITUATION, np.float32)
    rewards.situate(world, slot, rows[0], out)
    assert out[rewards.ENEMY] == pytest.approx(6.0)
    assert out[rewards.ALLY] == pytest.approx(2.0)
    assert out[rewards.MATES] == 1.0
    assert out[rewards.FRONT] == pytest.approx(np.hypot(6.0, 2.0) - 6.0, abs=1e-5)
    assert out[rewards.MIDDLE] == pytest.approx(np.hypot(8.0, 8.0))
    assert out[rewards.EDGE] == pytest.approx(8.0)
    assert out[rewards.SPEED] == pytest.approx(5.0)
    assert out[rewards.BEHIND] == pytest.approx(1.0)
    world.n[at.ALIVE, rows[1]] = 0
    rewards.situate(world, slot, rows[0], out)
    assert out[rewards.ALLY] > 20.0


def test_calibration_finds_each_styles_handicaps() -> None:
    """Duels drawn from known curves, each style 30 Elo apart or so: the table must win what its labels say."""
    rng = np.random.default_rng(4)
    offset = np.linspace(-0.25, 0.25, STYLE_COUNT)

    def share(style: np.ndarray, handicap: np.ndarray) -> np.ndarray:
        root = np.sqrt(handicap)
        return 1.0 / (1.0 + np.exp(-(3.6 - 5.0 * root - 2.0 * root**2 + offset[style])))

    style = np.repeat(np.arange(STYLE_COUNT), 60 * LEVEL_MAX)
    handicap = rng.uniform(0.0, 1.0, len(style)).astype(np.float32) ** 2
    points = (rng.random(len(style)) < share(style, handicap)).astype(np.float64)
    solution = build.fit(build.Duels(style, handicap, points))
    table = build.inverted(solution, np.zeros(LEVEL_MAX))
    assert (np.diff(table, axis=1) <= 0).all()
    won = share(np.arange(STYLE_COUNT)[:, None], table)
    assert np.abs(won.mean(axis=0) - build.LABELS).max() < 0.03
    assert np.abs(won - build.LABELS).max() < 0.08


def test_the_classifier_names_what_differs_and_guesses_what_does_not() -> None:
    rng = np.random.default_rng(5)
    kinds = np.repeat(np.arange(STYLE_COUNT), 100)
    maps, ranges = np.zeros((STYLE_COUNT, 1, 1)), np.zeros((STYLE_COUNT, 1))

    def drawn(apart: float) -> styles.Behaviour:
        return styles.Behaviour(rng.normal(size=(800, 10)) + apart * np.eye(10)[kinds], kinds, maps, ranges)

    apart, confusion = styles.classify(drawn(4.0), drawn(4.0), team=False)
    assert apart > 0.95
    assert confusion.sum(axis=1) == pytest.approx(np.ones(STYLE_COUNT))
    assert styles.classify(drawn(0.0), drawn(0.0), team=False)[0] < 0.25
    one, squad = (styles.classify(drawn(1.5), drawn(1.5), team=team)[0] for team in (False, True))
    assert one < squad


def test_the_area_under_the_curve() -> None:
    assert human.auc(np.array([3.0, 4.0]), np.array([1.0, 2.0])) == 1.0
    assert human.auc(np.array([1.0, 2.0]), np.array([1.0, 2.0])) == 0.5
    assert human.auc(np.array([0.0]), np.array([1.0, 2.0])) == 0.0


def test_results_are_of_the_shipped_artifact() -> None:
    found = json.loads(RESULTS.read_text())
    artifact = load("npc")
    assert found["artifact"] == artifact.id
    assert found["training"] == json.loads(artifact.metadata["counters"])
    table = np.array(json.loads(artifact.metadata["levels"]))
    assert (np.diff(table, axis=1) <= 0).all()  # a higher level is never more handicapped


def test_the_discriminator_rewards_what_gives_a_style_away() -> None:
    torch = pytest.importorskip("torch")
    from models.npc.discriminator import Discriminator

    rng = np.random.default_rng(6)
    told = Discriminator(3)
    kinds = torch.from_numpy(rng.integers(STYLE_COUNT, size=(8, 64)).astype(np.int32))
    places = torch.from_numpy(np.stack(list(LIKED.values())))[kinds.long()]
    alive = torch.ones(8, 64)
    alive[:, 0] = 0.0
    for _ in range(150):
        told.learn(places, kinds, alive)
    assert told.right > 0.95
    kinds[:, 1] = (kinds[:, 1] + 1) % STYLE_COUNT  # these are where another style belongs
    bonus = told.bonus(places, kinds, alive)
    assert bonus.sum() == pytest.approx(0.0, abs=1e-3)
    assert (bonus[:, 1] < 0).all()
    assert (bonus[:, 2:] > 0).all()
    assert (bonus[:, 0] == 0).all()


def test_a_run_that_was_cut_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from models.npc.league import Mix
    from models.npc.train import Settings, Trainer

    made = Settings(horizon=4, minibatch=16, snapshot_every=1, steps=4_000, shape=((0.0, 1.0),))
    first, second = (Trainer(made, Mix(2, 1, 1, 1), "cpu") for _ in range(2))
    for _ in range(3):
        first.advance()
    first.curve.append({"cpu_s": 1.0, "wins": 0.5})
    first.save(tmp_path / "npc.safetensors")
    second.load(tmp_path / "npc.safetensors")
    for a, b in zip(first.net.parameters(), second.net.parameters(), strict=True):
        assert torch.equal(a, b)
        assert torch.equal(first.optimiser.state[a]["exp_avg"], second.optimiser.state[b]["exp_avg"])
    for a, b in zip(first.discriminator.net.parameters(), second.discriminator.net.parameters(), strict=True):
        assert torch.equal(a, b)
    assert (second.updates, second.steps, second.curve) == (3, first.steps, first.curve)
    assert second.progress == first.progress > 0.0
    assert len(second.past) == 3
    assert all(np.array_equal(a, b) for one, two in zip(first.past, second.past, strict=True) for a, b in zip(one, two, strict=True))
    second.advance()
    assert second.updates == 4
