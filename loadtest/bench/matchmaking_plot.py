"""`python -m loadtest.bench.matchmaking_plot` draws docs/images/matchmaking-wait.svg: what a gathering window buys and costs.

Duels on the virtual clock of `gameedge match simulate`, the very code that runs live, at three rates of arrival: each dot is one
window; across, the median wait; up, the mean gap of opponents' ratings.
"""

import math
from html import escape
from typing import Final

import numpy as np

from gameedge.core.ids import EdgeId, PlayerId, SessionId, TicketId
from gameedge.core.matchmaking import widening
from gameedge.core.matchmaking.rules import Gather, ModeRules, Skill
from gameedge.core.matchmaking.simulate import simulate
from gameedge.core.matchmaking.ticket import Ticket
from loadtest.bench.plot import IMAGES, WIDTH, svg, text
from loadtest.bench.report import say

WINDOWS_MS: Final = (0, 100, 250, 500, 1_000, 2_000)
RATES: Final = ((2.0, "#2b6cb0"), (10.0, "#2f855a"), (50.0, "#c05621"))
PEOPLE: Final = 1_200
LEFT, TOP, BOTTOM, HEIGHT = 70, 80, 70, 420


def measured(rate: float, window_ms: int) -> tuple[float, float]:
    """Median wait in ms, and the mean gap, of duels with arrivals at `rate` a second."""
    rng = np.random.default_rng(int(rate))
    at = np.cumsum(rng.exponential(1000.0 / rate, PEOPLE)).astype(int).tolist()
    ratings = rng.normal(1_500, 350, PEOPLE).tolist()
    tickets = [
        Ticket(
            id=TicketId(f"t{i}"), player=PlayerId(f"p{i}"), session=SessionId("s"), edge=EdgeId("e"), mode="d",
            rating=ratings[i], created_ms=at[i],
        )
        for i in range(PEOPLE)
    ]  # fmt: skip
    skill = Skill(window=widening.parse({"steps": [[0, 200], [5_000, 400]]}), default=1_500, bound=1e5, scale=200)
    rules = ModeRules(teams=2, team_size=1, skill=skill, gather=Gather(window_ms=window_ms, good=0.999, arrivals_min=2.0))
    found = simulate(tickets, {"d": rules})
    waits = [made.at_ms - t.created_ms for made in found.matches for team in made.proposal.teams for t in team]
    gaps = [abs(made.proposal.teams[0][0].rating - made.proposal.teams[1][0].rating) for made in found.matches]
    return float(np.median(waits)), float(np.mean(gaps))


def draw(curves: list[tuple[float, str, list[tuple[float, float]]]]) -> str:
    """Waits on a scale of square roots, so that short ones are told apart."""
    most_x = max(x for _, _, points in curves for x, _ in points)
    most_y = max(y for _, _, points in curves for _, y in points) * 1.08
    wide, high = WIDTH - LEFT - 180, HEIGHT - TOP - BOTTOM

    def place(x: float, y: float) -> tuple[float, float]:
        return LEFT + math.sqrt(x / most_x) * wide, TOP + (1 - y / most_y) * high

    body = [text(16, 50, "Mean gap of opponents' ratings (lower is better); beside each dot the gathering window", colour="#4a5568")]
    for level in range(0, int(most_y) + 1, 20):
        at = place(0, level)[1]
        body.append(f'<line x1="{LEFT}" x2="{LEFT + wide}" y1="{at:.1f}" y2="{at:.1f}" stroke="#e2e8f0"/>')
        body.append(text(LEFT - 8, at + 4, str(level), anchor="end", colour="#4a5568"))
    for tick in (0, 100, 250, 500, 1_000, 2_000, 4_000):
        if tick <= most_x:
            body.append(text(place(tick, 0)[0], TOP + high + 20, f"{tick} ms", anchor="middle", colour="#4a5568"))
    body.append(text(LEFT + wide / 2, TOP + high + 44, "median wait (square-root scale)", anchor="middle", colour="#4a5568"))
    for number, (rate, colour, points) in enumerate(curves):
        corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
        body.append(f'<polyline points="{corners}" fill="none" stroke="{colour}" stroke-width="2"/>')
        last = (-math.inf, -math.inf)
        for window, point in zip(WINDOWS_MS, points, strict=True):
            x, y = place(*point)
            if math.dist(last, (x, y)) < 14:  # as the window before it
                continue
            last = x, y
            body.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>')
            body.append(f'<text x="{x + 7:.1f}" y="{y + (14 if number == 1 else -6):.1f}" font-size="11" fill="{colour}">{window}</text>')
        body.append(text(WIDTH - 165, TOP + 120 + 22 * number, escape(f"{rate:g} people a second"), colour=colour))
    return svg(HEIGHT, "What waiting for better company buys, one against one", body)


def main() -> None:
    curves = []
    for rate, colour in RATES:
        points = [measured(rate, window) for window in WINDOWS_MS]
        curves.append((rate, colour, points))
        for window, (wait, gap) in zip(WINDOWS_MS, points, strict=True):
            say(f"{rate:g}/s, window {window} ms: median wait {wait:.0f} ms, mean gap {gap:.1f}")
    (IMAGES / "matchmaking-wait.svg").write_text(draw(curves), "utf-8")


if __name__ == "__main__":
    main()
