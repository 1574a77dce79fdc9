"""Roles of the admin API: who may, for how long, and that every endpoint says whom it takes."""

import json
from typing import Any

import msgspec
import pytest
from litestar import get

from gameedge.coordinator.roles import Role, check_declared
from gameedge.coordinator.tokens import Signer
from gameedge.core.tokens import ISSUER, OPERATOR_AUDIENCE
from tests.coordinator.fleet import AUTH, Fleet, config, fleet


async def issue(world: Fleet, role: str, headers: dict[str, str] = AUTH, **more: Any) -> dict[str, Any]:
    answer = await world.http.post("/v1/admin/tokens", headers=headers, json={"name": f"{role}-ann", "role": role, **more})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_each_role_may_do_what_it_may_and_no_more() -> None:
    async with fleet() as world:
        tokens = {role: bearer((await issue(world, role))["token"]) for role in Role}
        asked = {
            Role.VIEWER: ("GET", "/v1/admin/status", None),
            Role.OPERATOR: ("POST", "/v1/admin/regions/eu/drain", None),
            Role.OWNER: ("POST", "/v1/admin/tokens", {"name": "bo", "role": "viewer"}),
        }
        for held in Role:
            for needed, (method, path, body) in asked.items():
                answer = await world.http.request(method, path, headers=tokens[held], json=body)
                if held.covers(needed):
                    assert answer.is_success, (held, needed, answer.text)
                else:
                    assert answer.status_code == 403, (held, needed)
                    assert f"needs the role {needed}" in answer.json()["detail"]
        entries = [json.loads(entry) for entry in await world.store.audit_list(20)]
        drained = [(entry["who"], entry["role"]) for entry in entries if entry["action"] == "drain"]
        assert drained == [("owner-ann", "owner"), ("operator-ann", "operator")]  # newest first; refused ones leave nothing
        given = [entry for entry in entries if entry["action"] == "token"]
        assert {entry["given_role"] for entry in given} == {"viewer", "operator", "owner"}
        assert not any("eyJ" in json.dumps(entry) for entry in entries)  # no token in the log


async def test_a_token_ends_by_itself_and_says_so() -> None:
    async with fleet() as world:
        given = await issue(world, "viewer", life_ms=60_000)
        me = (await world.http.get("/v1/admin/me", headers=bearer(given["token"]))).json()
        assert me == {"name": "viewer-ann", "role": "viewer", "expires_ms": given["expires_ms"]}
        world.clock.ahead_ms = 61_000
        answer = await world.http.get("/v1/admin/me", headers=bearer(given["token"]))
        assert (answer.status_code, answer.json()["reason"]) == (401, "token_expired")
        assert (await world.http.get("/v1/admin/me", headers=AUTH)).json()["expires_ms"] is None


async def test_another_operator_token_ends_all_that_were_given_out() -> None:
    async with fleet() as world:
        token = (await issue(world, "owner"))["token"]
        store, broker = world.store, world.broker
    async with fleet(config(operator_token="another"), store=store, broker=broker) as world:
        assert (await world.http.get("/v1/admin/me", headers=bearer(token))).status_code == 401
    async with fleet(store=store, broker=broker) as world:
        assert (await world.http.get("/v1/admin/me", headers=bearer(token))).status_code == 200


async def test_tokens_of_players_and_forged_ones_open_nothing() -> None:
    async with fleet() as world:
        guest = await world.sign_up()
        player = (await world.place(guest)).json()["token"]
        good = (await issue(world, "viewer"))["token"]
        head, payload, signature = good.split(".")
        mark = world.running.services.signer.mark("operator-secret")
        claims = {"iss": ISSUER, "aud": OPERATOR_AUDIENCE, "sub": "x", "role": "owner", "mark": mark, "iat": 1, "exp": 2**39}
        forged = Signer(bytes(32)).sign_bytes(msgspec.json.encode(claims))
        for token in (player, f"{head}.{payload}.{signature[::-1]}", f"{head}.{payload[:-2]}.{signature}", forged, "x" * 5_000):
            answer = await world.http.get("/v1/admin/status", headers=bearer(token))
            assert (answer.status_code, answer.json()["reason"]) == (401, "token_invalid")


@pytest.mark.parametrize(
    "body",
    [
        {"name": "", "role": "viewer"},
        {"name": "a", "role": "god"},
        {"name": "a\n", "role": "viewer"},
        {"name": "a", "role": "viewer", "life_ms": 10**12},
    ],
)
async def test_bad_requests_for_tokens_are_refused(body: dict[str, Any]) -> None:
    async with fleet() as world:
        assert (await world.http.post("/v1/admin/tokens", headers=AUTH, json=body)).status_code == 400


def test_a_handler_that_names_no_role_is_refused_at_once() -> None:
    @get("/open")
    async def careless() -> None: ...

    with pytest.raises(ValueError, match="declare who may call it"):
        check_declared([careless])
