"""Evidence: the shots and blocks that a decision was made of, as bytes, and the decision made again from them.

A clip holds, exactly as the model saw them, the last shots of a player in their blocks, the score of each, the p-value of each block
and the wealth before and after. `rerun` computes every one of these again from the raw columns and says whether the bits agree.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from gameedge.core import limits
from gameedge.core.anticheat import accumulate, aim
from gameedge.core.anticheat.accumulate import Wealth
from gameedge.core.anticheat.features import SAMPLES, Floats

VERSION: Final = 2
SHOTS_MAX: Final = 96  # of a clip: at most about 48 KB
_WORST: Final = 12  # shots that reasons are drawn from


@dataclass(frozen=True, slots=True)
class Columns:
    """The model's inputs of N shots, see features.features."""

    path: Floats
    line: Floats
    since_ms: Floats
    visible_ms: Floats
    on_target_ms: Floats
    distance: Floats
    hit: NDArray[np.bool_]


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """One shot. path, line: float32 little-endian, [SAMPLES, 2] and [SAMPLES]."""

    tick: int
    target: int
    path: bytes
    line: bytes
    since_ms: float
    visible_ms: float
    on_target_ms: float
    distance: float
    hit: bool
    score: float
    shares: list[float]


class Block(msgspec.Struct, frozen=True, array_like=True):
    """Shots of one moment, and what they were worth. log: of the wealth after it."""

    cohort: int
    mean: float
    p: float
    log: float
    shots: list[Seen]


class Clip(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    model: str
    radius: float
    parts: list[list[float]]  # of the wealth before the first block
    before: int  # blocks before the first
    blocks: list[Block]
    refused: dict[str, int]


class Rerun(msgspec.Struct, frozen=True, kw_only=True):
    """What computing a clip again found."""

    same: bool
    shots: int
    blocks: int
    log: float
    level: str
    detail: str = ""


def judge(model: aim.AimModel, columns: Columns, radius: float) -> aim.Scores:
    c = columns
    return model.score(c.path, c.line, c.since_ms, c.visible_ms, c.on_target_ms, c.distance, c.hit, radius)


def seen(columns: Columns, k: int, tick: int, target: int, scores: aim.Scores) -> Seen:
    """Row k as it is kept."""
    c = columns
    return Seen(
        tick,
        target,
        c.path[k, -SAMPLES:].astype("<f4").tobytes(),
        c.line[k, -SAMPLES:].astype("<f4").tobytes(),
        float(c.since_ms[k]),
        float(c.visible_ms[k]),
        float(c.on_target_ms[k]),
        float(c.distance[k]),
        bool(c.hit[k]),
        float(scores.score[k]),
        [float(share) for share in scores.shares[k]],
    )


def block(model: aim.AimModel, shots: list[Seen], cohort: int, wealth: Wealth) -> Block:
    """Bet on a block that is over; changes `wealth`."""
    mean = sum(shot.score for shot in shots) / len(shots)
    p = accumulate.p_value(model.null, cohort, len(shots), mean)
    return Block(cohort, mean, p, wealth.bet(p, cohort), shots)


def columns_of(shots: Sequence[Seen]) -> Columns:
    """The model's inputs again. Raises ValueError where a path has another length."""

    def floats(name: str) -> Floats:
        return np.array([getattr(shot, name) for shot in shots], np.float32)

    paths = [np.frombuffer(shot.path, "<f4").reshape(-1, 2) for shot in shots]
    lines = [np.frombuffer(shot.line, "<f4") for shot in shots]
    if any(path.shape != paths[0].shape or len(line) != len(paths[0]) for path, line in zip(paths, lines, strict=True)):
        raise ValueError("paths of a clip differ in length")
    return Columns(
        np.array(paths, np.float32),
        np.array(lines, np.float32),
        floats("since_ms"),
        floats("visible_ms"),
        floats("on_target_ms"),
        floats("distance"),
        np.array([shot.hit for shot in shots]),
    )


def why(model: aim.AimModel, blocks: Iterable[Block], count: int) -> tuple[str, list[str]]:
    """The rule (aim or trigger) and reasons in words, from the shots that spoke most."""
    shots = sorted((shot for part in blocks for shot in part.shots), key=lambda shot: -shot.score)[:_WORST]
    shares = np.array([shot.shares for shot in shots]).mean(axis=0)
    kind = int(np.argmax(shares[1:])) + 1
    found = judge(model, columns_of(shots), 0.5).figures
    first = f"over {len(shots)} shots, most like: {aim.CLASSES[kind]} ({100 * shares[kind]:.0f} %)"
    return ("trigger" if kind == aim.TRIGGER else "aim"), [*model.reasons(found, count - 1), first]


def encode(before: Wealth, blocks: Iterable[Block], refused: dict[int, int], model: str, radius: float) -> bytes:
    """A clip as msgpack, the oldest blocks left out until it fits."""
    start, kept = before.copy(), list(blocks)
    while True:
        clip = Clip(
            version=VERSION,
            model=model,
            radius=radius,
            parts=start.parts.tolist(),
            before=start.blocks,
            blocks=kept,
            refused={str(reason): count for reason, count in refused.items()},
        )
        data = msgspec.msgpack.encode(clip)
        if len(data) <= limits.EVIDENCE_BYTES_MAX or not kept:
            return data
        gone = kept.pop(0)
        start.bet(gone.p, gone.cohort)


def decode(data: bytes) -> Clip:
    """Raises ValueError for bytes that are no clip of this version."""
    try:
        clip = msgspec.msgpack.decode(data, type=Clip)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"no clip: {error}") from error
    if clip.version != VERSION:
        raise ValueError(f"a clip of version {clip.version}; this software reads {VERSION}")
    return clip


def rerun(data: bytes, model: aim.AimModel | None) -> Rerun:
    """Compute a clip's decision again. Never raises: what cannot be read or has no model is said in `detail`."""
    try:
        clip = decode(data)
    except ValueError as error:
        return Rerun(same=False, shots=0, blocks=0, log=math.nan, level="", detail=str(error))
    count = sum(len(part.shots) for part in clip.blocks)
    if not clip.model:
        return Rerun(same=True, shots=count, blocks=len(clip.blocks), log=0.0, level="", detail="refusals of the gate: nothing to compute")
    if model is None or model.id != clip.model:
        detail = f"the model {clip.model} is not here" + (f" ({model.id} is)" if model is not None else "")
        return Rerun(same=False, shots=count, blocks=len(clip.blocks), log=math.nan, level="", detail=detail)
    wealth = Wealth(np.zeros((2, len(accumulate.KAPPAS))), clip.before)
    if [len(row) for row in clip.parts] != [len(accumulate.KAPPAS)] * 2:
        return Rerun(same=False, shots=count, blocks=len(clip.blocks), log=math.nan, level="", detail="parts of the wealth are missing")
    wealth.parts[:] = clip.parts
    same, detail = True, ""
    for number, part in enumerate(clip.blocks):
        try:
            again = _again(model, part, clip.radius, wealth)
        except (ValueError, IndexError) as error:
            return Rerun(same=False, shots=count, blocks=len(clip.blocks), log=math.nan, level="", detail=f"block {number}: {error}")
        if again is not None and not detail:
            same, detail = False, f"block {number}: {again}"
    level = accumulate.LEVELS[wealth.level]
    return Rerun(same=same, shots=count, blocks=len(clip.blocks), log=wealth.log, level=level, detail=detail)


def _again(model: aim.AimModel, part: Block, radius: float, wealth: Wealth) -> str | None:
    """Bet on a kept block from its raw columns; None: the same bits came out."""
    if not part.shots:
        return "no shots"
    scores = judge(model, columns_of(part.shots), radius).score.tolist()
    shots = [msgspec.structs.replace(shot, score=score) for shot, score in zip(part.shots, scores, strict=True)]
    found = block(model, shots, part.cohort, wealth)
    fresh: dict[str, Any] = {"mean": found.mean, "p": found.p, "log": found.log}
    for name, value in fresh.items():
        if value != getattr(part, name):
            return f"{name} is {value!r}, the clip says {getattr(part, name)!r}"
    return None
