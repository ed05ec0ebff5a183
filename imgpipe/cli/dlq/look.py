"""`dlq list|groups|show`: what failed for good, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from imgpipe.cli import options, render
from imgpipe.cli.dlq.choosing import (
    Asked,
    Error,
    Group,
    Key,
    Newer,
    Older,
    Queue,
    Step,
    find,
    open_pipeline,
)

if TYPE_CHECKING:
    from imgpipe.operate.dlq.letters import Letter


def list_letters(
    step: Step = None,
    error: Error = None,
    key: Key = None,
    queue: Queue = None,
    group: Group = None,
    older: Older = None,
    newer: Newer = None,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """List the dead letters: what failed, in which step, why, since when, until when it is kept."""
    asked = Asked(step=step, error=error, key=key, queue=queue, group=group)
    project, choice = open_pipeline(file, env, older=older, newer=newer, **asked)
    letters, _ = find(project, choice)
    if json:
        render.print_json([letter.as_json() for letter in letters])
        return
    from imgpipe.cli.views import dlq as view
    from imgpipe.cli.views import words

    if not letters:
        render.err().print("no dead letters")
        return
    words.put(view.table(letters, words.width(), project.graph.prefix))
    render.err().print(f"{words.plural(len(letters), 'dead letter')}")
    render.next_step("imgpipe dlq show ID, imgpipe dlq groups")
    _advise(letters)


def groups(
    step: Step = None,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Show the dead letters by kind of failure: how many failed alike, since when, how long they are still kept."""
    from imgpipe.cli.views import dlq as view
    from imgpipe.cli.views import words
    from imgpipe.operate.dlq.groups import grouped

    project, choice = open_pipeline(file, env, step=step)
    found = grouped(find(project, choice)[0])
    if json:
        render.print_json([each.as_json() for each in found])
        return
    if not found:
        render.err().print("no dead letters")
        return
    words.put(view.groups(found))
    _advise([letter for each in found for letter in each.letters])


def _advise(letters: list[Letter]) -> None:
    from imgpipe.operate.dlq import advice

    for line in advice.words(letters):
        render.next_step(line)


def show(
    id: Annotated[str, typer.Argument(metavar="ID", help="A letter's id, which may be cut short.")],  # noqa: A002 - the word that people type
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Show one dead letter whole: why it failed, its message, where a redrive would send it."""
    from imgpipe.cli.views import dlq as view
    from imgpipe.cli.views import words
    from imgpipe.operate.dlq.deployed import chosen

    project, choice = open_pipeline(file, env, ids=(id,))
    [letter], _ = find(project, choice)
    [(_, way)] = chosen(project, [letter], force=False)
    if json:
        render.print_json(view.letter_json(letter, way))
        return
    words.put(*view.page(letter, way))
