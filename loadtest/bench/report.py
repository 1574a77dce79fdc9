"""The one form of every benchmark's result: rows of figures, with the machine and the commit they were taken on.

{"bench": ..., "machine": ..., "commit": ..., "rows": [{"name", "value", "unit", "target", "baseline", "ratio", "met"}],
 "notes": [...]}
"""

import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parent.parent.parent
RESULTS: Final = ROOT / "loadtest" / "results"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    name: what was measured, stable over versions so that results compare. value, unit: the figure. target: what the project
    aims at, None where nothing is aimed at. baseline: the same unit, measured beside it in the same run. ratio: value over
    baseline. met: whether the target was reached, None without one; a target may be on the ratio instead of the value.
    """

    name: str
    value: float
    unit: str
    target: float | None = None
    baseline: float | None = None
    ratio: float | None = None
    met: bool | None = None


def row(
    name: str,
    value: float,
    unit: str,
    *,
    baseline: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    ratio_at_most: float | None = None,
) -> Row:
    """A row with its ratio and whether its target (one of the three) is met."""
    ratio = value / baseline if baseline else None
    target, met = None, None
    if at_least is not None:
        target, met = at_least, value >= at_least
    elif at_most is not None:
        target, met = at_most, value <= at_most
    elif ratio_at_most is not None:
        target, met = ratio_at_most, ratio is not None and ratio <= ratio_at_most
    return Row(name, _short(value), unit, target, _short(baseline), _short(ratio), met)


def _short(value: Any) -> Any:
    """Four significant digits: no benchmark here is more exact."""
    return None if value is None else float(f"{value:.4g}")


def machine() -> dict[str, Any]:
    """CPU model, cores, kernel and Python of this machine, and how busy it was when the run began."""
    model = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def commit() -> str:
    """The commit of the checkout, `+` where files differ from it, or `unknown`."""
    here = Path(__file__).parent
    try:
        ask = {"cwd": here, "capture_output": True, "text": True, "timeout": 10, "check": True}
        name = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], **ask).stdout.strip()  # type: ignore[call-overload]
        dirty = subprocess.run(["git", "status", "--porcelain", "-uno"], **ask).stdout.strip()  # type: ignore[call-overload]
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return f"{name}{'+' if dirty else ''}"


def say(text: str) -> None:
    """Progress and tables: stderr, so that stdout keeps to the JSON."""
    print(text, file=sys.stderr, flush=True)


def table(rows: list[Row]) -> str:
    """Rows for people."""
    lines = [("", "value", "unit", "baseline", "ratio", "target", "")]
    for r in rows:
        met = "" if r.met is None else "met" if r.met else "MISSED"
        cells = (_cell(r.value), r.unit, _cell(r.baseline), _cell(r.ratio), _cell(r.target), met)
        lines.append((r.name, *cells))
    widths = [max(len(line[i]) for line in lines) for i in range(7)]
    right = (1, 3, 4, 5)
    return "\n".join(
        "  ".join(cell.rjust(w) if i in right else cell.ljust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True)))
        for line in lines
    ).rstrip()


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def result(bench: str, rows: list[Row], notes: list[str], where: dict[str, Any]) -> dict[str, Any]:
    """The object that `--json` prints and `--save` keeps."""
    return {"bench": bench, "machine": where, "commit": commit(), "rows": [asdict(r) for r in rows], "notes": notes}


def save(found: dict[str, Any]) -> Path:
    """Keep a result as results/<bench>.json: the newest; git has the earlier ones."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{found['bench']}.json"
    path.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    return path
