"""What every global store does, whatever it is made of."""

import asyncio
import math
from collections.abc import AsyncIterator

import msgspec
import pytest

from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError
from gameedge.core.ids import MatchId, PlayerId, RegionId
from gameedge.state.base_global import Account, GlobalStore, Rating
from tests.contract.stores import KINDS, empty, global_store, result

P1, P2 = PlayerId("p_1"), PlayerId("p_2")


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, servers: dict[str, str]) -> AsyncIterator[GlobalStore]:
    url = servers[request.param]
    empty(url)
    async with global_store(url) as opened:
        yield opened


def account(player: str = "p_1", **fields: object) -> Account:
    made: dict[str, object] = {"player": PlayerId(player), "secret_hash": "ab", "name": "Ana", "created_ms": 1}
    return Account(**(made | fields))  # type: ignore[arg-type]


async def test_accounts(store: GlobalStore) -> None:
    assert await store.account_get(P1) is None
    await store.account_add(account())
    await store.account_add(account())  # the answer was lost; sent again
    with pytest.raises(RefusedError) as caught:
        await store.account_add(account(secret_hash="cd"))
    assert caught.value.reason is Reason.FORBIDDEN
    assert await store.account_get(P1) == account()
    await store.account_put(account(banned=True, trust=1))
    assert await store.account_get(P1) == account(banned=True, trust=1)


async def test_a_result_is_applied_once(store: GlobalStore) -> None:
    first = {P1: Rating(mu=26.0, sigma=8.0, games=1), P2: Rating(mu=24.0, sigma=8.0, games=1)}
    assert not await store.result_applied(MatchId("m_1"))
    assert await store.result_apply(result("m_1"), first, {})
    assert await store.result_applied(MatchId("m_1"))
    assert await store.ratings_of("duel", [P1, P2, PlayerId("p_3")]) == first
    # The same result again, with whatever ratings: applied before, nothing changes.
    assert await store.result_apply(result("m_1"), {P1: Rating(mu=99.0)}, {P1: Rating(mu=98.0)})
    assert await store.ratings_of("duel", [P1, P2]) == first


async def test_ratings_changed_meanwhile(store: GlobalStore) -> None:
    first = {P1: Rating(mu=26.123456789012345, sigma=8.0, games=1)}
    assert await store.result_apply(result("m_1"), first, {P1: Rating()})
    later = {P1: Rating(mu=27.0, sigma=7.0, games=2), P2: Rating(mu=23.0, sigma=7.0, games=1)}
    assert not await store.result_apply(result("m_2"), later, {P1: Rating(), P2: Rating()})
    assert not await store.result_applied(MatchId("m_2"))
    assert await store.ratings_of("duel", [P1, P2]) == first
    assert await store.result_apply(result("m_2"), later, first)
    assert await store.ratings_of("duel", [P1, P2]) == later


async def test_ratings_are_by_mode(store: GlobalStore) -> None:
    duel, squads = Rating(mu=30.0, games=1), Rating(mu=20.0, games=1)
    assert await store.result_apply(result("m_1"), {P1: duel}, {})
    assert await store.result_apply(result("m_2", mode="squads"), {P1: squads}, {})
    assert await store.ratings(P1) == {"duel": duel, "squads": squads}
    assert await store.ratings(P2) == {}
    assert await store.ratings_of("duel", []) == {}
    assert await store.result_applied(MatchId("m_2"))


async def test_unrated_results_count_as_applied(store: GlobalStore) -> None:
    assert await store.result_apply(result("m_1"), {}, {})
    assert await store.result_applied(MatchId("m_1"))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
async def test_ratings_must_be_finite(store: GlobalStore, bad: float) -> None:
    for rating in (Rating(mu=bad), Rating(sigma=bad)):
        with pytest.raises(ValueError, match="p_1"):
            await store.result_apply(result("m_1"), {P1: rating}, {})
    assert not await store.result_applied(MatchId("m_1"))


async def test_one_of_many_concurrent_results_wins_each_round(store: GlobalStore) -> None:
    """Twenty matches of one player end at once: whoever computes again after a refusal is applied; none is lost or doubled."""

    async def apply(number: int) -> None:
        while True:
            before = await store.ratings_of("duel", [P1])
            now = before.get(P1, Rating())
            after = msgspec.structs.replace(now, mu=now.mu + 1.0, games=now.games + 1)
            if await store.result_apply(result(f"m_{number}"), {P1: after}, before):
                return

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(apply(number))
    assert (await store.ratings_of("duel", [P1]))[P1] == Rating(mu=45.0, games=20)


async def test_marks_of_applied_results_expire(store: GlobalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "APPLIED_LIFE_MS", 20)
    assert await store.result_apply(result("m_1"), {}, {})
    await asyncio.sleep(0.08)
    assert not await store.result_applied(MatchId("m_1"))


async def test_secret_is_stored_once(store: GlobalStore) -> None:
    answers = await asyncio.gather(*(store.secret("signing", bytes([n])) for n in range(8)))
    assert len(set(answers)) == 1
    assert await store.secret("signing", b"later") == answers[0]
    assert await store.secret("other", b"\x00\xff") == b"\x00\xff"


async def test_audit_newest_first_and_bounded(store: GlobalStore) -> None:
    for number in range(5):
        await store.audit_add(f"entry {number} – é")
    assert await store.audit_list(2) == ["entry 4 – é", "entry 3 – é"]
    assert len(await store.audit_list(100)) == 5
    assert await store.audit_list(0) == []


async def test_ping(store: GlobalStore) -> None:
    assert await store.ping() >= 0.0


async def test_explanations_are_kept_for_a_while(store: GlobalStore) -> None:
    assert await store.explain_get(P1) is None
    await store.explain_put(P1, b"\x00why", 60_000)
    await store.explain_put(P1, b"\x00newer", 60_000)
    await store.explain_put(P2, b"short", 1)
    await asyncio.sleep(0.05)
    assert await store.explain_get(P1) == b"\x00newer"
    assert await store.explain_get(P2) is None


async def test_accounts_are_found_by_the_beginning_of_name_or_id(store: GlobalStore) -> None:
    for player, name in (("p_1", "Ana"), ("p_2", "ANATOL"), ("p_21", "[red]Bo[/]"), ("p_3", "שלום"), ("p_4", "\N{SNAKE}\N{SNAKE}")):
        await store.account_add(account(player, name=name))

    async def names(text: str, limit: int = 10) -> list[str]:
        return [found.player for found in await store.accounts_find(text, limit)]

    assert await names("ana") == ["p_1", "p_2"]
    assert await names("ANAT") == ["p_2"]
    assert await names("p_2") == ["p_21", "p_2"]  # by name: the bracket comes first
    assert await names("[RED]") == ["p_21"]
    assert await names("של") == ["p_3"]
    assert await names("\N{SNAKE}") == ["p_4"]
    assert await names("ana", 1) == ["p_1"]
    assert await names("") == await names("nobody") == await names("p_1\0") == await names("x" * 10_000) == []
    await store.account_put(account("p_1", banned=True))
    assert (await store.accounts_find("ana", 1))[0].banned
    await store.account_put(account("p_1", name="Zoe"))
    assert "p_1" not in await names("ana")
    assert await names("zoe") == ["p_1"]
    await store.account_erase(P1)
    assert await names("zoe") == []


async def test_an_erased_player_is_gone_and_stays_gone(store: GlobalStore) -> None:
    await store.account_add(account("p_1"))
    await store.account_add(account("p_2"))
    rated = {P1: Rating(mu=26.0, games=1), P2: Rating(mu=24.0, games=1)}
    assert await store.result_apply(result("m_1"), rated, {})
    await store.explain_put(P1, b"why", 60_000)
    assert await store.account_erase(P1) == 3
    assert await store.account_erase(P1) == 0  # sent again
    assert await store.account_get(P1) is None
    assert await store.accounts_find("ana", 10) == [account("p_2")]
    assert await store.accounts_find("p_1", 10) == []
    assert await store.ratings(P1) == {}
    assert await store.explain_get(P1) is None
    assert await store.ratings(P2) == {"duel": rated[P2]}
    assert await store.erased([P1, P2]) == {P1}
    assert await store.erased([]) == set()


async def test_regions_that_an_erasure_has_not_reached(store: GlobalStore) -> None:
    assert await store.erasing() == {}
    await store.erasing_put(P1, [RegionId("eu"), RegionId("us")])
    await store.erasing_put(P1, [RegionId("eu")])
    await store.erasing_put(P2, [])
    assert await store.erasing() == {P1: ["eu", "us"]}
    await store.erasing_done(P1, RegionId("eu"))
    await store.erasing_done(P1, RegionId("eu"))
    assert await store.erasing() == {P1: ["us"]}


async def test_versions_are_appended_by_who_saw_the_newest(store: GlobalStore) -> None:
    assert await store.versions("policy", 10) == (0, [])
    assert await store.version_add("policy", b"one", 0)
    assert not await store.version_add("policy", b"late", 0)
    assert await store.version_add("policy", b"two", 1)
    assert await store.versions("policy", 10) == (2, [b"two", b"one"])
    assert await store.versions("policy", 1) == (2, [b"two"])
    assert await store.versions("policy", 0) == (2, [])
    assert await store.versions("other", 10) == (0, [])
    wins = await asyncio.gather(*(store.version_add("policy", b"%d" % n, 2) for n in range(8)))
    assert sum(wins) == 1
    assert (await store.versions("policy", 1))[0] == 3
