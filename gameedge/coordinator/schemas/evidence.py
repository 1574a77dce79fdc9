"""Flags with their evidence, and what people decide about them."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta

from gameedge.coordinator.schemas.base import Answer, Request


class FlagView(Answer, frozen=True, kw_only=True):
    """`score` null: beyond all numbers (a gate's rule)."""

    flag: str
    player: str
    match: str
    at_ms: int
    rule: str
    score: float | None
    reasons: list[str]
    state: str
    model: str
    clip_bytes: int


class FlagList(Answer, frozen=True, kw_only=True):
    region: str
    flags: list[FlagView]


class ShotView(Answer, frozen=True, kw_only=True):
    """One shot as the model saw it. `path`: x0, y0, x1, y1... of the cursor relative to the target at 60 Hz, the last is the shot;
    `line`: distance of the line of fire from the target's centre; `shares`: of ClipView.classes. null: not known."""

    tick: int
    target: int
    path: Sequence[float | None]
    line: Sequence[float | None]
    since_ms: float | None
    visible_ms: float | None
    on_target_ms: float | None
    distance: float | None
    hit: bool
    score: float | None
    shares: list[float]


class BlockView(Answer, frozen=True, kw_only=True):
    """`power`: of ten, of the wealth after the block; `p`: how likely a person's block scores as high."""

    mean: float | None
    p: float | None
    power: float | None
    shots: list[ShotView]


class RepeatView(Answer, frozen=True, kw_only=True):
    """A movement of the cursor that was an earlier one again. `first`, `again`: x0, y0, x1, y1... even in time, of mean 0 and spread 1, the
    first mirrored (where `mirrored` says so) and turned by `turn` degrees onto the other; `differ`: what is left, a part of their size;
    `likeness`: what the rule looks at, below RepeatsView.limit; `number`: which of the player's movements it was, `first_number` the first;
    times in Unix ms; `power`: of ten, of the wealth after it. null: not kept."""

    number: int
    first_number: int | None
    at_ms: int | None
    first_at_ms: int | None
    first: Sequence[float]
    again: Sequence[float]
    turn: float
    mirrored: bool
    differ: float
    likeness: float | None
    power: float | None


class RepeatsView(Answer, frozen=True, kw_only=True):
    """`total`: movements judged; `alike`: of these an earlier one again; `kept`: so many earlier ones are compared with; `one_in`: how
    seldom a person's is."""

    total: int
    alike: int
    kept: int
    one_in: int
    limit: float
    found: list[RepeatView]


class ClipView(Answer, frozen=True, kw_only=True):
    """`radius` of a target in the units of paths; `before`: blocks before the first; `levels`: powers of ten of the ladder; `repeats`: of
    the rule of that name, else null."""

    model: str
    radius: float
    before: int
    classes: list[str]
    levels: dict[str, float]
    refused: dict[str, int]
    blocks: list[BlockView]
    repeats: RepeatsView | None = None


class EvidenceView(Answer, frozen=True, kw_only=True):
    """`clip` null: `unreadable` says why. `decisions`: newest first, from the audit log."""

    region: str
    flag: FlagView
    clip: ClipView | None
    unreadable: str
    decisions: list[dict[str, Any]]


class EvidenceRaw(Answer, frozen=True, kw_only=True):
    """state.base.Evidence as msgpack, base64 in JSON."""

    region: str
    evidence: bytes


class DecideRequest(Request, frozen=True, kw_only=True):
    """`expected`: the state that you saw; 409 where it is another by now."""

    decision: Literal["cleared", "upheld"]
    expected: Literal["open", "recommended", "cleared", "upheld"]
    note: Annotated[str, Meta(max_length=256, description="for the audit log")] = ""


class DecisionView(Answer, frozen=True, kw_only=True):
    region: str
    flag: str
    before: str
    state: str


class AppealView(Answer, frozen=True, kw_only=True):
    """`same`: every bit came out again. `log`: of the wealth, null where it cannot be computed."""

    flag: str
    same: bool
    shots: int
    blocks: int
    log: float | None
    level: str
    detail: str
