"""Line charts as SVG, without a library: enough for a report that is read in a browser or on a code host."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

COLOURS = (
    *("#4269d0", "#efb118", "#ff725c", "#3ca951", "#a463f2", "#6cc5b0", "#9c6b4e", "#97bbf5", "#9498a0", "#e377c2"),
    *("#17375e", "#7a5200", "#8c1d18", "#1f5c2e", "#4b2a78"),
)
WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 64, 170, 46, 52


@dataclass(frozen=True)
class Axis:
    title: str
    low: float
    high: float
    log: bool = False

    def at(self, value: float) -> float:
        """0 to 1; what is outside is put on the edge."""
        low, high, x = self.low, self.high, min(max(value, self.low), self.high)
        if self.log:
            low, high, x = math.log10(low), math.log10(high), math.log10(x)
        return (x - low) / (high - low)

    def ticks(self) -> list[tuple[float, str]]:
        if self.log:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            return [(10.0**k, f"{10.0**k:g}") for k in range(first, last + 1)]
        step = 10 ** math.floor(math.log10((self.high - self.low) / 4))
        step *= next(m for m in (1, 2, 5, 10) if (self.high - self.low) / (step * m) <= 6)
        return [(k * step, f"{k * step:g}") for k in range(math.ceil(self.low / step), math.floor(self.high / step + 1e-9) + 1)]


def lines(
    path: Path,
    title: str,
    x: Axis,
    y: Axis,
    series: Mapping[str, Sequence[tuple[float, float]]],
    dashed: Sequence[str] = (),
    note: str = "",
) -> None:
    """Write one chart; series are lists of points in order. dashed: names of reference lines."""
    inner_w, inner_h = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def px(value: float) -> str:
        return f"{LEFT + inner_w * x.at(value):.1f}"

    def py(value: float) -> str:
        return f"{TOP + inner_h * (1 - y.at(value)):.1f}"

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="22" font-size="15" font-weight="bold" fill="#222">{escape(title)}</text>',
        f'<text x="{LEFT}" y="38" fill="#666" font-size="11">{escape(note)}</text>',
    ]
    for value, text in x.ticks():
        out.append(f'<line x1="{px(value)}" x2="{px(value)}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#e4e4e4"/>')
        out.append(f'<text x="{px(value)}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle" fill="#444">{text}</text>')
    for value, text in y.ticks():
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{py(value)}" y2="{py(value)}" stroke="#e4e4e4"/>')
        out.append(f'<text x="{LEFT - 6}" y="{float(py(value)) + 4:.1f}" text-anchor="end" fill="#444">{text}</text>')
    middle = LEFT + inner_w / 2
    out.append(f'<text x="{middle:.0f}" y="{HEIGHT - 14}" text-anchor="middle" fill="#222">{escape(x.title)}</text>')
    mid = TOP + inner_h / 2
    out.append(f'<text x="16" y="{mid:.0f}" text-anchor="middle" fill="#222" transform="rotate(-90 16 {mid:.0f})">{escape(y.title)}</text>')
    for k, (name, points) in enumerate(series.items()):
        colour = "#888888" if name in dashed else COLOURS[k % len(COLOURS)]
        dash = ' stroke-dasharray="5 4"' if name in dashed else ""
        where = " ".join(f"{px(a)},{py(b)}" for a, b in points)
        out.append(f'<polyline points="{where}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        at = TOP + 8 + 18 * k
        out.append(
            f'<line x1="{WIDTH - RIGHT + 14}" x2="{WIDTH - RIGHT + 38}" y1="{at}" y2="{at}" stroke="{colour}" stroke-width="2"{dash}/>'
        )
        out.append(f'<text x="{WIDTH - RIGHT + 44}" y="{at + 4}" fill="#222">{escape(name)}</text>')
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*out, "</svg>"]) + "\n", "utf-8")
