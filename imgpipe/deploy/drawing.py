"""A sketch as an SVG picture: seven columns from left to right, a row for each branch.

    uploads | topics | queues | functions | variants, results, rejected | writer | table, completed

Under the uploads stands what hands out leave to upload, if anything does.

Made for this one shape of system, where a general layout engine would need a program outside and
draw it worse. The functions' arrows meet in one point before they part again: three lines in place
of three for each function. The notifier's claims in the table are left out. Plain SVG with a style
sheet, so that any viewer shows it; those that know `prefers-color-scheme` show it dark at night.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgpipe.deploy.icons import ICONS, STYLE
from imgpipe.deploy.sketch import ORDER
from imgpipe.deploy.steps import LARGE
from imgpipe.deploy.triggers import OCCASIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from imgpipe.deploy.model import On
    from imgpipe.deploy.resources import Key
    from imgpipe.deploy.sketch import Edge, Node, Shape, Sketch

    Places = dict[Key | str, "Place"]

WIDTH, HEIGHT, PITCH = 134, 50, 88
LEFT, TOP, FOOT = 26, 64, 68
GAPS = (46, 46, 36, 88, 42, 46)
UPLOADS, TOPICS, QUEUES, FUNCTIONS, OUTPUTS, WRITER, ENDS = range(7)
ICON = 28
NAME_LENGTH, DETAIL_LENGTH, PILL_LENGTH = 10, 16, 20
HUB = 42
"""How far right of the functions their arrows meet."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a box stands: a column, and a row, which may be half of one."""

    column: int
    row: float

    @property
    def x(self) -> float:
        return LEFT + self.column * WIDTH + sum(GAPS[: self.column])

    @property
    def y(self) -> float:
        return TOP + self.row * PITCH

    @property
    def middle(self) -> float:
        return self.y + HEIGHT / 2

    @property
    def right(self) -> float:
        return self.x + WIDTH

    @property
    def bottom(self) -> float:
        return self.y + HEIGHT


def draw(sketch: Sketch) -> str:
    """Return the picture as SVG text."""
    places = arrange(sketch)
    width = LEFT * 2 + 7 * WIDTH + sum(GAPS)
    height = max(place.bottom for place in places.values()) + FOOT
    boxes = (_box(sketch.nodes[key], place) for key, place in places.items())
    parts = [
        *_frame(html.escape(sketch.title), width, height),
        *_arrows(sketch, places),
        *(part for box in boxes for part in box),
        *_legend(height - 22),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _frame(title: str, width: float, height: float) -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img" aria-labelledby="title">'
    )
    yield f'<title id="title">The pipeline {title}</title>'
    yield f"<style>{STYLE}</style>"
    yield (
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7.4" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path class="head" d="M0 0.8 L7.4 4 L0 7.2 Z"/>'
        "</marker></defs>"
    )
    yield (
        f'<rect class="ground" x="0.5" y="0.5" width="{width - 1:g}" height="{height - 1:g}" '
        'rx="12"/>'
    )
    yield f'<text class="title" x="{LEFT}" y="36">{title}</text>'


def arrange(sketch: Sketch) -> Places:
    """Return a place for every box. The lane above the branches is the notifier's, if any."""
    notifier = _find(sketch, "function", "notifier")
    lane = 1 if notifier else 0
    told = _find(sketch, "queue", "notifier")
    heard = {on: [it for it in _hearing(sketch, on) if it != told] for on in ORDER}
    places, first = _rows(sketch, heard, lane)
    among = lane + (len(heard["created"]) - 1) / 2
    centre = max(among, lane + 1)
    last = max(lane + sum(len(some) for some in heard.values()) - 1, centre + 2)
    wanted: dict[tuple[Shape, str], Place] = {
        ("bucket", "uploads"): Place(UPLOADS, among),
        ("function", "direct"): Place(UPLOADS, among + 1),
        ("people", "HTTP"): Place(UPLOADS, among + 2),
        **{
            ("topic", OCCASIONS[on].topic): Place(TOPICS, first[on] + (len(some) - 1) / 2)
            for on, some in heard.items()
        },
        ("bucket", "variants"): Place(OUTPUTS, centre - 1),
        ("queue", "results"): Place(OUTPUTS, centre),
        ("queue", "rejected"): Place(OUTPUTS, centre + 1),
        ("function", "writer"): Place(WRITER, centre),
        ("topic", "completed"): Place(ENDS, centre - 1),
        ("table", "images"): Place(ENDS, centre + 1),
        ("queue", "notifier"): Place(QUEUES, 0),
        ("function", "notifier"): Place(OUTPUTS, 0),
        ("topic", "notices"): Place(WRITER, 0),
        ("alarms", ""): Place(OUTPUTS, last),
        ("topic", "alarms"): Place(WRITER, last),
    }
    for (shape, name), place in wanted.items():
        key = _find(sketch, shape, name)
        if key:
            places[key] = place
            places |= _hearers(sketch, key, place)
    return places


def _rows(
    sketch: Sketch, heard: Mapping[On, list[Key | str]], lane: int
) -> tuple[Places, dict[On, int]]:
    """Give each branch a row, from `lane` on; say with which row each occasion begins."""
    places: Places = {}
    first: dict[On, int] = {}
    row = lane
    for on, targets in heard.items():
        first[on] = row
        for target in targets:
            places |= _branch(sketch, target, row)
            row += 1
    return places, first


def _branch(sketch: Sketch, target: Key | str, row: float) -> Places:
    if sketch.nodes[target].shape == "function":
        return {target: Place(FUNCTIONS, row)}
    functions = {edge.target: Place(FUNCTIONS, row) for edge in sketch.after(target)}
    return {target: Place(QUEUES, row), **functions}


def _hearers(sketch: Sketch, topic: Key | str, place: Place) -> Places:
    """Put the people who hear a topic to its right."""
    heard = [edge.target for edge in sketch.after(topic)]
    return {
        key: Place(place.column + 1, place.row)
        for key in heard
        if sketch.nodes[key].shape == "people"
    }


def _find(sketch: Sketch, shape: Shape, name: str) -> Key | str | None:
    """Return the box of a shape with a title (any, if `name` is empty)."""
    return next(
        (
            key
            for key, node in sketch.nodes.items()
            if node.shape == shape and name in {node.title, ""}
        ),
        None,
    )


def _hearing(sketch: Sketch, on: On) -> list[Key | str]:
    """Return what hears of an occasion, through its topic or straight from the bucket."""
    bucket, topic = _find(sketch, "bucket", "uploads"), _find(sketch, "topic", OCCASIONS[on].topic)
    told = [edge for edge in sketch.after(bucket) if edge.label.split()[0] == on] if bucket else []
    direct = [edge.target for edge in told if edge.target != topic]
    heard = [*direct, *(edge.target for edge in (sketch.after(topic) if topic else ()))]
    return [each for target in heard for each in (target, *_lane(sketch, target))]


def _lane(sketch: Sketch, target: Key | str) -> list[Key | str]:
    """Return the queue that a branch hands over to what is too much for it."""
    runs = [target, *(edge.target for edge in sketch.after(target))]
    return [
        edge.target
        for each in runs
        for edge in sketch.after(each)
        if sketch.nodes[edge.target].title == sketch.nodes[each].title + LARGE
    ]


def _arrows(sketch: Sketch, places: Places) -> Iterator[str]:
    meeting = [
        edge
        for edge in sketch.edges
        if (places[edge.source].column, places[edge.target].column) == (FUNCTIONS, OUTPUTS)
    ]
    yield from _through_hub(sketch, places, meeting)
    for edge in sketch.edges:
        source, target = places[edge.source], places[edge.target]
        if edge in meeting or _is_claim(sketch, edge):
            continue
        ends = _ends(sketch.nodes[edge.source], sketch.nodes[edge.target])
        if target.column == source.column == UPLOADS:
            yield _line(f"M{source.x + WIDTH / 2:g} {source.y:g} V{target.bottom:g}", ends)
        elif target.column > source.column:
            path = _forward(source.right, source.middle, target.x, target.middle)
            yield _line(path, ends)
        else:
            yield _line(_back(source, target), ends, dashed=True)


def _is_claim(sketch: Sketch, edge: Edge) -> bool:
    return (sketch.nodes[edge.source].title, sketch.nodes[edge.target].shape) == (
        "notifier",
        "table",
    )


def _through_hub(sketch: Sketch, places: Places, edges: Sequence[Edge]) -> Iterator[str]:
    sources = {edge.source: places[edge.source] for edge in edges}
    targets = {edge.target: places[edge.target] for edge in edges}
    x = next(iter(sources.values())).right + HUB
    y = sorted(place.middle for place in targets.values())[len(targets) // 2]
    for key, place in sources.items():
        ends = _ends(sketch.nodes[key], None)
        yield _line(_curve(place.right, place.middle, x, y), ends, arrow=False)
    for key, place in targets.items():
        yield _line(_curve(x, y, place.x, place.middle), _ends(None, sketch.nodes[key]))
    yield f'<circle class="hub" cx="{x:g}" cy="{y:g}" r="3.2"/>'


def _curve(x1: float, y1: float, x2: float, y2: float) -> str:
    reach = (x2 - x1) * 0.55
    return f"M{x1:g} {y1:g} C{x1 + reach:g} {y1:g} {x2 - reach:g} {y2:g} {x2:g} {y2:g}"


def _forward(x1: float, y1: float, x2: float, y2: float) -> str:
    """Change rows within the first gap, then go straight: under nothing, over empty places only."""
    turn = min(x2, x1 + GAPS[1])
    return _curve(x1, y1, turn, y2) + (f" H{x2:g}" if x2 > turn else "")


def _back(source: Place, target: Place) -> str:
    """Go round: between two rows, to the top or bottom of `target`, right of what hangs there."""
    x2 = target.right - 22
    if target.row < source.row:
        x1, y = source.x + WIDTH / 2, target.bottom + 28
        return _rounded(x1, source.y, y, x2, target.bottom)
    x1, y = source.x + WIDTH / 2, target.y - 14
    return _rounded(x1, source.bottom, y, x2, target.y)


def _rounded(x1: float, y1: float, y: float, x2: float, y2: float) -> str:
    up, down = (1 if y > y1 else -1) * 8, (1 if y2 > y else -1) * 8
    left = 8 if x2 < x1 else -8
    return (
        f"M{x1:g} {y1:g} V{y - up:g} Q{x1:g} {y:g} {x1 - left:g} {y:g} "
        f"H{x2 + left:g} Q{x2:g} {y:g} {x2:g} {y + down:g} V{y2:g}"
    )


def _ends(source: Node | None, target: Node | None) -> str:
    """Say in attributes what an arrow joins, for who moves the picture."""
    return "".join(
        f' data-{word}="{_name(node)}"' for word, node in (("from", source), ("to", target)) if node
    )


def _name(node: Node) -> str:
    return html.escape(f"{node.shape} {node.title}")


def _line(path: str, ends: str, *, arrow: bool = True, dashed: bool = False) -> str:
    kind = "line dashed" if dashed else "line"
    head = ' marker-end="url(#arrow)"' if arrow else ""
    return f'<path class="{kind}" d="{path}"{ends}{head}/>'


def _box(node: Node, place: Place) -> Iterator[str]:
    if node.dlq:
        yield from _dead_letters(node.dlq, place)
    x, y = place.x, place.y
    top = y + (HEIGHT - ICON) / 2
    yield (
        f'<rect class="box" data-box="{_name(node)}" x="{x:g}" y="{y:g}" width="{WIDTH}" '
        f'height="{HEIGHT}" rx="9"/>'
        f'<rect class="{node.shape}" x="{x + 9:g}" y="{top:g}" width="{ICON}" height="{ICON}" '
        f'rx="7"/><g class="glyph" transform="translate({x + 9:g} {top:g})">{ICONS[node.shape]}</g>'
        f'<text class="name" x="{x + 45:g}" y="{y + 23:g}">{_short(node.title, NAME_LENGTH)}</text>'
        f'<text class="detail" x="{x + 45:g}" y="{y + 37:g}">'
        f"{_short(node.detail, DETAIL_LENGTH)}</text>"
    )


def _dead_letters(name: str, place: Place) -> Iterator[str]:
    """Hang the name of a dead-letter queue under a box."""
    x, y = place.x + 12, place.bottom + 6
    yield f'<path class="dlqline" d="M{x + 10:g} {place.bottom:g} V{y:g}"/>'
    yield _pill(_short(name, PILL_LENGTH), x, y)


def _pill(name: str, x: float, y: float) -> str:
    width = 16 + len(name) * 5.1
    return (
        f'<rect class="dlq" x="{x:g}" y="{y:g}" width="{width:g}" height="15" rx="7.5"/>'
        f'<text class="dlqname" x="{x + width / 2:g}" y="{y + 10.8:g}" text-anchor="middle">'
        f"{name}</text>"
    )


def _legend(y: float) -> Iterator[str]:
    yield _pill("dlq", LEFT, y - 11)
    yield (
        f'<text class="detail" x="{LEFT + 40}" y="{y:g}">a dead-letter queue: what failed for '
        "good, kept 14 days, with an alarm of its own</text>"
    )


def _short(text: str, length: int) -> str:
    return html.escape(text if len(text) <= length else f"{text[: length - 1]}…")
