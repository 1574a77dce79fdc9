"""Distinct id types, so that a ticket can never be passed where a match is meant."""

import re
from typing import Final, NewType

PlayerId = NewType("PlayerId", str)
SessionId = NewType("SessionId", str)
TicketId = NewType("TicketId", str)
MatchId = NewType("MatchId", str)
RegionId = NewType("RegionId", str)
EdgeId = NewType("EdgeId", str)
FlagId = NewType("FlagId", str)

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u


def encode(prefix: str, entropy: bytes) -> str:
    """An id such as `p_7h2k...` from random bytes that the caller draws (16 give 128 bits)."""
    number = int.from_bytes(entropy, "big")
    digits = []
    for _ in range((len(entropy) * 8 + 4) // 5):
        number, digit = divmod(number, 32)
        digits.append(_ALPHABET[digit])
    return f"{prefix}_{''.join(reversed(digits))}"


def is_name(text: str) -> bool:
    """Whether `text` may name a region, an edge process, a game or a mode: it appears in topics, keys and URLs."""
    return _NAME.fullmatch(text) is not None
