"""What makes a match, as data: read from TOML, checked when it is read, the same for live matching, simulation and explaining.

A file has a table for each mode, `[modes.NAME]`; docs/matchmaking.md is its reference. Every rule is mutual: what a player asks of
others is asked by all of all, so that nobody is matched outside what they accept. A key that is wrong is named with what it takes;
rules that no match could ever keep are refused with the reason, before any player waits for them (`never.py`).
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import PurePath
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from gameedge.core import limits
from gameedge.core.errors import ConfigError
from gameedge.core.game import ModeSpec
from gameedge.core.ids import is_name
from gameedge.core.matchmaking import never, widening
from gameedge.core.matchmaking.ticket import RATING_MEAN, Word
from gameedge.core.matchmaking.widening import Widening

Age = Literal["own", "oldest"]  # whose waiting widens: everybody's own, or the longest in the match for all of it
Millis = Annotated[int, Meta(ge=0, le=limits.TICKET_MS_MAX)]
Number = Annotated[float, Meta(ge=-1e15, le=1e15)]  # finite: with NaN every comparison says no, and with some rules that is a yes
Positive = Annotated[float, Meta(gt=0, le=1e15)]


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of all rules."""


class Skill(Rule, frozen=True, kw_only=True):
    """Ratings within a window of each other. The half width is `window` plus `sigma_weight` times the rating's sigma."""

    window: Widening
    age: Age = "own"
    party: Literal["mean", "max"] = "mean"  # what a party plays like
    sigma_weight: Annotated[float, Meta(ge=0, le=10)] = 0.0
    default: Number = RATING_MEAN  # stands in for a rating that is not a number
    bound: Positive = 1_000.0  # ratings are clipped to +- this
    scale: Positive = 25.0 / 6.0  # the gap of team means at which quality has fallen to 0.61


class Distance(Rule, frozen=True, kw_only=True):
    """A number of the ticket within `window` of everybody else's."""

    attribute: Word
    window: Widening
    age: Age = "own"
    party: Literal["mean", "max", "min"] = "mean"
    missing: Number | None = None  # what a ticket without it counts as; none: it waits, and is told


class Equal(Rule, frozen=True, kw_only=True):
    """The same word or number for all. Not having it is a value of its own."""

    attribute: Word
    relax_ms: Millis | None = None  # who waited this long takes others who did, whatever they have


class Overlap(Rule, frozen=True, kw_only=True):
    """Sets of words with at least `least` in common to all of a match. Not having it accepts everything."""

    attribute: Word
    values: Annotated[list[Word], Meta(max_length=limits.SET_VALUES_MAX)] = []  # that clients may say; none: any, in files of simulations
    least: Annotated[int, Meta(ge=1, le=limits.TICKET_WORDS_MAX)] = 1


class Share(Rule, frozen=True, kw_only=True):
    """When other regions' players count as company: before that, everybody plays where it is nearest for them."""

    after_ms: Millis = 0
    thin: Annotated[int, Meta(ge=1)] = 50  # only while fewer people than this wait in the own region


class Latency(Rule, frozen=True, kw_only=True):
    """A region where everybody's round trip and loss are within limits."""

    limit_ms: Widening
    loss_max: Widening = widening.constant(1.0)  # share of packets, 0 to 1
    party: Literal["worst", "mean"] = "worst"
    regions: list[Word] = []  # that count; none: all that tickets name
    share: Share | None = None  # none: all regions within the limits, from the start


class Gather(Rule, frozen=True, kw_only=True):
    """Wait a little for better company, only while so many come that it will be there."""

    window_ms: Annotated[int, Meta(ge=0, le=60_000)] = 0  # of the one who waited longest in the match; 0: never
    good: Annotated[float, Meta(ge=0, le=1)] = 0.95  # a match of this quality is made at once all the same
    arrivals_min: Annotated[float, Meta(ge=0)] = 20.0  # people expected within the window; fewer: not worth waiting


class Balance(Rule, frozen=True, kw_only=True):
    """The strongest and the weakest team's mean rating differ by no more than anybody in the match accepts."""

    gap_max: Widening


class Backfill(Rule, frozen=True, kw_only=True):
    """Seats that were left empty, or become so, in a match that runs."""

    people: bool = True  # are offered to those who wait
    until_left_ms: Annotated[int, Meta(ge=0)] = 60_000  # not in a match that ends sooner than this


class Accept(Rule, frozen=True, kw_only=True):
    """Everybody must say yes in time, else the match is off: who did goes back to the queue with its age, who did not is out."""

    deadline_ms: Annotated[int, Meta(ge=1_000, le=60_000)] = 15_000


class ModeRules(Rule, frozen=True, kw_only=True):
    """All rules of a mode. `teams` and `team_size` 0: what the hosted game's mode has."""

    teams: Annotated[int, Meta(ge=0, le=limits.SEATS_PER_MATCH_MAX)] = 0
    team_size: Annotated[int, Meta(ge=0, le=limits.SEATS_PER_MATCH_MAX)] = 0
    blocks_max: Annotated[int, Meta(ge=0, le=limits.TICKET_BLOCKS_MAX)] = limits.TICKET_BLOCKS_MAX  # players that one ticket may block
    party_sizes: list[Annotated[int, Meta(ge=1)]] = []  # that may queue, 1 being people alone; none: all that fit a team
    npc_fill: bool = True
    fill_ms: Millis = 0  # after this wait NPCs take the empty seats; 0: never, unless the process is configured to
    timeout_ms: Annotated[int, Meta(ge=1_000, le=limits.TICKET_MS_MAX)] = limits.TICKET_MS_MAX
    priority_ms: Millis = 30_000  # who waited this long is searched for among all, not among the nearest alone
    looks_per_seat: Annotated[int, Meta(ge=1, le=1_000)] = 8
    skill: Skill | None = None
    distance: Annotated[list[Distance], Meta(max_length=8)] = []
    equal: Annotated[list[Equal], Meta(max_length=8)] = []
    overlap: Annotated[list[Overlap], Meta(max_length=8)] = []
    roles: Annotated[dict[Word, Annotated[int, Meta(ge=1)]], Meta(max_length=6)] = {}
    latency: Latency | None = None
    gather: Gather = Gather()
    balance: Balance | None = None
    backfill: Backfill | None = None  # none: a match that runs is closed
    accept: Accept | None = None

    @property
    def players(self) -> int:
        return self.teams * self.team_size


class File(Rule, frozen=True, kw_only=True):
    version: Literal[1] = 1
    modes: Annotated[dict[str, dict[str, Any]], Meta(min_length=1, max_length=64)]


def _hook(kind: type, found: Any) -> Any:
    if kind is Widening:
        return widening.parse(found)
    raise NotImplementedError(kind)


def load(text: str, modes: Mapping[str, ModeSpec] | None = None, *, name: str | PurePath = "rules") -> dict[str, ModeRules]:
    """Rules by mode from the text of a TOML file. `modes`: those of the hosted game, which give sizes that the file leaves out.

    Raises ConfigError with `name`, the key and what it takes.
    """
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}: not TOML: {error}") from error
    try:
        file = msgspec.convert(found, File)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{name}: {_said(error, '')}") from error
    return {mode: _mode(f"{name}: modes.{mode}", mode, table, modes) for mode, table in file.modes.items()}


def _mode(where: str, mode: str, table: dict[str, Any], modes: Mapping[str, ModeSpec] | None) -> ModeRules:
    if not is_name(mode):
        raise ConfigError(f"{where}: a mode's name is 1 to 32 of a-z, 0-9 and -, not at the ends")
    try:
        rules = msgspec.convert(table, ModeRules, dec_hook=_hook)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}{_said(error, '.')}") from error
    if modes is not None:
        if mode not in modes:
            raise ConfigError(f"{where}: the game has no such mode; its modes are {', '.join(modes)}")
        spec = modes[mode]
        for key, has in (("teams", spec.teams), ("team_size", spec.team_size)):
            if getattr(rules, key) not in (0, has):
                raise ConfigError(f"{where}.{key}: the game's mode has {has}; leave it out or say the same")
        rules = msgspec.structs.replace(rules, teams=spec.teams, team_size=spec.team_size, npc_fill=rules.npc_fill and spec.npc_fill)
    problems = never.problems(rules)
    if problems:
        key, reason = problems[0]
        raise ConfigError(f"{where}.{key}: can never match: {reason}" if key else f"{where}: can never match: {reason}")
    return rules


def to_json(rules: ModeRules) -> bytes:
    """Rules as another process reads them (`from_json`), sizes included: the same bytes for the same rules."""
    return msgspec.json.encode(msgspec.to_builtins(rules, enc_hook=widening.spell), order="sorted")


def from_json(text: bytes) -> ModeRules:
    """Raises ConfigError for what are no rules, or rules that no match could keep."""
    try:
        rules = msgspec.json.decode(text, type=ModeRules, dec_hook=_hook)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"no rules of a mode: {error}") from error
    if problems := never.problems(rules):
        raise ConfigError(f"can never match: {problems[0][1]}")
    return rules


def _said(error: msgspec.ValidationError, before: str) -> str:
    """msgspec's message with the path in front, as people write it."""
    text = str(error).replace("Object contains unknown field", "unknown key").replace("Object missing required field", "missing key")
    found = re.fullmatch(r"(?s)(.*) - at `(?:key in )?\$\.?(.*)`", text)
    return f"{before}{found[2]}: {found[1]}" if found and found[2] else f"{':' if before else ''} {text}".lstrip()


def default(spec: ModeSpec) -> ModeRules:
    """What a mode is matched by where no file says otherwise: rating alone, in a window that widens, with NPCs as `spec` has them."""
    return ModeRules(teams=spec.teams, team_size=spec.team_size, npc_fill=spec.npc_fill, skill=Skill(window=widening.line(4.0, 2.0, 100.0)))
