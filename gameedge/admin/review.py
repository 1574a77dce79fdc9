"""`gameedge admin review`: flags with their evidence, and what a person decides about them.

Evidence stays in its region, so these commands speak to the region's store, not to a coordinator: run them where it can be
reached. Nothing here bans: an upheld flag says so, and `gameedge admin players ban` does it.
"""

import asyncio
import json
import math
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn, TypeVar

import msgspec
import typer
from rich.console import Console

from gameedge.admin import pictures, views
from gameedge.admin.client import ABSENT, NOT_FOUND, REFUSED
from gameedge.config import EdgeConfig, load
from gameedge.core import limits
from gameedge.core.anticheat import clips
from gameedge.core.errors import ArtifactError, ConfigError, RefusedError
from gameedge.core.ids import FlagId, PlayerId
from gameedge.inference.artifacts import load_aim
from gameedge.state.base import Evidence, RegionStore
from gameedge.state.open import open_region_store

app = typer.Typer(help="Flags and their evidence, in one region.", no_args_is_help=True)
STATES: Final = ("open", "recommended", "cleared", "upheld")
DECISIONS: Final = ("cleared", "upheld")
_JSON = typer.Option(False, "--json", help="print JSON")
_Flag = Annotated[str, typer.Argument(help="the flag's id, see `review list`")]
T = TypeVar("T")


@app.callback()
def region(
    context: typer.Context,
    redis: str = typer.Option("", "--redis", envvar="GAMEEDGE_REGION_REDIS", help="the region's store: redis://...", show_default=False),
    config: Path | None = typer.Option(None, "--config", help="or the configuration file of one of its processes"),  # noqa: B008
) -> None:
    """Which region."""
    try:
        url = redis or (load(config, EdgeConfig).redis if config is not None else "")
        if not url:
            raise ConfigError("which region? give --redis URL (or GAMEEDGE_REGION_REDIS), or --config FILE of one of its processes")
        open_region_store(url)  # its form; connects with the first call
    except ConfigError as error:
        _fail(str(error), REFUSED)
    context.meta["gameedge.redis"] = url


def _fail(text: str, status: int) -> NoReturn:
    Console(stderr=True, highlight=False).print(f"gameedge admin review: {text}", markup=False, soft_wrap=True)
    raise typer.Exit(status)


def _ask(context: typer.Context, question: Callable[[RegionStore], Awaitable[T]]) -> T:
    async def run() -> T:
        store = open_region_store(context.meta["gameedge.redis"])
        try:
            return await question(store)
        finally:
            await store.close()

    try:
        return asyncio.run(run())
    except (RefusedError, OSError) as error:
        _fail(f"the region's store does not answer: {error}", ABSENT)


def _found(context: typer.Context, flag: str) -> Evidence:
    evidence = _ask(context, lambda store: store.evidence_get(FlagId(flag)))
    if evidence is None:
        _fail(f"no flag {flag!r} in this region; it may be older than {limits.EVIDENCE_LIFE_MS // 86_400_000} days, or erased", NOT_FOUND)
    return evidence


def _plain(evidence: Evidence) -> dict[str, Any]:
    """Without the clip's bytes."""
    found = {name: value for name, value in msgspec.structs.asdict(evidence).items() if name != "clip"}
    return {**found, "score": evidence.score if math.isfinite(evidence.score) else None, "clip_bytes": len(evidence.clip)}


def _print(answer: Any) -> None:
    sys.stdout.write(json.dumps(answer, ensure_ascii=False, indent=2) + "\n")


@app.command("list")
def list_flags(
    context: typer.Context,
    state: str = typer.Option("", "--state", help=f"only these: {', '.join(STATES)}"),
    limit: int = typer.Option(50, "--limit", min=1, max=1000),
    as_json: bool = _JSON,
) -> None:
    """Flags of the region, newest first; what is recommended for a ban says so."""
    if state and state not in STATES:
        _fail(f"state {state!r}: one of {', '.join(STATES)}", REFUSED)
    found = _ask(context, lambda store: store.evidence_list(limits.EVIDENCE_TOTAL_MAX if state else limit))
    answer = [_plain(evidence) for evidence in found if not state or evidence.state == state][:limit]
    if as_json:
        _print(answer)
    else:
        views.review(Console(), answer)


def _timeline(clip: clips.Clip) -> list[dict[str, Any]]:
    return [
        {
            "block": clip.before + k + 1,
            "tick": part.shots[-1].tick if part.shots else None,
            "shots": len(part.shots),
            "score": round(part.mean, 3),
            "p": part.p,
            "wealth": math.exp(min(part.log, 60.0)) if math.isfinite(part.log) else 0.0,
        }
        for k, part in enumerate(clip.blocks)
    ]


@app.command()
def show(
    context: typer.Context,
    flag: _Flag,
    picture: Path | None = typer.Option(None, "--picture", help="also draw it into this SVG file"),  # noqa: B008
    clip_out: Path | None = typer.Option(None, "--clip", help="also write the clip's bytes (msgpack) into this file"),  # noqa: B008
    as_json: bool = _JSON,
) -> None:
    """One flag: reasons, the timeline of what contributed, a picture."""
    evidence = _found(context, flag)
    try:
        clip = clips.decode(evidence.clip)
    except ValueError as error:
        clip = None
        Console(stderr=True).print(f"its clip cannot be read: {error}", markup=False)
    try:
        if picture is not None and clip is not None:
            picture.write_text(pictures.draw(evidence, clip), "utf-8")
        if clip_out is not None:
            clip_out.write_bytes(evidence.clip)
    except OSError as error:
        _fail(f"cannot write: {error}", REFUSED)
    answer = _plain(evidence)
    if clip is not None:
        answer |= {"timeline": _timeline(clip), "refused": clip.refused}
    if as_json:
        _print(answer)
    else:
        views.evidence(Console(), answer)


@app.command()
def decide(context: typer.Context, flag: _Flag, decision: Annotated[str, typer.Argument(help="cleared or upheld")]) -> None:
    """What a person decided. Bans nobody: `gameedge admin players ban` does."""
    if decision not in DECISIONS:
        _fail(f"decision {decision!r}: one of {', '.join(DECISIONS)}", REFUSED)
    evidence = _found(context, flag)
    if not _ask(context, lambda store: store.evidence_set_state(FlagId(flag), decision)):
        _fail(f"flag {flag!r} went away meanwhile", NOT_FOUND)
    console = Console(highlight=False)
    console.print(f"{flag}: {evidence.state} -> {decision}", markup=False)
    if decision == "upheld":
        console.print(f"to ban: gameedge admin players ban {evidence.player} --reason {flag}", markup=False, soft_wrap=True)


@app.command()
def appeal(context: typer.Context, flag: _Flag, as_json: bool = _JSON) -> None:
    """Compute the decision again from the clip, bit for bit, with the very model that made it. Exit status 6: it is not the same."""
    evidence = _found(context, flag)
    model = None
    if evidence.model:
        try:
            model = load_aim(evidence.model)
        except ArtifactError as error:
            _fail(f"{flag} was judged by {evidence.model}, which is not installed here: {error}", NOT_FOUND)
    again = clips.rerun(evidence.clip, model)
    if as_json:
        answer = {"flag": flag, **msgspec.structs.asdict(again)}
        _print({**answer, "log": again.log if math.isfinite(again.log) else None})
    else:
        said = "the same bits" if again.same else "NOT the same"
        text = f"{flag}: {said}; {again.shots} shots in {again.blocks} blocks, level {again.level or 'none'}. {again.detail}"
        Console(highlight=False).print(text, markup=False, soft_wrap=True)
    if not again.same:
        raise typer.Exit(REFUSED)


@app.command()
def erase(context: typer.Context, player: str) -> None:
    """Remove all evidence and sessions of a player from this region."""
    count = _ask(context, lambda store: store.erase_player(PlayerId(player)))
    Console(highlight=False).print(f"{count} records of {player} removed", markup=False)
