"""What every region store does with evidence, and with everything about a player who is erased."""

import asyncio

import msgspec
import pytest

from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError
from gameedge.core.ids import FlagId, PlayerId
from gameedge.state.base import RegionStore
from tests.contract.stores import evidence, session


class TestEvidence:
    async def test_add_get_list_state(self, store: RegionStore) -> None:
        for number in range(3):
            await store.evidence_add(evidence(number, player=f"p_{number}"))
        await store.evidence_add(evidence(0, player="p_0", clip=b"other"))  # once a flag
        assert await store.evidence_get(FlagId("f_0")) == evidence(0, player="p_0")
        assert await store.evidence_get(FlagId("f_9")) is None
        assert await store.evidence_list(2) == [evidence(n, player=f"p_{n}", clip=b"") for n in (2, 1)]
        assert await store.evidence_list(0) == []
        assert await store.evidence_set_state(FlagId("f_1"), "upheld")
        assert not await store.evidence_set_state(FlagId("f_9"), "upheld")
        found = await store.evidence_get(FlagId("f_1"))
        assert found is not None
        assert (found.state, found.clip) == ("upheld", b"clip")
        assert [e.state for e in await store.evidence_list(9)] == ["open", "upheld", "open"]

    async def test_of_two_who_decide_one_is_told(self, store: RegionStore) -> None:
        await store.evidence_add(evidence(1))
        await store.evidence_add(msgspec.structs.replace(evidence(2), state="recommended"))
        answers = await asyncio.gather(*(store.evidence_decide(FlagId("f_1"), "upheld", "open") for _ in range(5)))
        assert sorted(str(answer) for answer in answers) == ["open", *["upheld"] * 4]
        assert await store.evidence_decide(FlagId("f_2"), "cleared", "open") == "recommended"  # looked at an older state
        assert await store.evidence_decide(FlagId("f_2"), "cleared", "recommended") == "recommended"
        assert await store.evidence_decide(FlagId("f_2"), "upheld", "cleared") == "cleared"  # on appeal
        assert await store.evidence_decide(FlagId("f_9"), "upheld", "open") is None
        assert [e.state for e in await store.evidence_list(9)] == ["upheld", "upheld"]

    async def test_bounded_a_player(self, store: RegionStore) -> None:
        await store.evidence_add(evidence(1_000, player="p_2"))
        await store.evidence_add(evidence(1_001, player="p_11"))  # a name that begins with another's
        for number in range(limits.EVIDENCE_PER_PLAYER_MAX + 2):
            await store.evidence_add(evidence(number, player="p_1"))
        kept = [e.flag for e in await store.evidence_list(1_000)]
        assert len(kept) == limits.EVIDENCE_PER_PLAYER_MAX + 2
        assert {"f_1000", "f_1001"} < set(kept)
        assert "f_1" not in kept
        assert await store.evidence_get(FlagId("f_0")) is None

    async def test_bounded_in_all(self, store: RegionStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "EVIDENCE_TOTAL_MAX", 3)
        for number in range(5):
            await store.evidence_add(evidence(number, player=f"p_{number}"))
        assert [e.flag for e in await store.evidence_list(10)] == ["f_4", "f_3", "f_2"]

    async def test_expires(self, store: RegionStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "EVIDENCE_LIFE_MS", 20)
        await store.evidence_add(evidence(1))
        await asyncio.sleep(0.08)
        assert await store.evidence_list(10) == []
        await store.evidence_add(evidence(2))
        assert [e.flag for e in await store.evidence_list(10)] == ["f_2"]

    async def test_too_large_a_clip(self, store: RegionStore) -> None:
        with pytest.raises(RefusedError) as caught:
            await store.evidence_add(evidence(1, clip=bytes(limits.EVIDENCE_BYTES_MAX + 1)))
        assert caught.value.reason is Reason.TOO_LARGE

    async def test_erase_player(self, store: RegionStore) -> None:
        for number in range(3):
            await store.evidence_add(evidence(number, player="p_1"))
        await store.evidence_add(evidence(9, player="p_12"))
        await store.session_put(session(1), 60_000)
        await store.session_put(session(2, player="p_1"), 60_000)
        await store.session_put(session(3), 60_000)
        assert await store.erase_player(PlayerId("p_1")) == 5
        assert await store.erase_player(PlayerId("p_1")) == 0
        assert [e.flag for e in await store.evidence_list(10)] == ["f_9"]
        assert await store.session_get(session(1).resume_hash) is None
        assert await store.session_get(session(3).resume_hash) == session(3)
