"""Train the arena's aim model: `python -m models.anticheat.train`. numpy only; the network takes seconds, the crowds minutes.

Three sets of crowds that share no player: to train on, to calibrate the null on, and (evaluate.py) to test on.
"""

import argparse
import json
from pathlib import Path
from time import perf_counter

import numpy as np
import safetensors.numpy

from gameedge.core.anticheat import aim
from gameedge.core.anticheat import features as figures
from gameedge.core.anticheat.accumulate import UNSTEADY
from gameedge.inference.artifacts import file_name, load_aim
from models.anticheat import calibrate, mlp, recurrent
from models.anticheat.data import CLASS_OF as CLASS_OF
from models.anticheat.data import Blocks, Crowds, Job, Shots, collect

WEIGHTS = Path(__file__).resolve().parent.parent / "weights"
KEEP = Path(__file__).resolve().parents[2] / ".gameedge" / "anticheat"
SEED = 20_260
HIDDEN = (96, 48)
EPOCHS = 40
BATCH = 512
STREAM_EPOCHS = 10
ATTACKED_EPOCHS = 3
TRIES = 8  # machines that an attacker who may query scores has to choose from
TRAIN_JOBS = [Job(seed, honest=0.4) for seed in (*range(1, 17), *range(101, 149))]
FUSE_JOBS = [Job(seed, honest=0.4) for seed in (21, 22)]
ODDS_JOBS = [Job(seed, honest=0.5) for seed in (31, 32, 33)]
# Longer than the others: a career is lived with all that is remembered of a player, of which there is nothing at first.
NULL_JOBS = [Job(seed, seconds=180.0, honest=1.0) for seed in range(201, 217)]


def fit(shots: Shots, leave_out: str | None = None, epochs: int = EPOCHS, seed: int = SEED) -> dict[str, np.ndarray]:
    """The network's tensors. leave_out: a class of aim.CLASSES that training does not see."""
    rng = np.random.default_rng(seed)
    if leave_out is not None:
        shots = shots.take(np.flatnonzero(shots.kind != aim.CLASSES.index(leave_out)))
    mean, scale = mlp.standard(shots.figures)
    x = np.clip((shots.figures - mean) * scale, -aim.CLIP, aim.CLIP)
    count = np.maximum(np.bincount(shots.kind, minlength=len(aim.CLASSES)), 1)
    prior = np.array([0.5] + [0.5 / (len(aim.CLASSES) - 1)] * (len(aim.CLASSES) - 1))
    weight = (prior / count * len(x)).astype(np.float32)
    tensors = mlp.begin(rng, (x.shape[1], *HIDDEN, len(aim.CLASSES)))

    def batches(_: int):  # type: ignore[no-untyped-def]
        order = rng.permutation(len(x))
        for at in range(0, len(order) - BATCH + 1, BATCH):
            rows = order[at : at + BATCH]
            yield x[rows], shots.kind[rows], weight[shots.kind[rows]]

    mlp.fit(tensors, batches, epochs, rng, rate=2e-3, decay=0.05, dropout=0.2)
    # Rounded: what is saved does not hang on the last bits of a machine's sums.
    tensors = {name: np.round(tensor, 4).astype(np.float32) for name, tensor in tensors.items()}
    tensors |= {"mean": np.round(mean, 4), "scale": np.round(scale, 4)}
    people = shots.figures[shots.kind == aim.HUMAN][:, : figures.NAMED]
    tensors["usual"] = np.round(np.median(people, axis=0), 4).astype(np.float32)
    tensors["null"] = np.zeros((aim.COHORTS, aim.BLOCK_COUNTS, len(aim.TAILS)), np.float32)
    return tensors


def weights(kind: np.ndarray) -> np.ndarray:
    """Half for people, the rest for the families alike."""
    count = np.maximum(np.bincount(kind, minlength=len(aim.CLASSES)), 1)
    prior = np.array([0.5] + [0.5 / (len(aim.CLASSES) - 1)] * (len(aim.CLASSES) - 1))
    return np.asarray((prior / count * len(kind)).astype(np.float32)[kind])


def queried(blocks: Blocks, score: np.ndarray, tries: int = TRIES) -> np.ndarray:
    """How often each block's player would be met if attackers might query scores: half of the machines of each family as they are drawn,
    the other half the one with the lowest score of `tries`. float32 [N], 1 for people."""
    out = np.ones(len(score), np.float32)
    for label in np.unique(blocks.label[blocks.kind != aim.HUMAN]):
        who, of, n = np.unique(blocks.who[blocks.label == label], return_inverse=True, return_counts=True)
        mean = np.bincount(of, score[blocks.label == label]) / n
        rank = np.empty(len(who))
        rank[np.argsort(mean)] = np.arange(len(who))
        left = (len(who) - rank) / len(who)
        chosen = left**tries - (left - 1.0 / len(who)) ** tries
        out[blocks.label == label] = (0.5 + 0.5 * len(who) * chosen)[of]
    return out


def fit_stream(
    crowds: Crowds, leave_out: str | None = None, epochs: int = STREAM_EPOCHS, attacked: int = ATTACKED_EPOCHS, seed: int = SEED
) -> recurrent.Tensors:
    """The streaming unit's tensors: trained, attacked by machines that query its scores, and trained on with those that got past."""
    b = crowds.blocks
    if leave_out is not None:
        b = b.take(np.flatnonzero(b.kind != aim.CLASSES.index(leave_out)))
    x, weight = recurrent.figures_of(b), weights(b.kind)
    tensors = recurrent.fit(x, b.ticks, b.kind, weight, epochs, seed)
    met = queried(b, recurrent.scores(tensors, x, b.ticks))
    return recurrent.fit(x, b.ticks, b.kind, weight * met, attacked, seed + 1, tensors)


def fuse(tensors: dict[str, np.ndarray], crowds: Crowds, leave_out: str | None = None) -> np.ndarray:
    """How stream and shots add up to the score of a block, float32 [machines, aim.FUSE]: a logistic regression over the classes, each with
    its own evidence alone, on players that neither network has seen."""
    machines = len(aim.CLASSES) - 1
    tensors["fuse"] = np.zeros((machines, aim.FUSE), np.float32)
    tensors.setdefault("null", np.zeros((aim.COHORTS, aim.BLOCK_COUNTS, len(aim.TAILS)), np.float32))
    tensors["odds"] = np.zeros((2, aim.ODDS), np.float32)
    x, _ = calibrate.evidence(crowds, aim.AimModel.from_tensors("aim-new", tensors))
    kind = crowds.blocks.kind
    use = kind != (aim.CLASSES.index(leave_out) if leave_out is not None else -1)
    x, kind, w = x[use], kind[use], weights(kind)[use].astype(np.float64)
    w /= w.sum()
    wanted = np.eye(machines + 1)[kind]
    f = np.zeros((machines, aim.FUSE))
    f[:, 0], f[:, 1], f[:, 2] = -2.0, 0.7, 0.4
    m, v = np.zeros_like(f), np.zeros_like(f)
    for step in range(1, 801):
        z = np.concatenate([np.zeros((len(x), 1)), (x * f[None]).sum(axis=2)], axis=1)
        slope = ((mlp.shares(z) - wanted)[:, 1:, None] * x * w[:, None, None]).sum(axis=0) + 1e-4 * f
        m += 0.1 * (slope - m)
        v += 0.001 * (slope * slope - v)
        f -= 0.02 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-9)
    return np.round(f, 4).astype(np.float32)


def odds(tensors: dict[str, np.ndarray], crowds: Crowds) -> np.ndarray:
    """The curve of `AimModel.odds`, on players that nothing has seen."""
    tensors = tensors | {"odds": np.zeros((2, aim.ODDS), np.float32)}
    found = calibrate.ticks(crowds, aim.AimModel.from_tensors("aim-new", tensors))
    return calibrate.odds({name: column[found["safe"]] for name, column in found.items()})


def calibrated(tensors: dict[str, np.ndarray], innocents: Crowds) -> tuple[aim.AimModel, dict[str, list[float]]]:
    """The model with its null: of the blocks that the watch would bet on and of those on unsteady links."""
    model = aim.AimModel.from_tensors("aim-new", tensors)
    alone, used_alone = calibrate.null(calibrate.blocks(innocents.shots, model.judge(innocents.shots.figures).score), calibrate.ALONE)
    found = calibrate.ticks(innocents, model)
    use = found["safe"] | (found["cohort"] == UNSTEADY)
    ticks, used = calibrate.null({name: column[use] for name, column in found.items()}, calibrate.WITH_TICKS)
    tensors["null"] = np.concatenate([alone[:, : aim.SHOT_COUNTS], ticks[:, aim.SHOT_COUNTS :]], axis=1)
    return aim.AimModel.from_tensors("aim-new", tensors), {"inflation_shots": used_alone, "inflation_ticks": used}


def ordered(data: bytes) -> bytes:
    """A safetensors file with its metadata in order of name: the library writes them in another order each time, and the name of an
    artifact is the hash of its bytes."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def save(tensors: dict[str, np.ndarray], out: Path) -> Path:
    metadata = {
        "kind": aim.KIND,
        "version": str(aim.FEATURE_VERSION),
        "figures": ",".join(figures.NAMES),
        "classes": ",".join(aim.CLASSES),
        "seed": str(SEED),
    }
    data = ordered(safetensors.numpy.save({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, metadata))
    out.mkdir(parents=True, exist_ok=True)
    path = out / file_name("aim", data)
    for old in out.glob("aim-*.safetensors"):
        if old != path:
            old.unlink()
    path.write_bytes(data)
    return path


def networks(crowds: Crowds) -> dict[str, np.ndarray]:
    print(f"{len(crowds.shots.kind)} shots, {len(crowds.blocks.kind)} blocks", flush=True)
    return fit(crowds.shots) | fit_stream(crowds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="folder; older weights of the same name are removed")
    parser.add_argument("--keep", type=Path, default=KEEP, help="folder of crowds that were played before")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--null-only", action="store_true", help="keep the networks of the artifact there is and make the null anew")
    options = parser.parse_args()
    began = perf_counter()
    if options.null_only:
        tensors = dict(load_aim().tensors)
    else:
        tensors = networks(collect(TRAIN_JOBS, options.keep, options.processes))
        tensors["fuse"] = fuse(tensors, collect(FUSE_JOBS, options.keep, options.processes))
        tensors["odds"] = odds(tensors, collect(ODDS_JOBS, options.keep, options.processes))
    print(f"networks after {perf_counter() - began:.0f} s; fuse {tensors['fuse'].tolist()}", flush=True)
    innocents = collect(NULL_JOBS, options.keep, options.processes)
    _, used = calibrated(tensors, innocents)
    path = save(tensors, options.out)
    print(f"null of {len(innocents.blocks.kind)} blocks, {used}")
    print(f"{path.name}: {path.stat().st_size} bytes in {perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
