"""A simulation as a picture: how deep the queues were and how many functions ran, over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from imgpipe.operate.forecast.simulation import Outcome


def save(outcome: Outcome, title: str, path: Path) -> None:
    """Write a PNG of 1200 x 800 pixels to `path`. Raises OSError when it can't be written."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5.33), dpi=150, layout="constrained")
    depth, running, latency = figure.subplot_mosaic(
        [["depth", "depth"], ["running", "latency"]], height_ratios=[1.4, 1]
    ).values()
    figure.suptitle(title, fontsize=11)
    for name, depths in outcome.depths.items():
        depth.plot(outcome.sampled_s, depths, label=name, linewidth=1.5)
    depth.set(title="messages that wait", xlabel="seconds")
    depth.legend(frameon=False)
    running.fill_between(outcome.sampled_s, outcome.concurrency, alpha=0.6)
    running.set(title="functions at once", xlabel="seconds")
    for name, values in (("to a picture", outcome.to_preview_s), ("to done", outcome.to_done_s)):
        ranked = sorted(values)
        shares = [100 * (place + 1) / len(ranked) for place in range(len(ranked))]
        latency.plot(ranked, shares, label=name, linewidth=1.5)
    latency.set(title="images, %, within seconds", xlabel="seconds", ylim=(0, 101))
    if outcome.to_done_s:
        latency.set_xscale("log")
        latency.legend(frameon=False)
    for axes in (depth, running, latency):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        axes.title.set_fontsize(9)
    figure.savefig(path, format="png", metadata={"Software": "imgpipe"})
