"""Results as pictures and tables: `python -m loadtest.bench.plot` draws docs/images/bench-*.svg and fills docs/benchmarks.md.

Bars on one scale a picture, the baseline as an outline behind them, the target as a line across; stages of the tick as stacked
bars. Plain SVG text, readable in any browser and in a diff.
"""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from loadtest.bench.report import RESULTS, ROOT

IMAGES: Final = ROOT / "docs" / "images"
PAGE: Final = ROOT / "docs" / "benchmarks.md"
WIDTH: Final = 860
LABEL: Final = 330
BAR: Final = 20
STEP: Final = 32
TOP: Final = 58
GOOD, BAD, PLAIN, OUTLINE, INK = "#2f855a", "#c05621", "#2b6cb0", "#a0aec0", "#1a202c"
STAGE_COLOURS: Final = ("#2b6cb0", "#2f855a", "#b7791f", "#c05621", "#6b46c1", "#718096")

Entry = dict[str, Any]


def svg(height: int, title: str, body: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif" '
        f'font-size="13" fill="{INK}"><rect width="{WIDTH}" height="{height}" fill="white"/>'
        f'<text x="16" y="28" font-size="17" font-weight="600">{escape(title)}</text>'
    )
    return head + "\n" + "\n".join(body) + "\n</svg>\n"


def text(x: float, y: float, words: str, *, anchor: str = "start", colour: str = INK) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(words)}</text>'


def box(x: float, y: float, width: float, height: float, fill: str, stroke: str = "none") -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height}" fill="{fill}" stroke="{stroke}"/>'


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def bars(title: str, entries: Sequence[tuple[str, Entry]], aim_on_ratio: bool = False) -> str:
    """One bar a row; `aim_on_ratio`: the target is a multiple of the baseline."""
    aims = [(e["target"] or 0.0) * (e["baseline"] or 0.0 if aim_on_ratio else 1.0) for _, e in entries]
    most = max([max(e["value"], e["baseline"] or 0.0, aim) for (_, e), aim in zip(entries, aims, strict=True)] + [1e-9])
    scale = (WIDTH - LABEL - 120) / most
    body = [text(16, 46, f"{entries[0][1]['unit']}; outline: baseline of the same run; line: target", colour="#4a5568")]
    for i, ((label, entry), aim) in enumerate(zip(entries, aims, strict=True)):
        y = TOP + i * STEP
        colour = PLAIN if entry["met"] is None else GOOD if entry["met"] else BAD
        body.append(text(LABEL - 10, y + 15, label, anchor="end"))
        body.append(box(LABEL, y + 3, entry["value"] * scale, BAR - 6, colour))
        if entry["baseline"]:
            body.append(box(LABEL, y, entry["baseline"] * scale, BAR, "none", OUTLINE))
        if aim:
            x = LABEL + aim * scale
            body.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y - 3}" y2="{y + BAR + 3}" stroke="{INK}" stroke-width="2"/>')
        end = LABEL + max(entry["value"], entry["baseline"] or 0.0, aim) * scale
        body.append(text(end + 8, y + 15, number(entry["value"])))
    return svg(TOP + STEP * len(entries) + 10, title, body)


def stacks(title: str, unit: str, columns: Sequence[tuple[str, dict[str, float]]], budget: float) -> str:
    """One stacked bar a column, parts in the order of the first; `budget` is a line across."""
    most = max([sum(parts.values()) for _, parts in columns] + [budget])
    scale = (WIDTH - 150 - 90) / most
    names = list(columns[0][1])
    body = [text(16, 46, f"{unit}; line: what sockets leave of a core at 2,000 players", colour="#4a5568")]
    for i, name in enumerate(names):
        body += [box(150 + i * 110, TOP, 12, 12, STAGE_COLOURS[i]), text(168 + i * 110, TOP + 11, name)]
    for i, (label, parts) in enumerate(columns):
        y, x = TOP + 34 + i * STEP, 150.0
        body.append(text(140, y + 15, label, anchor="end"))
        for k, name in enumerate(names):
            body.append(box(x, y, parts[name] * scale, BAR, STAGE_COLOURS[k]))
            x += parts[name] * scale
        body.append(text(x + 8, y + 15, number(sum(parts.values()))))
    bottom = TOP + 34 + STEP * len(columns)
    at = 150 + budget * scale
    body.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP + 28}" y2="{bottom}" stroke="{INK}" stroke-width="2"/>')
    return svg(bottom + 12, title, body)


def draw_transport(rows: Sequence[Entry]) -> str:
    wanted = [r for r in rows if r["name"].startswith("CPU a player-second")]
    labels = [r["name"].removeprefix("CPU a player-second at ").removesuffix(", beside C with epoll") for r in wanted]
    return bars("CPU of the server a player and second", list(zip(labels, wanted, strict=True)), aim_on_ratio=True)


def draw_held(rows: Sequence[Entry]) -> str:
    wanted = [r for r in rows if r["name"].startswith("players held")]
    if not wanted:
        return svg(80, "Active players one core holds", [text(16, 60, "not measured in this run")])
    return bars("Active players one core holds", [(r["name"].removeprefix("players held, "), r) for r in wanted])


def draw_tick(rows: Sequence[Entry]) -> str:
    columns: dict[str, dict[str, float]] = {}
    for r in rows:
        stage, _, size = r["name"].partition(", ")
        if stage.startswith("stage "):
            columns.setdefault(size, {})[stage.removeprefix("stage ")] = r["value"]
    return stacks("The stages of a tick", "us a tick, 60 a second", list(columns.items()), 1e6 / 60 * 8 / 50)


def draw_codec(rows: Sequence[Entry]) -> str:
    timed = [(r["name"], r) for r in rows if r["unit"] == "us" and r["baseline"]]
    return bars("Reading and writing messages and frames", [(name.split(" (")[0].split(",")[0], r) for name, r in timed])


DRAWINGS: Final = {
    "inference": (),
    "anticheat": (),
    "transport": (("transport", draw_transport), ("held", draw_held)),
    "tick": (("tick", draw_tick),),
    "codec": (("codec", draw_codec),),
    "routing": (),
    "failover": (),
    "matchmaking": (),
    "scenarios": (),
    "web": (),
}


def table(found: dict[str, Any]) -> str:
    """A result as a Markdown table, with where and when it was taken."""
    where = found["machine"]
    lines = [
        f"Commit {found['commit']}, {where['cores']} cores of {where['cpu']}, {where['kernel']}, Python {where['python']}, "
        f"load before the run {where['load_before']}.",
        "",
        "| figure | value | unit | baseline | ratio | target | |",
        "|---|---:|---|---:|---:|---:|---|",
    ]
    for r in found["rows"]:
        cells = ["" if r[k] is None else number(r[k]) for k in ("value", "baseline", "ratio", "target")]
        met = "" if r["met"] is None else "met" if r["met"] else "**missed**"
        lines.append(f"| {r['name']} | {cells[0]} | {r['unit']} | {cells[1]} | {cells[2]} | {cells[3]} | {met} |")
    return "\n".join(lines + [""] + [f"- {note}" for note in found["notes"]]).rstrip()


def fill(page: str, name: str, content: str) -> str:
    """Replace what stands between <!-- name --> and <!-- /name -->. A page without these is left as it is."""
    head, found, rest = page.partition(f"<!-- {name} -->\n")
    _, end, tail = rest.partition(f"<!-- /{name} -->")
    return f"{head}{found}{content}\n{end}{tail}" if found and end else page


def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    page = PAGE.read_text("utf-8")
    for bench, drawings in DRAWINGS.items():
        path: Path = RESULTS / f"{bench}.json"
        if not path.exists():
            continue
        found = json.loads(path.read_text("utf-8"))
        for name, draw in drawings:
            drawing = draw(found["rows"])
            (IMAGES / f"bench-{name}.svg").write_text(drawing, "utf-8")
        page = fill(page, bench, table(found))
    PAGE.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
