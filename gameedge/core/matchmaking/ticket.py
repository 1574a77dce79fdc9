"""A player's wish for a match: what the matcher sees and the region's store keeps."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from gameedge.core import limits
from gameedge.core.ids import EdgeId, PlayerId, SessionId, TicketId

RATING_MEAN: Final = 25.0  # of a new player, as openskill has it
RATING_DEVIATION: Final = 25.0 / 3.0

# What rules may look at (core/matchmaking/rules.py). Bounded in the type, so that a message or a file that says more is refused.
Word = Annotated[str, Meta(min_length=1, max_length=limits.TICKET_WORD_CHARS_MAX)]
Words = Annotated[list[Word], Meta(max_length=limits.TICKET_WORDS_MAX)]
Attributes = Annotated[dict[Word, float | Word | Words], Meta(max_length=limits.TICKET_ATTRIBUTES_MAX)]
ByRegion = Annotated[dict[Word, float], Meta(max_length=limits.TICKET_REGIONS_MAX)]


class Ticket(msgspec.Struct, frozen=True, kw_only=True, gc=False):  # plain data, no cycles: 100,000 of them are not traversed
    """Stored as msgpack; unknown fields are ignored, so that a newer process may write for an older one."""

    id: TicketId
    player: PlayerId
    session: SessionId
    edge: EdgeId  # whose inbox hears of the match
    mode: str
    name: str = ""
    rating: float = RATING_MEAN
    sigma: float = RATING_DEVIATION
    trust: int = 0  # the trust pool: players are matched within one
    party: str | None = None
    party_size: int = 1
    created_ms: int = 0
    # All optional: tickets written before these fields existed read as tickets that say nothing.
    attributes: Attributes = {}
    roles: Words = []  # that the player would play; none: any
    rtt_ms: ByRegion = {}  # round trip to each region that was measured
    loss: ByRegion = {}  # share of packets lost, 0 to 1, by region
    blocks: Annotated[list[PlayerId], Meta(max_length=limits.TICKET_BLOCKS_MAX)] = []  # never in one match with these
    away: bool = False  # its client can play in another region
