"""A ticket as other regions see it: what rules look at, and nothing else of its player (crossing.py)."""

from typing import Annotated

import msgspec
from msgspec import Meta

from gameedge.core import limits
from gameedge.core.matchmaking.ticket import Attributes, ByRegion, Words

Name = Annotated[str, Meta(min_length=1, max_length=64)]
Hash = Annotated[str, Meta(min_length=8, max_length=64)]
Age = Annotated[int, Meta(ge=0, le=10 * limits.TICKET_MS_MAX)]
Finite = Annotated[float, Meta(ge=-1e9, le=1e9)]


class Shown(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A ticket as neighbours see it."""

    ticket: Name
    who: Hash  # of the player: the same in all regions, so that nobody meets themselves or whom they block
    age_ms: Age
    party: Annotated[str, Meta(max_length=64)] = ""  # a hash
    party_size: Annotated[int, Meta(ge=1, le=limits.SEATS_PER_MATCH_MAX)] = 1
    rating: Finite
    sigma: Annotated[float, Meta(ge=0, le=1e6)]
    trust: Annotated[int, Meta(ge=0, le=255)] = 0
    attributes: Attributes = {}
    roles: Words = []
    rtt_ms: ByRegion = {}
    loss: ByRegion = {}
    blocks: Annotated[list[Hash], Meta(max_length=limits.TICKET_BLOCKS_MAX)] = []
