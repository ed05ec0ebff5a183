"""Which engines do which job on which files, and what is asked of the outcome."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.benchmarks.core import subjects
from tests.benchmarks.core.job import Job

THREE_JPEG = Job()
FROM = "from "
PEERS = ("sharp", "sharp_best", "pyvips", "opencv", "pillow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One job; the first engine is the one whose time the others' are divided by."""

    name: str
    shown: str
    engines: Sequence[str]
    paths: Sequence[Path]
    job: Job = THREE_JPEG
    rounds: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A ratio that is wanted: `least` (a peer's time over ours) or `most` (ours over the floor's).

    `cpu`: whether processor time tells anything; not of work in a child, which isn't counted.
    `from_mp`: over the row's pictures of so many megapixels and more.
    """

    name: str
    row: str
    slower: str
    quicker: str
    least: float | None = None
    most: float | None = None
    shown: str = ""
    cpu: bool = True
    from_mp: float = 0

    def met(self, found: float) -> bool:
        return (self.least is None or found >= self.least) and (
            self.most is None or found <= self.most
        )


MARKS = (
    Mark(name="jpeg3_vs_sharp", row="jpeg3", slower="sharp", quicker="ours", least=2.4),
    Mark(name="jpeg3_vs_sharp_best", row="jpeg3", slower="sharp_best", quicker="ours", least=1.5),
    Mark(name="jpeg3_vs_naive_pillow", row="jpeg3", slower="pillow", quicker="ours", least=4.3),
    Mark(name="jpeg3_vs_floor", row="jpeg3", slower="ours", quicker="floor", most=1.5),
    Mark(name="thumb_vs_sharp", row="thumb", slower="sharp", quicker="ours", least=1.2),
    Mark(name="thumb_vs_naive_pillow", row="thumb", slower="pillow", quicker="ours", least=5.5),
    Mark(
        name="thumb_of_12mp_vs_naive_pillow",
        row="thumb",
        slower="pillow",
        quicker="ours",
        least=5.5,
        from_mp=12,
    ),
    Mark(name="thumb_vs_pillow_draft", row="thumb", slower="pillow_draft", quicker="ours"),
    Mark(name="png3_vs_sharp", row="png3", slower="sharp", quicker="ours", least=1.8),
    Mark(name="png3_plain_vs_sharp_best", row="png3", slower="sharp_best", quicker="ours"),
    Mark(
        name="png3_vs_sharp_best",
        row="png3_vips",
        slower="sharp_best",
        quicker="ours_vips",
        least=0.95,
        shown="the same with libvips: sharp's best form",
    ),
    Mark(name="webp3_vs_sharp", row="webp3_method4", slower="sharp", quicker="ours", least=1.45),
    Mark(
        name="webp3_method2_vs_sharp",
        row="webp3_method2",
        slower="sharp",
        quicker="ours",
        least=1.8,
    ),
    Mark(name="guard_vs_plain", row="guard", slower="guarded", quicker="ours", cpu=False),
    Mark(name="whole_job_vs_three", row="whole_job", slower="ours_all", quicker="ours", most=1.3),
)

COLD = Mark(
    name="cold_vs_pillow",
    shown="cold start over plain Pillow's, as shipped",
    row="cold",
    slower="imgpipe",
    quicker="pillow",
    most=0.5,
)
"""In processor time, over an imported SDK: our whole handler, with the `.pyc` that its zip has, and
`from PIL import Image` of a `pip install`, which in a zip has none that fit.
"""


def marks(measured: Iterable[Row]) -> list[Mark]:
    """Return what is wanted of these rows: of every other format, no more time than naive Pillow's."""
    names = {row.name: row for row in measured}
    formats = [name for name in names if name.startswith(FROM)]
    return [mark for mark in MARKS if mark.row in names] + [
        Mark(
            name=f"{name.removeprefix(FROM).lower().replace(', ', '_').replace(' ', '_')}_vs_naive_pillow",
            row=name,
            slower="pillow",
            quicker="ours",
            least=1.0,
            shown=f"{names[name].shown}: naive Pillow",
        )
        for name in formats
    ]


def rows(*, quick: bool) -> list[Row]:
    jpegs, pngs = subjects.jpegs(quick=quick), subjects.pngs(quick=quick)
    rounds = 2 if quick else 5
    webp = Job(format="webp")
    made = [
        Row(
            name="jpeg3",
            shown="three JPEG",
            engines=("ours", *PEERS, "floor", "ours_pillow"),
            paths=jpegs,
        ),
        Row(
            name="thumb",
            shown="one JPEG of 200 px",
            engines=("ours", "sharp", "pyvips", "opencv", "pillow", "pillow_draft"),
            paths=jpegs,
            job=Job(sizes=(200,)),
        ),
        Row(name="png3", shown="three JPEG of a PNG", engines=("ours", *PEERS), paths=pngs),
        Row(
            name="png3_vips",
            shown="the same, with libvips",
            engines=("ours_vips", "sharp", "sharp_best", "pyvips"),
            paths=pngs,
        ),
        Row(
            name="webp3_method4",
            shown="three WebP, effort 4",
            engines=("ours", "sharp", "sharp_best", "pyvips", "pillow"),
            paths=jpegs[::2],
            job=webp,
        ),
        Row(
            name="webp3_method2",
            shown="three WebP, effort 2",
            engines=("ours", "sharp", "sharp_best", "pyvips", "pillow"),
            paths=jpegs[::2],
            job=replace(webp, method=2),
        ),
        Row(
            name="guard",
            shown="in the guarded child",
            engines=("ours", "guarded"),
            paths=jpegs,
        ),
        Row(
            name="whole_job",
            shown="whole job",
            engines=("ours", "ours_all"),
            paths=jpegs,
        ),
    ]
    made += [
        Row(
            name=f"{FROM}{shown}",
            shown=f"of {shown}",
            engines=("ours", "sharp", "sharp_best", "pyvips", "pillow"),
            paths=paths,
        )
        for shown, paths in subjects.other_formats(quick=quick).items()
        if paths
    ]
    return [
        replace(
            row, rounds=rounds if row.name in ("jpeg3", "whole_job", "guard") else min(rounds, 3)
        )
        for row in made
    ]
