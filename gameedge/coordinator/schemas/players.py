"""What game clients and load balancers send and hear."""

from typing import Annotated

from msgspec import Meta

from gameedge.coordinator.schemas.base import Answer, Id, RegionName, Request
from gameedge.core import limits
from gameedge.core.routing.placement import Basis

Samples = Annotated[list[float], Meta(max_length=limits.RTT_SAMPLES_MAX)]


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
