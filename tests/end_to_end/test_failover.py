"""Live matches outlive their process: kill -9, a process that sleeps and wakes, and a drain; seen by those who play."""

import os
import signal
from pathlib import Path

import pytest

from .processes import Crowd, Deployed, Person, crowd, deployed, log_events, log_lines, until

pytestmark = pytest.mark.slow
ROUTES = [(0, 1), (0, 1), (1, 0), (1, 0)]
FAULTS = {"tick_failed", "event_failed", "job_failed"}


async def playing_on(made: Deployed, people: Crowd) -> tuple[int, list[Person], set[str]]:
    """A process, those who have just begun a match there, and their matches."""
    await until(people.fresh, "a match has just begun", said=people)
    url = people.fresh()[0].url
    there = people.fresh(url)
    return made.edge_urls().index(url), there, {person.started[-1] for person in there}


def adopted(made: Deployed, number: int) -> int:
    return sum(int(line["count"]) for line in log_lines(made, f"edge-{number}") if line["event"] == "matches_adopted")


async def test_kill_9_in_a_match_is_a_hiccup(tmp_path: Path) -> None:
    """One session each, whatever happened: its numbers had no gap, or the SDK would have given it up."""
    async with deployed(tmp_path) as made, crowd(made, ROUTES) as people:
        victim, there, matches = await playing_on(made, people)
        await made.edges[victim].child.kill()
        seen = {person: person.snapshots for person in there}
        await until(lambda: all(p.snapshots > seen[p] + 5 for p in there), "they see their match again", said=people)
        await until(lambda: all(matches & set(p.ended) for p in there), "and play it to its end", said=people)
        assert adopted(made, 1 - victim) >= len(matches)
        assert all(person.sessions == 1 and not person.faults and not person.lost for person in people.people), people
        events = log_events(made, f"edge-{1 - victim}")
        assert "process_is_dead" in events
        assert not FAULTS & set(events)


async def test_a_sleeper_wakes_to_find_its_matches_taken(tmp_path: Path) -> None:
    """SIGSTOP for longer than a process may be silent: others go on with its matches; awake again, it may not write."""
    async with deployed(tmp_path) as made, crowd(made, ROUTES) as people:
        victim, there, matches = await playing_on(made, people)
        pid = made.edges[victim].child.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            await until(lambda: adopted(made, 1 - victim) >= 1, "the other process takes over", said=people)
        finally:
            os.kill(pid, signal.SIGCONT)
        await until(lambda: all(matches & (set(p.ended) | set(p.lost)) for p in there), "every match ends once", said=people)
        people.check()

        async def balanced() -> bool:
            games = await made.games(*people.people)
            return all(len(p.ended) <= count <= len(p.ended) + 1 for p, count in zip(people.people, games, strict=True))

        await until(balanced, "each result counted once", said=people)
        assert not FAULTS & set(log_events(made, f"edge-{victim}"))


async def test_a_drain_drops_nobody(tmp_path: Path) -> None:
    async with deployed(tmp_path) as made, crowd(made, ROUTES) as people:
        victim, there, matches = await playing_on(made, people)
        answer = await made.http.post(made.edges[victim].address["ops"] + "/drain")
        assert answer.status_code < 300
        await until(lambda: all(matches & set(p.ended) for p in there), "their match is played to its end", said=people)
        assert all(person.sessions == 1 and not person.lost for person in there), people
        assert adopted(made, 1 - victim) >= 1
        people.check()
