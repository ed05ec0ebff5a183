"""How the figures of a burst look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgpipe.cli import render
from imgpipe.operate.percentiles import percentiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Group, RenderableType

    from imgpipe.operate.load.compare import Phase
    from imgpipe.operate.load.report import Report

WAYS = {
    "upload": "the upload itself",
    "upload_to_preview": "upload to the first picture",
    "upload_to_done": "upload to done",
    "upload_to_notice": "upload to the notice",
}
COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "red")


def page(report: Report, width: int) -> Group:
    """Return the whole page, no wider than `width`."""
    from rich.console import Group

    return Group(*_head(report), "", _times(report.times()), "", *_depths(report, width))


def _head(report: Report) -> Iterator[str]:
    ends = (
        ", ".join(f"{count:,} {status}" for status, count in report.ended.items()) or "none ended"
    )
    yield (
        f"[bold]{report.images:,} images[/] ({report.megabytes:.1f} MB) in {report.seconds:.1f} s: "
        f"[bold]{report.images_per_s:.1f} a second[/]"
    )
    yield f"{ends}; {report.retried:,} steps tried again"
    if report.not_sent:
        yield f"[red]{report.not_sent:,} could not be uploaded[/]"
    if report.nothing_lost:
        yield "[green]none lost, none doubled[/]"
        return
    lost = f"{len(report.lost):,} lost or not at their end"
    yield f"[red]{lost}, {report.extra_outputs:,} pictures that no row names[/]"
    for key in report.lost[:5]:
        yield f"  [dim]{render.safe(key)}[/]"


def _times(times: Mapping[str, Mapping[str, float | None]]) -> RenderableType:
    made = render.table("seconds", "p50", "p95", "p99", right=("p50", "p95", "p99"))
    for name, words in WAYS.items():
        cells = ["-" if value is None else f"{value:.2f}" for value in times[name].values()]
        made.add_row(words, *cells)
    return made


def _depths(report: Report, width: int) -> Iterator[RenderableType]:
    from rich.text import Text

    from imgpipe.cli.views.watch import legend, marks, plot

    samples = report.samples
    if not samples or not any(depth for sample in samples for depth in sample.depths.values()):
        yield "[dim]no queue was ever seen with a message in it[/]"
        return
    names = [name for name in samples[0].depths if any(sample.depths[name] for sample in samples)]
    colours = {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(names)}
    drawn = marks(colours)
    yield f"messages in the queues  {legend(colours, drawn)}"
    span = (samples[-1].at - samples[0].at).total_seconds()
    ends = ("0s", render.age(span / 2), render.age(span))
    series = {name: [sample.depths[name] for sample in samples] for name in names}
    interval_s = span / max(1, len(samples) - 1) or 1.0
    yield Text.from_ansi(plot(series, colours, interval_s, min(width, 100), 12, ends, drawn))


def comparison(phases: Sequence[Phase]) -> Group:
    """Return both ways beside each other, in each weather."""
    from rich.console import Group

    columns = (
        "application tier",
        "joined by",
        "a person waits, p50",
        "p95",
        "refused",
        "without pictures",
    )
    made = render.table(*columns, right=columns[2:])
    words = {"coupled": "a call", "decoupled": "a queue"}
    for phase in sorted(phases, key=lambda each: [each.weather != "calm", each.weather == "down"]):
        times = percentiles(phase.upload_s)
        waits = [f"{times[name]:.2f} s" for name in ("p50", "p95")]
        numbers = [_bad(count, phase.uploads) for count in (phase.refused, phase.unprocessed)]
        made.add_row(phase.weather, words[phase.mode], *waits, *numbers)
    head = f"[bold]{phases[0].uploads} uploads[/] in each case, the same work, one image at a time"
    return Group(head, "", made)


def _bad(count: int, of: int) -> str:
    return f"[red]{count} of {of}[/]" if count else "[green]none[/]"
