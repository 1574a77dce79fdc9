"""Questions that a coordinator asks this process on behalf of an operator: evidence, which lives in the region's store alone.

Problem. Clips of players stay in their region, and a region may have no port that a coordinator reaches. Operators sit elsewhere.

Method. The bus is there anyhow. A question is a token that a coordinator signed (EdDSA, the key of session tokens, another
audience) for one process, one operator and half a minute; the answer goes to the topic of the coordinator that asked, once, not
retained. One question is answered at a time; more wait in the subscription, whose queue is bounded and drops the oldest: whoever
asked then waits for nothing and is told so.

Guarantee. Whoever may write to the broker but has no coordinator's key learns nothing: a question that was not signed, is for
another process, too old or was heard before is not answered. The broker's access rules keep answers from others (operations.md).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from gameedge.bus import topics
from gameedge.bus.base import Bus
from gameedge.bus.payloads import Answer, encode
from gameedge.core import limits
from gameedge.core.anticheat import clips
from gameedge.core.errors import ArtifactError, Reason, RefusedError
from gameedge.core.ids import EdgeId, FlagId, RegionId
from gameedge.core.tokens import AskClaims, TokenKeys, verify_ask
from gameedge.edge.clock import Clock
from gameedge.inference.artifacts import load_aim
from gameedge.state.base import EVIDENCE_DECISIONS, EVIDENCE_STATES, RegionStore
from gameedge.telemetry import logs

Handler = Callable[[AskClaims], Awaitable[Any]]
LIST_MAX: Final = 500
log = logs.get(__name__)


class Asks:
    """`handlers` by name of the question: what they return is sent as msgpack; RefusedError is told."""

    def __init__(
        self, region: RegionId, edge: EdgeId, store: RegionStore, bus: Bus, keys: TokenKeys, modes: list[str], clock: Clock
    ) -> None:
        self._region, self._edge, self._store, self._bus, self._keys, self._clock = region, edge, store, bus, keys, clock
        self._modes = modes
        self._heard: OrderedDict[str, None] = OrderedDict()
        self.handlers: dict[str, Handler] = {
            "evidence_list": self._evidence_list,
            "evidence_get": self._evidence_get,
            "evidence_decide": self._evidence_decide,
            "evidence_appeal": self._evidence_appeal,
            "matches": self._matches,
        }

    async def run(self) -> None:
        while True:
            async with self._bus.subscribe(topics.ask(self._region, self._edge)) as messages:
                async for message in messages:
                    await self._hear(message.payload)

    async def _hear(self, payload: bytes) -> None:
        try:
            claims = verify_ask(payload.decode("ascii", "replace"), self._keys, self._region, self._edge, self._clock.unix_ms())
        except RefusedError as error:
            log.warning("ask_refused", detail=error.detail)
            return
        if claims.jti in self._heard:  # QoS 1 may say it twice, and so may whoever listens
            return
        self._heard[claims.jti] = None
        while len(self._heard) > limits.ASKS_REMEMBERED_MAX:
            self._heard.popitem(last=False)
        answer = await self._answer(claims)
        data = encode(answer)
        if len(data) > limits.BUS_PAYLOAD_BYTES_MAX:  # whoever asks would wait for nothing
            detail = f"the answer has {len(data)} bytes, the bus takes {limits.BUS_PAYLOAD_BYTES_MAX}; ask for fewer (limit)"
            data = encode(Answer(number=claims.jti, ok=False, reason=Reason.TOO_LARGE, detail=detail))
        try:
            await self._bus.publish(topics.answers(claims.reply), data)
        except RefusedError as error:
            log.warning("answer_not_sent", ask=claims.ask, detail=error.detail)

    async def _answer(self, claims: AskClaims) -> Answer:
        handler = self.handlers.get(claims.ask)
        try:
            if handler is None:
                raise RefusedError(Reason.UNSUPPORTED, f"this process does not know {claims.ask}; it may run an older release")
            return Answer(number=claims.jti, ok=True, body=msgspec.msgpack.encode(await handler(claims)))
        except RefusedError as error:
            return Answer(number=claims.jti, ok=False, reason=error.reason, detail=error.detail[:512])
        except Exception as error:  # one question that breaks us must not deafen the process
            log.fault("ask_failed", error, ask=claims.ask)
            return Answer(number=claims.jti, ok=False, reason=Reason.INTERNAL, detail="the process failed; it was logged")

    async def _evidence_list(self, claims: AskClaims) -> Any:
        """Newest first, without clips. args: limit, and perhaps a state and a player."""
        limit = min(max(int(claims.args.get("limit", "100")), 1), LIST_MAX)
        state, player = claims.args.get("state", ""), claims.args.get("player", "")
        if state and state not in EVIDENCE_STATES:
            raise RefusedError(Reason.MALFORMED, f"state: one of {', '.join(EVIDENCE_STATES)}")
        found = await self._store.evidence_list(limits.EVIDENCE_TOTAL_MAX if state or player else limit)
        return [e for e in found if state in ("", e.state) and player in ("", e.player)][:limit]

    async def _evidence_get(self, claims: AskClaims) -> Any:
        found = await self._store.evidence_get(FlagId(claims.args.get("flag", "")))
        if found is None:
            days = limits.EVIDENCE_LIFE_MS // 86_400_000
            raise RefusedError(Reason.NOT_FOUND, f"no such flag in this region; it may be older than {days} days, or erased")
        return found

    async def _evidence_decide(self, claims: AskClaims) -> Any:
        """The state before the call: what `expected` says, or somebody else decided."""
        args = claims.args
        if args.get("decision") not in EVIDENCE_DECISIONS:
            raise RefusedError(Reason.MALFORMED, f"decision: one of {', '.join(EVIDENCE_DECISIONS)}")
        before = await self._store.evidence_decide(FlagId(args.get("flag", "")), args["decision"], args.get("expected", "open"))
        if before is None:
            raise RefusedError(Reason.NOT_FOUND, "no such flag in this region")
        return before

    async def _evidence_appeal(self, claims: AskClaims) -> Any:
        """Compute the decision again from the clip, away from the tick."""
        evidence = await self._evidence_get(claims)

        def again() -> clips.Rerun:
            try:
                model = load_aim(evidence.model) if evidence.model else None
            except ArtifactError as error:
                raise RefusedError(Reason.NOT_FOUND, f"the flag was judged by {evidence.model}, which is not installed: {error}") from error
            return clips.rerun(evidence.clip, model)

        return await asyncio.to_thread(again)

    async def _matches(self, claims: AskClaims) -> Any:
        """Open matches of the region, newest first; with `match` that one."""
        wanted, limit = claims.args.get("match", ""), min(max(int(claims.args.get("limit", "100")), 1), LIST_MAX)
        known = [record for mode in self._modes for record in await self._store.matches(mode)]
        found = [record for record in known if wanted in ("", record.match) and not record.away]  # a grant is no match
        return sorted(found, key=lambda record: -record.created_ms)[:limit]
