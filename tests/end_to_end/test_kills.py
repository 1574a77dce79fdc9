"""kill -9 of each kind of process while people play: what goes on, what is said, what comes back, and what is never lost.

Each test ends with the same account: everybody was told of each match once, every result that somebody was told is in the
ratings, once, and the store has forgotten every match.
"""

import asyncio
import time
from pathlib import Path

import pytest

from gameedge.core.errors import RefusedError
from gameedge.core.ids import PlayerId, RegionId
from gameedge.state.base_global import Account
from gameedge_client import Client, Session

from .processes import REGION, Crowd, Deployed, crowd, deployed, log_events, until

pytestmark = pytest.mark.slow


async def settled(made: Deployed, people: Crowd) -> None:
    """The account; see above."""
    await people.settle()
    people.check()

    async def balanced() -> bool:
        games = await made.games(*people.people)
        # A player who was away when a match ended may hear that it is over and not how.
        told_lost = [len(p.lost) + p.refused["match_lost"] for p in people.people]
        sound = all(len(p.ended) <= n <= len(p.ended) + lost for p, n, lost in zip(people.people, games, told_lost, strict=True))
        return sound and await made.store.outbox_size() == 0 and not await made.store.matches("duel")

    await until(balanced, "results that were told are applied, once, and nothing is left in the region's store", said=people)
    games = await made.games(*people.people)
    await asyncio.sleep(0.5)
    assert await made.games(*people.people) == games


async def plays_on(people: Crowd, matches: int = 4) -> None:
    ended = people.total("ended")
    await until(lambda: people.total("ended") >= ended + matches, "play goes on", said=people)


def undisturbed(people: Crowd, *refusals: str) -> None:
    """Nobody lost a session or a match, or was refused for other reasons."""
    assert all(person.sessions == 1 and not person.faults and not person.lost for person in people.people), people
    assert {reason for person in people.people for reason in person.refused} <= set(refusals), people


async def test_an_edge(tmp_path: Path) -> None:
    """Its matches go on in the region's other process and are played to their end; who queued there keeps session and place."""
    async with deployed(tmp_path) as made, crowd(made, [(0, 1), (0, 1), (1, 0), (1, 0), (0, 1)]) as people:
        await until(people.fresh, "a match has just begun", said=people)
        url = people.fresh()[0].url
        victim = made.edges[made.edge_urls().index(url)]
        doomed = people.fresh(url)
        matches = {person.started[-1] for person in doomed}
        await victim.child.kill()
        await until(lambda: all(matches & set(person.ended) for person in doomed), "their match goes on to its end", said=people)
        await plays_on(people)
        assert sum(person.resumes for person in people.people) >= len(doomed)
        await victim.start()  # with the name and the address of the one that died

        async def back() -> bool:
            return await made.edges_online() == 2

        await until(back, "the process is back")
        await plays_on(people)
        await settled(made, people)
        assert all(person.sessions == 1 and not person.faults for person in people.people), people
        assert {reason for person in people.people for reason in person.refused} <= {"match_lost"}, people
        assert people.total("lost") <= 2, "at most one match that had no checkpoint yet"


async def test_the_broker(tmp_path: Path) -> None:
    """Play does not notice; results wait in the region; presence, reports and results flow again by themselves."""
    async with deployed(tmp_path) as made, crowd(made, [(0, 1), (1, 0)]) as people:
        await plays_on(people, 2)
        await made.broker.kill()
        await plays_on(people, 2)

        async def waits() -> bool:
            return await made.store.outbox_size() > 0

        await until(waits, "results wait in the outbox")
        health = (await made.ops(0, "/healthz")).json()
        assert (health["store"], health["bus"], health["ready"]) == (True, False, True)
        before = sum(await made.games(*people.people))
        await made.broker.restart()

        async def back() -> bool:
            return await made.edges_online() == 2 and sum(await made.games(*people.people)) > before

        await until(back, "presence, reports and results are back", said=people)
        guest = await Client.guest(made.url, name="late")
        assert (await guest.place(mode="duel")).edges
        await settled(made, people)
        assert all(person.sessions == 1 and not person.faults and not person.lost and not person.refused for person in people.people), (
            people
        )


async def test_the_regions_redis(tmp_path: Path) -> None:
    """Running matches go on, new ones are refused with the reason, results that players were told survive, all by itself."""
    async with deployed(tmp_path) as made, crowd(made, [(0, 1), (0, 1), (1, 0), (1, 0)]) as people:
        await plays_on(people, 2)
        await until(lambda: len(people.fresh()) >= 2, "a match has just begun", said=people)
        playing = people.fresh()
        await made.redis.kill()
        seen = {person: person.snapshots for person in playing}
        await until(lambda: all(p.snapshots > seen[p] + 20 for p in playing), "running matches go on", said=people)

        async def said() -> bool:
            answer = await made.ops(0, "/readyz")
            return answer.status_code == 503 and "store" in answer.json()["why"]

        await until(said, "the edge says why it is not ready")
        # Matches end now, their players wait for the result until the store has it; newcomers hear why they cannot queue.
        newcomer = Account(player=PlayerId("p_newcomer"), secret_hash="", name="new", created_ms=0)
        token, _ = made.signer.session_token(newcomer, RegionId(REGION), {}, time.time_ns() // 1_000_000, 60_000)
        async with Session(token, made.edge_urls()) as session:
            with pytest.raises(RefusedError, match="unavailable"):
                await session.queue("duel")
        await made.redis.restart()
        await until(lambda: all(person.now != "refused" for person in people.people), "recovers", said=people)
        await plays_on(people)
        await settled(made, people)
        undisturbed(people, "unavailable")
        for number in range(2):
            assert not {"tick_failed", "event_failed", "job_failed"} & set(log_events(made, f"edge-{number}"))


async def test_a_coordinator(tmp_path: Path) -> None:
    """Another one serves at once; without any, play goes on and results wait; one that comes back has forgotten nothing."""
    async with deployed(tmp_path, coordinators=2) as made, crowd(made, [(0, 1), (1, 0)]) as people:
        guest = await Client.guest(made.url, name="early")
        await plays_on(people, 2)
        first, second = made.coordinators
        await first.child.kill()
        other = Client(second.address["url"], guest.account)
        assert (await other.place(mode="duel")).region == REGION, "an account of the one is an account of the other"
        before = sum(await made.games(*people.people))

        async def rated() -> bool:
            return sum(await made.games(*people.people)) > before

        await until(rated, "the other one applies results", said=people)
        await second.child.kill()
        await plays_on(people, 2)

        async def waits() -> bool:
            return await made.store.outbox_size() > 0

        await until(waits, "results wait in the outbox")
        with pytest.raises(RefusedError):
            await guest.place(mode="duel")
        await first.start()

        async def placed() -> bool:
            try:
                return bool((await guest.place(mode="duel")).edges)
            except RefusedError:
                return False  # it has not heard of the region yet

        await until(placed, "the one that came back knows the account and the region")
        await settled(made, people)
        undisturbed(people)
