"""Session tokens: what must never be accepted, for any input."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from gameedge.coordinator.tokens import Signer, load_signer
from gameedge.core import limits
from gameedge.core.errors import ConfigError, Reason, RefusedError
from gameedge.core.ids import PlayerId, RegionId
from gameedge.core.tokens import TokenKeys, load_keys, verify_token
from gameedge.state.base_global import Account, Rating
from gameedge.state.memory_global import MemoryGlobalStore

NOW = 1_800_000_000_000
SIGNER = Signer(bytes(range(32)))
KEYS = load_keys([SIGNER.public_text])
ADA = Account(player=PlayerId("p_ada"), secret_hash="", name="Ada", created_ms=0, trust=1)
TOKEN, EXPIRES_MS = SIGNER.session_token(ADA, RegionId("eu"), {"duel": Rating(mu=31.5, sigma=4.25, games=3)}, NOW, 60_000)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def parts() -> tuple[dict[str, Any], dict[str, Any], str]:
    header, payload, signature = TOKEN.split(".")
    return json.loads(base64.urlsafe_b64decode(header + "==")), json.loads(base64.urlsafe_b64decode(payload + "==")), signature


def why(token: str, *, keys: TokenKeys = KEYS, region: str = "eu", now_ms: int = NOW) -> Reason:
    with pytest.raises(RefusedError) as refused:
        verify_token(token, keys, region, now_ms)
    return refused.value.reason


def test_a_good_token_opens() -> None:
    claims = verify_token(TOKEN, KEYS, "eu", NOW)
    assert (claims.sub, claims.name, claims.trust, claims.region) == ("p_ada", "Ada", 1, "eu")
    assert (claims.ratings["duel"].mu, claims.ratings["duel"].sigma) == (31.5, 4.25)
    assert claims.exp * 1000 == EXPIRES_MS
    assert len(TOKEN) < limits.TOKEN_BYTES_MAX


@given(st.data())
@settings(max_examples=300)
def test_no_changed_character_passes(data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(TOKEN) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda c: c != TOKEN[index]))
    changed = TOKEN[:index] + other + TOKEN[index + 1 :]
    if index in (len(TOKEN) - 1, TOKEN.index(".") - 1, TOKEN.rindex(".") - 1):
        return  # the last base64 character of a part has bits that stand for nothing: some change is the same token
    assert why(changed) is Reason.TOKEN_INVALID


@given(st.text(max_size=400) | st.binary(max_size=300).map(lambda raw: f"{b64(raw)}.{b64(raw)}.{b64(raw)}"))
def test_garbage_is_refused_and_never_raises_otherwise(token: str) -> None:
    assert why(token) is Reason.TOKEN_INVALID


@given(st.dictionaries(st.text(max_size=6), st.none() | st.integers() | st.text(max_size=6), max_size=6))
def test_signed_claims_of_another_form_are_refused(claims: dict[str, Any]) -> None:
    assert why(SIGNER.sign_bytes(json.dumps(claims).encode())) is Reason.TOKEN_INVALID


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "HS256", "RS256", "ES256", "EdDSA "])
def test_no_other_algorithm(alg: str) -> None:
    """`none`, and a public key that is used as an HMAC secret."""
    header, payload, _ = parts()
    body = f"{b64(json.dumps({**header, 'alg': alg}).encode())}.{b64(json.dumps(payload).encode())}"
    for secret in (SIGNER.public, SIGNER.public_text.encode()):
        signature = b64(hmac.new(secret, body.encode(), hashlib.sha256).digest())
        assert why(f"{body}.{signature}") is Reason.TOKEN_INVALID
    assert why(f"{body}.") is Reason.TOKEN_INVALID


def test_a_key_from_the_header_is_not_used() -> None:
    thief = Signer(bytes(32))
    _, payload, _ = parts()
    body = json.dumps(payload).encode()
    assert why(thief.sign_bytes(body)) is Reason.TOKEN_INVALID
    assert why(thief.sign_bytes(body, {"kid": SIGNER.kid})) is Reason.TOKEN_INVALID
    assert why(thief.sign_bytes(body, {"kid": SIGNER.kid, "jwk": thief.jwk()})) is Reason.TOKEN_INVALID
    assert why(SIGNER.sign_bytes(body, {"kid": SIGNER.kid, "crit": ["x"], "x": 1})) is Reason.TOKEN_INVALID
    assert why(SIGNER.sign_bytes(body, {"typ": "JWT"})) is Reason.TOKEN_INVALID  # no key id


@given(st.integers(0, 2**41))
def test_expiry_is_exact(now_ms: int) -> None:
    if now_ms < EXPIRES_MS:
        assert verify_token(TOKEN, KEYS, "eu", now_ms).sub == "p_ada"
    else:
        assert why(TOKEN, now_ms=now_ms) is Reason.TOKEN_EXPIRED


def test_another_region_is_told_apart() -> None:
    assert why(TOKEN, region="us") is Reason.WRONG_REGION
    assert why(TOKEN, region="us", now_ms=EXPIRES_MS) is Reason.TOKEN_EXPIRED
    assert why(TOKEN, keys=load_keys([])) is Reason.TOKEN_INVALID


@pytest.mark.parametrize("change", [{"iss": "other"}, {"aud": "gameedge-admin"}, {"aud": ["gameedge-edge"]}, {"exp": None}])
def test_tokens_of_the_same_key_for_something_else(change: dict[str, Any]) -> None:
    _, payload, _ = parts()
    assert why(SIGNER.sign_bytes(json.dumps({**payload, **change}).encode())) is Reason.TOKEN_INVALID


def test_oversized_tokens_are_not_even_looked_at() -> None:
    assert why(TOKEN + "A" * limits.TOKEN_BYTES_MAX) is Reason.TOKEN_INVALID
    assert why("[" * limits.TOKEN_BYTES_MAX) is Reason.TOKEN_INVALID


@pytest.mark.parametrize("text", ["", "abc", "A" * 43 + "!", b64(bytes(31)), b64(bytes(33)), "ü" * 43])
def test_configured_keys_that_are_none(text: str) -> None:
    with pytest.raises(ConfigError, match="token_keys"):
        load_keys([text])


def test_several_keys_and_padding() -> None:
    other = Signer(Ed25519PrivateKey.generate().private_bytes_raw())
    keys = load_keys([SIGNER.public_text + "=", f" {other.public_text}\n"])
    assert len(keys) == 2
    assert verify_token(TOKEN, keys, "eu", NOW).sub == "p_ada"


async def test_coordinators_share_one_key() -> None:
    store = MemoryGlobalStore()
    first, second = await load_signer(store), await load_signer(store)
    assert first.public == second.public
    assert first.kid in load_keys([second.public_text])
