"""Evidence: the shots and blocks that a decision was made of, as bytes, and the decision made again from them.

A clip holds, exactly as the model saw them, the last blocks of a player: ticks, shots and the score of each, the p-value of each block
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
from gameedge.core.anticheat import accumulate, aim, repeats
from gameedge.core.anticheat.accumulate import Wealth
from gameedge.core.anticheat.features import SAMPLES, Floats
from gameedge.core.anticheat.stream import STREAM_TICKS
from gameedge.core.game import GAZE_SIZE

VERSION: Final = 4
SHOTS_MAX: Final = 96  # of a clip: at most about 48 KB
BLOCKS_MAX: Final = 30  # of a clip: rows of 30 s are 58 KB; what is too much for a clip is left out, the oldest first
_WORST: Final = 12  # shots that reasons are drawn from
_WORST_BLOCKS: Final = 4


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
    """A moment, and what it was worth: shots and, where the game offers them, ticks. mean: the score that p is of; log: of the wealth
    after it; rows: int16 little-endian [N, GAZE_SIZE]; shares, surprise: what the streaming model said of them."""

    cohort: int
    mean: float
    p: float
    log: float
    shots: list[Seen]
    rows: bytes = b""
    rtt_ms: float = -1.0
    jitter_ms: float = -1.0
    shares: list[float] = []
    surprise: float = 0.0


class Clip(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    model: str
    radius: float
    parts: list[list[float]]  # of the wealth before the first block
    before: int  # blocks before the first
    blocks: list[Block]
    refused: dict[str, int]
    repeated: repeats.Repeats | None = None  # of the rule of that name
    combat_s: tuple[float, float] | None = None  # judged, and not judged for the network's sake; None: not counted yet when it was made


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


@dataclass(frozen=True, slots=True)
class Ticks:
    """Rows of a block, int16 [N, GAZE_SIZE], the link when it began, and what the streaming model said of it."""

    rows: NDArray[np.int16]
    rtt_ms: float
    jitter_ms: float
    shares: NDArray[np.float64]
    surprise: float


def block(model: aim.AimModel, shots: list[Seen], cohort: int, wealth: Wealth, ticks: Ticks | None = None) -> Block:
    """Bet on a block that is over; changes `wealth`. Without ticks there must be shots."""
    if ticks is None:
        mean = sum(shot.score for shot in shots) / len(shots)
        p = accumulate.p_value(model.null, cohort, len(shots), mean)
        return Block(cohort, mean, p, wealth.bet(p, cohort), shots)
    shares = ticks.shares.tolist()
    mean = model.fused(shares, ticks.surprise, [shot.shares for shot in shots])
    p = accumulate.p_value(model.null, cohort, len(shots), mean, streamed=True)
    kept = ticks.rows.astype("<i2").tobytes(), ticks.rtt_ms, ticks.jitter_ms, shares, ticks.surprise
    return Block(cohort, mean, p, wealth.bet(p, cohort), shots, *kept)


def rows_of(part: Block) -> NDArray[np.int16]:
    """The rows of a block again. Raises ValueError where their length cannot be."""
    rows = np.frombuffer(part.rows, "<i2").astype(np.int16)
    if len(rows) % GAZE_SIZE or len(rows) > STREAM_TICKS * GAZE_SIZE:
        raise ValueError(f"{len(rows)} numbers are no rows of {GAZE_SIZE}")
    return rows.reshape(-1, GAZE_SIZE)


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


def why(model: aim.AimModel, blocks: Iterable[Block], count: int, radius: float = 0.5) -> tuple[str, list[str]]:
    """The rule (aim or trigger) and reasons in words, from the blocks and shots that spoke most."""
    kept = list(blocks)
    shots = sorted((shot for part in kept for shot in part.shots), key=lambda shot: -shot.score)[:_WORST]
    parts = sorted((part for part in kept if part.rows), key=lambda part: (part.p, -part.mean))[:_WORST_BLOCKS]
    found = [np.array(shot.shares) for shot in shots] if not parts else [np.array(part.shares) for part in parts]
    shares = np.mean(found, axis=0)
    kind = int(np.argmax(shares[1:])) + 1
    over = f"{len(parts)} seconds of an enemy in sight" if parts else f"{len(shots)} shots"
    words = [f"over {over}, most like: {aim.CLASSES[kind]} ({100 * shares[kind]:.0f} %)"]
    if shots:
        words = model.reasons(judge(model, columns_of(shots), radius).figures, count - 1) + words
    if parts:
        words = model.unit.reasons([rows_of(part) for part in parts], radius, 1 if shots else count - 1) + words
    return ("trigger" if kind == aim.TRIGGER else "aim"), [*words[: count - 1], words[-1]]


def encode(
    before: Wealth,
    blocks: Iterable[Block],
    refused: dict[int, int],
    model: str,
    radius: float,
    combat_s: tuple[float, float] | None = None,
    repeated: repeats.Repeats | None = None,
) -> bytes:
    """A clip as msgpack, the oldest blocks left out until it fits. combat_s: that was judged, and that was not."""
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
            combat_s=combat_s,
            repeated=repeated,
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
    for part in clip.repeated.found if clip.repeated is not None else []:
        repeats.shape_of(part.first), repeats.shape_of(part.again)
    return clip


def rerun(data: bytes, model: aim.AimModel | None) -> Rerun:
    """Compute a clip's decision again. Never raises: what cannot be read or has no model is said in `detail`."""
    try:
        clip = decode(data)
    except ValueError as error:
        return Rerun(same=False, shots=0, blocks=0, log=math.nan, level="", detail=str(error))
    count = sum(len(part.shots) for part in clip.blocks)
    if clip.repeated is not None:
        return _repeats_again(clip.repeated)
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


def _repeats_again(found: repeats.Repeats) -> Rerun:
    try:
        log, detail = repeats.rerun(found)
    except ValueError as error:
        return Rerun(same=False, shots=0, blocks=len(found.found), log=math.nan, level="", detail=str(error))
    level = accumulate.LEVELS[(log >= accumulate.OBSERVE) + (log >= accumulate.REVIEW)]
    return Rerun(same=not detail, shots=0, blocks=len(found.found), log=log, level=level, detail=detail)


def _again(model: aim.AimModel, part: Block, radius: float, wealth: Wealth) -> str | None:
    """Bet on a kept block from its raw columns; None: the same bits came out."""
    if not part.shots and not part.rows:
        return "nothing in it"
    shots = list(part.shots)
    if shots:
        found = judge(model, columns_of(shots), radius)
        again = zip(shots, found.score.tolist(), found.shares.tolist(), strict=True)
        shots = [msgspec.structs.replace(shot, score=score, shares=shares) for shot, score, shares in again]
    ticks = None
    if part.rows:
        rows = rows_of(part)
        ticks = Ticks(rows, part.rtt_ms, part.jitter_ms, *model.judge_block(rows, radius, part.rtt_ms, part.jitter_ms))
    made = block(model, shots, part.cohort, wealth, ticks)
    fresh: dict[str, Any] = {"mean": made.mean, "p": made.p, "log": made.log}
    for name, value in fresh.items():
        if value != getattr(part, name):
            return f"{name} is {value!r}, the clip says {getattr(part, name)!r}"
    return None
