"""Queue depth over time: a chart that redraws on a terminal, one line a sample in a pipe."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from imgpipe.cli import render
from imgpipe.cli.views import words
from imgpipe.operate.times import iso

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from imgpipe.operate.watch import Sample

_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "red", "white")
KEPT = 600
"""Samples the chart looks back on."""


def line(sample: Sample) -> str:
    """Return a sample as words for a pipe: `2026-11-21T07:00:00.000Z enhance=3 images=0 dead=1`."""
    depths = " ".join(f"{name}={depth}" for name, depth in sample.depths.items())
    return f"{iso(sample.at)} {depths} dead={sample.dead}"


class Chart:
    """The last samples, and how they look now."""

    def __init__(self, title: str, interval_s: float) -> None:
        self._title, self._interval_s = title, interval_s
        self._samples: deque[Sample] = deque(maxlen=KEPT)

    def add(self, sample: Sample) -> None:
        self._samples.append(sample)

    @property
    def begun(self) -> bool:
        return bool(self._samples)

    def page(self, width: int, height: int, *, ended: bool = False) -> Group:
        """Return the chart and its legend, fitting the terminal. Queues that are all empty need no chart."""
        from rich.console import Group

        latest = self._samples[-1]
        colours = dict(
            zip(latest.depths, _COLOURS * (len(latest.depths) // len(_COLOURS) + 1), strict=False)
        )
        room = max(8, height - len(colours) - 5)
        dead = f"[red]{latest.dead:,} dead letters[/]" if latest.dead else "[dim]no dead letters[/]"
        way_out = "" if ended else "  [dim]Ctrl-C ends[/]"
        head = f"[bold]{render.safe(self._title)}[/]  messages in queues  {dead}{way_out}"
        if not any(any(sample.depths.values()) for sample in self._samples):
            since = words.short_time(self._samples[0].at)
            return Group(head, f"[dim]all empty since {since}[/]", "", self._legend(colours))
        return Group(head, self._chart(width, room, colours), self._legend(colours))

    def _chart(self, width: int, height: int, colours: Mapping[str, str]) -> Text:
        from rich.text import Text

        shown = list(self._samples)[-(width - 8) * 2 :]
        series = {name: [sample.depths.get(name, 0) for sample in shown] for name in colours}
        return Text.from_ansi(plot(series, colours, self._interval_s, width, height))

    def _legend(self, colours: Mapping[str, str]) -> Table:
        made = render.table("", "queue", "now", "in work", "most", right=("now", "in work", "most"))
        latest = self._samples[-1]
        for name, colour in colours.items():
            most = max(sample.depths.get(name, 0) for sample in self._samples)
            numbers = (latest.depths[name], latest.in_flight[name], most)
            made.add_row(
                f"[{colour}]━━[/]", render.safe(name), *(f"{number:,}" for number in numbers)
            )
        return made


def plot(
    series: Mapping[str, Sequence[int]],
    colours: Mapping[str, str],
    interval_s: float,
    width: int,
    height: int,
    ends: tuple[str, str, str] | None = None,
) -> str:
    """Return lines of a chart, with colours as terminal codes.

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
        signal = figure.signal(
            seconds, list(values), marker=plotext.marker("braille", colours[name])
        )
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
