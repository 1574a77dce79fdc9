"""Work that waits for the store: in order, and at the end of the process for some time alone."""

import asyncio

from gameedge.edge.lanes import LANES, WAITING_MAX, Lanes


async def test_what_is_queued_is_done_before_the_end() -> None:
    done: list[int] = []
    async with asyncio.TaskGroup() as group:
        lanes = Lanes(lambda error: None)
        lanes.start(group)

        async def job(number: int) -> None:
            await asyncio.sleep(0)
            done.append(number)

        for number in range(20):
            assert lanes.submit("ada", lambda number=number: job(number))  # type: ignore[misc]
        await lanes.finish(60.0)
    assert done == list(range(20))


async def test_a_store_that_does_not_answer_does_not_keep_the_process_alive() -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        lanes = Lanes(lambda error: None)
        lanes.start(group)
        await asyncio.sleep(0)
        keys = {str(number) for number in range(LANES * 8)}
        while any(lanes.submit(key, never) for key in keys):
            pass
        assert sum(queue.qsize() for queue in lanes._queues) == LANES * WAITING_MAX, "they are full: not even the end finds a place"
        await lanes.finish(0.05)
