"""The public API over a real server on loopback."""

import asyncio
import base64
import datetime
import ipaddress
import json
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gameedge.bus import topics
from gameedge.bus.memory import MemoryBroker
from gameedge.bus.payloads import Presence, encode
from gameedge.config import Listen
from gameedge.coordinator.app import serve
from gameedge.coordinator.services import secret_hash
from gameedge.core import limits
from gameedge.core.errors import ConfigError
from gameedge.core.ids import EdgeId, PlayerId, RegionId
from gameedge.core.tokens import load_keys, verify_token
from gameedge.state.base_global import Rating
from gameedge.state.memory_global import MemoryGlobalStore
from tests.coordinator.fleet import config, fleet, match_result, until


async def test_sign_up_place_and_open_the_token() -> None:
    async with fleet() as world:
        await world.edge("us", latitude=39.0, longitude=-77.5)
        await until(lambda: len(world.running.services.registry.regions) == 2)
        guest = await world.sign_up("<b>Ada</b> Łé 🦀")
        listed = (await world.http.get("/v1/regions")).json()["regions"]
        assert [(r["region"], r["beacons"]) for r in listed] == [
            ("eu", ["ws://127.0.0.1:9/eu/e1"]),
            ("us", ["ws://127.0.0.1:9/us/e1"]),
        ]
        assert listed[0]["title"] == "Europe"

        answer = (await world.place(guest, mode="duel", rtt_ms={"eu": [30, 31, 29], "us": [110, 111, 120]})).json()
        assert answer["region"] == "eu"
        assert answer["edges"] == ["ws://127.0.0.1:9/eu/e1"]
        assert answer["why"]["eu"]["rtt_ms"] == pytest.approx(29.25, abs=0.3)
        assert answer["why"]["us"]["total_ms"] > answer["why"]["eu"]["total_ms"]

        keys = (await world.http.get("/.well-known/jwks.json")).json()["keys"]
        claims = verify_token(answer["token"], load_keys([keys[0]["x"]]), "eu", world.clock())
        assert claims.sub == guest["player"]
        assert claims.name == "<b>Ada</b> Łé 🦀"
        assert claims.exp * 1000 == answer["expires_ms"]


async def test_only_the_hash_of_a_secret_is_stored() -> None:
    async with fleet() as world:
        guest = await world.sign_up()
        account = await world.store.account_get(PlayerId(guest["player"]))
        assert account is not None
        assert account.secret_hash == secret_hash(guest["secret"])
        assert guest["secret"] not in repr(account)
        raw = base64.urlsafe_b64decode(guest["secret"] + "=")
        assert len(raw) == 32


@pytest.mark.parametrize("name", ["", "   ", "x" * 33, "a\nb", "a\x00b", "a\u202eb", "\u2028", 7, None, ["x"]])
async def test_names_that_are_none(name: object) -> None:
    async with fleet() as world:
        answer = await world.http.post("/v1/guests", json={"name": name})
        assert (answer.status_code, answer.json()["reason"]) == (400, "malformed")


async def test_the_wrong_secret_and_the_unknown_player_look_alike() -> None:
    async with fleet() as world:
        guest = await world.sign_up()
        wrong = await world.place({**guest, "secret": "x" * 43})
        unknown = await world.place({"player": "p_nobody", "secret": guest["secret"]})
        assert wrong.status_code == unknown.status_code == 401
        assert wrong.json() == unknown.json()
        assert wrong.json()["reason"] == "token_invalid"


async def test_no_region_online_says_when_to_try_again() -> None:
    async with fleet() as world:
        guest = await world.sign_up()
        gone = encode(Presence(online=False))
        await world.bus.publish(topics.presence(RegionId("eu"), EdgeId("e1")), gone, retain=True)
        await until(lambda: not world.running.services.registry.online(world.clock()))
        answer = await world.place(guest, rtt_ms={"eu": [10]})
        assert (answer.status_code, answer.json()["reason"]) == (503, "unavailable")
        assert answer.json()["retry_after_ms"] > 0
        assert int(answer.headers["retry-after"]) >= 1
        assert (await world.http.get("/v1/regions")).json() == {"regions": []}


async def test_measurements_that_are_odd_are_ignored_and_too_many_are_refused() -> None:
    async with fleet() as world:
        guest = await world.sign_up()
        odd = {"eu": [-1, 0, 1e300, 25.0], "atlantis": [1.0], "a/+/#": [2]}
        answer = (await world.place(guest, rtt_ms=odd)).json()
        assert answer["region"] == "eu"
        assert answer["why"] == {**answer["why"], "eu": {**answer["why"]["eu"], "rtt_ms": 25.0, "basis": "measured"}}
        assert set(answer["why"]) == {"eu"}
        many = {f"r{index}": [1.0] for index in range(limits.REGIONS_MAX + 1)}
        assert (await world.place(guest, rtt_ms=many)).status_code == 400
        long = {"eu": [1.0] * (limits.RTT_SAMPLES_MAX + 1)}
        assert (await world.place(guest, rtt_ms=long)).status_code == 400
        body = json.dumps({**guest, "rtt_ms": {"eu": [float("nan")]}})
        refused = await world.http.post("/v1/placements", content=body)
        assert (refused.status_code, refused.json()["reason"]) == (400, "malformed")
        assert (await world.place(guest, latitude=91)).status_code == 400


async def test_ratings_travel_in_the_token_and_are_public() -> None:
    async with fleet() as world:
        ada, bob = await world.sign_up("Ada"), await world.sign_up("Bob")
        await world.result(match_result("m1", [[ada["player"]], [bob["player"]]], [0, 1]))
        await until(lambda: world.acks == ["1-0"])
        token = (await world.place(ada, mode="duel")).json()["token"]
        claims = verify_token(token, load_keys([world.running.services.signer.public_text]), "eu", world.clock())
        assert claims.ratings["duel"].mu > 25
        profile = (await world.http.get(f"/v1/players/{ada['player']}")).json()
        assert profile["name"] == "Ada"
        assert profile["ratings"]["duel"]["games"] == 1
        assert profile["ratings"]["duel"]["mu"] == pytest.approx(claims.ratings["duel"].mu, abs=1e-3)
        assert "secret" not in json.dumps(profile)
        assert (await world.http.get("/v1/players/p_nobody")).status_code == 404


async def test_a_token_with_many_ratings_stays_small() -> None:
    store = MemoryGlobalStore()
    async with fleet(store=store) as world:
        guest = await world.sign_up("🦀" * limits.NAME_CHARS_MAX)
        player = PlayerId(guest["player"])
        for index in range(60):
            mode = f"a-mode-with-a-rather-long-name{index:02}"
            result = match_result(f"m{index}", [[player], ["p_other"]], [0, 1], mode=mode)
            rating = Rating(mu=25.123456789, sigma=7.987654321, games=index)
            assert await store.result_apply(result, {player: rating}, {player: Rating()})
        wanted = "a-mode-with-a-rather-long-name00"
        token = (await world.place(guest, mode=wanted)).json()["token"]
        assert len(token) <= limits.TOKEN_BYTES_MAX
        claims = verify_token(token, load_keys([world.running.services.signer.public_text]), "eu", world.clock())
        assert wanted in claims.ratings


async def test_too_many_sign_ups_of_one_address() -> None:
    async with fleet(config(guests_per_minute=3)) as world:
        for _ in range(3):
            await world.sign_up()
        answer = await world.http.post("/v1/guests", json={"name": "x"})
        assert (answer.status_code, answer.json()["reason"]) == (429, "too_often")
        assert 0 < answer.json()["retry_after_ms"] <= 20_001
        world.clock.ahead_ms += 20_001
        await world.sign_up()


async def test_a_body_that_is_too_large() -> None:
    async with fleet() as world:
        answer = await world.http.post("/v1/guests", content=b"[" * (limits.BODY_BYTES_MAX + 1))
        assert (answer.status_code, answer.json()["reason"]) == (413, "too_large")

        async def endless() -> Any:
            for _ in range(40):
                yield b"x" * 4096

        answer = await world.http.post("/v1/guests", content=endless())
        assert answer.status_code == 413


async def test_unknown_routes_and_methods_have_the_same_form() -> None:
    async with fleet() as world:
        for answer, status in (
            (await world.http.get("/nothing"), 404),
            (await world.http.delete("/v1/guests"), 405),
            (await world.http.get("/v1/placements"), 405),
        ):
            assert answer.status_code == status
            assert set(answer.json()) == {"reason", "detail", "retry_after_ms"}


async def test_a_store_that_is_away_is_told_and_comes_back() -> None:
    store = MemoryGlobalStore()
    async with fleet(store=store) as world:
        guest = await world.sign_up()
        assert (await world.http.get("/readyz")).json() == {"ok": True, "store": "ok", "bus": "ok"}
        store.available = False
        answer = await world.place(guest)
        assert (answer.status_code, answer.json()["reason"]) == (503, "unavailable")
        assert (await world.http.get("/readyz")).status_code == 503
        assert (await world.http.get("/healthz")).status_code == 200
        assert (await world.http.get("/v1/regions")).status_code == 200
        store.available = True
        assert (await world.place(guest)).status_code == 200


async def test_placement_goes_on_while_the_broker_is_away() -> None:
    async with fleet() as world:
        guest = await world.sign_up()
        world.broker.down()
        world.clock.ahead_ms += 120_000
        await until(lambda: not world.running.services.registry._bus_online)
        answer = await world.place(guest)
        assert answer.status_code == 200
        assert answer.json()["why"]["eu"]["doubtful"] == "silent"
        assert (await world.http.get("/readyz")).json()["bus"] == "no broker"


async def test_metrics_count_by_route() -> None:
    async with fleet() as world:
        guest = await world.sign_up()
        await world.http.get(f"/v1/players/{guest['player']}")
        answer = await world.http.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain")
        assert 'coordinator_requests_total{route="/v1/guests",status="201"} 1.0' in answer.text
        assert guest["player"] not in answer.text
        assert "coordinator_accounts_total 1.0" in answer.text


async def test_the_openapi_document_lists_every_route() -> None:
    async with fleet() as world:
        document = (await world.http.get("/schema/openapi.json")).json()
        assert document["openapi"].startswith("3.1")
        listed = {(path, method) for path, item in document["paths"].items() for method in item if method in ("get", "post")}
        assert {
            ("/v1/guests", "post"),
            ("/v1/regions", "get"),
            ("/v1/matches", "get"),
            ("/v1/placements", "post"),
            ("/v1/players/{player}", "get"),
            ("/.well-known/jwks.json", "get"),
            ("/healthz", "get"),
            ("/readyz", "get"),
            ("/metrics", "get"),
            ("/v1/admin/status", "get"),
            ("/v1/admin/verdicts", "get"),
            ("/v1/admin/audit", "get"),
            ("/v1/admin/me", "get"),
            ("/v1/admin/tokens", "post"),
            ("/v1/admin/regions/{region}/flags", "get"),
            ("/v1/admin/regions/{region}/flags/{flag}", "get"),
            ("/v1/admin/regions/{region}/flags/{flag}/decide", "post"),
            ("/v1/admin/regions/{region}/flags/{flag}/appeal", "post"),
            ("/v1/admin/regions/{region}/matches", "get"),
            ("/v1/admin/players", "get"),
            ("/v1/admin/players/{player}/live", "get"),
            ("/v1/admin/players/{player}/kick", "post"),
            ("/v1/admin/players/{player}/export", "post"),
            ("/v1/admin/players/{player}/erase", "post"),
            ("/v1/admin/matches", "get"),
            ("/v1/admin/matches/{match}", "get"),
            ("/v1/admin/matches/{match}/end", "post"),
            ("/v1/admin/queues", "get"),
            ("/v1/admin/queues/explain", "get"),
            ("/v1/admin/queues/shadows", "get"),
            ("/v1/admin/regions/{region}/flags/{flag}/clip", "get"),
            ("/v1/admin/config", "get"),
            ("/v1/admin/config", "post"),
            ("/v1/admin/config/history", "get"),
            ("/v1/admin/config/diff", "get"),
            ("/v1/admin/config/rollback", "post"),
            ("/v1/admin/events", "get"),
            ("/v1/admin/models", "get"),
            ("/v1/admin/models/{model}/deploy", "post"),
            ("/v1/admin/models/{model}/canary", "post"),
            ("/v1/admin/models/{model}/rollback", "post"),
            ("/v1/admin/players/{player}", "get"),
            ("/v1/admin/players/{player}/placement", "get"),
            ("/v1/admin/players/{player}/ban", "post"),
            ("/v1/admin/players/{player}/unban", "post"),
            ("/v1/admin/regions/{region}/drain", "post"),
            ("/v1/admin/regions/{region}/resume", "post"),
            ("/v1/admin/regions/{region}/edges/{edge}/drain", "post"),
            ("/v1/admin/regions/{region}/edges/{edge}/resume", "post"),
        } == listed
        references = [part for part in json.dumps(document).split('"') if part.startswith("#/components/")]
        assert references
        for reference in references:
            node = document
            for key in reference[2:].split("/"):
                node = node[key]
        ids = [item[m]["operationId"] for item in document["paths"].values() for m in item if m in ("get", "post")]
        assert len(ids) == len(set(ids))
        body = document["paths"]["/v1/admin/status"]["get"]
        assert body["security"] == [{"operator": []}]
        assert "401" in body["responses"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
fields = st.sampled_from(["name", "player", "secret", "mode", "rtt_ms", "latitude", "longitude", "current"])
bodies = (
    st.binary(max_size=200)
    | json_values.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(fields, json_values, max_size=8).map(lambda value: json.dumps(value).encode())
    | st.integers(1_000, 20_000).map(lambda depth: b'{"name":' + b"[" * depth)
    | st.sampled_from([b'{"name":"\\ud800"}', b'{"latitude":1e999}', b'{"name":"a","name":"b"', b"\xff\xfe", b"1" * 5000])
)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(bodies, min_size=10, max_size=20))
def test_no_body_brings_it_down(batch: list[bytes]) -> None:
    """Whatever is posted is answered with a documented form, and never with a fault of ours."""

    async def check() -> None:
        async with fleet() as world:
            guest = await world.sign_up()
            routes = ("/v1/guests", "/v1/placements", f"/v1/admin/players/{guest['player']}/ban")
            headers = {"Authorization": "Bearer operator-secret", "Content-Type": "application/json"}
            for body in batch:
                for route in routes:
                    answer = await world.http.post(route, content=body, headers=headers)
                    assert answer.status_code < 500, (route, body, answer.text)
                    if answer.status_code >= 400:
                        assert set(answer.json()) == {"reason", "detail", "retry_after_ms"}
            assert world.running.services.metrics.value("coordinator_errors_total") == 0

    asyncio.run(check())


async def test_a_broken_request_line_does_not_matter() -> None:
    async with fleet() as world:
        host, port = world.running.url.removeprefix("http://").split(":")
        for junk in (
            b"\x00\x01\x02\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"POST /v1/guests HTTP/1.1\r\ncontent-length: -5\r\n\r\n",
        ):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(junk)
            await writer.drain()
            await asyncio.wait_for(reader.read(200), 5)
            writer.close()
        assert (await world.http.get("/healthz")).status_code == 200


async def test_browsers_of_another_origin_may_call() -> None:
    async with fleet() as world:
        headers = {"Origin": "https://play.example", "Access-Control-Request-Method": "POST"}
        answer = await world.http.options("/v1/guests", headers=headers)
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers


async def test_many_at_once() -> None:
    async with fleet() as world:
        guests = await asyncio.gather(*(world.sign_up(f"p{index}") for index in range(100)))
        assert len({guest["player"] for guest in guests}) == 100
        answers: list[httpx.Response] = await asyncio.gather(*(world.place(guest) for guest in guests))
        assert {answer.status_code for answer in answers} == {200}
        edge = world.running.services.registry.regions[RegionId("eu")].edges[EdgeId("e1")]
        assert edge.placed == 100


def pem_pair(folder: Path) -> tuple[str, str]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "cert.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(paths[0]), str(paths[1])


async def test_it_serves_tls(tmp_path: Path) -> None:
    certificate, key = pem_pair(tmp_path)
    settings = config(listen=Listen(port=0, certificate=certificate, key=key))
    async with serve(settings, MemoryGlobalStore(), MemoryBroker().factory) as running:
        assert running.url.startswith("https://")
        async with httpx.AsyncClient(base_url=running.url, verify=ssl.create_default_context(cafile=certificate)) as client:
            assert (await client.get("/healthz")).status_code == 200


async def test_certificates_that_cannot_be_used(tmp_path: Path) -> None:
    certificate, key = pem_pair(tmp_path)
    for pair in ((str(tmp_path / "none.pem"), key), (key, certificate), (certificate, "")):
        settings = config(listen=Listen(port=0, certificate=pair[0], key=pair[1]))
        with pytest.raises(ConfigError, match=r"listen\.certificate"):
            async with serve(settings, MemoryGlobalStore(), MemoryBroker().factory):
                pass


async def test_residency_and_parties() -> None:
    async with fleet(config(residency={"us-only": ["us"]})) as world:
        await world.edge("us")
        await until(lambda: len(world.running.services.registry.online(world.clock())) == 2)
        answer = await world.http.post("/v1/guests", json={"name": "a", "residency": "us-only"})
        bound = answer.json()
        wrong = await world.http.post("/v1/guests", json={"name": "a", "residency": "mars"})
        assert (wrong.status_code, "us-only" in wrong.text) == (400, True)
        near_eu = {"eu": [10.0], "us": [100.0]}
        placed = (await world.place(bound, rtt_ms=near_eu)).json()
        assert (placed["region"], placed["why"]["eu"]["excluded"]) == ("us", "residency")
        guest = await world.sign_up()
        party = [{"rtt_ms": {"eu": [200.0], "us": [20.0]}}]
        assert (await world.place(guest, rtt_ms=near_eu)).json()["region"] == "eu"
        assert (await world.place(guest, rtt_ms=near_eu, party=party)).json()["region"] == "us"
        crowd = await world.place(guest, rtt_ms=near_eu, party=party * 9)
        assert crowd.status_code == 400


async def test_neighbours_who_measured_are_the_prior_of_those_who_come() -> None:
    async with fleet() as world:
        await world.edge("us", latitude=39.0, longitude=-77.5)
        await until(lambda: len(world.running.services.registry.online(world.clock())) == 2)
        guest = await world.sign_up()
        where = {"latitude": 38.9, "longitude": -77.0}
        by_map = (await world.place(guest, **where)).json()
        assert (by_map["region"], by_map["why"]["eu"]["basis"]) == ("us", "distance")
        for _ in range(6):  # the way to the near region is a bad one
            await world.place(guest, rtt_ms={"eu": [70.0], "us": [150.0]}, **where)
        learned = (await world.place(guest, **where)).json()
        assert (learned["region"], learned["why"]["us"]["basis"]) == ("eu", "learned")
