"""`cost` and `simulate`: what the pipeline will cost and how it will behave. Neither calls a cloud."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgpipe.cli import options, render
from imgpipe.errors import UsageError

if TYPE_CHECKING:
    from imgpipe.operate.forecast.figures import Prices, Timings
    from imgpipe.operate.forecast.scenario import Outage, Scenario
    from imgpipe.operate.forecast.topology import Topology
    from imgpipe.operate.forecast.work import Image

PANEL = "Foresee"

Megabytes = Annotated[
    float, typer.Option("--size", min=0.001, max=5_000, help="An upload's size in MB (a JPEG's).")
]
PriceFile = Annotated[
    Path | None,
    typer.Option(
        "--prices", help="Prices in place of those that come with imgpipe.", dir_okay=False
    ),
]
TimingFile = Annotated[
    Path | None,
    typer.Option(
        "--timings", help="Timings in place of those that come with imgpipe.", dir_okay=False
    ),
]


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=PANEL)(cost)
    app.command(rich_help_panel=PANEL)(simulate)


def cost(
    images: Annotated[
        int, typer.Option("--images", "-n", min=0, help="Uploads a month.")
    ] = 1_000_000,
    size: Megabytes = 5.0,
    fill: Annotated[
        float,
        typer.Option(
            min=1, max=10_000, help="Messages an invocation takes on average: more in bulk."
        ),
    ] = 1.0,
    price_file: PriceFile = None,
    timing_file: TimingFile = None,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Show what the pipeline costs on AWS, part by part, and what would change it most. Calls no cloud."""
    from imgpipe.cli.views import forecast as view
    from imgpipe.operate.forecast import cost as verb
    from imgpipe.operate.forecast import levers

    topology, image, price, timing = _figures(file, env, size, price_file, timing_file)
    bill = verb.of(topology, image, fill=fill, prices=price, timings=timing)
    changes = levers.of(topology, image, fill=fill, prices=price, timings=timing)
    asked = view.Asked(
        images=images,
        image=image,
        fill=fill,
        prices=price,
        timings=timing,
        elsewhere=topology.elsewhere,
    )
    if json:
        render.print_json(view.cost_json(bill, changes, asked))
    else:
        render.out().print(view.cost(bill, changes, asked))


def simulate(
    rate: Annotated[
        float, typer.Option("--rate", "-r", min=0, max=100_000, help="Uploads a second.")
    ] = 10.0,
    duration: Annotated[str, typer.Option("--for", help="How long uploads come.")] = "60s",
    burst: Annotated[int, typer.Option(min=0, help="Uploads that come at once, halfway.")] = 0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same outcome.")] = 1,
    failures: Annotated[
        float, typer.Option(min=0, max=1, help="The share of attempts that fail.")
    ] = 0.0,
    duplicates: Annotated[
        float, typer.Option(min=0, max=1, help="The share of messages that come twice.")
    ] = 0.001,
    outage: Annotated[
        str | None,
        typer.Option(
            metavar="FUNCTION@START+LENGTH", help="One that fails for a while: writer@10s+30s."
        ),
    ] = None,
    concurrency: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="What Lambda runs at once in the account.")
    ] = 1000,
    cores: Annotated[
        int | None,
        typer.Option(
            min=1, max=1024, help="All work shares so many processors, as it does on one machine."
        ),
    ] = None,
    size: Megabytes = 5.0,
    price_file: PriceFile = None,
    timing_file: TimingFile = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Write a picture (PNG) here.", dir_okay=False)
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            help="Predict a burst that imgpipe load has measured and saved.", dir_okay=False
        ),
    ] = None,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Play uploads through the pipeline under a virtual clock: depths, times, concurrency, cost. Calls no cloud."""
    from imgpipe.cli.views import forecast as view
    from imgpipe.operate.forecast import ceilings
    from imgpipe.operate.forecast.scenario import Scenario
    from imgpipe.operate.times import duration as seconds

    topology, image, price, timing = _figures(file, env, size, price_file, timing_file)
    if against:
        _against(topology, timing, against, cores=cores, seed=seed, json=json)
        return
    scenario = Scenario(
        rate=rate,
        duration_s=seconds(duration),
        burst=burst,
        seed=seed,
        duplicates=duplicates,
        failures=failures,
        outage=_outage(outage, topology) if outage else None,
        concurrency=concurrency,
        cores=cores,
    )
    limits = ceilings.of(topology, image, timing)
    played = _play(topology, image, timing, scenario)
    asked = view.Asked(
        images=scenario.images,
        image=image,
        fill=1.0,
        prices=price,
        timings=timing,
        elsewhere=topology.elsewhere,
    )
    report = view.Simulated(played, scenario, topology, limits, asked)
    if plot and played:
        from imgpipe.operate.forecast import plot as picture

        picture.save(played, view.title(report), plot)
        render.err().print(f"wrote {render.safe(plot)}", soft_wrap=True)
    if json:
        render.print_json(view.simulation_json(report))
    else:
        render.out().print(view.simulation(report, render.out().width))


def _against(
    topology: Topology, timing: Timings, saved: Path, *, cores: int | None, seed: int, json: bool
) -> None:
    from imgpipe.cli.views import forecast as view
    from imgpipe.operate.forecast import against as verb

    told = verb.read(saved)
    image, scenario, outcome = verb.play(topology, told, timing, cores=cores, seed=seed)
    compared = list(verb.compare(told, outcome))
    if json:
        render.print_json(view.against_json(compared, scenario, image))
    else:
        render.out().print(view.against(compared, scenario, image))


def _play(topology: Topology, image: Image, timing: Timings, scenario: Scenario) -> Any:
    """Return the outcome; None where there are too many images to follow, and only the limits are told."""
    from imgpipe.operate.forecast import simulation

    if scenario.images == 0:
        raise UsageError(
            "the simulation", "no uploads come", hint="imgpipe simulate --rate 10 --for 60s"
        )
    if scenario.images > simulation.MOST_IMAGES:
        return None
    return simulation.run(topology, image, timing, scenario)


def _outage(text: str, topology: Topology) -> Outage:
    import re

    from imgpipe.operate.forecast.scenario import Outage
    from imgpipe.operate.times import duration

    found = re.fullmatch(r"([a-z0-9-]+)@([^+]+)\+(.+)", text)
    names = [worker.name for worker in topology.workers]
    if not found:
        raise UsageError(
            f"outage {text!r}", "write it as FUNCTION@START+LENGTH", hint="writer@10s+30s"
        )
    if found[1] not in names:
        raise UsageError(f"outage {text!r}", f"the functions are {', '.join(names)}")
    return Outage(found[1], duration(found[2]), duration(found[3]))


def _figures(
    file: Path, env: str, size: float, price_file: Path | None, timing_file: Path | None
) -> tuple[Topology, Image, Prices, Timings]:
    from imgpipe.operate.forecast import figures, topology, work
    from imgpipe.operate.project import offline

    price, timing = figures.prices(price_file), figures.timings(timing_file)
    graph = offline(file, env)
    found = topology.of(graph.resources.values())
    return found, work.photograph(round(size * 1e6), timing), price, timing
