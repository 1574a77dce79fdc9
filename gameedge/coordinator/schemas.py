"""What the HTTP API takes and gives: msgspec types, from which the OpenAPI document is made. Bounds are in the types."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from gameedge.bus.payloads import EdgeReport, ModelReport, ModelWish, Verdict
from gameedge.coordinator.events import Event
from gameedge.coordinator.roles import Role
from gameedge.core import limits
from gameedge.core.errors import Reason
from gameedge.core.routing.placement import Basis
from gameedge.state.questions import MatchLive, PlayerHere, QueueSeen

Id = Annotated[str, Meta(min_length=1, max_length=64)]
RegionName = Annotated[str, Meta(min_length=1, max_length=64)]
Samples = Annotated[list[float], Meta(max_length=limits.RTT_SAMPLES_MAX)]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Unknown fields are ignored, so that a newer client may talk to an older coordinator."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The base of all answers."""


class ErrorBody(Answer, frozen=True, kw_only=True):
    """Every error has this form. `retry_after_ms`: when it is worth trying again; null: it will not help."""

    reason: Reason
    detail: str = ""
    retry_after_ms: int | None = None


# ------------------------------------------------------------------------------------------------------------------ players


class GuestRequest(Request, frozen=True, kw_only=True):
    name: Annotated[str, Meta(max_length=4 * limits.NAME_CHARS_MAX, description="shown to others; 1 to 32 characters")]
    residency: Annotated[str, Meta(max_length=32, description="a label of the deployment's `residency`; empty: anywhere")] = ""


class Guest(Answer, frozen=True, kw_only=True):
    """Keep the secret: it is the account, and only its hash is stored here."""

    player: str
    secret: str


class RegionInfo(Answer, frozen=True, kw_only=True):
    region: str
    title: str
    latitude: float
    longitude: float
    beacons: list[str]


class Regions(Answer, frozen=True, kw_only=True):
    regions: list[RegionInfo]


class RunningMatch(Answer, frozen=True, kw_only=True):
    match: str
    mode: str
    region: str
    url: str  # of the process that hosts it: `watch` goes there
    remaining_ms: int
    people: int
    seats: int
    spectators: int
    scores: list[int]  # by team


class RunningMatches(Answer, frozen=True, kw_only=True):
    matches: list[RunningMatch]


class PartyMember(Request, frozen=True, kw_only=True):
    """What another member of the party measured."""

    rtt_ms: Annotated[dict[RegionName, Samples], Meta(max_length=limits.REGIONS_MAX)] = {}
    latitude: Annotated[float, Meta(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Meta(ge=-180, le=180)] | None = None


class PlacementRequest(Request, frozen=True, kw_only=True):
    """Round trips that are not positive or over 10 s are ignored, as are regions that are not online."""

    player: Id
    secret: Id
    mode: Annotated[str, Meta(max_length=32)] | None = None
    rtt_ms: Annotated[dict[RegionName, Samples], Meta(max_length=limits.REGIONS_MAX)] = {}
    latitude: Annotated[float, Meta(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Meta(ge=-180, le=180)] | None = None
    current: RegionName | None = None  # where the player is now: it stays unless moving is worth it
    party: Annotated[list["PartyMember"], Meta(max_length=limits.PARTY_MAX - 1)] = []  # the others: all go to one region


class WhyRegion(Answer, frozen=True, kw_only=True):
    """What a region would feel like. `excluded` regions were not considered, `doubtful` ones only after all others."""

    rtt_ms: float
    load_ms: float
    total_ms: float
    basis: Basis
    inference_ms: float = 0.0
    queue_ms: float = 0.0
    cost_ms: float = 0.0
    fullness: float = 0.0
    distance_km: float | None = None
    excluded: str = ""
    doubtful: str = ""


class PlacementAnswer(Answer, frozen=True, kw_only=True):
    region: str
    edges: list[str]
    token: str
    expires_ms: int
    stayed: bool
    why: dict[str, WhyRegion]


class PlacementExplained(Answer, frozen=True, kw_only=True):
    """A player's last placement. `near`: regions ordered by total, the chosen one may be second by a hair (room decides)."""

    player: str
    at_ms: int
    region: str
    stayed: bool
    party: int
    mode: str | None = None
    coordinator: str = ""
    moves: int = 0  # lately, from one region to another
    moved_ms: int = 0  # when it was last moved (Unix)
    samples: dict[str, int] = {}
    why: dict[str, WhyRegion]


class RatingView(Answer, frozen=True, kw_only=True):
    """`rating` is mu - 3 sigma: what the player is worth at least, and what a ladder sorts by."""

    rating: float
    mu: float
    sigma: float
    games: int


class PlayerView(Answer, frozen=True, kw_only=True):
    player: str
    name: str
    ratings: dict[str, RatingView]


class KeySet(Answer, frozen=True, kw_only=True):
    keys: list[dict[str, str]]


class Health(Answer, frozen=True, kw_only=True):
    ok: bool
    store: str = ""  # empty: not asked; ok; or what is wrong
    bus: str = ""


# ---------------------------------------------------------------------------------------------------------------- operators


class EdgeStatus(Answer, frozen=True, kw_only=True):
    """`age_ms`: since its last live report; null: none was heard. `doubt`: why it may not be there; empty: it is fine."""

    edge: str
    online: bool
    doubt: str
    draining: bool
    url: str
    admin_url: str
    version: str
    started_ms: int
    age_ms: int | None
    report: EdgeReport | None


class RegionStatus(Answer, frozen=True, kw_only=True):
    region: str
    title: str
    latitude: float
    longitude: float
    draining: bool
    revision: int
    edges: list[EdgeStatus]
    processes_desired: int = 0  # by its load; 0: not known yet


class CoordinatorStatus(Answer, frozen=True, kw_only=True):
    name: str
    version: str
    started_ms: int
    now_ms: int
    bus_online: bool
    store_ms: float | None  # null: it does not answer
    placements: int
    accounts: int
    dropped: dict[str, int]


class Status(Answer, frozen=True, kw_only=True):
    regions: list[RegionStatus]
    players: int
    matches: int
    results_applied: int
    verdicts: int
    coordinator: CoordinatorStatus


class VerdictView(Answer, frozen=True, kw_only=True):
    region: str
    verdict: Verdict


class Verdicts(Answer, frozen=True, kw_only=True):
    verdicts: list[VerdictView]


class AccountView(Answer, frozen=True, kw_only=True):
    player: str
    name: str
    created_ms: int
    banned: bool
    trust: int
    ratings: dict[str, RatingView]
    verdicts: list[VerdictView]
    told: list[str] = []  # after a ban or its end: regions that know
    waiting: list[str] = []  # regions that will know once the broker is there


class Found(Answer, frozen=True, kw_only=True):
    player: str
    name: str
    created_ms: int
    banned: bool


class FoundPlayers(Answer, frozen=True, kw_only=True):
    players: list[Found]


class SilentView(Answer, frozen=True, kw_only=True):
    """A process (or, without `edge`, a region) that did not answer."""

    region: str
    edge: str
    why: str


class SessionLive(Answer, frozen=True, kw_only=True):
    region: str
    edge: str
    session: PlayerHere


class PlayerLive(Answer, frozen=True, kw_only=True):
    """Sessions of a player, of all processes that answered (`asked` of them); after a kick: those that were ended."""

    player: str
    sessions: list[SessionLive]
    asked: int
    silent: list[SilentView]


class EraseRequest(Request, frozen=True, kw_only=True):
    """`confirm` repeats the player's id: this cannot be undone."""

    confirm: Id
    reason: Annotated[str, Meta(max_length=256, description="for the audit log")] = ""


class Receipt(Answer, frozen=True, kw_only=True):
    """What an erasure removed. `waiting`: regions that were away; it goes on there by itself until it is `complete`."""

    player: str
    at_ms: int
    by: str
    global_records: int
    sessions_ended: int
    regions: dict[str, int]  # records removed
    waiting: list[SilentView]
    complete: bool


class BanRequest(Request, frozen=True, kw_only=True):
    reason: Annotated[str, Meta(max_length=256, description="for the audit log")] = ""


class TokenRequest(Request, frozen=True, kw_only=True):
    """For whom, as what, for how long (ms)."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@ -]{0,47}$(?!\n)", description="for the audit log")]
    role: Role
    life_ms: Annotated[int, Meta(ge=1_000, le=limits.OPERATOR_TOKEN_LIFE_MS_MAX)] = 8 * 3_600_000


class TokenIssued(Answer, frozen=True, kw_only=True):
    token: str
    name: str
    role: Role
    expires_ms: int


class Me(Answer, frozen=True, kw_only=True):
    """`expires_ms` null: the configured operator token, which does not end."""

    name: str
    role: Role
    expires_ms: int | None


class DesiredView(Answer, frozen=True, kw_only=True):
    """What the region's processes were told. They report when they have converged."""

    region: str
    revision: int
    draining: bool
    draining_edges: list[str]


class Audit(Answer, frozen=True, kw_only=True):
    """Newest first; each entry is one JSON object as text."""

    entries: list[str]


# ------------------------------------------------------------------------------------------------------------------- models

ArtifactName = Annotated[str, Meta(pattern=r"^([a-z0-9][a-z0-9_-]{0,47})?$", description="an artifact that lies in the regions' folders")]


class ModelRequest(Request, frozen=True, kw_only=True):
    """`regions` empty: all. `share` 0 to 1: of the matches for a canary, of the calls for a shadow."""

    artifact: ArtifactName = ""
    share: Annotated[float, Meta(ge=0, le=1)] = 0.05
    shadow: bool = False
    regions: Annotated[list[RegionName], Meta(max_length=limits.REGIONS_MAX)] = []


class ModelOnEdge(Answer, frozen=True, kw_only=True):
    region: str
    edge: str
    report: ModelReport


class ModelInRegion(Answer, frozen=True, kw_only=True):
    region: str
    model: str
    wish: ModelWish


class ModelsView(Answer, frozen=True, kw_only=True):
    """What was asked for, and what the processes that are there say they run."""

    wishes: list[ModelInRegion]
    edges: list[ModelOnEdge]


# ----------------------------------------------------------------------------------------------------------------- evidence


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


class MatchTeam(Answer, frozen=True, kw_only=True):
    players: list[str]
    names: list[str]


class MatchView(Answer, frozen=True, kw_only=True):
    """People of an open match by team; empty seats are played by NPCs. `epoch`: how often another process took it over."""

    match: str
    mode: str
    edge: str
    created_ms: int
    epoch: int
    teams: list[MatchTeam]


class RegionMatches(Answer, frozen=True, kw_only=True):
    region: str
    matches: list[MatchView]


class MatchInRegion(Answer, frozen=True, kw_only=True):
    region: str
    match: MatchView


class AllMatches(Answer, frozen=True, kw_only=True):
    matches: list[MatchInRegion]
    silent: list[SilentView]


class MatchShown(Answer, frozen=True, kw_only=True):
    region: str
    match: MatchView
    live: MatchLive | None
    why: str = ""


class MatchStopped(Answer, frozen=True, kw_only=True):
    """`live`: as it was when it was stopped."""

    region: str
    rule: str
    live: MatchLive


class QueueInRegion(Answer, frozen=True, kw_only=True):
    region: str
    queue: QueueSeen


class Queues(Answer, frozen=True, kw_only=True):
    queues: list[QueueInRegion]
    silent: list[SilentView]


class ShadowInRegion(Answer, frozen=True, kw_only=True):
    """`compared`: live rules and those in shadow, as docs/matchmaking.md has them."""

    region: str
    compared: dict[str, Any]


class QueueShadows(Answer, frozen=True, kw_only=True):
    shadows: list[ShadowInRegion]
    silent: list[SilentView]


class QueueExplained(Answer, frozen=True, kw_only=True):
    """`explained`: docs/matchmaking.md has its form."""

    region: str
    explained: dict[str, Any]


# ------------------------------------------------------------------------------------------------------- policy and events


class ConfigVersion(Answer, frozen=True, kw_only=True):
    """`overrides`: what it names; the rest is as configured. `back_to`: it is a rollback to that version."""

    number: int
    at_ms: int
    who: str
    note: str
    back_to: int | None
    overrides: dict[str, Any]


class ConfigKey(Answer, frozen=True, kw_only=True):
    key: str
    value: Any
    live: bool


class ConfigView(Answer, frozen=True, kw_only=True):
    version: ConfigVersion
    keys: list[ConfigKey]


class ConfigHistory(Answer, frozen=True, kw_only=True):
    versions: list[ConfigVersion]


class ConfigDiff(Answer, frozen=True, kw_only=True):
    before: int
    after: int
    changed: dict[str, list[Any]]


class ConfigChange(Request, frozen=True, kw_only=True):
    """`set` replaces whole values; `unset`: as configured again."""

    set: Annotated[dict[str, Any], Meta(max_length=16)] = {}
    unset: Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=16)] = []
    expected: int | None = None
    note: Annotated[str, Meta(max_length=256, description="why, for the history")] = ""


class ConfigRollback(Request, frozen=True, kw_only=True):
    to: Annotated[int, Meta(ge=0)]
    expected: int | None = None
    note: Annotated[str, Meta(max_length=256)] = ""


class ConfigChanged(Answer, frozen=True, kw_only=True):
    """`waiting`: regions that will be told once the broker is there."""

    version: ConfigVersion
    changed: dict[str, list[Any]]
    warnings: list[str]
    waiting: list[str]


class EventsView(Answer, frozen=True, kw_only=True):
    stream: str
    events: list[Event]
    next: int
    missed: int
