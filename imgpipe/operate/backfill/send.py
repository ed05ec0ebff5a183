"""Freeze a run, then send it batch by batch: charged, sent, and noted with the next.

Killed anywhere, it goes on: what may have been sent of one batch is looked up in the table, and only what isn't done
is sent again. That repeats the work of at most one batch, which leaves the same outputs and rows, and is charged
again, so that the budget in dollars holds whatever happens; what it then no longer allows is left, and said.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from imgpipe.cloud import error_code, explain
from imgpipe.errors import PendingError, UsageError
from imgpipe.operate import rows
from imgpipe.operate.backfill import emit, manifest
from imgpipe.operate.backfill.choose import Asked, Choice, begin, walk_along
from imgpipe.operate.backfill.price import Prices
from imgpipe.operate.backfill.work import ENDED, Steps, stale_steps
from imgpipe.operate.times import iso
from imgpipe.runtime.settings import SETTINGS_VARIABLE, Settings

if TYPE_CHECKING:
    from imgpipe.deploy.graph import Branch
    from imgpipe.operate.backfill.manifest import Run
    from imgpipe.operate.backfill.work import Item
    from imgpipe.operate.project import Project

BATCH = 100
"""Images between two notes: what a kill may make the pipeline do twice."""


@dataclass(slots=True)
class Pace:
    """So many images a second, on average from its beginning; 0 is as fast as it goes."""

    rate: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _began: float | None = field(default=None, init=False)
    _sent: int = field(default=0, init=False)

    @property
    def batch(self) -> int:
        """At most a second's worth at a time."""
        return min(BATCH, max(1, math.floor(self.rate))) if self.rate else BATCH

    def wait(self, images: int) -> None:
        """Wait until so many more images may be sent."""
        now = self.clock()
        self._began = now if self._began is None else self._began
        if self.rate and (early := self._began + self._sent / self.rate - now) > 0:
            self.sleep(early)
        self._sent += images


def prices_for(project: Project, asked: Asked) -> Prices:
    return Prices(project.graph, told=asked.task.command == "backfill")


def count(project: Project, asked: Asked) -> Choice:
    """Return what a run would find, and what its budget would allow. Only reads."""
    choice = begin(project, asked)
    for _ in _explained(project, asked, choice, whole=True):
        pass
    return choice


def freeze(project: Project, asked: Asked, rate: float) -> tuple[Choice, Run]:
    """Write the work down as a run's manifest. Killed before it ends, it has made nothing that counts as a run."""
    choice, now = begin(project, asked), datetime.now(UTC)
    run_id = manifest.new_id(now)
    manifest.write_parts(project, run_id, _explained(project, asked, choice, whole=False))
    steps = Steps.of(project.graph)
    chosen = sorted(choice.within.steps)
    run = manifest.Run(
        id=run_id,
        task=asked.task,
        prefix=choice.prefix,
        started=iso(now),
        images=choice.within.images,
        nanodollars=choice.within.nanodollars,
        hashes={step: steps.hashes[step] for step in chosen},
        code={step: steps.code[step] for step in chosen},
        rate=rate,
        budget=asked.budget,
    )
    return choice, manifest.save(project, run) if run.images else run


def _explained(project: Project, asked: Asked, choice: Choice, *, whole: bool) -> Iterator[Item]:
    from botocore.exceptions import ClientError

    prices = prices_for(project, asked)
    try:
        yield from walk_along(project, asked, choice, prices, whole=whole)
    except ClientError as error:
        raise explain(error, f"bucket {project.graph.uploads_bucket}") from error


def send(project: Project, run: Run, pace: Pace) -> Iterator[Run]:
    """Send what is left of the run; yield it after each batch, and when it has ended.

    Raises CloudError, after which it can be resumed, and PendingError when what is up isn't what it was frozen for.
    """
    steps = Steps.of(project.graph)
    refuse_other_settings(project, steps, run)
    left = manifest.items(project, run, run.sent)
    uncertain = run.sending
    while batch := list(islice(left, uncertain or pace.batch)):
        todo = _undone(project, steps, run, batch) if uncertain else batch
        whole, uncertain = len(batch), 0
        batch, todo = _affordable(run, batch, todo)
        if not batch:
            break
        pace.wait(len(todo))
        charged = run.charged + sum(item.nanodollars for item in todo)
        run = manifest.save(project, replace(run, sending=len(batch), charged=charged))
        emit.send(project, steps, todo)
        passed_over = run.passed_over + len(batch) - len(todo)
        run = replace(run, sent=run.sent + len(batch), sending=0, passed_over=passed_over)
        yield run
        if len(batch) < whole:
            break
    yield manifest.save(project, manifest.stamped(run))


def _affordable(run: Run, batch: list[Item], todo: list[Item]) -> tuple[list[Item], list[Item]]:
    """Return as much of a batch, and of what is to be sent of it, as the budget has room for."""
    if run.budget is None:
        return batch, todo
    wanted = {item.key for item in todo}
    room, kept = run.budget - run.charged, 0
    for item in batch:
        room -= item.nanodollars if item.key in wanted else 0
        if room < 0:
            break
        kept += 1
    some = {item.key for item in batch[:kept]}
    return batch[:kept], [item for item in todo if item.key in some]


def _undone(project: Project, steps: Steps, run: Run, batch: list[Item]) -> list[Item]:
    """Return those items of an interrupted batch, with those of their steps, whose rows don't show that they were
    heard. What isn't stale, and was asked for all the same, can't be told from its row: it is sent again.
    """
    if run.task.command == "reprocess" and not run.task.stale:
        return batch
    known = rows.by_keys(project, [item.key for item in batch if item.key], consistent=True)
    left = [(item, _unheard(run, steps, item, known.get(item.key))) for item in batch]
    return [
        replace(item, steps={step: item.steps[step] for step in some})
        for item, some in left
        if some
    ]


def _unheard(run: Run, steps: Steps, item: Item, row: rows.Row | None) -> list[str]:
    """Return the steps of an item that its row says nothing of."""
    if run.task.command == "backfill":
        heard = row["steps"] if row else {}
        return [step for step in item.steps if step not in heard]
    if row is None or row["status"] not in ENDED:
        return []
    late = stale_steps(steps, row, item.key)
    return [step for step in item.steps if step in late]


def refuse_other_settings(project: Project, steps: Steps, run: Run) -> None:
    """Raise PendingError unless pipeline.yaml and what is up both have the settings that the run was frozen for."""
    for step, wanted in run.hashes.items():
        if steps.hashes.get(step) != wanted:
            raise PendingError(
                f"run {run.id}",
                f"step {step} has other settings in pipeline.yaml by now",
                hint=f"begin again: imgpipe {run.task.command} --dry-run",
            )
    refuse_not_up(project, steps, frozenset(run.hashes))


def refuse_not_up(project: Project, steps: Steps, wanted: frozenset[str]) -> None:
    """Raise PendingError when a function would work with other settings than pipeline.yaml's."""
    ask = partial(_live_hashes, project)
    for branch in steps.branches:
        mine = wanted & set(branch.steps)
        if not mine or branch.function is None:
            continue
        live = ask(branch)
        if late := sorted(step for step in mine if live.get(step) != steps.hashes[step]):
            raise PendingError(
                f"step {late[0]}",
                "what is up has other settings than pipeline.yaml",
                hint="imgpipe up, then run again",
            )


def _live_hashes(project: Project, branch: Branch) -> dict[str, str]:
    functions = project.cloud.client("lambda")
    try:
        live = functions.get_function_configuration(FunctionName=str(branch.function))
    except functions.exceptions.ClientError as error:
        if error_code(error) == "ResourceNotFoundException":
            return {}
        raise explain(error, f"function {branch.function}") from error
    told = live.get("Environment", {}).get("Variables", {}).get(SETTINGS_VARIABLE)
    settings = Settings.loads(told) if told else None
    chosen = settings.steps if settings else {}
    return {step: str(each.get("hash", "")) for step, each in chosen.items()}


def resumed(project: Project, run_id: str) -> Run:
    """Return a run that goes on. Raises MissingError, and UsageError when it has ended."""
    run = manifest.load(project, run_id)
    if run.ended:
        raise UsageError(
            f"run {run_id}", f"it ended at {run.ended}", hint="imgpipe backfill --runs"
        )
    return run
