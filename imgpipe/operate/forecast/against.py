"""A simulation against what really happened: the same burst, predicted and measured, and how far off it was."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imgpipe.cloud import LOCAL
from imgpipe.errors import UsageError
from imgpipe.operate.forecast import figures, simulation, work
from imgpipe.operate.forecast.scenario import Scenario
from imgpipe.operate.percentiles import percentiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from imgpipe.operate.forecast.figures import Timings
    from imgpipe.operate.forecast.topology import Topology
    from imgpipe.operate.forecast.work import Image

WAYS = {"upload_to_preview": "to a first picture, s", "upload_to_done": "to done, s"}


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure; `error` is how far the prediction is off, as a share of what was measured."""

    name: str
    predicted: float
    measured: float

    @property
    def error(self) -> float:
        return (self.predicted - self.measured) / self.measured if self.measured else 0.0


def read(file: Path) -> dict[str, Any]:
    """Return what `imgpipe load --save` wrote. Raises UsageError for anything else."""
    hint = "imgpipe load --save run.json"
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(str(file), error.strerror or str(error), hint=hint) from error
    except ValueError as error:
        raise UsageError(str(file), f"it is no JSON ({error})", hint=hint) from error
    if not isinstance(told, dict) or told.get("kind") != "load" or not told.get("images"):
        raise UsageError(str(file), "it isn't the figures of a burst", hint=hint)
    return told


def image_of(told: Mapping[str, Any], timing: Timings) -> Image:
    """Return the burst's mean image."""
    mean = round(1e6 * float(told["megabytes"]) / int(told["images"]))
    guessed = work.photograph(mean, timing)
    if not told.get("megapixels"):
        return guessed
    scale = (float(told["megapixels"]) / guessed.megapixels) ** 0.5
    return work.Image(
        bytes=mean, width=round(guessed.width * scale), height=round(guessed.height * scale)
    )


def scenario_of(told: Mapping[str, Any], cores: int | None, seed: int) -> Scenario:
    """Return the burst as a scenario: as many uploads, evenly over the time that they really took."""
    seconds = max(0.1, float(told["uploading_s"]))
    here = told["environment"] == LOCAL
    return Scenario(
        rate=int(told["images"]) / seconds,
        duration_s=seconds,
        seed=seed,
        duplicates=0,
        cores=(cores or os.cpu_count() or 1) if here else None,
    )


def timings_of(told: Mapping[str, Any], timing: Timings) -> Timings:
    return figures.embedded(timing) if told["environment"] == LOCAL else timing


def compare(told: Mapping[str, Any], outcome: simulation.Outcome) -> Iterator[Compared]:
    """Yield each figure that both have."""
    rate = outcome.done / outcome.ended_s if outcome.ended_s else 0.0
    yield Compared("images a second", rate, float(told["images_per_s"]))
    predicted = {"upload_to_preview": outcome.to_preview_s, "upload_to_done": outcome.to_done_s}
    for way, words in WAYS.items():
        for name, value in percentiles(predicted[way]).items():
            measured = told["seconds_p"][way][name]
            if value is not None and measured is not None:
                yield Compared(f"{words}, {name}", value, float(measured))


def play(
    topology: Topology, told: Mapping[str, Any], timing: Timings, *, cores: int | None, seed: int
) -> tuple[Image, Scenario, simulation.Outcome]:
    """Return the burst as it was simulated."""
    used = timings_of(told, timing)
    image, scenario = image_of(told, used), scenario_of(told, cores, seed)
    return image, scenario, simulation.run(topology, image, used, scenario)
