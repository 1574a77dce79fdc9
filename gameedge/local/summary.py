"""The JSON that `gameedge up --summary FILE` writes."""

import json
import os
import platform
from pathlib import Path
from typing import Any, Final

from gameedge import __version__
from gameedge.local.deployment import Plan
from gameedge.local.picture import Picture, Spread

DETAILS_MAX: Final = 20


def build(picture: Picture, plan: Plan, *, started_s: float, played_s: float, outbox_left: int, lateness: Spread) -> dict[str, Any]:
    """Times in ms as the names say; null: nothing was measured (no bots). `players_connected`: the most at one time."""
    flagged = set(picture.flagged)
    cheaters = set(picture.cheaters)
    bots = picture.bots
    empty = Spread()
    return {
        "version": __version__,
        "regions": len(picture.status.regions) if picture.status else 0,
        "edges": plan.regions * plan.edges_per_region,
        "bots": plan.bots,
        "players_connected": picture.connected_max,
        "matches_started": picture.total("matches_started"),
        "matches_finished": picture.total("matches_finished"),
        "results_applied": picture.results_applied,
        "outbox_left": outbox_left,
        "npc_actions": picture.total("npc_actions"),
        "npc_models": sorted(picture.npc_models),
        "npc_styles": sorted(picture.npc_styles),
        "cheaters": len(cheaters),
        "cheaters_flagged": len(flagged & cheaters),
        "innocents_flagged": len(flagged - cheaters),
        "cheaters_by_kind": _by_kind(picture),
        "verdicts": len(picture.verdicts),
        "resumes": bots.resumes if bots else 0,
        "input_to_snapshot_ms": _spread(bots.input_to_snapshot_ms if bots else empty),
        "tick_lateness_ms": _spread(lateness),
        "placement_ms": _spread(bots.placement_ms if bots else empty),
        "queue_wait_ms": _spread(bots.queue_wait_ms if bots else empty),
        "errors": picture.errors,
        "error_details": [*picture.faults, *(bots.last_errors if bots else [])][:DETAILS_MAX],
        "started_s": round(started_s, 2),
        "played_s": round(played_s, 2),
        "seed": plan.seed,
        "machine": machine(),
    }


def write(path: Path, summary: dict[str, Any]) -> None:
    """Whole or not at all: a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(summary, indent=2) + "\n", "utf-8")
    part.replace(path)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "system": platform.system(),
        "release": platform.release(),
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
    }


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _spread(spread: Spread) -> dict[str, float | None]:
    return {name: None if value is None else round(value, 2) for name, value in (("p50", spread.p50), ("p99", spread.p99))}


def _by_kind(picture: Picture) -> dict[str, dict[str, int]]:
    kinds: dict[str, dict[str, int]] = {}
    for player, kind in picture.cheaters.items():
        row = kinds.setdefault(kind, {"players": 0, "flagged": 0})
        row["players"] += 1
        row["flagged"] += player in picture.flagged
    return kinds
