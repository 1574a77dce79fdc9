"""Session tokens as an edge process checks them: an EdDSA JWT that a coordinator signed.

Only EdDSA is accepted, only with a key that the configuration names, only with the fields declared here. So classic mistakes
(`alg: none`, a public key used as an HMAC secret, keys or URLs from the header) have nothing to hold on to. The time is an
argument: PyJWT checks the signature alone. Heavy imports are inside the functions, since clients read this package too.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from gameedge.core import limits
from gameedge.core.errors import ConfigError, Reason, RefusedError

ISSUER: Final = "gameedge"
AUDIENCE: Final = "gameedge-edge"
ALGORITHM: Final = "EdDSA"
MODES_MAX: Final = 16  # ratings in one token; with them a token stays under limits.TOKEN_BYTES_MAX

Seconds = Annotated[int, Meta(ge=0, le=2**40)]


class ModeRating(msgspec.Struct, frozen=True, array_like=True):
    """As two numbers in the token, to keep it short."""

    mu: Annotated[float, Meta(ge=-1e6, le=1e6)]
    sigma: Annotated[float, Meta(ge=0, le=1e6)]


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says. `iat` and `exp` are Unix seconds, as RFC 7519 has them."""

    iss: str
    aud: str
    sub: Annotated[str, Meta(min_length=1, max_length=64)]  # the player
    region: Annotated[str, Meta(min_length=1, max_length=32)]
    name: Annotated[str, Meta(max_length=limits.NAME_CHARS_MAX)]
    ratings: Annotated[dict[str, ModeRating], Meta(max_length=MODES_MAX)] = {}
    trust: Annotated[int, Meta(ge=0, le=255)] = 0
    iat: Seconds
    exp: Seconds


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No `jwk`, `jku`, `x5u` or `crit`: a header with anything else is refused."""

    alg: str
    kid: Annotated[str, Meta(max_length=64)]
    typ: str = "JWT"


class TokenKeys:
    """The public keys that may sign, by key id."""

    def __init__(self, keys: Mapping[str, Any]) -> None:
        self._keys = dict(keys)

    def get(self, kid: str) -> Any | None:
        return self._keys.get(kid)

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, kid: str) -> bool:
        return kid in self._keys


_header = msgspec.json.Decoder(_Header)
_claims = msgspec.json.Decoder(Claims)


def key_id(public: bytes) -> str:
    """The id of a raw public key: the first 16 hex of its sha-256."""
    return hashlib.sha256(public).hexdigest()[:16]


def load_keys(texts: Iterable[str]) -> TokenKeys:
    """Public keys as `gameedge keys` prints them (base64url of 32 raw bytes). Raises ConfigError."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    keys: dict[str, Any] = {}
    for text in texts:
        try:
            raw = base64.b64decode(text.strip().rstrip("=") + "=" * (-len(text.strip().rstrip("=")) % 4), b"-_", validate=True)
            keys[key_id(raw)] = Ed25519PublicKey.from_public_bytes(raw)
        except (ValueError, binascii.Error, UnsupportedAlgorithm) as error:
            raise ConfigError(f"token_keys: {text[:64]!r} is no Ed25519 public key; `gameedge keys` prints the right form") from error
    return TokenKeys(keys)


def verify_token(token: str, keys: TokenKeys, region: str, now_ms: int) -> Claims:
    """The claims of a token that is good for `region` at `now_ms`.

    Raises RefusedError: TOKEN_INVALID (form, key, signature, issuer, audience), TOKEN_EXPIRED or WRONG_REGION, in that order.
    """
    from jwt import PyJWS
    from jwt.exceptions import PyJWTError

    if len(token) > limits.TOKEN_BYTES_MAX or not token.isascii():
        raise RefusedError(Reason.TOKEN_INVALID, f"a token has at most {limits.TOKEN_BYTES_MAX} bytes")
    key = keys.get(_read_header(token).kid)
    if key is None:
        raise RefusedError(Reason.TOKEN_INVALID, "signed by a key that this process does not know; ask for a new placement")
    try:
        payload = PyJWS(algorithms=[ALGORITHM]).decode_complete(token, key, algorithms=[ALGORITHM])["payload"]
        claims = _claims.decode(payload)
    except (PyJWTError, msgspec.DecodeError, ValueError, RecursionError) as error:
        raise RefusedError(Reason.TOKEN_INVALID, "the signature or the claims are wrong") from error
    if claims.iss != ISSUER or claims.aud != AUDIENCE:
        raise RefusedError(Reason.TOKEN_INVALID, "not a session token")
    if now_ms >= claims.exp * 1000:
        raise RefusedError(Reason.TOKEN_EXPIRED, "ask for a new placement")
    if claims.region != region:
        raise RefusedError(Reason.WRONG_REGION, f"the token is for {claims.region}, this is {region}")
    return claims


def _read_header(token: str) -> _Header:
    first = token.split(".", 1)[0]
    try:
        header = _header.decode(base64.b64decode(first + "=" * (-len(first) % 4), b"-_", validate=True))
    except (ValueError, msgspec.DecodeError, RecursionError) as error:
        raise RefusedError(Reason.TOKEN_INVALID, "not a session token") from error
    if header.alg != ALGORITHM:
        raise RefusedError(Reason.TOKEN_INVALID, f"only {ALGORITHM} is accepted")
    return header
