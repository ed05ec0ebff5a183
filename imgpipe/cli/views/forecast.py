"""How a bill and a simulation look, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from imgpipe.cli import render
from imgpipe.operate.forecast.cost import Cost, Part
from imgpipe.operate.forecast.simulation import MOST_IMAGES, Outcome
from imgpipe.operate.percentiles import percentiles

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table

    from imgpipe.operate.forecast.against import Compared
    from imgpipe.operate.forecast.ceilings import Ceiling
    from imgpipe.operate.forecast.change import Change
    from imgpipe.operate.forecast.figures import Prices, Timings
    from imgpipe.operate.forecast.levers import Lever
    from imgpipe.operate.forecast.scenario import Scenario
    from imgpipe.operate.forecast.topology import Topology
    from imgpipe.operate.forecast.work import Image

BAR = 20
DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Asked:
    """What the forecast is about."""

    images: int
    image: Image
    fill: float
    prices: Prices
    timings: Timings
    elsewhere: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        return f"{render.size(self.image.bytes)} each ({self.image.megapixels:.0f} MP)"


def dollars(amount: float) -> str:
    """Return US dollars, to the cent or, below ten cents, to two digits."""
    sign = "-" if amount < 0 else ""
    size = abs(amount)
    return f"{sign}${size:,.2f}" if size >= 0.1 or not size else f"{sign}${size:.2g}"


def cost(bill: Cost, changes: Sequence[Lever], asked: Asked) -> Group:
    from rich.console import Group

    month = bill.month(asked.images)
    head = (
        f"[bold]{dollars(bill.per_million)}[/] for a million images of {asked.words}\n"
        f"[bold]{dollars(month)}[/] for a month with {asked.images:,}: "
        f"{dollars(bill.per_million * asked.images / 1e6)} for the work, "
        f"{dollars(bill.storage_month_per_million * asked.images / 1e6)} to keep them that month, "
        f"{dollars(bill.fixed_month)} whether any come or not"
    )
    return Group(head, "", _parts(bill), "", *_levers(changes), *_small_print(asked))


def change(of: Change) -> str:
    """Return a plan's effect on the bill in a line: `$109.06 -> $86.33 for a million images …`."""
    million = _from_to(of.per_million)
    return f"cost on AWS: {million} for a million images of 5 MB, {_from_to(of.fixed_month)} a month besides"


def _from_to(amounts: tuple[float, float]) -> str:
    before, after = (dollars(amount) for amount in amounts)
    return after if before == after else f"{before} → [bold]{after}[/]"


def _parts(bill: Cost) -> Table:
    made = render.table(
        "a million images", "each asks for", "costs", "", right=("each asks for", "costs")
    )
    most = max(part.dollars for part in bill.per_image)
    for part in bill.per_image:
        bar = "█" * round(BAR * part.dollars / most) or "▏"
        made.add_row(part.name, _count(part), dollars(1e6 * part.dollars), f"[cyan]{bar}[/]")
    made.add_section()
    for title, parts, times in (
        ("a month, each million", bill.storage, 1e6),
        ("a month", bill.fixed, 1.0),
    ):
        made.add_row(f"[bold]{title}[/]")
        for part in parts:
            amount = _amount(f"{part.count * times:,.0f}", part.unit)
            made.add_row(part.name, amount, dollars(times * part.dollars))
    return made


def _count(part: Part) -> str:
    return _amount(f"{part.count:.3g}", part.unit)


def _amount(number: str, unit: str) -> str:
    return f"{number} {unit.removesuffix('s') if number == '1' else unit}"


def _levers(changes: Sequence[Lever]) -> Iterator[RenderableType]:
    if not changes:
        return
    yield "[bold]what would change a million images most[/]"
    made = render.table("adds", "with", right=("adds",))
    made.show_header = False
    for lever in changes:
        colour = "green" if lever.dollars < 0 else "yellow"
        sign = "" if lever.dollars < 0 else "+"
        made.add_row(f"  [{colour}]{sign}{dollars(lever.dollars)}[/]", render.safe(lever.change))
    yield made
    yield ""


def _small_print(asked: Asked) -> Iterator[str]:
    if asked.elsewhere:
        names = render.safe(", ".join(asked.elsewhere))
        yield f"[yellow]not counted:[/] {names}, which run on workers of your own"
    yield (
        f"[dim]List prices of {asked.prices.region}, {asked.prices.dated}, before any free allowance; timings of "
        f"{asked.timings.dated}; {asked.fill:g} message{'s' * (asked.fill != 1)} an invocation; no retries.[/]"
    )


def cost_json(bill: Cost, changes: Sequence[Lever], asked: Asked) -> dict[str, Any]:
    """Return the bill for scripts; money in US dollars."""
    return {
        "per_million": round(bill.per_million, DECIMALS),
        "month": round(bill.month(asked.images), DECIMALS),
        "images": asked.images,
        "image": {**asdict(asked.image), "megapixels": round(asked.image.megapixels, 3)},
        "fixed_month": round(bill.fixed_month, DECIMALS),
        "storage_month_per_million": round(bill.storage_month_per_million, DECIMALS),
        "parts": [_part(part) for part in (*bill.per_image, *bill.storage, *bill.fixed)],
        "changes": [asdict(lever) for lever in changes],
        "not_counted": list(asked.elsewhere),
        "prices": {"dated": str(asked.prices.dated), "region": asked.prices.region},
        "timings": {"dated": str(asked.timings.dated), "machine": asked.timings.machine},
    }


def _part(part: Part) -> dict[str, Any]:
    return {**asdict(part), "dollars": part.dollars}


@dataclass(frozen=True, slots=True)
class Simulated:
    """A simulation to be shown. `outcome` is None where there were too many images to follow."""

    outcome: Outcome | None
    scenario: Scenario
    topology: Topology
    limits: Sequence[Ceiling]
    asked: Asked

    @property
    def over(self) -> list[Ceiling]:
        from imgpipe.operate.forecast.ceilings import hit

        return hit(self.limits, self.scenario.rate)


def title(report: Simulated) -> str:
    scenario = report.scenario
    burst = f" and {scenario.burst:,} at once" if scenario.burst else ""
    return (
        f"{scenario.rate:g} uploads a second for {render.age(scenario.duration_s)}{burst}, "
        f"{report.asked.words}, seed {scenario.seed}"
    )


def simulation(report: Simulated, width: int) -> Group:
    from rich.console import Group

    parts: list[RenderableType] = [f"[bold]{title(report)}[/]", ""]
    if report.outcome is None:
        count = f"{report.scenario.images:,}"
        parts += [
            f"{count} uploads are too many to follow one by one; these are AWS's limits alone",
            f"[dim]the most is {MOST_IMAGES:,}: a shorter --for[/]",
            "",
        ]
    else:
        parts += [*_outcome(report, report.outcome), *_depths(report.outcome, width)]
    return Group(*parts, *_limits(report))


def _outcome(report: Simulated, outcome: Outcome) -> Iterator[RenderableType]:
    dead = sum(outcome.dead_letters.values())
    died = f"[red]{dead:,} dead letters[/]" if dead else "no dead letters"
    yield (
        f"{outcome.done:,} of {outcome.images:,} done after {render.age(outcome.ended_s)}, {died}; "
        f"{outcome.duplicates:,} doubled, {outcome.retries:,} tried again"
    )
    yield (
        f"{outcome.peak_concurrency:,} functions at once at most, {outcome.cold_starts:,} cold starts, "
        f"{outcome.throttled:,} had to wait for concurrency"
    )
    yield f"Lambda's time and invocations: {dollars(_compute_dollars(report, outcome))}"
    yield ""
    made = render.table("from the upload", "p50", "p95", "p99", right=("p50", "p95", "p99"))
    for words, values in (
        ("to a first picture", outcome.to_preview_s),
        ("to done", outcome.to_done_s),
    ):
        made.add_row(
            words,
            *(f"{each:.2f} s" if each is not None else "" for each in percentiles(values).values()),
        )
    yield made
    yield ""


def _compute_dollars(report: Simulated, outcome: Outcome) -> float:
    """Return what Lambda would ask for the run: its busy seconds and its invocations."""
    price = report.asked.prices
    total = price.lambda_request * sum(outcome.invocations.values())
    for worker in report.topology.workers:
        rate = (
            price.lambda_gb_s_arm64 if worker.architecture == "arm64" else price.lambda_gb_s_x86_64
        )
        total += outcome.busy_s[worker.name] * worker.memory_mb / 1024 * rate
    return total


def _depths(outcome: Outcome, width: int) -> Iterator[RenderableType]:
    from rich.text import Text

    from imgpipe.cli.views.watch import legend, marks

    if not any(max(depths, default=0) for depths in outcome.depths.values()):
        yield "[dim]no queue was ever seen with a message waiting[/]"
        yield ""
        return
    colours = dict(
        zip(outcome.depths, ("cyan", "magenta", "green", "yellow", "blue", "red"), strict=False)
    )
    drawn = marks(colours)
    yield f"messages that wait, or pause before another attempt  {legend(colours, drawn)}"
    yield Text.from_ansi(_over_time(outcome, colours, drawn, width))
    yield ""


def _over_time(outcome: Outcome, colours: dict[str, str], marks: dict[str, str], width: int) -> str:
    from imgpipe.cli.views.watch import plot

    times = outcome.sampled_s
    interval_s = (times[-1] - times[0]) / max(1, len(times) - 1)
    ends = ("0s", render.age(times[-1] / 2), render.age(times[-1]))
    series = {name: outcome.depths[name] for name in colours}
    return plot(series, colours, interval_s, min(width, 100), 14, ends, marks)


def _limits(report: Simulated) -> Iterator[RenderableType]:
    rate = report.scenario.rate
    over = report.over
    if over:
        yield f"[yellow]the first limit of AWS that {rate:g} a second hits:[/] {render.safe(over[0].limit)}"
        yield f"  [cyan]{render.safe(over[0].advice)}[/]"
        yield ""
    made = render.table(
        "limits of a new account", "images a second", "source", right=("images a second",)
    )
    for limit in report.limits[:8]:
        mark = "red" if limit.images_per_s < rate else "green"
        made.add_row(
            render.safe(limit.limit),
            f"[{mark}]{limit.images_per_s:,.0f}[/]",
            f"[dim]{limit.source}[/]",
        )
    yield made
    yield "[dim]* published quotas that were not checked against an account[/]"


def simulation_json(report: Simulated) -> dict[str, Any]:
    """Return the simulation for scripts: seconds, US dollars, images a second."""
    over = report.over
    return {
        "scenario": asdict(report.scenario),
        "outcome": _outcome_json(report, report.outcome) if report.outcome else None,
        "first_limit": asdict(over[0]) if over else None,
        "limits": [asdict(limit) for limit in report.limits],
    }


def _outcome_json(report: Simulated, outcome: Outcome) -> dict[str, Any]:
    return {
        "images": outcome.images,
        "done": outcome.done,
        "dead_letters": dict(outcome.dead_letters),
        "duplicates": outcome.duplicates,
        "retries": outcome.retries,
        "throttled": outcome.throttled,
        "cold_starts": outcome.cold_starts,
        "peak_concurrency": outcome.peak_concurrency,
        "invocations": dict(outcome.invocations),
        "to_preview_s": percentiles(outcome.to_preview_s),
        "to_done_s": percentiles(outcome.to_done_s),
        "ended_s": outcome.ended_s,
        "lambda_dollars": _compute_dollars(report, outcome),
        "sampled_s": outcome.sampled_s,
        "depths": outcome.depths,
        "concurrency": outcome.concurrency,
    }


def against(compared: Sequence[Compared], scenario: Scenario, image: Image) -> Group:
    """Return the burst as predicted and as measured."""
    from rich.console import Group

    made = render.table(
        "", "predicted", "measured", "off by", right=("predicted", "measured", "off by")
    )
    for each in compared:
        off = f"{100 * each.error:+.0f} %"
        made.add_row(each.name, f"{each.predicted:.2f}", f"{each.measured:.2f}", off)
    shared = f", on {scenario.cores} processors" if scenario.cores else ""
    head = (
        f"[bold]{scenario.images:,} uploads[/] in {scenario.duration_s:.1f} s, "
        f"{render.size(image.bytes)} each ({image.megapixels:.1f} MP){shared}, seed {scenario.seed}"
    )
    return Group(head, "", made)


def against_json(compared: Sequence[Compared], scenario: Scenario, image: Image) -> dict[str, Any]:
    return {
        "scenario": asdict(scenario),
        "image": asdict(image),
        "figures": [{**asdict(each), "error": each.error} for each in compared],
    }
