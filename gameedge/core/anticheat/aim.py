"""The aim model: how much a shot looks like a person's, and like which machine, from the figures of `features`.

Method. A network of two hidden layers over standardised figures; its answers are the shares of `CLASSES`. The score of a shot is
the log odds of "some machine" against "a person". Trained by models/anticheat/train.py on the arena's bots and parametric
cheats; the same code makes the figures there and here. Beside the weights lies the `null`: what scores innocent players
reach, by cohort, from which `accumulate` has its p-values.

Reasons are measured, not guessed: a named figure is set to what is usual for people, and what the score loses by that is how
much the figure spoke (occlusion, Zeiler and Fergus 2014).

Guarantee. One row is computed like another: a shot's score has the same bits alone and in a batch, which is what lets an appeal
re-run the evidence. Not-finite input never gives a not-finite score: such shots are not `usable`.

Cost. One compiled kernel, about 6 us a shot beside the features (`python -m loadtest bench anticheat`).
"""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gameedge.core.anticheat import features as figures
from gameedge.core.anticheat import stream
from gameedge.core.anticheat.features import COUNT, NAMED, NAMES, VERSION, WORDS, Floats
from gameedge.core.errors import ArtifactError
from gameedge.core.game import GAZE_SIZE
from gameedge.core.kernel import kernel

KIND: Final = "aim-network"
FEATURE_VERSION: Final = VERSION + stream.STREAM_VERSION  # of the figures of shots and of ticks
CLASSES: Final = ("human", "snap", "smooth", "minjerk", "wind", "splice", "trigger", "macro", "esp")
HUMAN: Final = 0
TRIGGER: Final = CLASSES.index("trigger")
CLIP: Final = 6.0  # standardised figures are cut here
ODDS: Final = 16  # points of the curve that makes the score of a block calibrated odds
FUSE: Final = 5  # of a machine: bias, stream, shots, whether there are any, surprise; see AimModel.fused
COHORTS: Final = 3  # see accumulate.cohort
SHOT_COUNTS: Final = 4  # blocks of 1, 2, 3 and more shots alone
BLOCK_COUNTS: Final = SHOT_COUNTS + 3  # and blocks of ticks with 0, 1 and more shots
# Tail probabilities of the null's columns: a block that reaches column k has a p-value of at most TAILS[k].
TAILS: Final = (0.75, 0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01, 0.005, 0.003, 0.002, 0.001, 0.0005, 0.0002)


@kernel
def _forward(x: Any, mean: Any, scale: Any, w0: Any, b0: Any, w1: Any, b1: Any, w2: Any, b2: Any, shares: Any, score: Any) -> Any:
    """Row by row, inputs outside and outputs inside: vectorised without changing the order of any sum."""
    h0, h1 = np.empty(w0.shape[1], np.float32), np.empty(w1.shape[1], np.float32)
    z = np.empty(w2.shape[1], np.float32)
    for i in range(x.shape[0]):
        h0[:] = b0
        for k in range(x.shape[1]):
            value = min(max((x[i, k] - mean[k]) * scale[k], np.float32(-6.0)), np.float32(6.0))
            for j in range(h0.shape[0]):
                h0[j] += value * w0[k, j]
        h1[:] = b1
        for k in range(h0.shape[0]):
            if h0[k] > 0:
                for j in range(h1.shape[0]):
                    h1[j] += h0[k] * w1[k, j]
        z[:] = b2
        for k in range(h1.shape[0]):
            if h1[k] > 0:
                for j in range(z.shape[0]):
                    z[j] += h1[k] * w2[k, j]
        top = z.max()
        total, cheats = 0.0, 0.0
        for j in range(z.shape[0]):
            part = np.exp(np.float64(z[j] - top))
            shares[i, j] = part
            total += part
            if j > 0:
                cheats += part
        score[i] = np.log(cheats + 1e-12) - np.log(shares[i, 0] + 1e-12)
        for j in range(z.shape[0]):
            shares[i, j] /= total


@dataclass(frozen=True, slots=True)
class Scores:
    """Of N shots. `shares` float64 [N, classes]: how much each looks like each of `CLASSES`, rows sum to 1 (NaN: not usable);
    `score` float64 [N]: log odds of a machine (NaN: not usable); `figures` float32 [N, COUNT]."""

    usable: NDArray[np.bool_]
    shares: NDArray[np.float64]
    score: NDArray[np.float64]
    figures: Floats


def _log(share: float) -> float:
    return math.log(share + 1e-6)


@dataclass(frozen=True, slots=True)
class AimModel:
    """mean, scale: float32 [COUNT]; w0, b0, w1, b1, w2, b2: of the network; usual: float32 [NAMED], of people;
    null: float32 [COHORTS, BLOCK_COUNTS, len(TAILS)], the mean score of a block that is reached so rarely by innocents;
    odds: float32 [2, ODDS], what is added up of a block and the log odds that were found there, both not falling."""

    id: str
    tensors: Mapping[str, Floats]
    unit: stream.Unit
    fuse: Sequence[Sequence[float]]
    odds: tuple[list[float], list[float]]

    @staticmethod
    def shapes() -> Mapping[str, Sequence[int | None]]:
        return {
            "mean": [COUNT],
            "scale": [COUNT],
            "w0": [COUNT, None],
            "b0": [None],
            "w1": [None, None],
            "b1": [None],
            "w2": [None, len(CLASSES)],
            "b2": [len(CLASSES)],
            "usual": [NAMED],
            "null": [COHORTS, BLOCK_COUNTS, len(TAILS)],
            "fuse": [len(CLASSES) - 1, FUSE],
            "odds": [2, ODDS],
            **stream.shapes(len(CLASSES)),
        }

    @classmethod
    def from_tensors(cls, id: str, tensors: Mapping[str, NDArray[np.generic]]) -> "AimModel":
        """From an artifact whose layout was checked against `shapes`. Raises ArtifactError for values that cannot be."""
        kept = {name: np.array(tensors[name], np.float32, order="C") for name in cls.shapes()}  # writable: one compiled form
        for a, b in (("w0", "b0"), ("w1", "b1")):
            if kept[a].shape[1] != len(kept[b]) or kept["w1" if a == "w0" else "w2"].shape[0] != len(kept[b]):
                raise ArtifactError(f"{id}: expected layers that fit, found {a} {kept[a].shape} and {b} {kept[b].shape}")
        if not (np.diff(kept["null"], axis=2) >= 0).all():
            raise ArtifactError(f"{id}: expected null rows that rise, found {kept['null'].min(axis=(0, 1)).tolist()}")
        if not (np.diff(kept["odds"], axis=1) >= 0).all():
            raise ArtifactError(f"{id}: expected odds that rise, found {kept['odds'].tolist()}")
        given, said = kept["odds"].tolist()
        model = cls(id, kept, stream.Unit(kept), kept["fuse"].tolist(), (given, said))
        # Compiles the kernels, or loads them, before the first shot of a match has to wait for it.
        path, line, one = np.zeros((1, 32, 2), np.float32), np.zeros((1, 32), np.float32), np.zeros(1, np.float32)
        model.score(path, line, one, one, one, one, np.zeros(1, np.bool_), 0.5)
        model.judge_block(np.zeros((1, GAZE_SIZE), np.int16), 0.5, -1.0, -1.0)
        return model

    @classmethod
    def blank(cls) -> "AimModel":
        """A model that knows nothing, for warming up and for tests: every shot is as likely a machine's as a person's."""
        sizes = {"w0": (COUNT, 2), "b0": (2,), "w1": (2, 2), "b1": (2,), "w2": (2, len(CLASSES)), "b2": (len(CLASSES),)}
        sizes |= {name: tuple(size or 0 for size in shape) for name, shape in stream.shapes(len(CLASSES)).items()}
        sizes |= {"fuse": (len(CLASSES) - 1, FUSE), "odds": (2, ODDS)}
        sizes |= {"mean": (COUNT,), "scale": (COUNT,), "usual": (NAMED,), "null": (COHORTS, BLOCK_COUNTS, len(TAILS))}
        return cls.from_tensors("aim-000000000000", {name: np.zeros(size, np.float32) for name, size in sizes.items()})

    def fused(self, shares: Sequence[float], surprise: float, shots: Sequence[Sequence[float]]) -> float:
        """The score of a block with rows: for each machine, what the stream and its shots say of it against a person, added up as was
        learnt; then log odds of some machine, calibrated. shares: of the stream; shots: the shares of each shot."""
        person, many, total = _log(shares[0]), len(shots), 0.0
        people = [_log(shot[0]) for shot in shots]
        for k, (bias, streamed, shot, had, off) in enumerate(self.fuse, 1):
            z = bias + streamed * (_log(shares[k]) - person) + off * surprise
            if many:
                z += had + shot * sum([_log(found[k]) - innocent for found, innocent in zip(shots, people, strict=True)]) / many
            total += math.exp(min(z, 60.0))
        return self.calibrated(math.log(total))

    def calibrated(self, x: float) -> float:
        """A sum of `fused` as log odds of a machine, were half of all blocks a machine's: straight lines between the points of `odds`."""
        given, said = self.odds
        k = bisect_right(given, x)
        if k == 0:
            return said[0] + x - given[0]
        if k == len(given):
            return said[-1] + x - given[-1]
        low, high = given[k - 1], given[k]
        return said[k - 1] + (said[k] - said[k - 1]) * (x - low) / (high - low)

    def judge_block(self, rows: NDArray[np.int16], radius: float, rtt_ms: float, jitter_ms: float) -> tuple[NDArray[np.float64], float]:
        """Shares of the classes and surprise of a block from its rows, int16 [N, GAZE_SIZE]; the link as `stream.known` says it."""
        total, _ = self.unit.replay(rows, radius, rtt_ms, jitter_ms)
        return self.unit.shares(total, len(rows)), self.unit.surprise(total, len(rows))

    @property
    def null(self) -> Floats:
        return self.tensors["null"]

    def judge(self, found: Floats) -> Scores:
        """Scores of figures, float32 [N, COUNT]."""
        n, t = len(found), self.tensors
        usable = np.isfinite(found).all(axis=1)
        shares, score = np.empty((n, len(CLASSES))), np.empty(n)
        rows = np.ascontiguousarray(np.nan_to_num(found, nan=0.0, posinf=0.0, neginf=0.0))
        _forward(rows, t["mean"], t["scale"], t["w0"], t["b0"], t["w1"], t["b1"], t["w2"], t["b2"], shares, score)
        shares[~usable], score[~usable] = np.nan, np.nan
        return Scores(np.asarray(usable, np.bool_), shares, score, found)

    def score(
        self,
        path: Floats,
        line: Floats,
        since_ms: Floats,
        visible_ms: Floats,
        on_target_ms: Floats,
        distance: Floats,
        hit: NDArray[np.bool_],
        radius: float,
    ) -> Scores:
        """Judge N shots; arguments as for `features.features`."""
        return self.judge(figures.features(path, line, since_ms, visible_ms, on_target_ms, distance, hit, radius))

    def reasons(self, found: Floats, count: int = 3) -> list[str]:
        """What spoke most against some shots, in words. found: float32 [N, COUNT], usable rows."""
        n = len(found)
        without = np.repeat(found[None], NAMED + 1, axis=0)
        for k in range(NAMED):
            without[k, :, k] = self.tensors["usual"][k]
        score = self.judge(without.reshape(-1, COUNT)).score.reshape(NAMED + 1, n).mean(axis=1)
        said = score[-1] - score[:-1]
        middle = np.median(found[:, :NAMED], axis=0)
        words = []
        for k in np.argsort(-said)[:count]:
            if said[k] > 0.0:
                x = figures.plain(NAMES[k], float(middle[k]))
                words.append("typically, " + WORDS[NAMES[k]].format(x=x, p=100.0 * x))
        return words
