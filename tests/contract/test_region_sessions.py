"""What every region store does with sessions, whatever it is made of."""

import asyncio

from gameedge.core.ids import PlayerId
from gameedge.state.base import RegionStore
from tests.contract.stores import B, session


class TestSessions:
    async def test_many_at_once(self, store: RegionStore) -> None:
        await store.sessions_put([session(i) for i in range(200)], 60_000)
        asked = [session(i).resume_hash for i in (7, 300, 0, 7)]
        assert await store.sessions_get(asked) == [session(7), None, session(0), session(7)]
        await store.sessions_put([], 60_000)
        assert await store.sessions_get([]) == []
        assert await store.sessions_of(session(3).player) == [session(3)]

    async def test_put_get_replace_delete(self, store: RegionStore) -> None:
        first, second = session(1), session(1, edge=B)
        assert await store.session_get(first.resume_hash) is None
        await store.session_put(first, 60_000)
        assert await store.session_get(first.resume_hash) == first
        await store.session_put(second, 60_000)
        assert await store.session_get(first.resume_hash) == second
        await store.session_delete(first.resume_hash)
        assert await store.session_get(first.resume_hash) is None

    async def test_expires(self, store: RegionStore) -> None:
        await store.session_put(session(1), 30)
        await store.session_put(session(2), 60_000)
        await asyncio.sleep(0.1)
        assert await store.session_get(session(1).resume_hash) is None
        assert await store.session_get(session(2).resume_hash) == session(2)

    async def test_sessions_of_a_player(self, store: RegionStore) -> None:
        first, second, other = session(1, player="p_1"), session(2, player="p_1"), session(3, player="p_2")
        for record in (second, first, other):
            await store.session_put(record, 60_000)
        assert await store.sessions_of(PlayerId("p_1")) == [first, second]
        await store.session_delete(first.resume_hash)
        assert await store.sessions_of(PlayerId("p_1")) == [second]
        assert await store.sessions_of(PlayerId("p_9")) == []
