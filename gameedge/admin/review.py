"""`gameedge admin review`: flags with their evidence, and what a person decides about them.

Evidence stays in its region: a coordinator fetches it for each look (every look is in the audit log); with --redis or --config the
region's store is asked straight. Nothing here bans: an upheld flag says so, and `gameedge admin players ban` does it.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console

from gameedge.admin import sources, views
from gameedge.admin.asking import AS_JSON, REGION, YES, fail, show, sure
from gameedge.admin.client import REFUSED, WRONG_USE
from gameedge.admin.sources import UNDECIDED, StoreSource, open_source
from gameedge.state.base import EVIDENCE_DECISIONS, EVIDENCE_STATES

if TYPE_CHECKING:
    from gameedge.core.anticheat import clips
    from gameedge.core.anticheat.repeats import Repeats

app = typer.Typer(help="Flags and their evidence.", no_args_is_help=True)
STATES: Final = EVIDENCE_STATES
DECISIONS: Final = EVIDENCE_DECISIONS
_Flag = Annotated[str, typer.Argument(help="the flag's id, see `review list`", metavar="FLAG")]
app.callback()(sources.choose_store)


@app.command("list")
def list_flags(
    context: typer.Context,
    state: str = typer.Option("", "--state", help=f"only these: {', '.join(STATES)}"),
    player: str = typer.Option("", "--player", help="only of this player"),
    limit: int = typer.Option(50, "--limit", min=1, max=1000),
    region: str = REGION,
    as_json: bool = AS_JSON,
) -> None:
    """Flags, newest first; what is recommended for a ban says so."""
    if state and state not in STATES:
        fail(f"state {state!r}: one of {', '.join(STATES)}", REFUSED)
    show(open_source(context, region).listed(state, player, limit), as_json, views.review)


def _timeline(clip: "clips.Clip") -> list[dict[str, Any]]:
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


def _repeats(found: "Repeats") -> list[dict[str, Any]]:
    """Strokes that were like one before: which of those judged, how much they differ, and the account after each."""
    from gameedge.core.anticheat import repeats

    stroke, out = found.before, []
    for part in found.found:
        stroke += part.passed + 1
        differ = repeats.rest(repeats.shape_of(part.first), repeats.shape_of(part.again))
        out.append({"stroke": stroke, "differ": round(differ, 5), "wealth": math.exp(min(part.log, 60.0))})
    return out


@app.command("show")
def show_flag(
    context: typer.Context,
    flag: _Flag,
    picture: Annotated[Path | None, typer.Option("--picture", help="also draw it into this SVG file")] = None,
    clip_out: Annotated[Path | None, typer.Option("--clip", help="also write the clip's bytes (msgpack) into this file")] = None,
    region: str = REGION,
    as_json: bool = AS_JSON,
) -> None:
    """One flag: reasons, the timeline of what contributed, a picture."""
    from gameedge.admin import pictures  # here, or every command and every TAB would wait for it
    from gameedge.core.anticheat import clips

    evidence = open_source(context, region).evidence(flag)
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
        fail(f"cannot write: {error}", REFUSED, error)
    answer = sources.plain(evidence)
    if clip is not None:
        answer |= {"timeline": _timeline(clip), "refused": clip.refused, "combat_s": clip.combat_s}
        if clip.repeated is not None:
            answer["repeats"] = _repeats(clip.repeated)
    show(answer, as_json, views.evidence)


@app.command()
def decide(
    context: typer.Context,
    flag: _Flag,
    decision: Annotated[str, typer.Argument(help="cleared or upheld")],
    note: str = typer.Option("", "--note", help="why, for the audit log"),
    again: bool = typer.Option(False, "--again", help="although somebody has decided before"),
    region: str = REGION,
    as_json: bool = AS_JSON,
) -> None:
    """What a person decided. Bans nobody: `gameedge admin players ban` does. Exit status 6: somebody else was faster, and who."""
    if decision not in DECISIONS:
        fail(f"decision {decision!r}: one of {', '.join(DECISIONS)}", REFUSED)
    source = open_source(context, region)
    evidence = source.evidence(flag)
    if evidence.state not in UNDECIDED and not again:
        by = next((f" by {entry['who']}" for entry in source.decisions(flag) if not entry["late"]), "")
        fail(f"this flag is {evidence.state}{by} already; to change that, add --again", REFUSED)
    source.decide(flag, decision, evidence.state, note)
    show({"flag": flag, "before": evidence.state, "state": decision, "player": evidence.player}, as_json, views.decided)


@app.command()
def appeal(context: typer.Context, flag: _Flag, region: str = REGION, as_json: bool = AS_JSON) -> None:
    """Compute the decision again from the clip, bit for bit, with the very model that made it. Exit status 6: it is not the same."""
    again = open_source(context, region).appeal(flag)
    show(again, as_json, views.appealed)
    if not again["same"]:
        raise typer.Exit(REFUSED)


@app.command()
def erase(context: typer.Context, player: str, yes: bool = YES) -> None:
    """Remove all evidence and sessions of a player from one region's store (everywhere: `players erase`)."""
    source = open_source(context, "")
    if not isinstance(source, StoreSource):
        fail("this is for one region's store: give --redis or --config; everywhere: gameedge admin players erase", WRONG_USE)
    sure(f"Remove all evidence and sessions of {views.clean(player)} from this region?", yes)
    count = source.erase(player)
    Console(highlight=False).print(f"{count} records of {views.clean(player)} removed", markup=False)
