"""What a player may be called. Markup is data: `<b>` is a name, and whoever shows it escapes it."""

import unicodedata
from typing import Final

from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError

_REFUSED_CATEGORIES: Final = frozenset({"Cc", "Cs", "Co", "Zl", "Zp"})
# Marks that reorder the text around them, so that a name could rewrite the line it is shown in.
_BIDI: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def is_clean(text: str) -> bool:
    """No control characters, line separators, lone surrogates or direction marks."""
    return not any(c in _BIDI or unicodedata.category(c) in _REFUSED_CATEGORIES for c in text)


def player_name(text: str) -> str:
    """The name as it is stored: NFC, without spaces around it. Raises RefusedError(MALFORMED)."""
    if len(text) > 4 * limits.NAME_CHARS_MAX:  # before any work is done on it
        raise RefusedError(Reason.MALFORMED, f"name: at most {limits.NAME_CHARS_MAX} characters")
    if not is_clean(text):
        raise RefusedError(Reason.MALFORMED, "name: no control characters, line breaks or direction marks")
    name = unicodedata.normalize("NFC", text).strip()
    if not 1 <= len(name) <= limits.NAME_CHARS_MAX:
        raise RefusedError(Reason.MALFORMED, f"name: 1 to {limits.NAME_CHARS_MAX} characters")
    return name
