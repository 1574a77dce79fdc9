"""A region's desired state: what changes it, and how the changes of several coordinators become one.

Problem. A region's processes converge to the document of the highest revision. Two coordinators that change it at the same moment, one
    draining a process, one turning a player away, each write a whole document: the higher one wins, and a change that an operator was
    told is done is gone.
Method. A document is read as keys (`draining`, each drained process, each model, each player turned away, the settings), and carries
    for each key that changed lately the revision at which it did (`Desired.changed`). Two documents are merged key by key: the later change
    counts; a key that neither changed lately is as in the document of the higher revision. Whoever hears a document that misses something
    says the merged one, with a higher revision. This is a map of last-writer-wins registers (Shapiro et al., "A comprehensive study of
    convergent and commutative replicated data types", 2011).
Guarantee. Whatever the order in which coordinators hear of each other's changes, they come to the same document, and each key is as it
    was changed last. Of two changes of one key at the same moment one wins, the same everywhere. That holds for coordinators that hear
    of each other within KEPT_MS.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gameedge.bus.payloads import Desired, ModelWish
from gameedge.core import limits

KEPT_MS: Final = 3_600_000  # so long a change is known to be one
DRAINING: Final = "draining"
SETTINGS: Final = "settings"


def drained(now: Desired, now_ms: int, edge: str | None, draining: bool) -> Desired:
    """With the whole region (`edge` None) or one of its processes set to `draining`."""
    return _changed(now, now_ms, {DRAINING if edge is None else f"edge/{edge}": draining or None})


def with_model(now: Desired, now_ms: int, model: str, wish: ModelWish) -> Desired:
    """With another wish for one model."""
    return _changed(now, now_ms, {f"model/{model}": None if wish == ModelWish() else wish})


def with_blocked(now: Desired, now_ms: int, player: str, until_ms: int | None) -> Desired:
    """With one player more that is turned away until then (None: let in again). Those whose time is over go, and at
    limits.BLOCKED_MAX whose time is over first."""
    blocked = {name: until for name, until in now.blocked.items() if until > now_ms}
    return _changed(msgspec.structs.replace(now, blocked=blocked), now_ms, {f"blocked/{player}": until_ms})


def with_settings(now: Desired, now_ms: int, fill_ms: int | None, npc_level: int | None) -> Desired | None:
    """With other settings of processes. None: they are so already."""
    if (now.fill_ms, now.npc_level) == (fill_ms, npc_level):
        return None
    return _changed(now, now_ms, {SETTINGS: None if fill_ms is None and npc_level is None else (fill_ms, npc_level)})


def merge(one: Desired, two: Desired) -> Desired:
    """Both documents' changes, with a revision above both where neither has all of them.

    A document without changes is an older release's, which replaced whole documents: where it is the higher one, it counts.
    """
    low, high = sorted((one, two), key=lambda each: (each.revision, msgspec.json.encode(each, order="deterministic")))
    if not high.changed:
        return high
    below, above = _keys(low), _keys(high)
    values: dict[str, Any] = {}
    for key in below.keys() | above.keys():
        later = low.changed.get(key, 0) > high.changed.get(key, 0)
        if (value := (below if later else above).get(key)) is not None:
            values[key] = value
    changed = {key: max(low.changed.get(key, 0), high.changed.get(key, 0)) for key in low.changed.keys() | high.changed.keys()}
    has_all = values == above and (low.revision < high.revision or below == above)
    return _document(values, high.revision + (not has_all), changed)


def _changed(now: Desired, now_ms: int, values: Mapping[str, Any]) -> Desired:
    """Revisions grow with the clock, so that they keep growing for the regions when a broker lost what it retained."""
    revision = max(now.revision + 1, now_ms)
    keys = {key: value for key, value in {**_keys(now), **values}.items() if value is not None}
    return _document(keys, revision, {**now.changed, **dict.fromkeys(values, revision)})


def _keys(desired: Desired) -> dict[str, Any]:
    """What is not as it is from the start, by key."""
    found: dict[str, Any] = {f"edge/{edge}": True for edge in desired.draining_edges}
    found |= {f"model/{model}": wish for model, wish in desired.models.items()}
    found |= {f"blocked/{player}": until for player, until in desired.blocked.items()}
    if desired.draining:
        found[DRAINING] = True
    if desired.fill_ms is not None or desired.npc_level is not None:
        found[SETTINGS] = desired.fill_ms, desired.npc_level
    return found


def _document(keys: Mapping[str, Any], revision: int, changed: Mapping[str, int]) -> Desired:
    def named(kind: str) -> dict[str, Any]:
        return {key.partition("/")[2]: keys[key] for key in sorted(keys) if key.startswith(kind)}

    fill_ms, npc_level = keys.get(SETTINGS, (None, None))
    lately = sorted(((at, key) for key, at in changed.items() if at > revision - KEPT_MS), reverse=True)[: limits.DESIRED_CHANGES_MAX]
    blocked = named("blocked/")
    while len(blocked) > limits.BLOCKED_MAX:  # two documents that were full
        del blocked[min(blocked, key=lambda player: (blocked[player], player))]
    return Desired(
        revision=revision,
        draining=DRAINING in keys,
        draining_edges=sorted(named("edge/"))[: limits.EDGES_PER_REGION_MAX],
        models=dict(list(named("model/").items())[: limits.MODELS_DESIRED_MAX]),
        blocked=blocked,
        fill_ms=fill_ms,
        npc_level=npc_level,
        changed={key: at for at, key in lately},
    )
