"""Results of matches, applied exactly once.

Problem. A region repeats a result until it is acknowledged, brokers deliver at least once, and several coordinators listen.
Method. `GlobalStore.result_apply` marks the match and stores the ratings in one atomic step, only if the ratings are still
    those that the new ones were computed from; if not, compute again. The acknowledgement goes out after it, and again for
    every repetition.
Guarantee. Whatever is lost, repeated or reordered, and whoever dies where: a match moves ratings once, and stays in its
    region's outbox until it did. While the store is away nothing is acknowledged, so nothing is lost.
Malformed results. One without a readable envelope cannot be acknowledged: counted. One whose position can be read but not its
    result would be repeated for ever and at last fill the outbox, which stops matches: it is written to the audit log with its
    bytes, so that a person can apply it, and acknowledged. At most `DEAD_LETTERS_PER_MINUTE` of them, so that a broken region
    cannot wash the audit log away; the rest waits in the outbox.
"""

import asyncio
import base64
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import msgspec

from gameedge.bus import topics
from gameedge.bus.base import Bus, BusMessage
from gameedge.bus.payloads import Acks, Codec, ResultEnvelope, encode
from gameedge.coordinator.ratings import is_rated, rate
from gameedge.coordinator.throttle import Throttle
from gameedge.core import limits
from gameedge.core.errors import RefusedError, UnavailableError
from gameedge.core.ids import MatchId, RegionId, is_name
from gameedge.state.base import Result
from gameedge.state.base_global import GlobalStore, Rating
from gameedge.telemetry import logs
from gameedge.telemetry.metrics import Registry as Metrics

ATTEMPTS_MAX: Final = 16  # computations of one result while others change the same ratings
ACK_EVERY_MS: Final = 50  # positions are acknowledged together
ACK_BATCH_MAX: Final = 256
APPLIED_REMEMBERED: Final = 4_096  # matches known to be applied: repetitions cost no round trip
DEAD_LETTERS_PER_MINUTE: Final = 60

log = logs.get(__name__)
_envelope = Codec(ResultEnvelope)
_result = msgspec.msgpack.Decoder(Result)


def read_result(region: RegionId, data: bytes) -> Result:
    """A result as it may be applied. Raises ValueError with what is wrong."""
    try:
        result = _result.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not a result: {error}") from error
    people = [player for team in result.teams for player in team]
    if result.region != region:
        raise ValueError(f"came by the topic of {region} and names {result.region}")
    if not is_name(result.mode) or not 1 <= len(result.match) <= 64:
        raise ValueError("mode or match id is no name")
    if len(result.teams) != len(result.ranks) or len(result.teams) > limits.SEATS_PER_MATCH_MAX:
        raise ValueError("teams and ranks do not fit")
    if len(people) > limits.SEATS_PER_MATCH_MAX or any(not 1 <= len(player) <= 64 for player in people):
        raise ValueError("too many players, or a player id that is none")
    if len(set(people)) != len(people):
        raise ValueError("a player twice")
    if any(not 0 <= rank <= limits.SEATS_PER_MATCH_MAX for rank in result.ranks):
        raise ValueError("a rank out of range")
    if not 1 <= len(result.reason) <= 64 or len(result.scores) > limits.SEATS_PER_MATCH_MAX:  # told to the other coordinators
        raise ValueError("a reason that is no word, or too many scores")
    return result


class Results:
    """Takes results from the bus. `hear` is called by the subscription, `run_apply` and `run_acks` are tasks of the process."""

    def __init__(self, store: GlobalStore, bus: Bus, metrics: Metrics, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._bus = bus
        self._metrics = metrics
        self._now_ms = now_ms
        self._queue: asyncio.Queue[BusMessage] = asyncio.Queue(limits.RESULTS_QUEUE_MAX)
        self._acks: dict[RegionId, list[str]] = {}
        self._applied: OrderedDict[MatchId, None] = OrderedDict()
        self._letters = Throttle(DEAD_LETTERS_PER_MINUTE)
        self.applied_count = 0
        self.heard: Callable[[Result, str], None] = lambda result, outcome: None  # of each that was taken, with what became of it

    def hear(self, message: BusMessage) -> None:
        """Queue a result. When the queue is full it is dropped: the region sends it again."""
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            self._count("dropped")

    async def run_apply(self) -> None:
        """Apply what was heard, one after the other, for ever."""
        while True:
            message = await self._queue.get()
            try:
                await self._take(message)
            except UnavailableError as error:
                self._count("deferred")
                log.warning("result_deferred", topic=message.topic, error=str(error))
            except RefusedError as error:
                self._count("deferred")
                log.warning("result_refused", topic=message.topic, error=str(error))
            except Exception as error:  # one result that breaks us must not stop all others; it stays in its outbox
                self._count("failed")
                self._metrics.counter("coordinator_errors_total", where="results").add()
                log.fault("result_failed", error, topic=message.topic)

    async def run_acks(self) -> None:
        """Publish acknowledgements, for ever."""
        while True:
            await asyncio.sleep(ACK_EVERY_MS / 1000)
            await self.flush()

    async def flush(self) -> None:
        """Publish the acknowledgements that wait. Those that cannot be are forgotten: the repetition brings them back."""
        waiting, self._acks = self._acks, {}
        for region, at in waiting.items():
            for start in range(0, len(at), ACK_BATCH_MAX):
                try:
                    await self._bus.publish(topics.acks(region), encode(Acks(at=at[start : start + ACK_BATCH_MAX])))
                except RefusedError as error:
                    log.warning("acks_not_sent", region=region, count=len(at) - start, error=str(error))
                    break

    async def _take(self, message: BusMessage) -> None:
        region = topics.parse_region(message.topic)
        envelope = _envelope.decode(message.payload)
        if region is None or not is_name(region) or envelope is None:
            self._count("bad")
            log.warning("result_unreadable", topic=message.topic, bytes=len(message.payload))
            return
        try:
            result = read_result(region, envelope.result)
        except ValueError as error:
            await self._bury(region, envelope, str(error))
            return
        outcome = await self._apply(result)
        self._count(outcome)
        if outcome == "deferred":
            return
        if outcome != "duplicate":
            self.applied_count += 1
        self.heard(result, outcome)
        self._remember(result.match)
        self._acks.setdefault(region, []).append(envelope.at)

    async def _apply(self, result: Result) -> str:
        """applied, unrated (marked, no rating moved), duplicate, or deferred (others kept changing the same ratings)."""
        if result.match in self._applied or await self._store.result_applied(result.match):
            return "duplicate"
        players = [player for team in result.teams for player in team] if is_rated(result) else []
        gone = await self._store.erased(players)
        for _ in range(ATTEMPTS_MAX):
            found = await self._store.ratings_of(result.mode, players) if players else {}
            before = {player: found.get(player, Rating()) for player in players}
            after = {player: rating for player, rating in rate(result, before).items() if player not in gone}
            if await self._store.result_apply(result, after, {player: before[player] for player in after}):
                return "applied" if players else "unrated"
        return "deferred"

    async def _bury(self, region: RegionId, envelope: ResultEnvelope, why: str) -> None:
        self._count("bad")
        log.warning("result_malformed", region=region, reason=why, bytes=len(envelope.result))
        now_ms = self._now_ms()
        try:
            self._letters.take("?", now_ms)
        except RefusedError:
            return
        raw = base64.b64encode(envelope.result[:8192]).decode()
        entry = {"at_ms": now_ms, "action": "result_malformed", "region": region, "at": envelope.at, "why": why, "raw": raw}
        await self._store.audit_add(msgspec.json.encode(entry).decode())
        self._acks.setdefault(region, []).append(envelope.at)

    def _remember(self, match: MatchId) -> None:
        self._applied[match] = None
        if len(self._applied) > APPLIED_REMEMBERED:
            self._applied.popitem(last=False)

    def _count(self, outcome: str) -> None:
        self._metrics.counter("coordinator_results_total", outcome=outcome).add()
