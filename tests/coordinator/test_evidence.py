"""Evidence from its region to an operator: a real edge process answers over the bus, and nobody else is told anything."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from functools import cache

import httpx
import msgspec
import numpy as np
import pytest

from gameedge.bus import topics
from gameedge.bus.payloads import Answer, Codec
from gameedge.coordinator.tokens import Signer
from gameedge.core.anticheat import clips
from gameedge.core.anticheat.watch import REPEAT, Flag, Watch
from gameedge.core.ids import EdgeId, FlagId, MatchId, PlayerId, RegionId
from gameedge.inference.artifacts import load_aim
from gameedge.state.base import Evidence
from tests.core.anticheat.test_strokes import play, recorded
from tests.core.anticheat.test_watch import shots
from tests.end_to_end.inprocess import OPERATOR, Stack, stack

FLAGS = "/v1/admin/regions/test-1/flags"


def cheat() -> list[Evidence]:
    """Two flags as the anti-cheat raises them: a person who switches a snap aimbot on after fourteen shots."""
    watch = Watch(8, load_aim())
    watch.enter(0, PlayerId("p_cheat"))
    watch.rtt_ms[0], watch.jitter_ms[0] = 40.0, 2.0
    for k in range(60):
        watch.shots(shots(1, seed=k, snap=k >= 14), 100 * (k + 1))
    return [evidence(f"f_{number}", flag) for number, flag in enumerate(watch.flags(), 1)]


@cache
def repeating() -> Evidence:
    """The flag of a player of eight recordings."""
    watch = Watch(1, load_aim())
    watch.enter(0, PlayerId("p_tape"))
    play(watch, recorded(60, 8))
    return evidence("f_again", next(flag for flag in watch.flags() if flag.rule == REPEAT))


def evidence(name: str, flag: Flag) -> Evidence:
    """As a process keeps it."""
    return Evidence(
        flag=FlagId(name),
        player=flag.player,
        match=MatchId("m_1"),
        at_ms=1_800_000_000_000,
        rule=flag.rule,
        score=flag.score,
        reasons=list(flag.reasons),
        clip=flag.clip,
        state="recommended" if flag.level == "ban" else "open",
        model=flag.model,
    )


@contextlib.asynccontextmanager
async def world() -> AsyncIterator[tuple[Stack, httpx.AsyncClient]]:
    async with stack() as made, httpx.AsyncClient(base_url=made.url, headers={"Authorization": f"Bearer {OPERATOR}"}) as client:
        for flag in cheat():
            await made.store.evidence_add(flag)
        yield made, client


async def bearer(client: httpx.AsyncClient, name: str, role: str = "operator") -> dict[str, str]:
    answer = await client.post("/v1/admin/tokens", json={"name": name, "role": role})
    return {"Authorization": f"Bearer {answer.json()['token']}"}


async def test_a_flag_is_found_opened_and_appealed() -> None:
    async with world() as (_, client):
        listed = (await client.get(FLAGS)).json()["flags"]
        assert [(flag["flag"], flag["state"]) for flag in listed] == [("f_2", "recommended"), ("f_1", "open")]
        assert [flag["flag"] for flag in (await client.get(FLAGS, params={"status": "open"})).json()["flags"]] == ["f_1"]
        assert (await client.get(FLAGS, params={"player": "p_other"})).json()["flags"] == []
        shown = (await client.get(f"{FLAGS}/f_1")).json()
        assert len(shown["flag"]["reasons"]) >= 3
        clip = shown["clip"]
        seen = [shot for block in clip["blocks"] for shot in block["shots"]]
        assert len(seen) >= 5
        assert all(len(shot["path"]) == 2 * len(shot["line"]) for shot in seen)
        assert all(len(shot["shares"]) == len(clip["classes"]) for shot in seen)
        assert clip["blocks"][-1]["power"] > clip["levels"]["review"] - 1e-9
        again = (await client.post(f"{FLAGS}/f_1/appeal")).json()
        assert (again["same"], again["shots"]) == (True, len(seen))
        for path in (f"{FLAGS}/f_9", "/v1/admin/regions/mars/flags"):
            assert (await client.get(path)).status_code == 404
        entries = [json.loads(entry) for entry in (await client.get("/v1/admin/audit")).json()["entries"]]
        assert [entry["action"] for entry in entries[::-1]] == ["evidence_open", "evidence_appeal", "evidence_open"]
        assert {entry["who"] for entry in entries} == {"operator_token"}


async def test_a_repeat_is_shown_as_both_movements_and_when_each_was_made() -> None:
    async with world() as (made, client):
        await made.store.evidence_add(repeating())
        shown = (await client.get(f"{FLAGS}/f_again")).json()
        assert (shown["flag"]["rule"], shown["clip"]["blocks"]) == (REPEAT, [])
        told = shown["clip"]["repeats"]
        found = told["found"]
        assert told["total"] > told["alike"] >= len(found) >= 4
        for repeat in found:
            first, again = (np.array(repeat[name]).reshape(-1, 2) for name in ("first", "again"))
            assert np.sqrt(((first - again) ** 2).sum(axis=1).mean()) == pytest.approx(repeat["differ"], abs=1e-3)
            assert repeat["likeness"] < told["limit"]
            assert 1 <= repeat["first_number"] < repeat["number"] <= told["total"]
            assert repeat["first_at_ms"] < repeat["at_ms"] <= shown["flag"]["at_ms"]
        assert found[-1]["at_ms"] == shown["flag"]["at_ms"]
        assert found[-1]["power"] >= shown["clip"]["levels"]["review"] - 1e-9
        assert [repeat["number"] for repeat in found] == sorted(repeat["number"] for repeat in found)
        again = (await client.post(f"{FLAGS}/f_again/appeal")).json()
        assert (again["same"], again["blocks"], again["level"]) == (True, len(found), "review")


async def test_a_repeat_of_before_times_were_kept_is_shown_without_them() -> None:
    async with world() as (made, client):
        clip = clips.decode(repeating().clip)
        assert clip.repeated is not None
        odd = msgspec.structs.replace(clip.repeated.found[0], tick=-(1 << 60), first_tick=1 << 60)
        old = [msgspec.structs.replace(part, back=0, first_tick=0, tick=0) for part in clip.repeated.found[1:]]
        changed = msgspec.structs.replace(clip, repeated=msgspec.structs.replace(clip.repeated, found=[odd, *old]))
        await made.store.evidence_add(msgspec.structs.replace(repeating(), clip=msgspec.msgpack.encode(changed)))
        found = (await client.get(f"{FLAGS}/f_again")).json()["clip"]["repeats"]["found"]
        assert {(repeat["first_at_ms"], repeat["first_number"]) for repeat in found[1:]} == {(None, None)}
        assert found[0]["first_at_ms"] is None


async def test_of_two_operators_who_decide_one_flag_one_is_told() -> None:
    async with world() as (made, client):
        ann, bob = await bearer(client, "ann"), await bearer(client, "bob")
        body = {"expected": "open", "note": "seen"}
        answers = await asyncio.gather(
            client.post(f"{FLAGS}/f_1/decide", json={**body, "decision": "upheld"}, headers=ann),
            client.post(f"{FLAGS}/f_1/decide", json={**body, "decision": "cleared"}, headers=bob),
        )
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        won, lost = sorted(answers, key=lambda answer: answer.status_code)
        state, winner = won.json()["state"], ("ann", "bob")[answers.index(won)]
        assert lost.json()["reason"] == "out_of_order"
        assert f"is {state} since then by {winner}" in lost.json()["detail"]
        kept = await made.store.evidence_get(FlagId("f_1"))
        assert kept is not None
        assert kept.state == state
        shown = (await client.get(f"{FLAGS}/f_1")).json()
        assert {(entry["who"], entry["late"]) for entry in shown["decisions"]} == {
            (winner, False),
            ({"ann": "bob", "bob": "ann"}[winner], True),
        }
        again = await client.post(f"{FLAGS}/f_1/decide", json={"expected": state, "decision": "cleared"}, headers=bob)
        assert again.status_code == 200  # who has seen the state may change it


async def test_viewers_see_no_evidence() -> None:
    async with world() as (made, client):
        headers = await bearer(client, "vic", "viewer")
        for method, path in (("GET", FLAGS), ("GET", f"{FLAGS}/f_1"), ("POST", f"{FLAGS}/f_1/appeal")):
            assert (await client.request(method, path, headers=headers)).status_code == 403
        decided = await client.post(f"{FLAGS}/f_1/decide", json={"decision": "upheld", "expected": "open"}, headers=headers)
        assert decided.status_code == 403
        kept = await made.store.evidence_get(FlagId("f_1"))
        assert kept is not None
        assert kept.state == "open"
        assert (await client.get("/v1/admin/regions/test-1/matches", headers=headers)).json()["matches"] == []


async def test_a_clip_that_cannot_be_read_says_so() -> None:
    async with world() as (made, client):
        bad = msgspec.structs.replace(cheat()[0], flag=FlagId("f_bad"), clip=b"\xc1", score=float("inf"))
        await made.store.evidence_add(bad)
        shown = (await client.get(f"{FLAGS}/f_bad")).json()
        assert (shown["clip"], shown["flag"]["score"]) == (None, None)
        assert "no clip" in shown["unreadable"]
        assert (await client.post(f"{FLAGS}/f_bad/appeal")).json()["same"] is False


@pytest.mark.parametrize(
    "body", [{}, {"decision": "banned", "expected": "open"}, {"decision": "upheld", "expected": "open", "note": "x" * 300}]
)
async def test_bad_decisions_are_refused(body: dict[str, str]) -> None:
    async with world() as (_, client):
        assert (await client.post(f"{FLAGS}/f_1/decide", json=body)).status_code == 400


async def test_a_store_that_is_away_is_said() -> None:
    async with world() as (made, client):
        made.store.available = False
        answer = await client.get(FLAGS)
        made.store.available = True
        assert (answer.status_code, answer.json()["reason"]) == (503, "unavailable")


async def test_a_process_answers_coordinators_alone_and_each_question_once() -> None:
    async with world() as (made, _):
        region, edge = RegionId("test-1"), EdgeId("edge-0")
        real = made.coordinator.services.signer
        now_ms = made.coordinator.services.now_ms()

        def question(signer: Signer, number: str, to: str = "test-1", at_ms: int = now_ms) -> bytes:
            args = {"flag": "f_1"}
            return signer.ask(
                RegionId(to), edge, "evidence_get", args, who="eve", number=number, reply="eve", now_ms=at_ms, life_ms=30_000
            ).encode()

        account = (await made.coordinator.services.sign_up("Eve", "127.0.0.1"))[0]
        player = real.session_token(account, region, {}, now_ms, 60_000)[0].encode()
        heard: list[str] = []
        async with made.broker.factory("eve") as bus, bus.subscribe(topics.answers("eve")) as messages:
            for bad in (
                b"",
                b"\xff" * 100,
                player,
                question(Signer(bytes(32)), "forged-1"),
                question(real, "stale-001", at_ms=now_ms - 60_000),
                question(real, "other-001", to="test-2"),
            ):
                await bus.publish(topics.ask(region, edge), bad)
            good = question(real, "good-0001")
            for payload in (good, good, question(real, "good-0002")):
                await bus.publish(topics.ask(region, edge), payload)
            async with asyncio.timeout(5):
                async for message in messages:
                    answer = Codec(Answer).decode(message.payload)
                    assert answer is not None
                    assert clips.decode(msgspec.msgpack.decode(answer.body, type=Evidence).clip).blocks
                    heard.append(answer.number)
                    if answer.number == "good-0002":
                        break
        assert heard == ["good-0001", "good-0002"]


async def test_an_answer_that_never_comes_is_an_error_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gameedge.coordinator.asking.WAIT_S", 0.2)
    async with world() as (made, client):
        made.edge.asks.handlers["evidence_list"] = lambda _: asyncio.sleep(1.0)
        answer = await client.get(FLAGS)
        assert (answer.status_code, answer.json()["reason"]) == (503, "unavailable")
        assert "did not answer" in answer.json()["detail"]
