"""A simulation as a picture: how deep the queues were and how many functions ran, over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgpipe.operate import plots

if TYPE_CHECKING:
    from pathlib import Path

    from imgpipe.operate.forecast.simulation import Outcome


def save(outcome: Outcome, title: str, path: Path) -> None:
    """Write a PNG of 1200 x 800 pixels to `path`. Raises OSError when it can't be written."""
    figure = plots.figure(title)
    depth, running, latency = figure.subplot_mosaic(
        [["depth", "depth"], ["running", "latency"]], height_ratios=[1.4, 1]
    ).values()
    for name, depths in outcome.depths.items():
        depth.plot(outcome.sampled_s, depths, label=name, linewidth=1.5)
    depth.set(title="messages that wait", xlabel="seconds")
    running.fill_between(outcome.sampled_s, outcome.concurrency, alpha=0.6)
    running.set(title="functions at once", xlabel="seconds")
    plots.shares(latency, outcome.to_preview_s, "to a picture")
    plots.shares(latency, outcome.to_done_s, "to done")
    latency.set(title="images, %, within seconds", xlabel="seconds")
    if outcome.to_done_s:
        latency.set_xscale("log")
    plots.save(figure, (depth, running, latency), path)
