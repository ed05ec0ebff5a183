"""How a plan looks, and how it looks while it is carried out."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from imgpipe.cli import render
from imgpipe.cli.views.words import plural
from imgpipe.deploy.plan import Action, Verb, pending

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from imgpipe.deploy.apply import Event
    from imgpipe.operate.project import Project

SIGNS = {
    Verb.CREATE: ("+", "green"),
    Verb.UPDATE: ("~", "yellow"),
    Verb.DELETE: ("-", "red"),
    Verb.KEEP: ("=", "dim"),
}
DOING = {Verb.CREATE: "creating", Verb.UPDATE: "updating", Verb.DELETE: "deleting"}
DID = {Verb.CREATE: "created", Verb.UPDATE: "updated", Verb.DELETE: "deleted"}
SHOWN_AT_ONCE = 6

KINDS = {
    "log_group": "log group",
    "async_invoke": "async invocation",
    "mapping": "queue mapping",
    "event_rule": "EventBridge rule",
    "notification": "bucket notification",
}


def summary(actions: Sequence[Action]) -> str:
    """Return `3 to create, 1 to update, 70 unchanged`."""
    counts = {verb: sum(action.verb is verb for action in actions) for verb in Verb}
    words = {
        Verb.CREATE: "to create",
        Verb.UPDATE: "to update",
        Verb.DELETE: "to delete",
        Verb.KEEP: "unchanged",
    }
    return ", ".join(f"{counts[verb]} {words[verb]}" for verb in Verb if counts[verb])


def plan(project: Project, actions: Sequence[Action]) -> RenderableType:
    """Return the plan: what is made or goes kind by kind, what changes one by one with its reason."""
    title = Text.assemble(
        (project.graph.pipeline, "bold"), " in ", (project.graph.environment, "bold"), ": "
    )
    title.append(summary(actions))
    lines = Table.grid(padding=(0, 2))
    lines.add_column(no_wrap=True)
    lines.add_column(no_wrap=True)
    lines.add_column(overflow="fold")
    for row in [*_grouped(project, actions), *_one_by_one(project, actions)]:
        lines.add_row(*row)
    return Group(title, Padding(lines, (1, 0, 1, 2), expand=False)) if lines.row_count else title


def _grouped(project: Project, actions: Sequence[Action]) -> Iterator[tuple[str, str, str]]:
    """Yield a row for each kind that is made or goes, with all its names."""
    names: dict[tuple[Verb, str], list[str]] = defaultdict(list)
    for action in actions:
        if action.verb in {Verb.CREATE, Verb.DELETE}:
            names[action.verb, action.key.kind].append(short(project, action))
    for (verb, kind), members in names.items():
        count = len(members)
        yield _sign(verb), f"{count:>3} {_words(kind, count)}", ", ".join(members)


def _one_by_one(project: Project, actions: Sequence[Action]) -> Iterator[tuple[str, str, str]]:
    """Yield a row for each change, and for what is kept or goes for a reason that a person must know."""
    for action in actions:
        changed = action.verb is Verb.UPDATE
        if changed or (action.verb is Verb.KEEP and action.reason) or action.warning:
            reason = action.warning or action.reason
            style = "yellow" if action.warning else "dim"
            text = f"{short(project, action)}: [{style}]{render.safe(reason)}[/]"
            yield _sign(action.verb), f"    {_words(action.key.kind)}", text


def _sign(verb: Verb) -> str:
    sign, style = SIGNS[verb]
    return f"[{style}]{sign}[/]"


def _words(kind: str, count: int = 1) -> str:
    name = KINDS.get(kind, kind)
    if count == 1:
        return name
    return f"{name}es" if name.endswith("x") else f"{name}s"


def short(project: Project, action: Action) -> str:
    """Return a resource's name without what all names here begin and end with."""
    graph = project.graph
    name = action.key.name.replace("/aws/lambda/", "")
    name = name.replace(f"{graph.pipeline}-{graph.environment}-", "")
    for ending in (f"-{graph.place.account}-{graph.place.region}", f"-{graph.place.region}"):
        name = name.removesuffix(ending)
    return render.safe(name)


def as_json(actions: Sequence[Action]) -> dict[str, object]:
    """Return what `plan --json` prints; what stays as it is, is only counted."""
    counts = {str(verb): sum(action.verb is verb for action in actions) for verb in Verb}
    return {
        **counts,
        "actions": [
            {
                "verb": str(action.verb),
                "kind": action.key.kind,
                "name": action.key.name,
                "reason": action.reason,
                "warning": action.warning,
            }
            for action in actions
            if action.changes or action.reason
        ],
    }


def noting(events: Iterable[Event], ends: list[dict[str, object]]) -> Iterator[Event]:
    """Pass on what happens, and note in `ends` how each action ended: done, failed, or skipped for what failed."""
    for event in events:
        if event.state in {"done", "failed", "skipped"}:
            action = event.action
            ends.append(
                {
                    "verb": str(action.verb),
                    "kind": action.key.kind,
                    "name": action.key.name,
                    "state": event.state,
                    "ms": event.ms,
                    "text": event.text or None,
                }
            )
        yield event


def follow(
    console: Console, project: Project, actions: Sequence[Action], events: Iterable[Event]
) -> int:
    """Show the events as they come; return how many actions were done.

    A terminal gets a bar and what is being done now, anything else a line for each thing done.
    """
    told = _without_skipped(console, events)
    if console.is_terminal:
        return _live(console, project, actions, told)
    return _lines(console, project, told)


def _without_skipped(console: Console, events: Iterable[Event]) -> Iterator[Event]:
    """Pass on what happens; count what doesn't, and say so at the end."""
    skipped = 0
    try:
        for event in events:
            if event.state == "skipped":
                skipped += 1
            else:
                yield event
    finally:
        if skipped:
            verb = "was" if skipped == 1 else "were"
            console.print(f"[yellow]{skipped} more {verb} not begun: they need what failed[/]")


def _lines(console: Console, project: Project, events: Iterable[Event]) -> int:
    done = 0
    for event in events:
        done += event.state == "done"
        if event.state != "started":
            console.print(_line(project, event), soft_wrap=True)
    return done


def _line(project: Project, event: Event) -> str:
    name = f"{_words(event.action.key.kind)} {short(project, event.action)}"
    match event.state:
        case "done":
            return f"{DID[event.action.verb]} {name} [dim]({event.ms / 1000:.2f} s)[/]"
        case "failed":
            return f"[red]failed[/] {name}: {render.safe(event.text)}"
        case _:
            return f"{name}: {render.safe(event.text)}"


def _live(
    console: Console, project: Project, actions: Sequence[Action], events: Iterable[Event]
) -> int:
    bar = Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=None, complete_style="cyan", finished_style="green"),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        expand=True,
    )
    task = bar.add_task("waiting", total=len(pending(actions)))
    running: dict[object, tuple[str, float]] = {}
    done = 0
    with Live(bar, console=console, refresh_per_second=12, transient=True) as live:
        for event in events:
            done += _keep_account(console, project, event, running)
            bar.update(task, completed=done, description=DOING[event.action.verb])
            live.update(Group(bar, _running(running)))
    return done


def _keep_account(
    console: Console, project: Project, event: Event, running: dict[object, tuple[str, float]]
) -> bool:
    key, name = (
        event.action.key,
        f"{_words(event.action.key.kind)} {short(project, event.action)}",
    )
    if event.state == "failed":
        console.print(_line(project, event))
    if event.state in {"done", "failed"}:
        running.pop(key, None)
    else:
        since = running[key][1] if key in running else time.monotonic()
        text = f"{name} [yellow]{render.safe(event.text)}[/]" if event.text else name
        running[key] = (text, since)
    return event.state == "done"


def _running(running: Mapping[object, tuple[str, float]]) -> RenderableType:
    """Return what is being done now, longest first, in a fixed number of lines so that nothing jumps."""
    shown = sorted(running.values(), key=lambda one: one[1])[:SHOWN_AT_ONCE]
    lines = [Text.from_markup(f"  {text}", overflow="ellipsis") for text, _ in shown]
    for line in lines:
        line.no_wrap = True
    if len(running) > SHOWN_AT_ONCE:
        lines.append(Text(f"  and {len(running) - SHOWN_AT_ONCE} more", style="dim"))
    return Group(*lines)


def outputs(console: Console, values: Mapping[str, str]) -> None:
    """Print names and values; whole lines where it isn't a terminal, for grep and cut."""
    width = max((len(name) for name in values), default=0)
    for name, value in values.items():
        line = f"[cyan]{render.safe(name):{width}}[/]  {render.safe(value)}"
        console.print(line, soft_wrap=True)


def done_line(verb: str, count: int, seconds: float, calls: int) -> str:
    took = f"{seconds:.1f} s, {plural(calls, 'call')}"
    return f"[green]{verb}[/]: {plural(count, 'change')} in {took}"
