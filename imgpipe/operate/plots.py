"""What the pictures of bursts and forecasts have in common: a calm look, curves of shares, a PNG."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def figure(title: str, height: float = 5.33) -> Figure:
    """Return an empty figure, 1,200 pixels wide; `height` is in inches of 150 pixels."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(8, height), dpi=150, layout="constrained")
    made.suptitle(title, fontsize=11)
    return made


def shares(axes: Axes, values: Sequence[float], label: str) -> None:
    """Draw how many percent of `values` are at most so large; nothing where there are none."""
    ranked = sorted(values)
    if ranked:
        percent = [100 * (place + 1) / len(ranked) for place in range(len(ranked))]
        axes.plot(ranked, percent, label=label, linewidth=1.5)
    axes.set_ylim(0, 101)


def save(figure: Figure, panels: Iterable[Axes], path: Path, *, grid: bool = True) -> None:
    """Give every panel the same look and write the PNG. Raises OSError when it can't be written."""
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.title.set_fontsize(9)
        if grid:
            axes.grid(alpha=0.25)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, format="png", metadata={"Software": "imgpipe"})
