"""`why`, `audit`, `erase`, `selftest`: one image's way, every image's end, one gone for good, and a trial."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgpipe import errors
from imgpipe.cli import asking, options, render

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgpipe.operate.audit.law import Finding
    from imgpipe.operate.audit.walk import Tally
    from imgpipe.operate.erase.survey import Holdings
    from imgpipe.operate.project import Project
    from imgpipe.operate.selftest.run import Check, SelfTest

PANEL = "Watch and mend"


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=PANEL)(why)
    app.command(rich_help_panel=PANEL)(audit)
    app.command(rich_help_panel=PANEL)(erase)
    app.command(rich_help_panel=PANEL)(selftest)


def why(
    key: Annotated[str, typer.Argument(help="An image, with or without the prefix.")],
    version: Annotated[
        str | None,
        typer.Option("--version-id", help="An earlier version, whose id may be cut short."),
    ] = None,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Show the way of one image hop by hop, where it broke, why, and what to run next.

    Exits 3 unless the image is done, removed or superseded.
    """
    from imgpipe.operate.why.verdict import why as run

    story = run(_open(file, env), key, version)
    if json:
        render.print_json(story.as_json())
    else:
        from imgpipe.cli.views import words
        from imgpipe.cli.views.why import page

        words.put(*page(story))
    if not story.well:
        raise typer.Exit(errors.PENDING)


def audit(
    below: Annotated[
        str, typer.Argument(metavar="[PREFIX]", help="Only keys that begin so; all otherwise.")
    ] = "",
    heal: Annotated[
        bool, typer.Option("--heal", help="Mend what is found: send again just what is missing.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --heal: say what would be done; do nothing.")
    ] = False,
    grace: Annotated[
        str, typer.Option(help="How long an image may be on its way before that is a finding.")
    ] = "15m",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where an interrupted audit stopped.")
    ] = False,
    yes: options.Yes = False,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Prove that every version of every upload has its one status; name what is missing, stale or left over.

    Reads the buckets in order beside the table, a batch at a time. Exits 3 on findings that were not healed.
    """
    from datetime import timedelta

    from imgpipe.operate.audit import walk
    from imgpipe.operate.times import duration

    patience = timedelta(seconds=duration(grace))
    project = _open(file, env)
    if heal and not dry_run and not yes:
        asking.confirm(
            "the healing", "Send again what is missing, and mend what is stale or left over?"
        )
    tally = walk.begin(project, below, resume=resume)
    found = walk.walk(project, tally, patience, healing=heal and not dry_run)
    healed = _audited(project, found, tally, acts=heal and not dry_run, plans=heal, json=json)
    if tally.findings.total() > healed:
        raise typer.Exit(errors.PENDING)


def _audited(
    project: Project,
    found: Iterator[Finding],
    tally: Tally,
    *,
    acts: bool,
    plans: bool,
    json: bool,
) -> int:
    """Show each finding as it comes, mend it if asked to, and sum up; return how many were mended."""
    from imgpipe.cli.views import audit as view
    from imgpipe.cli.views import words
    from imgpipe.operate.audit.remedy import heal, remedy

    document = view.Document() if json else None
    healed, ended = 0, False
    try:
        for finding in found:
            cure = remedy(project.graph, finding)
            mended = acts and bool(cure.calls)
            if mended:
                heal(project, cure)
                healed += 1
            done = cure.words if plans else ""
            if document:
                document.add(view.finding_json(finding, done, healed=mended))
            else:
                words.line(view.line(finding, done))
        ended = True
    finally:
        if document:
            document.end(tally, healed=healed, ended=ended)
        elif not ended:
            render.next_step("imgpipe audit --resume")
    if not document:
        words.put(*view.summary(tally))
        _after(tally, healed, planned=plans and not acts)
    return healed


def _after(tally: Tally, healed: int, *, planned: bool) -> None:
    if healed:
        render.err().print(f"{healed:,} healed")
        render.next_step("imgpipe audit, once that is through")
    elif tally.findings.total() == tally.findings["before"] > 0:
        render.next_step("imgpipe backfill --dry-run")
    elif tally.findings.total():
        more = "" if planned else " --dry-run"
        render.next_step(f"imgpipe audit --heal{more}")


def _nothing(found: Holdings) -> str:
    """Return that there is nothing of a key, as far as is seen without looking into work queues."""
    from imgpipe.cli.views import words

    said = "nothing of it is there"
    if found.waiting:
        return f"{said}; {words.plural(found.waiting, 'message')} of any image in work weren't read"
    return said


def erase(
    key: Annotated[str, typer.Argument(help="An upload, with or without the prefix.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what there is of it; remove nothing.")
    ] = False,
    timeout: Annotated[str, typer.Option(help="How long to look for what comes back.")] = "3m",
    yes: options.Yes = False,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Remove every version, output, row, queued and dead message of one upload for good, with a receipt.

    Asks first. Interrupted, run it again. Exits 3 when it could not yet verify that all is gone.
    """
    from imgpipe.cli.views import erase as view
    from imgpipe.cli.views import words
    from imgpipe.operate.erase import run
    from imgpipe.operate.times import duration

    timeout_s = duration(timeout)
    project = _open(file, env)
    found = run.find(project, key)
    if dry_run:
        if found.empty:
            raise errors.MissingError(
                found.key, _nothing(found), hint=words.command("imgpipe", "why", key)
            )
        if json:
            render.print_json({"key": found.key, "found": found.as_json()})
        else:
            words.put(*view.holdings(found))
        return
    if not yes:
        render.err().print(*view.holdings(found), sep="\n")
        asking.confirm("the erasing", "Remove all of this for good?")
    with render.err().status(f"erasing {render.safe(found.key)}") as status:
        for receipt in run.erase(project, found.key, timeout_s=timeout_s):
            status.update(f"{receipt.total:,} removed; looking for what comes back")
    if json:
        render.print_json(receipt.as_json())
    else:
        words.put(*view.receipt(receipt))
    if not receipt.complete:
        render.next_step("run it again")
        raise typer.Exit(errors.PENDING)


def selftest(
    timeout: Annotated[str, typer.Option(help="How long the two images may take.")] = "2m",
    alarm: Annotated[
        bool, typer.Option("--alarm/--no-alarm", help="Also wait for a dead letter's alarm.")
    ] = True,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the two images there, to be looked at.")
    ] = False,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Send a good and a poison image through the pipeline, and a dead letter for its alarm; see that all comes.

    Cleans up after itself. Exits 3 when something doesn't come.
    """
    import uuid

    from imgpipe.cli.views import selftest as view
    from imgpipe.cli.views import words
    from imgpipe.operate.selftest.run import SelfTest
    from imgpipe.operate.times import duration

    timeout_s = duration(timeout)
    test = SelfTest(_open(file, env), uuid.uuid4().hex[:8], timeout_s, alarm=alarm)
    checks: list[Check] = []

    def show(check: Check) -> None:
        checks.append(check)
        if not json:
            words.line(view.line(check))

    try:
        with render.err().status("waiting for what must come"):
            for check in test.run():
                show(check)
    finally:
        if not keep:
            with render.err().status("cleaning up"):
                show(test.clean_up())
    if json:
        render.print_json(view.document(checks))
    else:
        render.err().print(view.verdict(checks))
    _next_of_selftest(test, checks, keep=keep)


def _next_of_selftest(test: SelfTest, checks: list[Check], *, keep: bool) -> None:
    """Exit 3, with what to run next, when something didn't come."""
    if all(check.state != "missing" for check in checks):
        return
    commands = "imgpipe status, imgpipe selftest --keep, then imgpipe why on the image"
    if keep:
        commands = " or ".join(f"imgpipe why {test.key(name)}" for name in ("good", "poison"))
    render.next_step(render.safe(commands))
    raise typer.Exit(errors.PENDING)


def _open(file: Path, env: str) -> Project:
    from imgpipe.operate import up
    from imgpipe.operate.project import open_project

    project = open_project(file, env)
    up.refuse_if_down(project)
    return project
