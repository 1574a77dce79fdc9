"""The options of `gameedge up`."""

import re
from pathlib import Path
from typing import Annotated

import typer

from gameedge.core.errors import ConfigError
from gameedge.local.child import is_free
from gameedge.local.deployment import ARENA, Plan

_PORT = 8080  # unless another program has it

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def duration_s(text: str) -> float:
    """`500ms`, `30s`, `5m`, `1h`; a bare number is seconds. Raises ConfigError."""
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)(ms|s|m|h)?", text.strip())
    if found is None or float(found[1]) <= 0:
        raise ConfigError(f"--for {text!r}: use for example 500ms, 30s, 5m or 1h")
    return float(found[1]) * _UNITS_S[found[2] or "s"]


def up(
    regions: Annotated[int, typer.Option(help="how many regions")] = 3,
    bots: Annotated[int, typer.Option(help="simulated players; 0: none")] = 60,
    cheaters: Annotated[float, typer.Option(help="the share of bots that cheats")] = 0.1,
    cheats: Annotated[
        str,
        typer.Option(help="kinds of cheaters, each with a weight or without: homing:2,recordings; without it the four plain ones in turn"),
    ] = "",
    edges_per_region: Annotated[int, typer.Option(help="edge processes of each region")] = 1,
    processes_max: Annotated[int, typer.Option(help="start and stop processes of a region by its load, up to this many; 0: never")] = 0,
    slots: Annotated[int, typer.Option(help="players that a process takes; 0: as many as it can")] = 0,
    for_: Annotated[str, typer.Option("--for", help="stop after this much play: 30s, 5m; without it, at Ctrl-C")] = "",
    summary: Annotated[Path | None, typer.Option(help="write what was measured, as JSON", dir_okay=False)] = None,
    data: Annotated[Path | None, typer.Option(help="folder of configuration, logs and data", file_okay=False)] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="the coordinator's port; 0: a free one; without it 8080, or a free one")
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="lines instead of the live view")] = False,
    seed: Annotated[int, typer.Option(help="seed of the bots")] = 1,
    game: Annotated[str, typer.Option(help="the game to host, module:attribute; another one needs --bots 0")] = ARENA,
) -> None:
    """Bring up the whole game on this machine, with bots, until Ctrl-C."""
    from gameedge.local.up import Options, main

    if port is None:
        port = _PORT if is_free(_PORT) else 0
    plan = Plan(
        regions=regions,
        edges_per_region=edges_per_region,
        bots=bots,
        cheaters=cheaters,
        cheats=cheats,
        port=port,
        seed=seed,
        game=game,
        processes_max=processes_max,
        slots=slots,
    )
    options = Options(plan=plan, for_s=duration_s(for_) if for_ else None, summary=summary, data=data, plain=plain)
    raise typer.Exit(main(options))
