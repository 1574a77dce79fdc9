"""One bot: a real client that signs up, is placed, queues and plays match after match until it is cancelled."""

import asyncio
import random
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np

from gameedge.core.errors import Reason, RefusedError
from gameedge.core.protocol.arena_v1 import encode_command
from gameedge_client import (
    Client,
    ConnectionLostError,
    GameEdgeError,
    Match,
    MatchLostError,
    Placement,
    RegionInfo,
    Session,
    SessionLostError,
)
from gameedge_client.dial import Dial
from loadtest.bots.brain import Brain
from loadtest.bots.cheats import FastClock
from loadtest.bots.kinds import CHEATS, Kind, brain_for
from loadtest.links import Link
from loadtest.motion import Person
from loadtest.stats import Stats

COMMAND_S: Final = 0.05  # 20 Hz
RETRY_S: Final = 1.0  # after a refusal that says no time
RETRY_S_MAX: Final = 10.0
LATE_S: Final = 0.5  # so late in a beat: start counting anew instead of catching up
FLAKY_CUT_S: Final = 6.0  # mean time between two cuts of a flaky connection, while in a match
BLACKHOLE_S: Final = 1.5
NAMES: Final = (
    "ada",
    "bo",
    "cleo",
    "dina",
    "emil",
    "fay",
    "gus",
    "hana",
    "ines",
    "jun",
    "kai",
    "lou",
    "mia",
    "nils",
    "ona",
    "pia",
)
# Refusals that an honest client never earns: they count as errors.
MISTAKES: Final = frozenset(
    {
        Reason.MALFORMED,
        Reason.TOO_LARGE,
        Reason.UNSUPPORTED,
        Reason.OUT_OF_ORDER,
        Reason.REPLAYED,
        Reason.TOKEN_INVALID,
        Reason.WRONG_REGION,
        Reason.INTERNAL,
        Reason.FORBIDDEN,
    }
)


class Geography(Protocol):
    """Where servers are: what a player learns of regions while it is placed."""

    def learn(self, regions: list[RegionInfo]) -> None: ...

    def learn_edges(self, region: str, urls: tuple[str, ...]) -> None: ...


class _MappedClient(Client):
    """The SDK's client, which tells the harness where the regions' processes listen, so that links to them are as long."""

    geography: Geography | None = None

    async def regions(self) -> list[RegionInfo]:
        regions = await super().regions()
        if self.geography is not None:
            self.geography.learn(regions)
        return regions


@dataclass
class Player:
    """One bot and what it is doing. `run` never raises but for cancellation."""

    index: int
    kind: Kind
    coordinator: str
    modes: dict[str, float]
    stats: Stats
    geography: Geography
    rng: np.random.Generator
    where: tuple[float, float] | None = None
    link: Link | None = None  # None: straight to the servers
    state: str = "away"  # away, connected, queued, in_match
    player_id: str = ""
    region: str = ""
    banned: bool = False
    _session: Session | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.person = Person.draw(self.rng)
        self._chance = random.Random(int(self.rng.integers(2**62)))
        self._failures = 0

    @property
    def connected(self) -> bool:
        return self._session is not None and self._session.connected

    # ---------------------------------------------------------------------------------------------------- life

    async def run(self) -> None:
        """Play until cancelled (or banned)."""
        client: Client | None = None
        while not self.banned:
            try:
                if client is None:
                    client = await self._sign_up()
                await self._play_at(client, await self._placed(client))
            except RefusedError as refused:
                await self._refused(refused)
            except SessionLostError as error:
                self._lost(f"session lost: {error}")
            except ConnectionLostError as error:
                self._lost(f"connection lost: {error}")
            except GameEdgeError as error:
                self.stats.error(f"{self._who}: {error}")
            except Exception as error:  # whatever it is: one bot's trouble must not end the others
                self.stats.error(f"{self._who}: {type(error).__name__}: {error}")
                await asyncio.sleep(RETRY_S)
            finally:
                self.state = "away"
                self._session = None

    @property
    def _who(self) -> str:
        return f"bot {self.index} ({self.kind})"

    @property
    def _honest(self) -> bool:
        return self.kind not in CHEATS

    def _lost(self, what: str) -> None:
        """The session is over. A cheat may have been thrown out; for everyone else it is a failure."""
        if self._honest:
            self.stats.error(f"{self._who}: {what}")

    async def _refused(self, refused: RefusedError) -> None:
        """Do what the server says: wait as long as it asks, and a little more each time in a row."""
        self.stats.refusals[str(refused.reason)] += 1
        if refused.reason is Reason.FORBIDDEN and not self._honest:
            self.banned = True
            return
        if refused.reason in MISTAKES and self._honest:
            self.stats.error(f"{self._who}: refused: {refused}")
        self._failures = min(self._failures + 1, 6)
        if refused.retry_after_ms is not None:
            wait = refused.retry_after_ms / 1000.0
        else:
            wait = min(RETRY_S_MAX, RETRY_S * 1.6 ** (self._failures - 1))
        await asyncio.sleep(wait * self._chance.uniform(1.0, 1.4))

    async def _sign_up(self) -> Client:
        name = f"{NAMES[self.index % len(NAMES)]}-{self.index}"
        dial: Dial | None = self.link.route if self.link is not None else None
        client = await _MappedClient.guest(self.coordinator, name=name, dial=dial)
        assert isinstance(client, _MappedClient)
        client.geography = self.geography
        self.player_id = client.account.player
        return client

    async def _placed(self, client: Client) -> Placement:
        placement = await client.place(mode=self._mode(), where=self.where)
        if client.placement_ms is not None:
            self.stats.placement_ms.append(client.placement_ms)
        self.region = placement.region
        self.geography.learn_edges(placement.region, placement.edges)
        return placement

    async def _play_at(self, client: Client, placement: Placement) -> None:
        """One session, until it is over or its process drains."""
        async with client.connect(placement) as session:
            self._session = session
            resumes = 0
            self._failures = 0
            while session.draining is None:
                self.state = "queued"
                found = await session.queue(self._mode())
                if session.queue_wait_ms is not None:
                    self.stats.queue_wait_ms.append(session.queue_wait_ms)
                self.geography.learn_edges(placement.region, (found.url,))
                match = await session.join(found)
                self.state = "in_match"
                try:
                    await self._play(session, match)
                except MatchLostError:
                    self.stats.matches_lost += 1
                finally:
                    self.state = "connected"
                    self.stats.resumes += session.resumes - resumes
                    resumes = session.resumes
                await asyncio.sleep(self._chance.uniform(0.2, 1.0))  # looks at the result

    def _mode(self) -> str:
        return self._chance.choices(list(self.modes), weights=list(self.modes.values()))[0]

    # --------------------------------------------------------------------------------------------------- a match

    async def _play(self, session: Session, match: Match) -> None:
        brain = brain_for(self.kind, match.info.team, self.person, self.rng, recorded=self.index)
        cutter = asyncio.create_task(self._cut(session), name=f"cuts of bot {self.index}") if self.kind is Kind.FLAKY else None
        try:
            await self._command(match, brain, session)
        finally:
            if cutter is not None:
                cutter.cancel()
                await asyncio.wait([cutter])
        async for _ in match:  # ends at once; raises where the match was lost
            pass
        if match.result is not None:
            self.stats.matches_played += 1

    async def _command(self, match: Match, brain: Brain, session: Session) -> None:
        """20 commands a second on the own clock, from whatever snapshot is newest."""
        clock = FastClock() if self.kind is Kind.SPEEDHACK else None
        period = COMMAND_S / clock.rate if clock is not None else COMMAND_S
        loop = asyncio.get_running_loop()
        due = loop.time() + self._chance.uniform(0.0, period)
        sent, received = 0, 0
        unknown: deque[tuple[int, float]] = deque(maxlen=64)  # commands that no snapshot knew of yet, and when they left
        known_ms = 0.0
        while not match.over:
            await asyncio.sleep(due - loop.time())
            due += period
            if loop.time() > due + LATE_S:
                due = loop.time() + period
            if match.latest is None or match.over:
                continue
            now_ms = time.perf_counter() * 1000.0
            while unknown and unknown[0][0] <= match.latest.header.processed:
                known_ms = unknown.popleft()[1]
            brain.lag_ms = now_ms - known_ms if known_ms else 0.0
            subticks = brain.step(match.latest.view, now_ms)
            if clock is None:
                match.command(subticks)
            else:
                clock.send(match, encode_command(subticks), now_ms)
            unknown.append((match._sequence, now_ms))
            if match.commands_sent - sent >= 20:
                sent, received = self._account(match, session, sent, received)
        self._account(match, session, sent, received)

    def _account(self, match: Match, session: Session, sent: int, received: int) -> tuple[int, int]:
        """About once a second: hand the match's figures to the crowd's."""
        samples = match.input_to_snapshot_ms
        if samples:
            self.stats.input_to_snapshot_ms.extend(samples)
            samples.clear()
        if session.rtt_ms is not None:
            self.stats.rtt_ms.append(session.rtt_ms)
        self.stats.commands_sent += match.commands_sent - sent
        self.stats.snapshots += match.snapshots_received - received
        return match.commands_sent, match.snapshots_received

    async def _cut(self, session: Session) -> None:
        """The flaky connection: now and then it breaks, or goes quiet for a while."""
        while True:
            await asyncio.sleep(1.0 + self._chance.expovariate(1.0 / FLAKY_CUT_S))
            self.stats.cuts += 1
            if self.link is not None and self._chance.random() < 0.3:
                self.link.blackhole(BLACKHOLE_S)
            elif self.link is not None:
                self.link.cut()
            else:
                session.drop_connection()
