"""Evidence as a picture: where the cursor went before the shots that spoke most, or which movements came again, and how the wealth grew.
SVG, no library."""

import math
from html import escape
from typing import Final

import numpy as np

from gameedge.core.anticheat import accumulate, repeats
from gameedge.core.anticheat.clips import Clip, Seen
from gameedge.state.base import Evidence

PANEL: Final = 150
SHOTS: Final = 4
WIDTH: Final = 40 + SHOTS * (PANEL + 14)
CHART: Final = 170
TOP: Final = 92


def draw(evidence: Evidence, clip: Clip) -> str:
    """One SVG. A clip without shots and repeats (refusals of the gate) gives its text alone. Raises ValueError where a repeat is none."""
    again = clip.repeated.found if clip.repeated is not None else []
    shots = sorted((shot for part in clip.blocks for shot in part.shots), key=lambda shot: -shot.score)[:SHOTS]
    height = TOP + (PANEL + 70 + CHART if shots or again else 0)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="20" y="22" font-size="15" font-weight="bold">{escape(evidence.flag)}: {escape(evidence.rule)}</text>',
    ]
    for k, reason in enumerate(evidence.reasons[:3]):
        out.append(f'<text x="20" y="{42 + 16 * k}" fill="#444">{escape(reason[:110])}</text>')
    for k, shot in enumerate(shots):
        out += _shot(shot, 20 + k * (PANEL + 14), TOP + 6, clip.radius)
    for k, part in enumerate(sorted(again, key=lambda part: part.likeness)[:SHOTS]):
        out += _repeat(part, 20 + k * (PANEL + 14), TOP + 6)
    if shots:
        out += _wealth([part.log for part in clip.blocks], clip.before, TOP + PANEL + 46, "blocks")
    elif again and clip.repeated is not None:
        out += _wealth([part.log for part in again], clip.repeated.alike - len(again), TOP + PANEL + 46, "repeats")
    return "\n".join([*out, "</svg>"]) + "\n"


def _shot(shot: Seen, left: float, top: float, radius: float) -> list[str]:
    """The cursor relative to the target (the circle), the last half second, darker towards the shot."""
    path = np.frombuffer(shot.path, "<f4").reshape(-1, 2).astype(float)
    path = path[np.isfinite(path).all(axis=1)]
    reach = max(3.0 * radius, float(np.abs(path).max(initial=0.0)) * 1.1)
    scale = PANEL / (2 * reach)
    x, y = left + PANEL / 2 + path[:, 0] * scale, top + PANEL / 2 - path[:, 1] * scale
    out = [
        f'<rect x="{left}" y="{top}" width="{PANEL}" height="{PANEL}" fill="#fafafa" stroke="#ddd"/>',
        f'<circle cx="{left + PANEL / 2}" cy="{top + PANEL / 2}" r="{max(radius * scale, 1.5):.1f}" fill="#ffd9d3" stroke="#ff725c"/>',
    ]
    for k in range(1, len(x)):
        shade = 0.2 + 0.8 * k / len(x)
        where = f'x1="{x[k - 1]:.1f}" y1="{y[k - 1]:.1f}" x2="{x[k]:.1f}" y2="{y[k]:.1f}"'
        out.append(f'<line {where} stroke="#4269d0" stroke-opacity="{shade:.2f}" stroke-width="1.5"/>')
        out.append(f'<circle cx="{x[k]:.1f}" cy="{y[k]:.1f}" r="1.8" fill="#4269d0" fill-opacity="{shade:.2f}"/>')
    out.append(f'<text x="{left}" y="{top + PANEL + 15}" fill="#444">tick {shot.tick}, score {shot.score:.1f}</text>')
    return out


def _repeat(part: repeats.Repeat, left: float, top: float) -> list[str]:
    """A movement and the one before that it was again, turned and scaled onto it."""
    first, again = repeats.onto(repeats.shape_of(part.first), repeats.shape_of(part.again))
    scale = PANEL / (2.2 * max(float(np.abs(first).max()), float(np.abs(again).max()), 1e-9))
    out = [f'<rect x="{left}" y="{top}" width="{PANEL}" height="{PANEL}" fill="#fafafa" stroke="#ddd"/>']
    for z, colour, wide in ((first, "#ff725c", 5), (again, "#4269d0", 1.5)):
        points = " ".join(f"{left + PANEL / 2 + p.real * scale:.1f},{top + PANEL / 2 - p.imag * scale:.1f}" for p in z)
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{wide}" stroke-opacity="0.7"/>')
    differ = 100 * float(np.sqrt((np.abs(first - again) ** 2).mean()))
    out.append(f'<text x="{left}" y="{top + PANEL + 15}" fill="#444">they differ by {differ:.2f} %</text>')
    return out


def _wealth(logs: list[float], before: int, top: float, what: str) -> list[str]:
    """log10 of the wealth after each block or repeat, with the levels of the ladder."""
    values = [max(log, 0.0) / math.log(10) if math.isfinite(log) else 0.0 for log in logs]
    high = max(5.0, *values)
    inner = WIDTH - 60

    def y(value: float) -> float:
        return top + CHART - 40 - (CHART - 60) * value / high

    out = [f'<text x="20" y="{top + 8}" fill="#222">wealth (powers of ten) over {what} {before + 1} to {before + len(logs)}</text>']
    for name, level in (("observe", accumulate.OBSERVE), ("review", accumulate.REVIEW), ("ban", accumulate.BAN)):
        at = y(level / math.log(10))
        out.append(f'<line x1="40" x2="{40 + inner}" y1="{at:.1f}" y2="{at:.1f}" stroke="#bbb" stroke-dasharray="4 4"/>')
        out.append(f'<text x="{36 + inner}" y="{at - 3:.1f}" text-anchor="end" fill="#888">{name}</text>')
    points = " ".join(f"{40 + inner * (k + 1) / len(values):.1f},{y(value):.1f}" for k, value in enumerate(values))
    out.append(f'<polyline points="40,{y(0.0):.1f} {points}" fill="none" stroke="#ff725c" stroke-width="2"/>')
    return out
