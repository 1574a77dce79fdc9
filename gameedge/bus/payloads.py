"""What travels on the bus: msgspec structs as JSON. Unknown fields are ignored, so two versions understand each other."""

from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta

from gameedge.core import limits
from gameedge.core.matchmaking.shown import Shown

Share = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[float, Meta(ge=0, le=1e9)]
Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Id = Annotated[str, Meta(max_length=64)]


class Payload(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The base of all payloads."""


class Presence(Payload, frozen=True, kw_only=True):
    """A process is there (or, by its last will, is not)."""

    online: bool
    region: Id = ""
    region_title: Annotated[str, Meta(max_length=64)] = ""
    latitude: Annotated[float, Meta(ge=-90, le=90)] = 0.0
    longitude: Annotated[float, Meta(ge=-180, le=180)] = 0.0
    url: Annotated[str, Meta(max_length=256)] = ""
    admin_url: Annotated[str, Meta(max_length=256)] = ""
    version: Annotated[str, Meta(max_length=32)] = ""
    started_ms: Count = 0
    crossing: Count = 0  # what it speaks of matches across regions; 0: nothing
    left: bool = False  # it went on purpose, and is no death


class Quantiles(Payload, frozen=True, kw_only=True):
    p50: Positive = 0.0
    p99: Positive = 0.0


class ModelWish(Payload, frozen=True, kw_only=True):
    """What should run as one model. Empty names: what the process's own configuration names, and no trial."""

    stable: Id = ""
    canary: Id = ""  # answers for a share of the matches
    canary_share: Share = 0.0
    shadow: Id = ""  # answers nobody, is compared in a share of the calls; not beside a canary
    shadow_share: Share = 0.0


class ModelReport(Payload, frozen=True, kw_only=True):
    """What runs as one model in one process, counted since its start."""

    model: Id
    stable: Id = ""
    canary: Id = ""
    shadow: Id = ""
    share: Share = 0.0  # of the trial
    state: Id = "running"  # or refused, rolled_back: then `why` says why
    why: Annotated[str, Meta(max_length=256)] = ""
    actions: Count = 0
    canary_actions: Count = 0
    held: Count = 0
    fallbacks: Count = 0
    late: Count = 0
    failures: Count = 0
    difference: Positive = 0.0  # of a shadow: mean absolute difference of a value
    backends: Annotated[str, Meta(max_length=256)] = ""  # how the stable one is run: batch size, way and us, as timed at start


class WatchableMatch(Payload, frozen=True, kw_only=True):
    """A match that may be watched."""

    match: Id
    mode: Id
    remaining_ms: Count = 0
    people: Count = 0  # who play now
    seats: Count = 0
    spectators: Count = 0
    scores: Annotated[list[int], Meta(max_length=16)] = []


class SpotReport(Payload, frozen=True, kw_only=True):
    """Round trips that the sockets of several players of one place have here: never of fewer than limits.SPOT_PLAYERS_MIN."""

    spot: Id  # core/routing/netmap.py
    players: Annotated[int, Meta(ge=limits.SPOT_PLAYERS_MIN, le=2**31)]
    median_ms: Annotated[float, Meta(gt=0, le=60_000)]
    low_ms: Annotated[float, Meta(gt=0, le=60_000)]  # the second smallest


class EdgeReport(Payload, frozen=True, kw_only=True):
    """What a process says of itself."""

    at_ms: Count
    players: Count = 0
    players_max: Count = 0
    queued: Annotated[dict[Id, Count], Meta(max_length=64)] = {}  # mode -> tickets
    matches: Count = 0
    free_matches: Count = 0
    npcs: Count = 0
    tick: Count = 0
    tick_lateness_ms: Quantiles = Quantiles()
    tick_busy: Share = 0.0
    memory: Share = 0.0  # of the machine's memory that is taken
    gpu: Share = 0.0  # utilisation; 0 where there is none or it cannot be read
    accelerator: bool = False
    inference_batch: Positive = 0.0
    inference_ms: Quantiles = Quantiles()
    rtt_ms: Quantiles = Quantiles()
    queue_wait_ms: Quantiles = Quantiles()
    npc_actions: Count = 0
    npc_fallbacks: Count = 0
    npc_styles: Annotated[dict[Id, Count], Meta(max_length=64)] = {}  # style -> NPCs that play it now
    npc_levels: Annotated[dict[Id, Count], Meta(max_length=64)] = {}  # level they began at -> NPCs
    models: Annotated[list[ModelReport], Meta(max_length=16)] = []
    # Region -> smallest round trip measured to it lately, in ms; and places of players. In some reports only.
    regions_ms: Annotated[dict[Id, Annotated[float, Meta(gt=0, le=60_000)]], Meta(max_length=limits.REGIONS_MAX)] = {}
    spots: Annotated[list[SpotReport], Meta(max_length=limits.SPOTS_REPORTED_MAX)] = []
    watchable: Annotated[list[WatchableMatch], Meta(max_length=limits.WATCHABLE_MAX)] = []
    histograms: Annotated[dict[Id, Annotated[list[Count], Meta(max_length=32)]], Meta(max_length=16)] = {}  # telemetry/compact.py
    matches_started: Count = 0
    matches_finished: Count = 0
    flags: Count = 0
    gate_refusals: Count = 0
    outbox: Count = 0
    store_ok: bool = True
    draining: bool = False
    errors: Count = 0


class Waiting(Payload, frozen=True, kw_only=True):
    """Tickets of one mode that neighbours may see, from the holder of its lease."""

    edge: Id  # the holder: it is asked for grants
    rules: Annotated[bytes, Meta(max_length=limits.CROSSING_RULES_BYTES_MAX)]  # of the mode, as JSON
    people: Count = 0  # who wait, also those who are not shown
    tickets: Annotated[list[Shown], Meta(max_length=limits.CROSSING_SHOWN_MAX)] = []


class ResultEnvelope(Payload, frozen=True, kw_only=True):
    at: Id
    result: bytes  # state.base.Result as msgpack, base64 in JSON


class Acks(Payload, frozen=True, kw_only=True):
    at: list[Id]


class Verdict(Payload, frozen=True, kw_only=True):
    """A flag without telemetry: what leaves the region."""

    flag: Id
    player: Id
    match: Id
    at_ms: Count
    rule: Id
    score: float
    reasons: Annotated[list[Annotated[str, Meta(max_length=256)]], Meta(max_length=8)]


class Answer(Payload, frozen=True, kw_only=True):
    """To a coordinator's question. `number` is the question's own; `body` is msgpack, base64 in JSON."""

    number: Id
    ok: bool
    reason: Id = ""
    detail: Annotated[str, Meta(max_length=512)] = ""
    body: bytes = b""


class ToldEvent(Payload, frozen=True, kw_only=True):
    """An event that one coordinator was the only one to see (coordinator/events.py)."""

    at_ms: Count
    kind: Id
    what: Id
    region: Id = ""
    edge: Id = ""
    player: Id = ""
    match: Id = ""
    fields: Annotated[dict[Id, Any], Meta(max_length=32)] = {}


class Told(Payload, frozen=True, kw_only=True):
    """Several, oldest first, and how many more there were that were not told."""

    events: Annotated[list[ToldEvent], Meta(max_length=limits.EVENTS_TOLD_MAX)]
    lost: Count = 0


class Desired(Payload, frozen=True, kw_only=True):
    """What every process of a region converges to."""

    revision: Count = 0
    draining: bool = False  # the whole region
    draining_edges: list[Id] = []
    models: Annotated[dict[Id, ModelWish], Meta(max_length=limits.MODELS_DESIRED_MAX)] = {}
    blocked: Annotated[dict[Id, Count], Meta(max_length=limits.BLOCKED_MAX)] = {}  # player -> until when it is turned away, Unix ms
    fill_ms: Count | None = None  # null: what the processes' own configuration says
    npc_level: Annotated[int, Meta(ge=1, le=10)] | None = None
    # What changed within the last hour -> the revision at which it did: how coordinators merge each other's changes.
    changed: Annotated[dict[Annotated[str, Meta(max_length=80)], Count], Meta(max_length=limits.DESIRED_CHANGES_MAX)] = {}


P = TypeVar("P", bound=Payload)


class Codec(Generic[P]):
    """Encode and decode one payload type; `decode` gives None for what is not one, never raises."""

    def __init__(self, kind: type[P]) -> None:
        self._decoder = msgspec.json.Decoder(kind)

    def decode(self, data: bytes) -> P | None:
        try:
            return self._decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None


def encode(payload: Payload) -> bytes:
    return msgspec.json.encode(payload)
