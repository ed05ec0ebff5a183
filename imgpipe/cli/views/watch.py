"""A pipeline's ticks as lines for a pipe; and a chart of values over time, for whoever has some."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Any

from imgpipe.cli import render
from imgpipe.operate.ticks import took_ms
from imgpipe.operate.times import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from imgpipe.operate.rows import Row
    from imgpipe.operate.ticks import Tick


def lines(tick: Tick) -> Iterator[str]:
    """Yield a tick as words for a pipe: a line of the queues and rates, then one for each image that moved on.

    `2026-11-21T07:00:00.000Z queues enhance=3 images=0 dead=1 done/min=34 failed/min=2 p50_ms=810 p95_ms=2100 errors=0`
    `2026-11-21T07:00:00.310Z image done 1500 incoming/photo.jpg`
    """
    sample, rates = tick.sample, tick.rates
    depths = " ".join(f"{name}={depth}" for name, depth in sample.depths.items())
    times = f"p50_ms={_or_dash(rates.p50_ms)} p95_ms={_or_dash(rates.p95_ms)}"
    errors = sum(step.errors or 0 for step in tick.steps)
    ended = f"done/min={rates.done_per_min} failed/min={rates.failed_per_min}"
    yield f"{iso(sample.at)} queues {depths} dead={sample.dead} {ended} {times} errors={errors}"
    yield from map(_image, tick.images)


def _image(row: Row) -> str:
    why = f" {row['reason']}" if row.get("reason") else ""
    plain = f"{row['key']}{why}"
    return f"{row['updated_at']} image {row['status']} {_or_dash(took_ms(row))} {render.printable(plain)}"


def _or_dash(number: int | None) -> str:
    return "-" if number is None else str(number)


FINE = "braille"


def marks(names: Iterable[str]) -> dict[str, str]:
    """Return what each line is drawn with: finely where colours tell lines apart or there is one; else its mark."""
    known, console = list(names), render.out()
    coloured = console.color_system is not None and not console.no_color
    if coloured or len(known) < 2:
        return dict.fromkeys(known, FINE)
    return dict(zip(known, cycle("*o+x#@"), strict=False))


def legend(colours: Mapping[str, str], drawn: Mapping[str, str]) -> str:
    """Return the names of a chart's lines, each behind a piece of it."""
    pieces = {name: "━━" if drawn[name] == FINE else drawn[name] * 2 for name in colours}
    return "  ".join(f"[{colour}]{pieces[name]}[/] {name}" for name, colour in colours.items())


def plot(
    series: Mapping[str, Sequence[int]],
    colours: Mapping[str, str],
    interval_s: float,
    width: int,
    height: int,
    ends: tuple[str, str, str] | None = None,
    marks: Mapping[str, str] | None = None,
) -> str:
    """Return lines of a chart, with colours as terminal codes, drawn finely or with the `marks` of each series.

    The last value of each series is now, unless `ends` names the beginning, the middle and the end.
    """
    import plotext

    figure: Any = plotext.figure
    figure.clear()
    figure.plot_size(width, height)
    figure.theme("colorless")
    figure.legend(False)
    figure.axes(False, axis="x", side="upper")
    figure.axes(False, axis="y", side="right")
    count = max(len(values) for values in series.values())
    seconds = [(number - count + 1) * interval_s for number in range(count)]
    for name, values in series.items():
        mark = (marks or {}).get(name, FINE)
        signal = figure.signal(seconds, list(values), marker=plotext.marker(mark, colours[name]))
        signal.lines()
        figure.draw(signal)
    _rulers(figure, max((max(values) for values in series.values()), default=0), seconds[0], ends)
    return str(figure.build().string())


def _rulers(figure: Any, highest: int, first_s: float, ends: tuple[str, str, str] | None) -> None:
    top = max(4, highest)
    figure.ruler("y").lim(0, top * 1.05)
    ticks = sorted({0, top // 2, top})
    figure.ruler("y").ticks(ticks, [f"{tick:,}" for tick in ticks])
    span = min(first_s, -1.0)
    figure.ruler("x").lim(span, 0)
    words = ends or (f"{render.age(-span)} ago", f"{render.age(-span / 2)} ago", "now")
    figure.ruler("x").ticks([span, span / 2, 0], list(words))
