"""`load`: a burst of real images through the pipeline, and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgpipe import errors
from imgpipe.cli import asking, options, render

if TYPE_CHECKING:
    from imgpipe.operate.load.burst import Burst, Plan
    from imgpipe.operate.load.report import Report
    from imgpipe.operate.project import Project

PANEL = "Foresee"
MOST_COMPARED = 50


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=PANEL)(load)


def load(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATH]...",
            help="Pictures to send again and again; made ones if none.",
            exists=True,
        ),
    ] = None,
    images: Annotated[
        int, typer.Option("--images", "-n", min=1, max=1_000_000, help="How many uploads.")
    ] = 100,
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate", "-r", min=0.01, help="Uploads a second; as fast as it goes if not given."
        ),
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Uploads at once.")] = 16,
    megapixels: Annotated[
        float, typer.Option(min=0.01, max=100, help="The size of a made picture.")
    ] = 2.0,
    timeout: Annotated[str, typer.Option(help="How long to wait for each image.")] = "10m",
    budget: Annotated[
        float, typer.Option(min=0, help="On AWS: the most that the burst may cost, in US dollars.")
    ] = 1.0,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare",
            help="In place of the burst: two tiers joined by a call and by a queue, calm, slow and down.",
        ),
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the uploads and what was made of them.")
    ] = False,
    save: Annotated[
        Path | None, typer.Option(help="Write the figures here (JSON).", dir_okay=False)
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write a picture of them here (PNG).", dir_okay=False)
    ] = None,
    yes: options.Yes = False,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Send a burst of images through the pipeline and measure: times, throughput, queue depths, losses.

    They go under a folder of their own and are taken away afterwards. Exits 1 if anything was lost or doubled.
    """
    from imgpipe.operate.load import addressees, pictures
    from imgpipe.operate.load.burst import Burst, Plan
    from imgpipe.operate.project import open_project
    from imgpipe.operate.times import duration
    from imgpipe.operate.upload.run import refuse_if_unheard

    project = open_project(file, env)
    sent = pictures.read(paths) if paths else [(".jpg", pictures.made(megapixels))]
    plan = Plan(
        pictures=sent,
        images=images,
        rate=rate,
        concurrency=concurrency,
        timeout_s=duration(timeout),
    )
    refuse_if_unheard(project)
    _approve(project, plan, budget, "" if compare else addressees.told(project.spec), yes=yes)
    if compare:
        _compare(project, plan, save, plot, json=json)
        return
    burst = Burst(project, plan)
    try:
        report = _run(burst, quiet=json)
        _tell(report, save, plot, json=json)
    finally:
        if not keep:
            _clean(burst)
    if not report.nothing_lost or report.not_sent:
        raise typer.Exit(errors.FAILED)


def _compare(
    project: Project, plan: Plan, save: Path | None, plot: Path | None, *, json: bool
) -> None:
    """Measure what decoupling buys; the pipeline itself is left alone."""
    from imgpipe.cli.views import load as view
    from imgpipe.operate.load import compare

    how = compare.Plan(
        picture=plan.pictures[0][1], images=min(plan.images, MOST_COMPARED), rate=plan.rate or 4.0
    )
    phases = []
    for phase in compare.run(project, how):
        phases.append(phase)
        render.err().print(f"measured: {phase.mode}, {phase.weather}")
    told = {"kind": "compare", "phases": [phase.as_json() for phase in phases]}
    if save:
        _write(told, save)
    if plot:
        compare.plot(phases, plot)
        render.err().print(f"wrote {render.safe(plot)}", soft_wrap=True)
    if json:
        render.print_json(told)
    else:
        render.out().print(view.comparison(phases))


def _write(told: object, path: Path) -> None:
    import json as encoder

    path.write_text(encoder.dumps(told, indent=2) + "\n", encoding="utf-8")
    render.err().print(f"wrote {render.safe(path)}", soft_wrap=True)


def _approve(project: Project, plan: Plan, budget: float, people: str, *, yes: bool) -> None:
    """Say who will hear of the burst. On AWS also what it will cost, never more than the budget; then ask."""
    local = project.graph.environment == options.LOCAL
    if people:
        where = "; imgpipe local mail shows them" if local else ""
        render.err().print(f"{render.safe(people)}{where}", soft_wrap=True)
    if local:
        return
    from imgpipe.cli.views.forecast import dollars
    from imgpipe.operate.forecast import cost, figures, topology, work

    mean = sum(len(data) for _, data in plan.pictures) / len(plan.pictures)
    found = topology.of(project.graph.resources.values())
    bill = cost.of(found, work.photograph(round(mean), figures.timings()))
    expected = bill.per_million * plan.images / 1e6
    words = f"{plan.images:,} images would cost about {dollars(expected)}"
    if expected > budget:
        raise errors.UsageError(
            "the budget",
            f"{words}, and it is {dollars(budget)}",
            hint=f"--budget {expected * 1.2:.2f}, or fewer --images",
        )
    if yes:
        return
    heard = f". {people[0].upper()}{people[1:]}" if people else ""
    asking.confirm("the burst", f"{words} in {project.graph.environment}{heard}. Send them?")


def _run(burst: Burst, *, quiet: bool) -> Report:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from imgpipe.operate.load import report
    from imgpipe.operate.upload.send import Sent

    columns = (
        TextColumn("{task.description:9}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=render.err(), transient=True, disable=quiet) as bars:
        sent = bars.add_task("uploaded", total=burst.plan.images)
        ended = bars.add_task("ended", total=burst.plan.images)
        for event in burst.events():
            bars.advance(sent if isinstance(event, Sent) else ended)
    return report.of(burst)


def _tell(report: Report, save: Path | None, plot: Path | None, *, json: bool) -> None:
    from imgpipe.cli.views import load as view

    if save:
        _write(report.as_json(), save)
    if plot:
        from imgpipe.operate.load import report as figures

        figures.plot(report, plot)
        render.err().print(f"wrote {render.safe(plot)}", soft_wrap=True)
    if json:
        render.print_json(report.as_json())
    else:
        render.out().print(view.page(report, render.out().width))


def _clean(burst: Burst) -> None:
    from imgpipe.operate.load import clean

    gone = sum(clean.clean(burst.project, burst.prefix))
    render.err().print(f"taken away: {gone:,} uploads; their variants and rows follow")
