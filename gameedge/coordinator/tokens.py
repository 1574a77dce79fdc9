"""The signing side of session tokens. One key pair for all coordinators, kept in the global store."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt import PyJWS

from gameedge.core import limits
from gameedge.core.ids import EdgeId, PlayerId, RegionId
from gameedge.core.tokens import (
    ALGORITHM,
    ASK_AUDIENCE,
    AUDIENCE,
    ISSUER,
    MODES_MAX,
    OPERATOR_AUDIENCE,
    AskClaims,
    Claims,
    ModeRating,
    OperatorClaims,
    TokenKeys,
    key_id,
)
from gameedge.state.base_global import Account, GlobalStore, Rating

SECRET_NAME: Final = "token-signing-key"


class Signer:
    """Signs session tokens with one Ed25519 key."""

    def __init__(self, private: bytes) -> None:
        """`private`: 32 raw bytes."""
        self._private = Ed25519PrivateKey.from_private_bytes(private)
        self._mark_key = hashlib.sha256(b"gameedge operator mark" + private).digest()
        self._jws = PyJWS(algorithms=[ALGORITHM])
        self.public: Final = self._private.public_key().public_bytes_raw()
        self.kid: Final = key_id(self.public)
        self.keys: Final = TokenKeys({self.kid: self._private.public_key()})  # what this signer signed, it can check

    @property
    def public_text(self) -> str:
        """The form that the key `token_keys` of an edge process takes."""
        return base64.urlsafe_b64encode(self.public).rstrip(b"=").decode()

    def jwk(self) -> dict[str, str]:
        """The public key as RFC 8037 writes it."""
        return {"kty": "OKP", "crv": "Ed25519", "alg": ALGORITHM, "use": "sig", "kid": self.kid, "x": self.public_text}

    def sign_bytes(self, payload: bytes, headers: dict[str, Any] | None = None) -> str:
        return self._jws.encode(payload, self._private, algorithm=ALGORITHM, headers=headers or {"kid": self.kid})

    def session_token(
        self,
        account: Account,
        region: RegionId,
        ratings: Mapping[str, Rating],
        now_ms: int,
        life_ms: int,
        first_mode: str | None = None,
        spot: str = "",
        rtt_ms: Mapping[str, float] | None = None,
        trace: str = "",
    ) -> tuple[str, int]:
        """A token for one region and when it expires (Unix ms). Of many ratings, `first_mode` and the most played go in; of many round
        trips (measured, or expected where nobody measured), this region's and the shortest. `trace`: the placement's traceparent, empty: it
        is not traced."""
        nearest = sorted((rtt_ms or {}).items(), key=lambda pair: (pair[0] != region, pair[1]))[: limits.TOKEN_REGIONS_MAX]
        expires_s = (now_ms + life_ms) // 1000
        chosen = sorted(ratings, key=lambda mode: (mode != first_mode, -ratings[mode].games, mode))[:MODES_MAX]
        while True:
            claims = Claims(
                iss=ISSUER,
                aud=AUDIENCE,
                sub=PlayerId(account.player),
                region=region,
                name=account.name,
                ratings={m: ModeRating(round(ratings[m].mu, 3), round(ratings[m].sigma, 3)) for m in chosen},
                trust=min(255, max(0, account.trust)),
                spot=spot,
                rtt_ms={name: round(min(max(0.0, rtt), limits.RTT_MS_MAX), 1) for name, rtt in nearest},
                trace=trace or msgspec.UNSET,
                iat=now_ms // 1000,
                exp=expires_s,
            )
            token = self.sign_bytes(msgspec.json.encode(claims))
            if len(token) <= limits.TOKEN_BYTES_MAX or not chosen:
                return token, expires_s * 1000
            chosen.pop()

    def mark(self, operator_token: str) -> str:
        """What binds operators' tokens to the configured one, and tells nothing about it to whoever has not the private key."""
        return hmac.new(self._mark_key, operator_token.encode(), "sha256").hexdigest()[:32]

    def operator_token(self, name: str, role: str, mark: str, now_ms: int, life_ms: int) -> tuple[str, int]:
        """A token of the admin API and when it expires (Unix ms)."""
        expires_s = (now_ms + life_ms) // 1000
        claims = {"iss": ISSUER, "aud": OPERATOR_AUDIENCE, "sub": name, "role": role, "mark": mark, "iat": now_ms // 1000, "exp": expires_s}
        return self.sign_bytes(msgspec.json.encode(msgspec.convert(claims, OperatorClaims))), expires_s * 1000

    def ask(
        self,
        region: RegionId,
        edge: EdgeId,
        ask: str,
        args: Mapping[str, str],
        *,
        who: str,
        number: str,
        reply: str,
        now_ms: int,
        life_ms: int,
        body: bytes = b"",
    ) -> str:
        """A question to one process of a region; ValueError (msgspec's) where an argument is over its bound."""
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": ASK_AUDIENCE,
            "sub": who,
            "region": region,
            "edge": edge,
            "ask": ask,
            "args": dict(args),
        }
        claims |= {"jti": number, "reply": reply, "iat": now_ms // 1000, "exp": -(-(now_ms + life_ms) // 1000)}
        if body:  # else not in the token at all: it is as short as it was
            claims["body"] = body
        asked = msgspec.to_builtins(msgspec.convert(claims, AskClaims))
        return self.sign_bytes(msgspec.json.encode({key: asked[key] for key in claims}))


async def load_signer(store: GlobalStore) -> Signer:
    """The key pair of this deployment; made by whoever asks first. Raises UnavailableError."""
    return Signer(await store.secret(SECRET_NAME, secrets.token_bytes(32)))
