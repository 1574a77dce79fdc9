"""Pictures of behaviour as SVG, drawn by the evaluation: levels, learning, where each style is and at which range it fights."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gameedge.core.npc.style import STYLES
from gameedge.core.protocol.arena_map import SIZE, WALLS

INK, SOFT, GRID, BLUE, ORANGE = "#1d2733", "#6b7785", "#dfe4ea", "#1f6fb2", "#d9822b"
_HEAD = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" font-family="system-ui,sans-serif" font-size="12" fill="{ink}">'


def _page(width: int, height: int, title: str, body: Sequence[str]) -> str:
    head = _HEAD.format(w=width, h=height, ink=INK)
    back = f'<rect width="{width}" height="{height}" fill="#ffffff"/><text x="16" y="24" font-size="15" font-weight="600">{title}</text>'
    return "\n".join([head, back, *body, "</svg>"]) + "\n"


def _axes(x: float, y: float, w: float, h: float, xs: Sequence[tuple[float, str]], ys: Sequence[tuple[float, str]]) -> list[str]:
    """Grid lines and labels; positions are shares of the plot."""
    out = []
    for at, text in ys:
        py = y + h - at * h
        out.append(f'<path d="M{x:.1f} {py:.1f}h{w:.1f}" stroke="{GRID}"/>')
        out.append(f'<text x="{x - 6:.1f}" y="{py + 4:.1f}" text-anchor="end" fill="{SOFT}">{text}</text>')
    for at, text in xs:
        out.append(f'<text x="{x + at * w:.1f}" y="{y + h + 17:.1f}" text-anchor="middle" fill="{SOFT}">{text}</text>')
    return out


def levels(path: Path, labels: Sequence[float], won: Sequence[float]) -> None:
    """Share of duels won at each level beside its label."""
    x, y, w, h = 60, 44, 500, 260
    ticks = [(k / 4, f"{25 * k}%") for k in range(5)]
    body = _axes(x, y, w, h, [((k + 0.5) / len(won), str(k + 1)) for k in range(len(won))], ticks)
    for k, (label, share) in enumerate(zip(labels, won, strict=True)):
        left, width = x + (k + 0.2) * w / len(won), 0.6 * w / len(won)
        body.append(f'<rect x="{left:.1f}" y="{y + h - share * h:.1f}" width="{width:.1f}" height="{share * h:.1f}" fill="{BLUE}"/>')
        body.append(f'<path d="M{left - 5:.1f} {y + h - label * h:.1f}h{width + 10:.1f}" stroke="{ORANGE}" stroke-width="3"/>')
    body.append(f'<text x="{x + w / 2}" y="{y + h + 36}" text-anchor="middle">level</text>')
    body.append(f'<text x="{x + 8}" y="{y + 14}" fill="{BLUE}">won, fresh duels</text>')
    body.append(f'<text x="{x + 8}" y="{y + 31}" fill="{ORANGE}">label</text>')
    path.write_text(_page(600, 352, "NPC levels: duels won against the scripted reference (level 5)", body))


def learning(path: Path, curve: Sequence[dict[str, Any]]) -> None:
    """Wins, kills and styles named rightly by the discriminator over CPU seconds of training."""
    x, y, w, h = 60, 44, 500, 240
    end = max(point["cpu_s"] for point in curve)
    xs = [(k / 4, f"{end * k / 4:.0f}") for k in range(5)]
    body = _axes(x, y, w, h, xs, [(k / 4, f"{25 * k}%") for k in range(5)])
    for key, colour, row, name in (
        ("wins", BLUE, 0, "wins"),
        ("kills", ORANGE, 1, "part of kills"),
        ("told", INK, 2, "styles told at a glance"),
    ):
        points = " ".join(f"{x + p['cpu_s'] / end * w:.1f},{y + h - p[key] * h:.1f}" for p in curve if key in p)
        body.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        body.append(f'<text x="{x + w - 8}" y="{y + h - 47 + 17 * row}" text-anchor="end" fill="{colour}">{name}</text>')
    body.append(f'<text x="{x + w / 2}" y="{y + h + 36}" text-anchor="middle">CPU seconds of training, one core</text>')
    path.write_text(_page(600, 332, "Learning: duels against the script at level 5, 128 a point, all styles", body))


def occupancy(path: Path, maps: NDArray[np.float64]) -> None:
    """Where each style spends its time in squads: darker is longer (square root of the share)."""
    side, gap, top = 180, 16, 44
    body = []
    for style, name in enumerate(STYLES):
        left, up = 16 + style % 4 * (side + gap), top + style // 4 * (side + 34)
        body.append(f'<text x="{left}" y="{up + 12}" font-weight="600">{name}</text>')
        up += 18
        body.append(f'<rect x="{left}" y="{up}" width="{side}" height="{side}" fill="#f4f6f8"/>')
        shade = np.sqrt(maps[style] / max(maps[style].max(), 1.0))
        cell = side / maps.shape[1]
        for row, column in zip(*np.nonzero(shade > 0.05), strict=True):
            place = f'x="{left + column * cell:.1f}" y="{up + row * cell:.1f}" width="{cell:.2f}" height="{cell:.2f}"'
            body.append(f'<rect {place} fill="{BLUE}" opacity="{shade[row, column]:.2f}"/>')
        for x0, y0, x1, y1 in WALLS:
            k = side / SIZE
            place = f'x="{left + x0 * k:.1f}" y="{up + y0 * k:.1f}" width="{(x1 - x0) * k:.1f}" height="{(y1 - y0) * k:.1f}"'
            body.append(f'<rect {place} fill="{INK}" opacity="0.75"/>')
    path.write_text(
        _page(32 + 4 * side + 3 * gap, top + 2 * (side + 34) + 6, "Where each style is: squads of one style against the script", body)
    )


def ranges(path: Path, counts: NDArray[np.float64]) -> None:
    """Distance to the nearest enemy while one is in sight, a style a line."""
    x, y, w, row = 110, 44, 460, 40
    body = []
    for k in range(5):
        body.append(f'<path d="M{x + k / 4 * w} {y}v{row * len(STYLES)}" stroke="{GRID}"/>')
        place = f'x="{x + k / 4 * w}" y="{y + row * len(STYLES) + 17}"'
        body.append(f'<text {place} text-anchor="middle" fill="{SOFT}">{12 * k} u</text>')
    for style, name in enumerate(STYLES):
        share = counts[style] / max(counts[style].max(), 1.0)
        base, step = y + (style + 1) * row - 3, w / len(share)
        points = " ".join(f"{x + (k + 0.5) * step:.1f},{base - s * (row - 8):.1f}" for k, s in enumerate(share))
        body.append(f'<polygon points="{x},{base} {points} {x + w},{base}" fill="{BLUE}" opacity="0.8"/>')
        body.append(f'<text x="{x - 8}" y="{base - 8}" text-anchor="end">{name}</text>')
    path.write_text(_page(600, y + row * len(STYLES) + 34, "Engagement ranges: nearest enemy while one is in sight", body))
