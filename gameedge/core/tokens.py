"""Session tokens as an edge process checks them: an EdDSA JWT that a coordinator signed.

Only EdDSA is accepted, only with a key that the configuration names, only with the fields declared here. So classic mistakes
(`alg: none`, a public key used as an HMAC secret, keys or URLs from the header) have nothing to hold on to. The time is an
argument: PyJWT checks the signature alone. Heavy imports are inside the functions, since clients read this package too.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from gameedge.core import limits
from gameedge.core.errors import ConfigError, Reason, RefusedError

ISSUER: Final = "gameedge"
AUDIENCE: Final = "gameedge-edge"
OPERATOR_AUDIENCE: Final = "gameedge-admin"
ASK_AUDIENCE: Final = "gameedge-ask"
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
    spot: Annotated[str, Meta(max_length=64)] = ""  # where it comes from, coarsely (core/routing/netmap.py); empty: not known
    # Round trips that the placement was made by, ms: the player's own measurements, and of other regions that it did not measure what is
    # expected there. Signed, so that they do not change with each queue.
    rtt_ms: Annotated[dict[str, Annotated[float, Meta(ge=0, le=limits.RTT_MS_MAX)]], Meta(max_length=limits.REGIONS_MAX)] = {}
    # W3C traceparent of the placement, where that is traced. Left out of the token else.
    trace: Annotated[str, Meta(max_length=limits.TRACEPARENT_CHARS)] | msgspec.UnsetType = msgspec.UNSET
    iat: Seconds
    exp: Seconds

    @property
    def placed_ms(self) -> float:
        """The round trip to this region that the placement was made by; 0: the player measured none."""
        return self.rtt_ms.get(self.region, 0.0)


class OperatorClaims(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator's token says. `mark` binds it to the configured operator token that it was derived from."""

    iss: str
    aud: str
    sub: Annotated[str, Meta(min_length=1, max_length=64)]  # the operator's name, for the audit log
    role: Literal["viewer", "operator", "owner"]
    mark: Annotated[str, Meta(max_length=64)]
    iat: Seconds
    exp: Seconds


class AskClaims(msgspec.Struct, frozen=True, kw_only=True):
    """A coordinator's question to one process of a region: what, of which flag, for whom, and which question it is."""

    iss: str
    aud: str
    sub: Annotated[str, Meta(min_length=1, max_length=64)]  # the operator who wants to know
    region: Annotated[str, Meta(min_length=1, max_length=32)]
    edge: Annotated[str, Meta(min_length=1, max_length=32)]
    ask: Annotated[str, Meta(min_length=1, max_length=32)]
    args: Annotated[dict[str, Annotated[str, Meta(max_length=256)]], Meta(max_length=8)] = {}
    body: Annotated[bytes, Meta(max_length=limits.ASK_BYTES_MAX)] = b""  # msgpack, where arguments are more than words
    jti: Annotated[str, Meta(min_length=8, max_length=64)]
    reply: Annotated[str, Meta(min_length=1, max_length=64)]  # the coordinator that waits
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
_operator_claims = msgspec.json.Decoder(OperatorClaims)
_ask_claims = msgspec.json.Decoder(AskClaims)
_C = TypeVar("_C")


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


def verify_token(token: str, keys: TokenKeys, region: str | None, now_ms: int) -> Claims:
    """The claims of a token that is good for `region` (None: for any) at `now_ms`.

    Raises RefusedError: TOKEN_INVALID (form, key, signature, issuer, audience), TOKEN_EXPIRED or WRONG_REGION, in that order.
    """
    return _good_for(_signed(token, keys, _claims, "ask for a new placement"), region, now_ms)


def verify_again(token: str, keys: TokenKeys, region: str | None, now_ms: int) -> Claims:
    """`verify_token` for a token whose very bytes were verified before, as the caller knows: all but the signature, which costs three
    quarters of it. Its key must still be among `keys`."""
    if len(token) > limits.TOKEN_BYTES_MAX or not token.isascii() or _read_header(token).kid not in keys:
        raise RefusedError(Reason.TOKEN_INVALID, "signed by a key that this process does not know; ask for a new placement")
    try:
        payload = token.split(".")[1]
        claims = _claims.decode(base64.b64decode(payload + "=" * (-len(payload) % 4), b"-_", validate=True))
    except (IndexError, msgspec.DecodeError, ValueError, RecursionError) as error:
        raise RefusedError(Reason.TOKEN_INVALID, "the claims are wrong") from error
    return _good_for(claims, region, now_ms)


def _good_for(claims: Claims, region: str | None, now_ms: int) -> Claims:
    if claims.iss != ISSUER or claims.aud != AUDIENCE:
        raise RefusedError(Reason.TOKEN_INVALID, "not a session token")
    if now_ms >= claims.exp * 1000:
        raise RefusedError(Reason.TOKEN_EXPIRED, "ask for a new placement")
    if region is not None and claims.region != region:
        raise RefusedError(Reason.WRONG_REGION, f"the token is for {claims.region}, this is {region}")
    return claims


def verify_operator_token(token: str, keys: TokenKeys, mark: str, now_ms: int) -> OperatorClaims:
    """The claims of an operator's token. Raises RefusedError: TOKEN_INVALID, or TOKEN_EXPIRED for one that was good once."""
    claims = _signed(token, keys, _operator_claims, "ask an owner for a new one")
    if claims.iss != ISSUER or claims.aud != OPERATOR_AUDIENCE or claims.mark != mark:
        raise RefusedError(Reason.TOKEN_INVALID, "not an operator's token of this deployment")
    if now_ms >= claims.exp * 1000:
        raise RefusedError(Reason.TOKEN_EXPIRED, "your token has ended; ask an owner for a new one")
    return claims


def verify_ask(token: str, keys: TokenKeys, region: str, edge: str, now_ms: int) -> AskClaims:
    """A coordinator's question to this process. Raises RefusedError: TOKEN_INVALID, TOKEN_EXPIRED or WRONG_REGION."""
    claims = _signed(token, keys, _ask_claims, "only a coordinator asks", bytes_max=limits.ASK_BYTES_MAX)
    if claims.iss != ISSUER or claims.aud != ASK_AUDIENCE:
        raise RefusedError(Reason.TOKEN_INVALID, "not a question of a coordinator")
    if now_ms >= claims.exp * 1000:
        raise RefusedError(Reason.TOKEN_EXPIRED, "the question is too old")
    if (claims.region, claims.edge) != (region, edge):
        raise RefusedError(Reason.WRONG_REGION, f"the question is for {claims.region}/{claims.edge}")
    return claims


def _signed(
    token: str, keys: TokenKeys, decoder: "msgspec.json.Decoder[_C]", advice: str, *, bytes_max: int = limits.TOKEN_BYTES_MAX
) -> _C:
    """The payload of a token that one of `keys` signed. Raises RefusedError(TOKEN_INVALID)."""
    from jwt import PyJWS
    from jwt.exceptions import PyJWTError

    if len(token) > bytes_max or not token.isascii():
        raise RefusedError(Reason.TOKEN_INVALID, f"a token has at most {bytes_max} bytes")
    key = keys.get(_read_header(token).kid)
    if key is None:
        raise RefusedError(Reason.TOKEN_INVALID, f"signed by a key that this process does not know; {advice}")
    try:
        return decoder.decode(PyJWS(algorithms=[ALGORITHM]).decode_complete(token, key, algorithms=[ALGORITHM])["payload"])
    except (PyJWTError, msgspec.DecodeError, ValueError, RecursionError) as error:
        raise RefusedError(Reason.TOKEN_INVALID, "the signature or the claims are wrong") from error


def _read_header(token: str) -> _Header:
    first = token.split(".", 1)[0]
    try:
        header = _header.decode(base64.b64decode(first + "=" * (-len(first) % 4), b"-_", validate=True))
    except (ValueError, msgspec.DecodeError, RecursionError) as error:
        raise RefusedError(Reason.TOKEN_INVALID, "not a session token") from error
    if header.alg != ALGORITHM:
        raise RefusedError(Reason.TOKEN_INVALID, f"only {ALGORITHM} is accepted")
    return header
