"""How dead letters look: many as a table, one as a page, a move as its summary."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from imgpipe.cli import render
from imgpipe.cli.hints import here
from imgpipe.cli.views import words
from imgpipe.operate import images
from imgpipe.operate.dlq.deployed import NOT_UP
from imgpipe.operate.dlq.groups import fingerprint, grouped
from imgpipe.operate.dlq.letters import REJECTED, Letter, parse
from imgpipe.operate.dlq.route import POINTLESS, NoWay, Route
from imgpipe.operate.times import from_iso
from imgpipe.runtime.log import dumps

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import RenderableType
    from rich.table import Table

    from imgpipe.operate.dlq.canary import Tried
    from imgpipe.operate.dlq.groups import Group
    from imgpipe.operate.dlq.mover import Outcome
    from imgpipe.operate.dlq.rescue import Rescued

WIDE = 120
"""Columns from which a table has all that it can tell; in a pipe it always has."""
UNKNOWN = "unknown: see the log"
NOT_OURS = "somebody else holds it, moved it or deleted it meanwhile"
FAILS_AGAIN = (POINTLESS, NOT_UP)
ID_SHOWN = 8
"""Characters of an id in a table; every command takes an id cut short."""


def table(letters: Sequence[Letter], width: int, prefix: str = "") -> Table:
    """Return letters as a table; where there is room, with the queue and the attempts. Keys are shown as people call
    them, without `prefix`.
    """
    if width >= WIDE:
        return _wide(letters, prefix)
    made = words.table(
        "id", "step", "key", "why", "since", "kept for", folds=("step", "key", "why")
    )
    for letter in letters:
        made.add_row(
            render.safe(letter.id[:ID_SHOWN]),
            render.safe(letter.step),
            _image(letter.key, prefix),
            _brief(letter, width),
            words.short_time(letter.first_seen),
            kept(letter.expires),
        )
    return made


def groups(found: Sequence[Group]) -> Table:
    """Return the kinds of failure as a table."""
    made = words.table(
        "group",
        "letters",
        "step",
        "why",
        "since",
        "kept for",
        right=("letters",),
        folds=("step", "why"),
    )
    for group in found:
        oldest = min(group.letters, key=lambda letter: letter.expires)
        made.add_row(
            group.id,
            f"{len(group.letters):,}",
            render.safe(group.step),
            _brief(group.letters[0], words.width(), most=2 * words.BRIEF),
            words.short_time(group.first_seen),
            kept(oldest.expires),
        )
    return made


def rescued(found: Sequence[Rescued], prefix: str = "") -> Table:
    """Return archived letters as a table."""
    made = words.table(
        "id", "queue", "key", "why", "failed", "archived", folds=("queue", "key", "why")
    )
    for letter in found:
        wide = words.width() >= WIDE
        why = in_words(letter.error, letter.reason, named=wide) or "unknown"
        times = (from_iso(letter.first_seen), from_iso(letter.rescued_at))
        made.add_row(
            render.safe(letter.id[:ID_SHOWN]),
            render.safe(letter.queue),
            _image(letter.key, prefix),
            render.safe(why if wide else words.brief(why)),
            *(words.short_time(when) if when else "-" for when in times),
        )
    return made


def canary_line(tried: Tried) -> str:
    """Return how a group's canary fared: `a1b2c3 worked: incoming/a.jpg; 40 more follow`."""
    more = len(tried.group.letters) - 1
    colour = {"worked": "green", "failed": "red", "silent": "yellow"}[tried.verdict]
    then = f"{more:,} more follow" if tried.verdict == "worked" else f"{more:,} more stay"
    why = f" ({render.safe(words.brief(tried.why, 2 * words.BRIEF))})" if tried.why else ""
    about = render.safe(tried.letter.key or tried.letter.step)
    return f"canary {tried.group.id} [{colour}]{tried.verdict}[/]: {about}{why}; {then}"


def _wide(letters: Sequence[Letter], prefix: str) -> Table:
    columns = ("id", "queue", "step", "key", "error", "reason", "since", "kept for", "attempts")
    made = words.table(*columns, right=("attempts",), folds=("step", "key", "reason"))
    for letter in letters:
        made.add_row(
            render.safe(letter.id[:ID_SHOWN]),
            render.safe(letter.queue),
            render.safe(letter.step),
            _image(letter.key, prefix),
            render.safe(letter.error or "unknown"),
            render.safe(words.reason(letter.reason)),
            words.short_time(letter.first_seen),
            kept(letter.expires),
            str(letter.receives or "-"),
        )
    return made


def _image(key: str | None, prefix: str) -> str:
    return render.safe(images.short(prefix, key) if key else "-")


def _brief(letter: Letter, width: int, most: int = words.BRIEF) -> str:
    """Return why a letter failed, for a table that is so wide: all of it where there is room."""
    told = why(letter, named=width >= WIDE)
    return render.safe(told if width >= WIDE else words.brief(told, most))


def why(letter: Letter, *, named: bool) -> str:
    """Return why a letter failed, as `in_words` says it."""
    return in_words(letter.error, letter.reason, named=named) or UNKNOWN


def in_words(error: str, reason: str, *, named: bool) -> str:
    """Return a failure's class and reason; of an upload that was refused, why, as people say it."""
    if error == REJECTED:
        return words.reason(reason, named=named)
    return ": ".join(text for text in (error, reason) if text)


def kept(expires: datetime) -> str:
    """Return how long a letter is still kept; red when it is less than a day."""
    left = (expires - datetime.now(UTC)).total_seconds()
    text = render.age(max(left, 0))
    return f"[red]{text}[/]" if left < 86_400 else text


def page(letter: Letter, route: Route) -> Iterator[RenderableType]:
    """Yield the parts of one letter's page."""
    from rich.table import Table

    yield f"[bold]{render.safe(letter.id)}[/]"
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for label, text in _lines(letter, route).items():
        if text:
            made.add_row(label, text)
    yield made
    yield ""
    yield "[dim]message[/]"
    yield _body(letter)


def _lines(letter: Letter, route: Route) -> dict[str, str]:
    way = route.why if isinstance(route, NoWay) else route.branch
    return {
        "queue": render.safe(letter.queue),
        "step": render.safe(letter.step),
        "key": render.safe(letter.key or ""),
        "version": render.safe(letter.version_id or ""),
        "error": render.safe(letter.error or "unknown"),
        "reason": render.safe(words.reason(letter.reason)),
        "message": render.safe(_more(letter)),
        "first seen": f"{words.short_time(letter.first_seen)} ({words.ago(letter.first_seen)})",
        "kept until": f"{words.short_time(letter.expires)} ({words.ago(letter.expires)})",
        "attempts": str(letter.receives or ""),
        "came from": letter.kind,
        "goes to": render.safe(way),
        "code": render.safe(letter.code_hash),
        "settings": render.safe(letter.settings_hash),
    }


def _more(letter: Letter) -> str:
    """Return what was found; nothing where that is the reason's words again."""
    said = words.reason(letter.reason, named=False)
    return "" if letter.message == said else letter.message


def _body(letter: Letter) -> str:
    document = parse(letter.body)
    if not document:
        return render.safe(letter.body)
    lines = dumps(_unfolded(document), indent=2).split("\n")
    return "\n".join(render.safe(line) for line in lines)


def _unfolded(value: Any) -> Any:
    """Return `value` with JSON texts inside it opened, so that an event within an envelope can be read."""
    if isinstance(value, dict):
        return {name: _unfolded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_unfolded(each) for each in value]
    return _unfolded(parse(value)) if isinstance(value, str) and parse(value) else value


def letter_json(letter: Letter, route: Route) -> dict[str, Any]:
    return {
        **letter.as_json(),
        "message": letter.message or None,
        "version_id": letter.version_id,
        "kind": letter.kind,
        "goes_to": None if isinstance(route, NoWay) else route.branch,
        "body": parse(letter.body) or letter.body,
    }


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    said = {"status": outcome.status, "to": outcome.to or None, "why": outcome.why or None}
    return {**outcome.letter.as_json(), **said}


def problem_line(outcome: Outcome) -> str:
    """Return why one letter was not moved."""
    letter = outcome.letter
    why = outcome.why or NOT_OURS
    about = render.safe(letter.key or letter.step)
    return f"[yellow]{outcome.status}:[/] {letter.id[:ID_SHOWN]} {about}: {render.safe(why)}"


def problems(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """Yield why letters were not moved: a line for all of a group that have the same reason."""
    alike: dict[tuple[str, str, str], list[Outcome]] = {}
    for it in outcomes:
        alike.setdefault((it.status, it.why, fingerprint(it.letter)), []).append(it)
    for (status, why, group), some in alike.items():
        if len(some) == 1:
            yield problem_line(some[0])
            continue
        about = f"{words.plural(len(some), 'letter')} of group {group}"
        yield f"[yellow]{status}:[/] {about}: {render.safe(why or NOT_OURS)}"


def summary(outcomes: Iterable[Outcome]) -> str:
    """Return one line: `3 letters moved: 2 to enhance, 1 to thumbs · 1 left`."""
    tally = Counter((outcome.status, outcome.to) for outcome in outcomes)
    moved = {to: count for (status, to), count in sorted(tally.items()) if status == "moved"}
    where = ", ".join(f"{count:,} to {to}" for to, count in moved.items())
    parts = [f"{words.plural(sum(moved.values()), 'letter')} moved{': ' + where if where else ''}"]
    for status in ("left", "failed", "gone"):
        count = sum(number for (it, _), number in tally.items() if it == status)
        if count:
            parts.append(f"{count:,} {status}")
    return " · ".join(parts)


def plan(routes: Sequence[tuple[Letter, Route]], prefix: str = "") -> Iterator[RenderableType]:
    """Yield where each letter would go; once, why some would only fail again."""
    yield _plan_table(routes, prefix)
    yield from _pointless_why(routes)


def plan_by_group(
    routes: Sequence[tuple[Letter, Route]], width: int = 0
) -> Iterator[RenderableType]:
    """Yield how many letters of each kind would go where; once, why some would only fail again."""
    ways = {letter.id: route for letter, route in routes}
    made = words.table(
        "group",
        "letters",
        "step",
        "why it failed",
        "would go to",
        right=("letters",),
        folds=("step", "why it failed", "would go to"),
    )
    for group in grouped(letter for letter, _ in routes):
        first = group.letters[0]
        tally = Counter(_way(ways[letter.id]) for letter in group.letters)
        made.add_row(
            group.id,
            f"{len(group.letters):,}",
            render.safe(group.step),
            _brief(first, width, most=2 * words.BRIEF),
            ", ".join(
                to if len(tally) == 1 else f"{to} ({count:,})" for to, count in tally.most_common()
            ),
        )
    yield made
    yield from _pointless_why(routes)


def _pointless_why(routes: Sequence[tuple[Letter, Route]]) -> Iterator[str]:
    for why in FAILS_AGAIN:
        if NoWay(why) in (route for _, route in routes):
            yield f"[yellow]stays:[/] {render.safe(here(why))}"


def _pointless(route: Route) -> bool:
    return isinstance(route, NoWay) and route.why in FAILS_AGAIN


def _way(route: Route) -> str:
    if not isinstance(route, NoWay):
        return render.safe(route.branch)
    return (
        "[yellow]stays[/]" if _pointless(route) else f"[yellow]stays:[/] {render.safe(route.why)}"
    )


def _plan_table(routes: Sequence[tuple[Letter, Route]], prefix: str) -> Table:
    made = words.table(
        "id",
        "step",
        "key",
        "why it failed",
        "would go to",
        folds=("step", "key", "why it failed", "would go to"),
    )
    for letter, route in routes:
        made.add_row(
            letter.id[:ID_SHOWN],
            render.safe(letter.step),
            _image(letter.key, prefix),
            _brief(letter, words.width()),
            _way(route),
        )
    return made
