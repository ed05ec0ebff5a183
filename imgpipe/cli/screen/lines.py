"""A tick as the cells of the screen's tables. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from imgpipe.cli import render
from imgpipe.cli.views import dlq, words
from imgpipe.operate.ticks import took_ms
from imgpipe.operate.times import from_iso

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from imgpipe.operate.dlq.groups import Group
    from imgpipe.operate.dlq.letters import Letter
    from imgpipe.operate.rows import Row
    from imgpipe.operate.ticks import Step, Tick

STEP_COLUMNS = ("step", "waiting", "in work", "dead", "calls", "errors", "throttled")
GAP = 2
"""What a table puts between two columns."""
SCROLLBAR = 1
LEAST_DRAWN, MOST_DRAWN = 8, 40
"""Samples that a step's line draws, as far as there is room."""
_BARS = "▁▂▃▄▅▆▇"
"""Not the full block: it would touch the line above."""
_NOT_LISTED = {"in_flight": "in flight"}


def head(tick: Tick | None, title: str, state: str) -> Text:
    """Return the two lines above the tables."""
    first = f"[bold]{render.safe(title)}[/]  {state}"
    if tick is None:
        return Text.from_markup(f"{first}\n[dim]asking[/]")
    rates, sample = tick.rates, tick.sample
    told = [
        f"[green]{rates.done_per_min:,}[/] done/min",
        _some(rates.failed_per_min, "failed/min", "red"),
        f"p50 {seconds(rates.p50_ms)} · p95 {seconds(rates.p95_ms)}",
        _some(sum(sample.depths.values()), "queued", "cyan"),
        _some(sample.dead, "dead", "red"),
    ]
    return Text.from_markup(f"{first}\n{' · '.join(told)}")


def _some(count: int, what: str, style: str) -> str:
    return f"[{style}]{count:,}[/] {what}" if count else f"[dim]0 {what}[/]"


def seconds(ms: int | None) -> str:
    """Return milliseconds as people say them: `0.8 s`, `3m 20s`; `-` for none."""
    if ms is None:
        return "-"
    return f"{ms / 1000:.1f} s" if ms < 60_000 else render.age(ms / 1000)


def step_cells(step: Step, history: Sequence[int], room: int) -> tuple[Text, ...]:
    """Return a step's line; `history` is what its queue held, drawn in the last cell where there is room."""
    cells = [
        Text(render.printable(step.name)),
        _number(step.waiting, none="direct" if step.direct else ""),
        _number(step.in_work),
        _number(step.dead, "yellow" if step.name == "rejected" else "bold red"),
        _number(step.calls),
        _number(step.errors, "red"),
        _number(step.throttled, "yellow"),
    ]
    drawn = [Text(bars(history, room), style="cyan")] if room else []
    return (*cells, *drawn)


def _number(count: int | None, style: str = "", none: str = "") -> Text:
    if count is None:
        return Text(none, style="dim", justify="right")
    return Text(f"{count:,}", style=style if count else "dim", justify="right")


def bars(history: Sequence[int], room: int) -> str:
    """Return the last values as bars, the highest of them a full one; nothing where nothing ever was."""
    shown = list(history)[-room:]
    most = max(shown, default=0)
    if not most:
        return ""
    return "".join(_BARS[-(-6 * value // most)] if value else " " for value in shown)


def image_cells(row: Row, name: str, widths: tuple[int, int]) -> tuple[Text, ...]:
    """Return an image's line: when it moved last, its status, its name, how long it took, and why or what."""
    when = from_iso(row["updated_at"])
    style = words.STATUS_STYLES.get(row["status"], "")
    return (
        Text(f"{when.astimezone():%H:%M:%S}" if when else "", style="dim"),
        Text(str(_NOT_LISTED.get(row["status"], row["status"])), style=style),
        Text(cut_left(name, widths[0])),
        Text(seconds(took_ms(row)), justify="right"),
        Text(
            cut(render.printable(note(row)), widths[1]),
            style="dim" if row["status"] == "done" else "",
        ),
    )


def note(row: Mapping[str, Any]) -> str:
    """Return why an image failed, what an image became, or what has been done with it so far."""
    if row.get("reason"):
        return words.brief(words.reason(str(row["reason"]), named=False))
    if row["status"] == "in_flight":
        return ", ".join(f"{name} {step['status']}" for name, step in row["steps"].items())
    return ", ".join(row["outputs"])


def image_widths(names: Sequence[str], width: int) -> tuple[int, int]:
    """Return the width of an image's name and of its note, where the table is so wide."""
    room = width - (8 + 9 + 8 + 5 * GAP) - SCROLLBAR
    longest = max((cell_len(name) for name in names), default=0)
    first = max(12, min(longest, room // 2, 60))
    return first, max(8, room - first)


def group_columns(groups: Sequence[Group], width: int) -> dict[str, int]:
    """Return the columns of kinds of failure and their widths: why they failed has most of the room."""
    since = max((len(words.short_time(group.first_seen)) for group in groups), default=5)
    fixed = {"group": 6, "letters": 7, "kept": 7, **({"since": since} if width >= dlq.WIDE else {})}
    room = width - sum(fixed.values()) - GAP * (len(fixed) + 3) - SCROLLBAR
    longest = max((cell_len(render.printable(group.step)) for group in groups), default=4)
    step = min(longest, max(room // 3, 12))
    return {**fixed, "step": step, "why": max(room - step, 8)}


def group_cells(group: Group, columns: Mapping[str, int]) -> tuple[Text, ...]:
    """Return a kind of failure as a line of those columns."""
    told = words.brief(why(group.letters[0]), columns["why"] + 1)
    cells = {
        "group": Text(group.id),
        "letters": Text(f"{len(group.letters):,}", justify="right"),
        "kept": Text.from_markup(dlq.kept(group.expires)),
        "since": Text(words.short_time(group.first_seen), style="dim"),
        "step": Text(cut(render.printable(group.step), columns["step"])),
        "why": Text(cut(render.printable(told), columns["why"])),
    }
    return tuple(cells[name] for name in columns)


def letter_cells(letter: Letter, name: str, room: int) -> tuple[Text, ...]:
    """Return one dead letter as a line."""
    return (
        Text(letter.id[:8]),
        Text(words.short_time(letter.first_seen), style="dim"),
        Text.from_markup(dlq.kept(letter.expires)),
        Text(cut_left(render.printable(name), room)),
    )


def why(letter: Letter) -> str:
    return dlq.why(letter, named=False)


def cut(text: str, room: int) -> str:
    """Return `text`, its end left out where it is too long."""
    return text if cell_len(text) <= room else set_cell_size(text, max(room - 1, 0)).rstrip() + "…"


def cut_left(text: str, room: int) -> str:
    """Return `text`, its beginning left out where it is too long: the end of a key tells more."""
    if cell_len(text) <= room:
        return text
    while text and cell_len(text) > room - 1:
        text = text[1:]
    return "…" + text
