"""Matrices of true round trips: reading them, choosing regions among their sites, and the built-in table as one."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gameedge.core.errors import ConfigError
from gameedge.core.routing.distance import haversine_km
from loadtest import world

Floats = NDArray[np.float64]
RTT_MS_MAX = 5_000.0
CELLS_MAX = 4_000_000


@dataclass(frozen=True)
class Matrix:
    """`rtt_ms` [players, sites], nan where unknown; `km` the same shape or None; `weight` [players] sums to 1."""

    name: str
    rtt_ms: Floats
    sites: list[str]
    km: Floats | None
    weight: Floats
    rows: list[str]
    places: Floats | None = None  # [players, 2] degrees
    site_places: Floats | None = None  # [sites, 2]
    between: Floats | None = None  # [sites, sites] round trips of a square matrix

    def columns(self, chosen: list[int]) -> "Matrix":
        """Only these sites, and only players who have a measurement to at least two of them."""
        rtt = self.rtt_ms[:, chosen]
        rows = np.isfinite(rtt).sum(axis=1) >= min(2, len(chosen))
        weight = self.weight[rows]
        return Matrix(
            self.name,
            rtt[rows],
            [self.sites[i] for i in chosen],
            None if self.km is None else self.km[:, chosen][rows],
            weight / weight.sum(),
            [name for name, kept in zip(self.rows, rows, strict=True) if kept],
            None if self.places is None else self.places[rows],
            None if self.site_places is None else self.site_places[chosen],
            None if self.between is None else self.between[np.ix_(chosen, chosen)],
        )


def built_in() -> Matrix:
    """The 62 cities and 14 regions of this package."""
    cities, regions = world.cities(), list(world.regions().values())
    rtt = np.array([[city.rtt_ms[region.name][0] for region in regions] for city in cities])
    places = np.array([(city.lat, city.lon) for city in cities])
    sites = np.array([(region.lat, region.lon) for region in regions])
    weight = np.array([city.weight for city in cities])
    return Matrix(
        "built-in", rtt, [r.name for r in regions], apart_km(places, sites), weight / weight.sum(), [c.name for c in cities], places, sites
    )


def apart_km(players: Floats, sites: Floats) -> Floats:
    """Distances [players, sites] of positions in degrees."""
    return np.array([[haversine_km(a, b, c, d) for c, d in sites] for a, b in players])


def load(path: Path, places: Path | None = None) -> Matrix:
    """A CSV of true round trips in ms: any rectangle, `nan` or empty for unknown; a header line or row names are left out.
    `places`: a CSV with `lat`, `lon` and optionally `population` a row, in the order of the matrix (square matrices only).

    Raises ConfigError that names the line.
    """
    rows: list[list[float]] = []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for number, cells in enumerate(csv.reader(file), 1):
                if not cells or cells[0].startswith("#") or all(not cell.strip() for cell in cells):
                    continue
                values = [_number(cell) for cell in cells]
                if None in values and not rows and sum(value is None for value in values) > len(values) // 2:
                    continue  # a header
                if values and values[0] is None:
                    values = values[1:]  # the row's name
                if None in values:
                    raise ConfigError(f"{path}: line {number}: a cell is neither a number nor nan")
                rows.append([value for value in values if value is not None])
                if len(rows[-1]) != len(rows[0]):
                    raise ConfigError(f"{path}: line {number} has {len(rows[-1])} cells, the first has {len(rows[0])}")
                if len(rows) * len(rows[0]) > CELLS_MAX:
                    raise ConfigError(f"{path}: more than {CELLS_MAX:,} cells; take a part of it")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    if not rows or len(rows[0]) < 2:
        raise ConfigError(f"{path}: no matrix of players (rows) by at least two sites (columns)")
    rtt = np.array(rows)
    bad = ~np.isnan(rtt) & ~((rtt >= 0) & (rtt <= RTT_MS_MAX))
    if bad.any():
        line, column = np.argwhere(bad)[0]
        raise ConfigError(f"{path}: {rtt[line, column]} in row {line}, column {column}: a round trip is 0 to {RTT_MS_MAX:.0f} ms, or nan")
    square = rtt.shape[0] == rtt.shape[1]
    if square:
        np.fill_diagonal(rtt, np.where(np.isnan(rtt.diagonal()), 1.0, rtt.diagonal()))  # a city to a region of its own
    count = len(rtt)
    names = [str(i) for i in range(rtt.shape[1])]
    if places is None:
        return Matrix(path.stem, rtt, names, None, np.full(count, 1 / count), [str(i) for i in range(count)])
    if not square:
        raise ConfigError(f"{path}: --places needs a square matrix, players and sites being the same places")
    where, weight, labels = _places(places, count)
    return Matrix(path.stem, rtt, labels, apart_km(where, where), weight / weight.sum(), labels, where, where, rtt)


def _number(cell: str) -> float | None:
    text = cell.strip().lower()
    if text in ("", "nan", "na", "null", "-"):
        return float("nan")
    try:
        return float(text)
    except ValueError:
        return None


def _places(path: Path, count: int) -> tuple[Floats, Floats, list[str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
        where = np.array([(float(row["lat"]), float(row["lon"])) for row in rows])
        weight = np.array([float(row.get("population") or row.get("weight") or 1.0) for row in rows])
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: needs columns lat and lon, optionally population: {error!r}") from error
    if len(rows) != count or not np.isfinite(where).all() or not (weight >= 0).all() or weight.sum() <= 0:
        raise ConfigError(f"{path}: {len(rows)} places for {count} rows, or positions or populations that are none")
    return where, weight, [row.get("city") or str(i) for i, row in enumerate(rows)]


def choose(matrix: Matrix, count: int) -> list[int]:
    """`count` sites by greedy k-median of the round trip (each next one lowers the weighted mean the most)."""
    rtt = np.where(np.isfinite(matrix.rtt_ms), matrix.rtt_ms, 400.0)
    best = np.full(len(rtt), 1e6)
    chosen: list[int] = []
    for _ in range(min(count, rtt.shape[1])):
        means = matrix.weight @ np.minimum(best[:, None], rtt)
        means[chosen] = np.inf
        chosen.append(int(np.argmin(means)))
        best = np.minimum(best, rtt[:, chosen[-1]])
    return chosen
