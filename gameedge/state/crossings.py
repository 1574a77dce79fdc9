"""What a coordinator asks regions to bring a match across regions about: the bodies of its signed questions, and the answers.

`crossing_grant` to the holder of the mode's lease, `crossing_open` and `crossing_seen` to the process that hosts, `crossing_send` and
`crossing_end` to any process of a home region. Each may be asked twice without harm. docs/decisions/0019 has the whole of it.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from gameedge.core import limits
from gameedge.core.ids import MatchId, RegionId, TicketId
from gameedge.core.matchmaking.ticket import Ticket

VERSION = 1  # of all this; who speaks another one is not asked
Tickets = Annotated[list[TicketId], Meta(max_length=limits.SEATS_PER_MATCH_MAX)]
Url = Annotated[str, Meta(max_length=256)]


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """The base of all of them."""

    match: Annotated[MatchId, Meta(min_length=1, max_length=64)]
    mode: Annotated[str, Meta(min_length=1, max_length=32)]


class Grant(Body, frozen=True, kw_only=True):
    """Take these tickets out of the pool for a match in `region`."""

    region: RegionId
    tickets: Tickets


class Granted(msgspec.Struct, frozen=True, kw_only=True):
    """All of them, or the question was refused. `now_ms`: the region's clock, to which their ages belong."""

    now_ms: int
    tickets: list[Ticket]


class Open(Body, frozen=True, kw_only=True):
    """Open this match of guests, if it keeps the rules. `now_ms`: the clock to which the tickets' ages belong."""

    now_ms: int
    rules: str  # the name of the rules by which it was made
    teams: Annotated[list[Tickets], Meta(max_length=limits.SEATS_PER_MATCH_MAX)]
    tickets: Annotated[list[Ticket], Meta(max_length=limits.SEATS_PER_MATCH_MAX)]


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """It is open: where, and the match token of each ticket."""

    url: str
    tokens: dict[TicketId, str]


class Seat(msgspec.Struct, frozen=True, kw_only=True):
    """What one player needs to take a seat. `token` is a session token of the other region; empty where it is the own one."""

    match_token: Annotated[str, Meta(max_length=64)]
    token: Annotated[str, Meta(max_length=limits.TOKEN_BYTES_MAX)] = ""


class Send(Body, frozen=True, kw_only=True):
    """Tell the players of these tickets where to go."""

    region: RegionId
    urls: Annotated[list[Url], Meta(min_length=1, max_length=8)]  # of the region's processes, the host's first
    seats: Annotated[dict[TicketId, Seat], Meta(max_length=limits.SEATS_PER_MATCH_MAX)]


class Seen(Body, frozen=True, kw_only=True):
    """Who has taken a seat of it? Answered by a list of tickets."""


class End(Body, frozen=True, kw_only=True):
    """These tickets `arrived`, or the match is off and they wait on."""

    tickets: Tickets
    arrived: bool
