"""The coastlines of the console's map, from Natural Earth (public domain) as npm's `world-atlas` carries it.

    npm install world-atlas@2.0.2
    python docs/coastline.py node_modules/world-atlas/land-50m.json > imgpipe/web/static/vendor/land.svg

Longitudes and latitudes are drawn as they are, 20 units a degree, north up. What a screen can't show is left out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

UNITS = 20
"""A degree in units of the drawing: one is at most 5.6 km."""
TOLERANCE = 1.0
SMALLEST = 6.0
"""Islands of less area, in square units, are dropped."""

Point = tuple[float, float]


def rings(topology: dict) -> Iterator[list[Point]]:
    """Yield the rings of a TopoJSON file's land, in units."""
    scale, move = topology["transform"]["scale"], topology["transform"]["translate"]
    arcs: list[list[Point]] = []
    for arc in topology["arcs"]:
        x = y = 0
        line = []
        for right, down in arc:
            x, y = x + right, y + down
            line.append(
                ((x * scale[0] + move[0]) * UNITS, -(y * scale[1] + move[1]) * UNITS),
            )
        arcs.append(line)
    for geometry in topology["objects"]["land"]["geometries"]:
        for polygon in geometry["arcs"]:
            for ring in polygon:
                joined = [p for at in ring for p in (arcs[at] if at >= 0 else arcs[~at][::-1])[1:]]
                yield from whole([*joined, joined[0]])


def whole(ring: list[Point]) -> Iterator[list[Point]]:
    """Yield a ring that crosses the date line on either side of the map, cut by its edges; others as they are."""
    around = 360 * UNITS
    turns = 0
    unrolled = [ring[0]]
    for (x1, _), (x2, y2) in pairwise(ring):
        turns += (x1 - x2 > around / 2) - (x2 - x1 > around / 2)
        unrolled.append((x2 + turns * around, y2))
    if (
        turns or unrolled == ring
    ):  # what goes all the way round is the Antarctic: it ends at the map's foot
        yield ring
        return
    for shift in (-around, 0, around):
        moved = [(x + shift, y) for x, y in unrolled]
        if min(moved)[0] < around / 2 and max(moved)[0] > -around / 2:
            yield moved


def simpler(line: list[Point]) -> list[Point]:
    """Leave out points that lie within the tolerance of the line without them (Douglas and Peucker)."""
    (x1, y1), (x2, y2) = line[0], line[-1]
    length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
    away = [
        abs((x2 - x1) * (y1 - y) - (x1 - x) * (y2 - y1)) / length
        if length
        else ((x - x1) ** 2 + (y - y1) ** 2) ** 0.5
        for x, y in line
    ]
    most = max(away)
    if most <= TOLERANCE:
        return [line[0], line[-1]]
    at = away.index(most)
    return [*simpler(line[: at + 1]), *simpler(line[at:])[1:]]


def area(ring: list[Point]) -> float:
    return abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairwise(ring))) / 2


def path(ring: list[Point]) -> str:
    points = [(round(x), round(y)) for x, y in ring]
    steps = [(x2 - x1, y2 - y1) for (x1, y1), (x2, y2) in pairwise(points)]
    moves = " ".join(f"{x} {y}" for x, y in steps[:-1] if x or y).replace(" -", "-")
    return f"M{points[0][0]} {points[0][1]}l{moves}z"


def main() -> None:
    topology = json.loads(Path(sys.argv[1]).read_text())
    drawn = [path(simpler(ring)) for ring in rings(topology) if area(ring) > SMALLEST]
    width, height = 360 * UNITS, 180 * UNITS
    sys.stdout.write(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{-width // 2} {-height // 2} {width} {height}" '
        f'width="{width}" height="{height}"><path fill="#8a93a3" d="{"".join(drawn)}"/></svg>\n'
    )


if __name__ == "__main__":
    main()
