"""The report's pictures as plain SVG: a map of players and regions, and cumulative distributions."""

from collections.abc import Sequence
from html import escape
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
COLOURS: Final = ("#2b6cb0", "#2f855a", "#6b46c1", "#718096", "#b7791f", "#c05621")
INK: Final = "#1a202c"
WIDTH, HEIGHT = 900, 440


def _svg(height: int, title: str, body: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif" font-size="12" '
        f'fill="{INK}"><rect width="{WIDTH}" height="{height}" fill="white"/>'
        f'<text x="16" y="26" font-size="16" font-weight="600">{escape(title)}</text>\n' + "\n".join(body) + "\n</svg>\n"
    )


def _text(x: float, y: float, words: str, anchor: str = "start", colour: str = INK) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(words)}</text>'


def cdf(title: str, unit: str, curves: Sequence[tuple[str, Floats]], *, low: float, high: float) -> str:
    """Share of players below each value, on a logarithmic axis from `low` to `high`."""
    left, right, top, bottom = 60.0, WIDTH - 250.0, 50.0, HEIGHT - 50.0
    span = np.log10(high / low)

    def x_of(value: float) -> float:
        return float(left + (right - left) * np.clip(np.log10(max(value, low) / low) / span, 0, 1))

    body = []
    for share in (0, 25, 50, 75, 99, 100):
        y = bottom - (bottom - top) * share / 100
        body.append(f'<line x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e2e8f0"/>')
        if share != 100:
            body.append(_text(left - 8, y + 4, f"{share}%", "end"))
    ticks = [m * 10.0**e for e in range(6) for m in (1, 2, 5) if low <= m * 10.0**e <= high]
    for value in ticks:
        x = x_of(value)
        body.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}" stroke="#e2e8f0"/>')
        body.append(_text(x, bottom + 18, f"{value:g}", "middle"))
    body.append(_text((left + right) / 2, bottom + 38, unit, "middle"))
    for i, (name, values) in enumerate(curves):
        ordered = np.sort(values)
        shares = np.linspace(0, 1, 201)
        points = " ".join(f"{x_of(float(np.quantile(ordered, s))):.1f},{bottom - (bottom - top) * s:.1f}" for s in shares)
        dash = ' stroke-dasharray="6 4"' if i >= 3 else ""
        body.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[i]}" stroke-width="2.2"{dash}/>')
        y = top + 14 + i * 40
        body.append(f'<line x1="{right + 16}" x2="{right + 40}" y1="{y - 4}" y2="{y - 4}" stroke="{COLOURS[i]}" stroke-width="3"{dash}/>')
        body.append(_text(right + 46, y, name))
        body.append(_text(right + 46, y + 16, f"p50 {np.median(values):,.0f}   p99 {np.quantile(values, 0.99):,.0f}", colour="#4a5568"))
    return _svg(HEIGHT, title, body)


def world(title: str, players: Floats, weight: Floats, sites: Floats, names: Sequence[str], chosen: NDArray[np.int64], central: int) -> str:
    """Players as dots coloured by round trip, a line to the region each place is sent to; regions as squares. Equirectangular.

    players [P, 2], sites [S, 2]: degrees; weight [P]; chosen [P]: index of a site; central: index of the central one."""
    top, height = 44.0, 470.0

    def at(place: Floats) -> tuple[float, float]:
        return float((place[1] + 180) / 360 * (WIDTH - 20) + 10), float(top + (80 - place[0]) / 140 * (height - top))

    body = [f'<rect x="10" y="{top}" width="{WIDTH - 20}" height="{height - top}" fill="#f7fafc" stroke="#e2e8f0"/>']
    for degrees in (-120, -60, 0, 60, 120):
        x, _ = at(np.array([0.0, degrees]))
        body.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{height}" stroke="#edf2f7"/>')
    _, equator = at(np.array([0.0, 0.0]))
    body.append(f'<line x1="10" x2="{WIDTH - 10}" y1="{equator:.1f}" y2="{equator:.1f}" stroke="#e2e8f0"/>')
    for place, site in zip(players, chosen, strict=True):
        (x0, y0), (x1, y1) = at(place), at(sites[site])
        colour = COLOURS[int(site) % len(COLOURS)]
        if abs(x0 - x1) < (WIDTH - 20) / 2:  # not across the date line
            body.append(f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" stroke="{colour}" stroke-opacity="0.45"/>')
    for place, site, heavy in zip(players, chosen, weight, strict=True):
        x, y = at(place)
        radius = 1.8 + 5.0 * float(np.sqrt(heavy / weight.max()))
        body.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{COLOURS[int(site) % len(COLOURS)]}" fill-opacity="0.7"/>')
    labels: list[tuple[float, float]] = []
    for i, (place, name) in enumerate(zip(sites, names, strict=True)):
        x, y = at(place)
        below = 15.0 if any(abs(x - a) < 70 and abs(y - b) < 12 for a, b in labels) else 0.0
        labels.append((x, y + below))
        fill = "#c53030" if i == central else INK
        body.append(f'<rect x="{x - 4.5:.1f}" y="{y - 4.5:.1f}" width="9" height="9" fill="{fill}" stroke="white" stroke-width="1.5"/>')
        body.append(
            f'<text x="{x + 8:.1f}" y="{y + 4 + below:.1f}" stroke="white" stroke-width="3" paint-order="stroke">{escape(name)}</text>'
        )
    body.append(
        _text(
            16, height + 22, "Dots: where players live, by population. Lines: where they are sent. Squares: regions; red: the central one."
        )
    )
    return _svg(int(height) + 36, title, body)
