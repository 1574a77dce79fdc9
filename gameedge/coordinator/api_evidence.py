"""The admin API's part about flags: evidence is fetched from its region for each look, and every look is in the audit log.

A clip leaves its region only as the answer to one operator. Of two who decide the same flag, the second is told who was faster
(409): a decision names the state that its operator saw, and the region's store compares and sets in one step.
"""

import contextlib
import json
import math
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from litestar import get, post
from litestar.params import Body, Parameter
from numpy.typing import NDArray

from gameedge.coordinator.api_public import AnyRequest, address_of, operator_errors
from gameedge.coordinator.roles import Role, needs, who
from gameedge.coordinator.schemas.evidence import (
    AppealView,
    BlockView,
    ClipView,
    DecideRequest,
    DecisionView,
    EvidenceRaw,
    EvidenceView,
    FlagList,
    FlagView,
    RepeatsView,
    RepeatView,
    ShotView,
)
from gameedge.coordinator.schemas.matches import MatchTeam, MatchView, RegionMatches
from gameedge.coordinator.services import Services
from gameedge.core.anticheat import accumulate, aim, clips, repeats, strokes
from gameedge.core.anticheat.gate import GATE_FIRST, GATE_REASONS
from gameedge.core.anticheat.watch import TICK_HZ
from gameedge.core.errors import Reason, RefusedError, UnavailableError
from gameedge.core.game import REFUSAL_NAMES
from gameedge.state.base import Evidence, MatchRecord

Name = Annotated[str, Parameter(min_length=1, max_length=32)]
FlagName = Annotated[str, Parameter(min_length=1, max_length=64, description="a flag's id")]
State = Annotated[str, Parameter(max_length=16, description="open, recommended, cleared or upheld; empty: all")]
Limit = Annotated[int, Parameter(ge=1, le=500)]
OPERATOR, AUDIT_LOOK = needs(Role.OPERATOR), 500


def evidence_routes(services: Services) -> list[Any]:
    """Handlers below /v1/admin."""

    @get("/regions/{region:str}/flags", summary="Flags of a region", responses=operator_errors(404), opt=OPERATOR)
    async def flags(
        region: Name, status: State = "", player: Annotated[str, Parameter(max_length=64)] = "", limit: Limit = 100
    ) -> FlagList:
        """Newest first, with what was decided, without clips."""
        args = {"state": status, "player": player, "limit": str(limit)}
        found = await services.asking.ask(region, "evidence_list", args, list[Evidence], who=who())
        return FlagList(region=region, flags=[flag_view(evidence) for evidence in found])

    @get("/regions/{region:str}/flags/{flag:str}", summary="Evidence of a flag", responses=operator_errors(404), opt=OPERATOR)
    async def show(region: Name, flag: FlagName, request: AnyRequest) -> EvidenceView:
        """The shots that spoke, with the way of the cursor, or the movements that came again; what each was worth; earlier decisions.
        Written to the audit log."""
        await services.audit("evidence_open", address_of(request), region=region, flag=flag)
        found = await services.asking.ask(region, "evidence_get", {"flag": flag}, Evidence, who=who())
        try:
            clip, unreadable = clip_view(clips.decode(found.clip), found.at_ms), ""
        except ValueError as error:
            clip, unreadable = None, str(error)
        return EvidenceView(
            region=region, flag=flag_view(found), clip=clip, unreadable=unreadable, decisions=await _decisions(services, region, flag)
        )

    @get("/regions/{region:str}/flags/{flag:str}/clip", summary="A flag's clip", responses=operator_errors(404), opt=OPERATOR)
    async def clip_of(region: Name, flag: FlagName, request: AnyRequest) -> EvidenceRaw:
        """The evidence as its region keeps it: msgpack, base64, to be drawn or computed again elsewhere. Written to the audit log."""
        await services.audit("evidence_open", address_of(request), region=region, flag=flag)
        found = await services.asking.ask(region, "evidence_get", {"flag": flag}, Evidence, who=who())
        return EvidenceRaw(region=region, evidence=msgspec.msgpack.encode(found))

    @post(
        "/regions/{region:str}/flags/{flag:str}/decide",
        status_code=200,
        summary="Decide",
        responses=operator_errors(404, 409),
        opt=OPERATOR,
    )
    async def decide(region: Name, flag: FlagName, request: AnyRequest, data: Annotated[DecideRequest, Body()]) -> DecisionView:
        """Bans nobody. 409 where the flag is no longer as `expected` says: somebody else decided."""
        fields = {"region": region, "flag": flag, "decision": data.decision, "expected": data.expected, "note": data.note}
        await services.audit("evidence_decide", address_of(request), **fields)
        args = {"flag": flag, "decision": data.decision, "expected": data.expected}
        before = await services.asking.ask(region, "evidence_decide", args, str, who=who())
        if before != data.expected:
            await services.audit("evidence_conflict", address_of(request), **fields, found=before)
            raise RefusedError(Reason.OUT_OF_ORDER, await _conflict(services, region, flag, before))
        return DecisionView(region=region, flag=flag, before=before, state=data.decision)

    @post("/regions/{region:str}/flags/{flag:str}/appeal", status_code=200, summary="Appeal", responses=operator_errors(404), opt=OPERATOR)
    async def appeal(region: Name, flag: FlagName, request: AnyRequest) -> AppealView:
        """Computes the decision again from the clip, in its region, with the model that made it, and compares every bit."""
        await services.audit("evidence_appeal", address_of(request), region=region, flag=flag)
        again = await services.asking.ask(region, "evidence_appeal", {"flag": flag}, clips.Rerun, who=who())
        log = again.log if math.isfinite(again.log) else None
        return AppealView(
            flag=flag, same=again.same, shots=again.shots, blocks=again.blocks, log=log, level=again.level, detail=again.detail
        )

    @get("/regions/{region:str}/matches", summary="Open matches", responses=operator_errors(404), opt=needs(Role.VIEWER))
    async def matches(region: Name, match: Annotated[str, Parameter(max_length=64)] = "", limit: Limit = 100) -> RegionMatches:
        """Newest first; with `match` that one."""
        args = {"match": match, "limit": str(limit)}
        found = await services.asking.ask(region, "matches", args, list[MatchRecord], who=who())
        return RegionMatches(region=region, matches=[match_view(record) for record in found])

    return [flags, show, clip_of, decide, appeal, matches]


async def _decisions(services: Services, region: str, flag: str) -> list[dict[str, Any]]:
    """What the audit log knows of decisions on this flag, newest first; those that came too late are marked."""
    found, late = [], set()
    with contextlib.suppress(UnavailableError):
        for line in await services.store.audit_list(AUDIT_LOOK):
            with contextlib.suppress(ValueError, AttributeError):
                entry = json.loads(line)
                if (entry.get("region"), entry.get("flag")) != (region, flag):
                    continue
                mark = (entry.get("who"), entry.get("decision"), entry.get("expected"))
                if entry.get("action") == "evidence_conflict":
                    late.add(mark)
                elif entry.get("action") == "evidence_decide":
                    kept = {key: entry.get(key, "") for key in ("at_ms", "who", "decision", "expected", "note")}
                    found.append({**kept, "late": mark in late})
                    late.discard(mark)
    return found


async def _conflict(services: Services, region: str, flag: str, state: str) -> str:
    first = next((e for e in await _decisions(services, region, flag) if not e["late"] and e["decision"] == state), None)
    by = f" by {first['who']}" if first is not None else ""
    return f"this flag is {state} since then{by}; open it again before you decide"


def flag_view(evidence: Evidence) -> FlagView:
    """Without the clip's bytes."""
    return FlagView(
        flag=evidence.flag,
        player=evidence.player,
        match=evidence.match,
        at_ms=evidence.at_ms,
        rule=evidence.rule,
        score=evidence.score if math.isfinite(evidence.score) else None,
        reasons=evidence.reasons,
        state=evidence.state,
        model=evidence.model,
        clip_bytes=len(evidence.clip),
    )


def clip_view(clip: clips.Clip, at_ms: int) -> ClipView:
    """As a page draws it: numbers that JSON can say. at_ms: when the flag was raised."""
    levels = {"observe": accumulate.OBSERVE, "review": accumulate.REVIEW, "ban": accumulate.BAN}
    return ClipView(
        model=clip.model,
        radius=clip.radius,
        before=clip.before,
        classes=list(aim.CLASSES),
        levels={name: level / math.log(10) for name, level in levels.items()},
        refused={_refusal(code): count for code, count in clip.refused.items()},
        blocks=[
            BlockView(
                mean=_number(part.mean),
                p=_number(part.p),
                power=_number(part.log / math.log(10)),
                shots=[_shot(shot) for shot in part.shots],
            )
            for part in clip.blocks
        ],
        repeats=_repeats(clip.repeated, at_ms) if clip.repeated is not None else None,
    )


def _repeats(given: repeats.Repeats, at_ms: int) -> RepeatsView:
    number, found = given.before, []
    last = given.found[-1].tick if given.found else 0  # the flag was raised in this tick
    for part in given.found:
        number += part.passed + 1
        first, again = repeats.shape_of(part.first), repeats.shape_of(part.again)
        turn, mirrored = repeats.turn(first, again)
        times = [_time(at_ms, last - tick) if part.back else None for tick in (part.tick, part.first_tick)]
        found.append(
            RepeatView(
                number=number,
                first_number=number - part.back if part.back else None,
                at_ms=times[0],
                first_at_ms=times[1],
                **{name: _points(z) for name, z in zip(("first", "again"), repeats.onto(first, again), strict=True)},
                turn=round(turn, 1),
                mirrored=mirrored,
                differ=round(repeats.rest(first, again), 6),
                likeness=_number(part.likeness),
                power=_number(part.log / math.log(10)),
            )
        )
    one_in = round(1 / strokes.RATE)
    return RepeatsView(total=given.total, alike=given.alike, kept=strokes.KEPT, one_in=one_in, limit=strokes.ALIKE, found=found)


def _time(at_ms: int, ticks: int) -> int | None:
    """So many ticks before; None: the clip's ticks are none."""
    before = ticks * 1000 // TICK_HZ
    return at_ms - before if 0 <= before < at_ms else None


def _points(z: NDArray[np.complex128]) -> list[float]:
    return [round(value, 4) for p in z.tolist() for value in (p.real, p.imag)]


def _refusal(code: str) -> str:
    """The word of a reason's number: the game's, then the gate's."""
    number = int(code) if code.isdecimal() and len(code) < 4 else -1
    names = {**dict(enumerate(REFUSAL_NAMES)), **dict(enumerate(GATE_REASONS, GATE_FIRST))}
    return names.get(number, code[:32])


def _shot(shot: clips.Seen) -> ShotView:
    return ShotView(
        tick=shot.tick,
        target=shot.target,
        path=_numbers(shot.path),
        line=_numbers(shot.line),
        since_ms=_number(shot.since_ms),
        visible_ms=_number(shot.visible_ms),
        on_target_ms=_number(shot.on_target_ms),
        distance=_number(shot.distance),
        hit=shot.hit,
        score=_number(shot.score),
        shares=[round(_number(share) or 0.0, 4) for share in shot.shares],
    )


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _numbers(data: bytes) -> Sequence[float | None]:
    """float32 as its shortest text needs: four digits behind the point are beyond what a screen shows."""
    values = np.frombuffer(data[: len(data) // 4 * 4], "<f4").astype(float)
    return [round(value, 4) if math.isfinite(value) else None for value in values.tolist()]


def match_view(record: MatchRecord) -> MatchView:
    of = {ticket.id: ticket for ticket in record.tickets}
    teams = [
        MatchTeam(players=[of[ticket].player for ticket in team if ticket in of], names=[of[t].name for t in team if t in of])
        for team in record.teams
    ]
    return MatchView(match=record.match, mode=record.mode, edge=record.host, created_ms=record.created_ms, epoch=record.epoch, teams=teams)
