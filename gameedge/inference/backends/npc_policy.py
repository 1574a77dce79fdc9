"""The learned NPC as a backend: features, network, choice and hand (core/npc/policy.py) around any net that maps features to logits.

The artifact: w0, b0, w1, b1, w2, b2 as for numpy_mlp (relu, linear) and metadata kind = npc-policy, version = FEATURE_VERSION,
layout = `layout_id()`, levels = JSON, the handicap of each style and level (8 x 10 numbers, falling with the level).
"""

import hashlib
import json
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gameedge.core.errors import ArtifactError
from gameedge.core.kernel import kernel
from gameedge.core.limits import ENTITIES_MAX
from gameedge.core.npc import action, hand, policy
from gameedge.core.npc import observation as o
from gameedge.core.npc.style import LEVEL_MAX, STYLE_COUNT, STYLES
from gameedge.inference.artifacts import Artifact
from gameedge.inference.autotune import Tuned
from gameedge.inference.backends import tiles, ways
from gameedge.inference.backends.kernel_mlp import KernelMlp
from gameedge.inference.base import Backend, Bools, Floats, Int32s

KIND: Final = "npc-policy"
HANDICAP_MAX: Final = 4.0
SEEN_WEIGHT: Final = 4.0  # an NPC with an enemy in sight thinks this often, where not all can


def layout_id() -> str:
    """Names what goes in and comes out of the network: 12 hex digits over the names of features and logits, in order."""
    return hashlib.sha256("\n".join((*policy.FEATURES, "->", *policy.LOGIT_NAMES)).encode()).hexdigest()[:12]


def metadata() -> dict[str, str]:
    """What an artifact must say to fit this code."""
    return {"kind": KIND, "version": str(policy.FEATURE_VERSION), "layout": layout_id(), "activation": "relu", "output": "linear"}


@kernel
def grade(rows: Floats, entities: Int32s, state: Floats, levels: Floats) -> None:
    """Set each entity's handicap by the style and level that it was asked to play."""
    for i in range(entities.shape[0]):
        style = min(max(int(rows[i, o.STYLE] * o.STYLE_UNIT + 0.5), 0), levels.shape[0] - 1)
        level = min(max(int(rows[i, o.LEVEL] * 10.0 + 0.5), 1), levels.shape[1])
        state[entities[i], hand.HANDICAP] = levels[style, level - 1]


@kernel
def decide(
    rows: Floats,
    entities: Int32s,
    state: Floats,
    levels: Floats,
    packed: Floats,
    plan: NDArray[np.int64],
    features: Floats,
    hidden: Floats,
    logits: Floats,
    chosen: Int32s,
    rest_ticks: int,
    out: Floats,
) -> None:
    """A decision and one tick of the hand for each row, block by block: what one stage writes is in the cache for the next."""
    for start in range(0, rows.shape[0], tiles.BLOCK):
        stop = min(start + tiles.BLOCK, rows.shape[0])
        n, some, who = stop - start, rows[start:stop], entities[start:stop]
        grade(some, who, state, levels)
        policy.featurize(some, who, state, features[:n])
        tiles.forward(features[:n], packed, plan, hidden, logits)
        policy.choose(logits[:n], some, who, state, chosen[:n], rest_ticks)
        policy.act(who, state, out[start:stop])
        blank(logits[:n], out[start:stop])


@kernel
def blank(logits: Floats, out: Floats) -> None:
    """NaN where the network's answer is not finite: a net that is broken must not hide behind the hand."""
    for i in range(out.shape[0]):
        total = np.float32(0.0)
        for k in range(policy.LOGITS):
            total += logits[i, k] * np.float32(0.0)
        if total != 0.0:
            for k in range(out.shape[1]):
                out[i, k] = np.nan


@kernel
def due_now(entities: Int32s, state: Floats, out: Bools) -> None:
    """Whose wait is over."""
    for i in range(entities.shape[0]):
        out[i] = state[entities[i], policy.WAIT] <= 0.0


@kernel
def in_sight(rows: Floats, out: Floats) -> None:
    """SEEN_WEIGHT where an enemy is in sight, else 1."""
    for i in range(rows.shape[0]):
        out[i] = SEEN_WEIGHT if rows[i, o.ENEMIES + o.E_VISIBLE] > 0.5 else 1.0


class NpcPolicy:
    """Shaped like `Backend`, `Paced`, `Ranked` and `Heir`. Entities beyond `entities_max` raise IndexError."""

    input_size = o.OBSERVATION_SIZE
    output_size = action.ACTION_SIZE

    def __init__(self, name: str, net: Backend, levels: NDArray[np.float32], *, entities_max: int = ENTITIES_MAX) -> None:
        """net: maps FEATURE_SIZE to LOGITS values; levels: handicaps, float32 [STYLE_COUNT, LEVEL_MAX]."""
        if (net.input_size, net.output_size) != (policy.FEATURE_SIZE, policy.LOGITS) or levels.shape != (STYLE_COUNT, LEVEL_MAX):
            raise ValueError(f"{name}: the net maps {net.input_size} to {net.output_size}, levels are {levels.shape}")
        self.name, self.net = name, net
        self.levels: Floats = np.ascontiguousarray(levels, np.float32)
        self.rest_ticks = policy.REST_TICKS
        self.state: Floats = np.zeros((entities_max, policy.STATE), np.float32)
        self._people = 0
        self._pick: Callable[[int], Backend] = net.pick if isinstance(net, Tuned) else lambda n: net
        self._block = tiles.aligned(tiles.BLOCK, policy.FEATURE_SIZE)
        self._grow(64)
        self.forget(np.arange(entities_max, dtype=np.int32))

    @classmethod
    def from_artifact(
        cls, artifact: Artifact, *, entities_max: int = ENTITIES_MAX, nets: Callable[[Artifact], Backend] | None = None
    ) -> "NpcPolicy":
        """Raises ArtifactError where the artifact does not fit this code."""
        net = (nets or (lambda found: ways.tuned(found, metadata())))(artifact)
        try:
            levels = np.array(json.loads(artifact.metadata.get("levels", "null")), np.float32)
        except ValueError as error:
            raise ArtifactError(f"{artifact.id}: expected levels as JSON numbers, found: {error}") from error
        good = levels.shape == (STYLE_COUNT, LEVEL_MAX) and bool(((levels >= 0) & (levels <= HANDICAP_MAX)).all())  # NaN is neither
        if not good:
            raise ArtifactError(
                f"{artifact.id}: expected levels for {STYLE_COUNT} styles and {LEVEL_MAX} levels, each 0 to {HANDICAP_MAX:g}; "
                f"found {list(levels.shape)}"
            )
        if (net.input_size, net.output_size) != (policy.FEATURE_SIZE, policy.LOGITS):
            raise ArtifactError(
                f"{artifact.id}: expected a net of {policy.FEATURE_SIZE} to {policy.LOGITS} values, "
                f"found {net.input_size} to {net.output_size}"
            )
        return cls(artifact.id, net, levels, entities_max=entities_max)

    def _grow(self, rows: int) -> None:
        self._features = np.zeros((rows, policy.FEATURE_SIZE), np.float32)
        self._logits = np.zeros((rows, policy.LOGITS), np.float32)
        self._chosen = np.zeros((rows, 3), np.int32)
        self._due = np.zeros(rows, np.bool_)

    def run(self, rows: Floats, entities: NDArray[np.int32], out: Floats) -> None:
        """A decision and one tick of the hand for each row; see `Backend.run`."""
        n = len(entities)
        if n > len(self._features):
            self._grow(1 << (n - 1).bit_length())
        net, state = self._pick(n), self.state
        if isinstance(net, KernelMlp):
            p, b = net.packed, self._block
            decide(rows, entities, state, self.levels, p.packed, p.plan, b, p.hidden, p.last, self._chosen, self.rest_ticks, out)
            return
        features, logits = self._features[:n], self._logits[:n]
        grade(rows, entities, state, self.levels)
        policy.featurize(rows, entities, state, features)
        net.run(features, entities, logits)
        policy.choose(logits, rows, entities, state, self._chosen[:n], self.rest_ticks)
        policy.act(entities, state, out)
        blank(logits, out)

    def coast(self, entities: NDArray[np.int32], out: Floats) -> None:
        """One tick of the hand, without a decision."""
        policy.act(entities, self.state, out)

    def due(self, entities: Int32s) -> Bools:
        """Who decides now: every DECIDE_TICKS, or rest_ticks where nothing concerns it."""
        if len(entities) > len(self._due):
            self._grow(1 << (len(entities) - 1).bit_length())
        out = self._due[: len(entities)]
        due_now(entities, self.state, out)
        return out

    def importance(self, rows: Floats, out: Floats) -> None:
        """Fights before walks."""
        in_sight(rows, out)

    def adopt(self, other: Backend) -> bool:
        """Hands stay where they are and go on with what they do."""
        if not isinstance(other, NpcPolicy) or other.state.shape != self.state.shape:
            return False
        self.state, self._people = other.state, other._people
        return True

    def forget(self, entities: NDArray[np.int32]) -> None:
        """Other people take these seats."""
        known = entities[(entities >= 0) & (entities < len(self.state))].astype(np.int32)
        policy.begin(known, self.state, self._people)
        self._people += len(known)


assert len(STYLES) == STYLE_COUNT
