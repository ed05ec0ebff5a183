"""How a pipeline's state looks: a line a step with its queue, dead letters and function; then what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgpipe.cli import render
from imgpipe.cli.hints import here
from imgpipe.cli.views import words
from imgpipe.operate.metrics import MINUTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Group
    from rich.table import Table

    from imgpipe.operate.status import AlarmState, QueueState, Status, StepState

_ALARM_WORDS = {
    "OK": "OK",
    "ALARM": "in alarm",
    "INSUFFICIENT_DATA": "without data yet",
    "MISSING": "missing",
}


def page(found: Status, title: str) -> Group:
    """Return the whole page."""
    from rich.console import Group

    if not found.up:
        return Group(f"[bold]{render.safe(title)}[/]", *_wrong(found))
    mark = "[green]● healthy[/]" if found.healthy else "[red]● unhealthy[/]"
    head = f"[bold]{render.safe(title)}[/]  {mark}  [dim]{words.short_time(found.at)}[/]"
    return Group(head, _images(found), "", _steps(found), "", *_rest(found))


def _images(found: Status) -> str:
    more = "" if found.images_exact else " or more"
    told = [
        f"{words.status(status)} {count:,}{more}"
        for status, count in found.images.items()
        if count or status == "done"
    ]
    return "images  " + " · ".join(told)


def _steps(found: Status) -> Table:
    made = words.table(
        "step",
        "waiting",
        "in work",
        "delayed",
        "oldest",
        "dead",
        "calls",
        "errors",
        "throttled",
        right=("waiting", "in work", "delayed", "oldest", "dead", "calls", "errors", "throttled"),
    )
    queues = {queue.name: queue for queue in found.queues}
    for step in found.steps:
        made.add_row(
            render.safe(step.name),
            *_queue_cells(queues.get(step.queue or "")),
            _alert(queues.get(step.dlq), "red"),
            *_function_cells(step),
        )
    owned = {name for step in found.steps for name in (step.queue, step.dlq)}
    for queue in found.queues:
        if queue.name not in owned:
            style = "yellow" if queue.name == "rejected" else "red"
            dead = _alert(queue, style) if queue.dead_letters else ""
            cells = ("", "", "", "") if queue.dead_letters else _queue_cells(queue)
            made.add_row(f"[dim]{render.safe(queue.name.removesuffix('-dlq'))}[/]", *cells, dead)
    return made


def _queue_cells(queue: QueueState | None) -> tuple[str, str, str, str]:
    if queue is None:
        return ("[dim]direct[/]", "", "", "")
    if queue.missing:
        return ("[red]missing[/]", "", "", "")
    waits = queue.visible or queue.in_flight or queue.delayed  # the metric lags behind the counts
    oldest = render.age(queue.oldest_s) if waits and queue.oldest_s is not None else "-"
    return (_count(queue.visible), _count(queue.in_flight), _count(queue.delayed), oldest)


def _function_cells(step: StepState) -> tuple[str, str, str]:
    if step.state == "missing":
        return ("[red]missing[/]", "", "")
    if step.function is None:
        return ("[dim]worker[/]", "", "")
    known = [count for count in (step.errors, step.failed_attempts) if count is not None]
    errors = sum(known) if known else None
    return (_known(step.invocations), _known(errors, "red"), _known(step.throttles, "yellow"))


def _known(count: int | None, style: str = "") -> str:
    if count is None:
        return "[dim]-[/]"
    return f"[{style}]{count:,}[/]" if count and style else _count(count)


def _count(count: int) -> str:
    return f"{count:,}" if count else "[dim]0[/]"


def _alert(queue: QueueState | None, style: str) -> str:
    if queue is None:
        return ""
    if queue.missing:
        return "[red]missing[/]"
    return f"[bold {style}]{queue.visible:,}[/]" if queue.visible else "[dim]0[/]"


def _rest(found: Status) -> Iterator[str]:
    yield f"[dim]calls, errors (with messages given back) and throttled: the last {MINUTES} minutes{_running(found)}[/]"
    yield f"alarms  {_alarms(found.alarms)}"
    if found.unconfirmed:
        names = ", ".join(dict.fromkeys(it.address for it in found.unconfirmed))
        yield f"mail    [yellow]not yet confirmed:[/] {render.safe(names)} [dim](a link in their mail)[/]"
    yield from _wrong(found)


def _wrong(found: Status) -> Iterator[str]:
    for fault in found.faults:
        yield f"[red]wrong[/]   {render.safe(fault.what)}  [cyan]{render.safe(here(fault.hint))}[/]"


def _running(found: Status) -> str:
    most = [f"{step.name} {step.concurrency}" for step in found.steps if step.concurrency]
    return f"; at once at most: {', '.join(most)}" if most else ""


def _alarms(alarms: tuple[AlarmState, ...]) -> str:
    counts: dict[str, int] = {}
    for alarm in alarms:
        counts[alarm.state] = counts.get(alarm.state, 0) + 1
    styles = {"ALARM": "red", "MISSING": "red", "OK": "green"}
    order = sorted(counts, key=lambda state: list(_ALARM_WORDS).index(state))
    return " · ".join(
        f"[{styles.get(state, 'dim')}]{counts[state]} {_ALARM_WORDS[state]}[/]" for state in order
    )
