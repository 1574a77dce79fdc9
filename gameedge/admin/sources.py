"""Where `review` and `queue` get their answers: from a coordinator, or straight from a region's store where that can be reached.

Straight from the store works without any coordinator, and without a role: whoever has the store's address has everything in it.
"""

import asyncio
import base64
import math
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import msgspec
import typer
from rich.console import Console

from gameedge.admin.asking import ask, fail, target_of
from gameedge.admin.client import ABSENT, NOT_FOUND, REFUSED, AdminError, call, path
from gameedge.config import EdgeConfig, load
from gameedge.core import limits
from gameedge.core.errors import ArtifactError, ConfigError, Reason, RefusedError
from gameedge.core.ids import EdgeId, FlagId, PlayerId
from gameedge.state import questions
from gameedge.state.base import Evidence, RegionStore
from gameedge.state.open import open_region_store

T = TypeVar("T")
UNDECIDED: Final = ("open", "recommended")
KEY: Final = "gameedge.redis"


_CONFIG = typer.Option(None, "--config", help="or the configuration file of one of its processes", dir_okay=False)


def choose_store(
    context: typer.Context,
    redis: str = typer.Option("", "--redis", envvar="GAMEEDGE_REGION_REDIS", help="ask this region's store itself", show_default=False),
    config: Path | None = _CONFIG,
) -> None:
    """Through the coordinator, or straight from a region's store."""
    try:
        url = redis or (load(config, EdgeConfig).redis if config is not None else "")
        if url:
            open_region_store(url)  # its form; connects with the first call
    except ConfigError as error:
        fail(str(error), REFUSED, error)
    context.meta[KEY] = url


def ask_store(context: typer.Context, question: Callable[[RegionStore], Awaitable[T]]) -> T:
    """One question to the region's store; leaves with a sentence where it does not answer."""

    async def run() -> T:
        store = open_region_store(context.meta[KEY])
        try:
            return await question(store)
        finally:
            await store.close()

    try:
        return asyncio.run(run())
    except RefusedError as error:
        if error.reason is Reason.NOT_FOUND:
            fail(error.detail, NOT_FOUND, error)
        fail(f"the region's store does not answer: {error}", ABSENT, error)
    except OSError as error:
        fail(f"the region's store does not answer: {error}", ABSENT, error)


# ------------------------------------------------------------------------------------------------------------------- queues


def queues(context: typer.Context, region: str, mode: str) -> dict[str, Any]:
    """As GET /v1/admin/queues answers."""
    if not context.meta.get(KEY):
        return dict(ask(context, "GET", path("queues"), params={"region": region, "mode": mode}))
    found = ask_store(context, lambda store: questions.queues(store, mode))
    return {"queues": [{"region": region or "-", "queue": msgspec.to_builtins(queue)} for queue in found], "silent": []}


def shadows(context: typer.Context, region: str) -> dict[str, Any]:
    """As GET /v1/admin/queues/shadows answers."""
    if not context.meta.get(KEY):
        return dict(ask(context, "GET", path("queues", "shadows"), params={"region": region}))
    me = EdgeId(f"admin-{os.getpid()}-{time.monotonic_ns()}")
    found = ask_store(context, lambda store: questions.shadows(store, me))
    return {"shadows": [{"region": region or "-", "compared": one} for one in found], "silent": []}


def explain(context: typer.Context, who: str, region: str, mode: str) -> dict[str, Any]:
    """As GET /v1/admin/queues/explain answers."""
    if not context.meta.get(KEY):
        if not 1 <= len(who) <= 64:
            fail("who waits? give a ticket or a player", NOT_FOUND)
        return dict(ask(context, "GET", path("queues", "explain"), params={"ticket": who, "region": region, "mode": mode}))
    me = EdgeId(f"admin-{os.getpid()}-{time.monotonic_ns()}")
    return {"region": region or "-", "explained": ask_store(context, lambda store: questions.explain(store, who, mode, me))}


# ----------------------------------------------------------------------------------------------------------------- evidence


class Source(Protocol):
    """Evidence, wherever it comes from. Every method leaves with a sentence where it cannot answer."""

    def listed(self, state: str, player: str, limit: int) -> list[dict[str, Any]]:
        """Flags without clips, newest first, each with `region`."""
        ...

    def evidence(self, flag: str) -> Evidence: ...
    def decisions(self, flag: str) -> list[dict[str, Any]]:
        """Newest first; none where nobody keeps them."""
        ...

    def decide(self, flag: str, decision: str, expected: str, note: str) -> None: ...
    def appeal(self, flag: str) -> dict[str, Any]: ...


def open_source(context: typer.Context, region: str) -> Source:
    return StoreSource(context) if context.meta.get(KEY) else CoordinatorSource(context, region)


def plain(evidence: Evidence) -> dict[str, Any]:
    """Without the clip's bytes."""
    found = {name: value for name, value in msgspec.structs.asdict(evidence).items() if name != "clip"}
    return {**found, "score": evidence.score if math.isfinite(evidence.score) else None, "clip_bytes": len(evidence.clip)}


@dataclass
class StoreSource:
    context: typer.Context

    def listed(self, state: str, player: str, limit: int) -> list[dict[str, Any]]:
        found = ask_store(self.context, lambda store: store.evidence_list(limits.EVIDENCE_TOTAL_MAX if state or player else limit))
        return [plain(e) for e in found if state in ("", e.state) and player in ("", e.player)][:limit]

    def evidence(self, flag: str) -> Evidence:
        found = ask_store(self.context, lambda store: store.evidence_get(FlagId(flag)))
        if found is None:
            days = limits.EVIDENCE_LIFE_MS // 86_400_000
            fail(f"no flag {flag!r} in this region; it may be older than {days} days, or erased", NOT_FOUND)
        return found

    def decisions(self, flag: str) -> list[dict[str, Any]]:
        return []

    def decide(self, flag: str, decision: str, expected: str, note: str) -> None:
        before = ask_store(self.context, lambda store: store.evidence_decide(FlagId(flag), decision, expected))
        if before is None:
            fail(f"flag {flag!r} went away meanwhile", NOT_FOUND)
        if before != expected:
            fail(f"this flag is {before} since then; look again before you decide", REFUSED)

    def appeal(self, flag: str) -> dict[str, Any]:
        from gameedge.core.anticheat import clips  # here, or every command and every TAB would wait for it
        from gameedge.inference.artifacts import load_aim

        evidence = self.evidence(flag)
        model = None
        if evidence.model:
            try:
                model = load_aim(evidence.model)
            except ArtifactError as error:
                fail(f"{flag} was judged by {evidence.model}, which is not installed here: {error}", NOT_FOUND, error)
        again = clips.rerun(evidence.clip, model)
        return {"flag": flag, **msgspec.structs.asdict(again), "log": again.log if math.isfinite(again.log) else None}

    def erase(self, player: str) -> int:
        return ask_store(self.context, lambda store: store.erase_player(PlayerId(player)))


@dataclass
class CoordinatorSource:
    """`region` empty: that of the flag is looked up among the flags that the coordinator heard of."""

    context: typer.Context
    region: str

    def _regions(self) -> list[str]:
        if self.region:
            return [self.region]
        status = ask(self.context, "GET", path("status"))
        return [region["region"] for region in status["regions"] if any(edge["online"] for edge in region["edges"])]

    def _of(self, flag: str) -> str:
        if self.region:
            return self.region
        for entry in ask(self.context, "GET", path("verdicts"), params={"limit": limits.VERDICTS_MAX})["verdicts"]:
            if entry["verdict"]["flag"] == flag:
                self.region = str(entry["region"])
                return self.region
        fail(f"no flag {flag[:64]!r} among those that this coordinator heard of; if it is older, name its --region", NOT_FOUND)

    def listed(self, state: str, player: str, limit: int) -> list[dict[str, Any]]:
        """A region that does not answer is named on stderr; where none does, the command ends."""
        found: list[dict[str, Any]] = []
        params = {"status": state, "player": player, "limit": min(limit, 500)}
        to, regions, silent = target_of(self.context), self._regions(), 0
        for region in regions:
            try:
                answer = call(to.url, to.token, "GET", path("regions", region, "flags"), params=params)
            except AdminError as error:
                silent += 1
                if error.status != ABSENT or silent == len(regions):
                    fail(str(error), error.status, error)
                Console(stderr=True).print(f"not complete: {region} did not answer: {error}", markup=False, soft_wrap=True)
                continue
            found += [{**flag, "region": region} for flag in answer["flags"]]
        return sorted(found, key=lambda flag: -flag["at_ms"])[:limit]

    def evidence(self, flag: str) -> Evidence:
        answer = ask(self.context, "GET", path("regions", self._of(flag), "flags", flag, "clip"))
        try:
            return msgspec.msgpack.decode(base64.b64decode(answer["evidence"]), type=Evidence)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            fail(f"the evidence of {flag[:64]!r} is in a form that this release does not read: {error}", ABSENT, error)

    def decisions(self, flag: str) -> list[dict[str, Any]]:
        return list(ask(self.context, "GET", path("regions", self._of(flag), "flags", flag))["decisions"])

    def decide(self, flag: str, decision: str, expected: str, note: str) -> None:
        body = {"decision": decision, "expected": expected, "note": note}
        ask(self.context, "POST", path("regions", self._of(flag), "flags", flag, "decide"), body=body)

    def appeal(self, flag: str) -> dict[str, Any]:
        return dict(ask(self.context, "POST", path("regions", self._of(flag), "flags", flag, "appeal")))
