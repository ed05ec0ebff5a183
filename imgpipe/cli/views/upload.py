"""How an upload looks: a bar while it runs, a line a file, and, when waited for, a table of how the images ended."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from imgpipe.cli import render
from imgpipe.cli.views import words
from imgpipe.operate import images
from imgpipe.operate.upload.asked import NO_STEP
from imgpipe.operate.upload.send import Sent
from imgpipe.operate.upload.sources import LeftOut, NotSent, Source
from imgpipe.operate.wait import Ended

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import Progress
    from rich.table import Table

MOST_DONE, MOST_OTHERS = 50, 500
"""Rows of the table: enough to read; all others are in the summary, and all of them in --json."""


@dataclass
class Tally:
    """What has happened so far, in bounded memory."""

    started: float = field(default_factory=time.monotonic)
    sent: int = 0
    sent_bytes: int = 0
    resumed_bytes: int = 0
    last_sent: float = 0.0
    ended: bool = False
    not_sent: int = 0
    left_out: int = 0
    no_step: str = ""
    ends: dict[str, int] = field(default_factory=dict)
    shown_done: list[Ended] = field(default_factory=list)
    shown_others: list[Ended] = field(default_factory=list)

    def add(self, event: Sent | NotSent | Ended) -> None:
        match event:
            case Sent():
                self.sent += 1
                self.sent_bytes += event.size
                self.resumed_bytes += event.resumed
                self.last_sent = time.monotonic()
            case NotSent():
                self.not_sent += 1
                if event.reason == NO_STEP:
                    self.no_step = self.no_step or event.key or ""
            case Ended():
                self.ends[event.status] = self.ends.get(event.status, 0) + 1
                self._keep(event)

    def _keep(self, image: Ended) -> None:
        kept, most = (
            (self.shown_done, MOST_DONE)
            if image.status == "done"
            else (self.shown_others, MOST_OTHERS)
        )
        if len(kept) < most:
            kept.append(image)

    @property
    def all_well(self) -> bool:
        only_left_out = self.left_out and not self.sent
        return not (self.not_sent or only_left_out) and set(self.ends) <= {"done"}


def bar() -> Progress:
    """Return progress bars on stderr; they show nothing where stderr is no terminal."""
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[amount]}", justify="right"),
        TimeRemainingColumn(compact=True),
        console=render.err(),
        transient=True,
        disable=not render.err().is_terminal,
        expand=True,
    )


class Bars:
    """A bar of the bytes that are sent and, when images are waited for, one of those that ended."""

    def __init__(self, progress: Progress, files: int, size: int, *, waiting: bool) -> None:
        self._progress, self._files, self._size = progress, files, size
        self._sending = progress.add_task("sending", total=size, amount="")
        self._ending = progress.add_task("working", total=files, amount="") if waiting else None

    def more(self, count: int) -> None:
        """Count bytes that S3 has just confirmed; called from many threads."""
        self._progress.update(self._sending, advance=count)

    def update(self, tally: Tally) -> None:
        """Show what has happened so far."""
        task = next(task for task in self._progress.tasks if task.id == self._sending)
        rate = f"{render.size(task.speed)}/s" if task.speed else ""
        sent = f"{render.size(task.completed)} of {render.size(self._size)} {rate}"
        self._progress.update(self._sending, amount=sent)
        if self._ending is not None:
            ended = sum(tally.ends.values())
            amount = f"{ended:,} of {words.plural(self._files, 'image')}"
            self._progress.update(self._ending, completed=ended, amount=amount)


def sent_line(sent: Sent) -> str:
    resumed = f", {render.size(sent.resumed)} of it by an earlier run" if sent.resumed else ""
    return f"{render.safe(sent.path)} -> {render.safe(sent.key)} [dim]({render.size(sent.size)}{resumed})[/]"


def planned_line(source: Source) -> str:
    name, key = render.safe(source.path), render.safe(source.key)
    return f"{name} -> {key} [dim]({render.size(source.size)})[/]"


def not_sent_line(item: NotSent) -> str:
    return f"[red]not uploaded:[/] {render.safe(item.path)}: {render.safe(item.why)}"


def left_out_line(item: LeftOut) -> str:
    return f"[yellow]left out:[/] {render.safe(item.path)}: {item.why}; --all sends it"


def sent_json(sent: Sent) -> dict[str, Any]:
    return {
        "key": sent.key,
        "status": "uploaded",
        "reason": None,
        "path": sent.path,
        "version_id": sent.version_id,
        "etag": sent.etag,
        "size": sent.size,
    }


def not_sent_json(item: NotSent) -> dict[str, Any]:
    status = "rejected" if item.reason == "empty_file" else "failed"
    return {
        "key": item.key,
        "status": status,
        "reason": item.reason,
        "outputs": {},
        "ms": None,
        "path": item.path,
        "message": item.why,
    }


NO_WHOLE = "no file uploaded as a whole"


def summary(tally: Tally) -> str:
    """Return the last line: what was sent at what rate, and how the images ended."""
    seconds = max(tally.last_sent - tally.started, 0.001)
    rate = render.size((tally.sent_bytes - tally.resumed_bytes) / seconds)
    took = f"{render.size(tally.sent_bytes)} in {seconds:.1f} s ({rate}/s)"
    parts = [f"{words.plural(tally.sent, 'file')} uploaded, {took}" if tally.sent else NO_WHOLE]
    parts += [f"{count:,} {words.status(status)}" for status, count in sorted(tally.ends.items())]
    if tally.not_sent:
        parts.append(f"[red]{tally.not_sent:,} not uploaded[/]")
    if tally.left_out:
        parts.append(f"{tally.left_out:,} left out")
    if tally.ends:
        parts.append(f"{time.monotonic() - tally.started:.1f} s in all")
    return " · ".join(parts)


def tell_if_cut_short(tally: Tally) -> None:
    """Say what had happened when Ctrl-C or an error ended it early."""
    if not tally.ended:
        render.err().print(f"[yellow]cut short:[/] {summary(tally)}", soft_wrap=True)
        render.next_step(
            "run it again: of a large file, the parts that are there aren't sent again"
        )


def table(tally: Tally) -> Table:
    """Return the images as a table: those that need attention last, where the eye rests."""
    made = words.table(
        "key",
        "status",
        "ms",
        "variants",
        "reason",
        right=("ms",),
        folds=("key", "variants", "reason"),
    )
    for image in [*sorted(tally.shown_done, key=lambda it: it.key), *tally.shown_others]:
        made.add_row(
            render.safe(image.key),
            words.status(image.status),
            f"{image.ms:,}" if image.ms is not None else "",
            render.safe(", ".join(image.outputs)),
            render.safe(words.reason(image.reason or "", named=False)),
        )
    return made


def left_out(tally: Tally) -> str:
    shown = len(tally.shown_done) + len(tally.shown_others)
    hidden = sum(tally.ends.values()) - shown
    return f"… and {words.plural(hidden, 'image')} more; --json lists all" if hidden else ""


def next_commands(tally: Tally, prefix: str) -> list[str]:
    """Return what to run about the images that weren't done or sent, a command for each kind of end."""
    wanted = {"rejected": "dlq list --key", "failed": "dlq list --key", "pending": "metadata show"}
    found: dict[str, str] = {}
    for image in tally.shown_others:
        verb = wanted[image.status]
        key = images.short(prefix, image.key)
        found.setdefault(image.status, words.command("imgpipe", *verb.split(), key))
    if tally.no_step:
        found["no_step"] = words.command("imgpipe", "events", images.short(prefix, tally.no_step))
    return list(dict.fromkeys(found.values()))


def hints(commands: list[str]) -> list[RenderableType]:
    return [render.step(render.safe(line)) for line in commands]
