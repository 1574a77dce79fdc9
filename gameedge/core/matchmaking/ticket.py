"""A player's wish for a match: what the matcher sees and the region's store keeps."""

from typing import Final

import msgspec

from gameedge.core.ids import EdgeId, PlayerId, SessionId, TicketId

RATING_MEAN: Final = 25.0  # of a new player, as openskill has it
RATING_DEVIATION: Final = 25.0 / 3.0


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
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
