"""What came of a burst: how long things took, what was lost or doubled, how deep the queues got.

Times run from the moment S3 confirmed the upload, by this machine's clock, to what the functions wrote down, by theirs:
to the first picture (`preview`), to the row that is done (`done`), and to the notice to people (`notice`).
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imgpipe.operate import claims, listing, parallel, plots, rows
from imgpipe.operate.load import pictures
from imgpipe.operate.percentiles import percentiles
from imgpipe.operate.times import from_iso, iso

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from imgpipe.operate.load.burst import Burst, Upload
    from imgpipe.operate.project import Project
    from imgpipe.operate.watch import Sample

Row = dict[str, Any]
NOTICE_S = 30.0
"""How long a notice may take after its window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A burst in figures. Seconds; `lost` are uploads that S3 confirmed and that have no end."""

    images: int
    megabytes: float
    seconds: float
    ended: Mapping[str, int]
    not_sent: int
    lost: tuple[str, ...]
    extra_outputs: int
    retried: int
    upload_s: tuple[float, ...]
    preview_s: tuple[float, ...]
    done_s: tuple[float, ...]
    notice_s: tuple[float, ...]
    samples: tuple[Sample, ...]
    started_at: datetime
    setup: Mapping[str, Any]

    @property
    def images_per_s(self) -> float:
        return sum(self.ended.values()) / self.seconds if self.seconds else 0.0

    @property
    def nothing_lost(self) -> bool:
        return not self.lost and not self.extra_outputs

    def times(self) -> dict[str, Mapping[str, float | None]]:
        """Return p50, p95 and p99 of each way."""
        ways = {
            "upload": self.upload_s,
            "upload_to_preview": self.preview_s,
            "upload_to_done": self.done_s,
            "upload_to_notice": self.notice_s,
        }
        return {name: percentiles(values) for name, values in ways.items()}

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": "load",
            "started_at": iso(self.started_at),
            **self.setup,
            "images": self.images,
            "megabytes": round(self.megabytes, 3),
            "seconds": round(self.seconds, 3),
            "images_per_s": round(self.images_per_s, 3),
            "ended": dict(self.ended),
            "not_sent": self.not_sent,
            "lost": list(self.lost),
            "extra_outputs": self.extra_outputs,
            "retried": self.retried,
            "seconds_p": {name: dict(each) for name, each in self.times().items()},
            "samples": [sample.as_json() for sample in self.samples],
        }


def of(burst: Burst) -> Report:
    """Read the rows, outputs and notices of `burst` and return its figures."""
    found = rows.by_keys(burst.project, list(burst.uploads), consistent=True)
    sent = _notices_in_time(burst.project, found)
    ended = Counter(end.status for end in burst.ended.values())
    return Report(
        images=burst.plan.images,
        megabytes=sum(upload.sent.size for upload in burst.uploads.values()) / 1e6,
        seconds=burst.seconds,
        ended={name: count for name, count in ended.items() if name != "pending"},
        not_sent=len(burst.not_sent),
        lost=tuple(sorted(_lost(burst, found))),
        extra_outputs=_extra_outputs(burst, found),
        retried=sum(
            step["attempts"] > 1 for row in found.values() for step in row["steps"].values()
        ),
        upload_s=tuple(upload.upload_s for upload in burst.uploads.values()),
        preview_s=tuple(
            _since(burst.uploads, {key: _first_picture(row) for key, row in found.items()})
        ),
        done_s=tuple(
            _since(
                burst.uploads,
                {k: r["updated_at"] for k, r in found.items() if r["status"] == "done"},
            )
        ),
        notice_s=tuple(_since(burst.uploads, sent)),
        samples=tuple(burst.samples),
        started_at=burst.started_at,
        setup={
            "pipeline": burst.project.graph.pipeline,
            "environment": burst.project.graph.environment,
            "name": burst.plan.name,
            "rate": burst.plan.rate,
            "concurrency": burst.plan.concurrency,
            "megapixels": pictures.mean_megapixels(burst.plan.pictures),
            "uploading_s": _uploading_s(burst),
        },
    )


def _uploading_s(burst: Burst) -> float:
    """Return how long it took until the last upload was confirmed."""
    ends = [upload.sent_at for upload in burst.uploads.values()]
    return (max(ends) - burst.started_at).total_seconds() if ends else 0.0


def _lost(burst: Burst, found: Mapping[str, Row]) -> Iterator[str]:
    """Yield the uploads that nobody accounts for: no row, or one that isn't at its end."""
    for key in burst.uploads:
        end = burst.ended.get(key)
        if (end is None or end.status == "pending") and (
            key not in found or found[key]["status"] not in {"done", "rejected", "failed"}
        ):
            yield key


def _first_picture(row: Row) -> str:
    """Return when the first step that makes pictures was done; a row knows which only by its outputs."""
    if not row["outputs"]:
        return ""
    return min(
        (str(step["at"]) for step in row["steps"].values() if step["status"] == "done"), default=""
    )


def _since(uploads: Mapping[str, Upload], moments: Mapping[str, str]) -> Iterator[float]:
    for key, text in moments.items():
        moment = from_iso(text)
        if moment and key in uploads:
            yield max(0.0, (moment - uploads[key].sent_at).total_seconds())


def _extra_outputs(burst: Burst, found: Mapping[str, Row]) -> int:
    """Count pictures of the burst that no row names."""
    named = {output["key"] for row in found.values() for output in row["outputs"].values()}
    inside = burst.project.graph.variants_prefix
    folders = {key.removeprefix(inside).split("/", 1)[0] for key in named}
    below = burst.prefix.removeprefix(burst.project.graph.prefix)
    stored = parallel.stream(
        lambda prefix: set(
            listing.keys(burst.project, burst.project.graph.variants_bucket, prefix)
        ),
        [f"{inside}{folder}/{below}" for folder in sorted(folders)],
        4,
    )
    return sum(len(found - named) for found in stored)


def _notices_in_time(project: Project, found: Mapping[str, Row]) -> dict[str, str]:
    """Return the same once everybody was told, or when that takes too long: notices gather for a while first."""
    done = sum(row["status"] == "done" for row in found.values())
    if not done or not _people_hear(project):
        return {}
    deadline = time.monotonic() + project.spec.notify.window + NOTICE_S
    while len(told := _notices(project, found)) < done and time.monotonic() < deadline:
        time.sleep(1.0)
    return told


def _notices(project: Project, found: Mapping[str, Row]) -> dict[str, str]:
    """Return when people were told that an image is ready; a claim without a send isn't told."""
    ready = [row for row in found.values() if row["status"] == "done"]
    return {
        claim.key: iso(claim.sent_at) for claim in claims.of_ends(project, ready) if claim.sent_at
    }


def _people_hear(project: Project) -> bool:
    return any(
        notice.addresses for kind, notice in project.spec.notify.kinds if kind == "completed"
    )


def plot(report: Report, path: Path) -> None:
    """Write a PNG of 1200 x 800 pixels: depths over time, and times as curves."""
    setup = report.setup
    figure = plots.figure(
        f"{setup['pipeline']} in {setup['environment']}: {report.images:,} images, "
        f"{report.images_per_s:.1f} a second, {len(report.lost)} lost"
    )
    depth, times = figure.subplots(2, 1, height_ratios=[1, 1])
    seconds = [(sample.at - report.started_at).total_seconds() for sample in report.samples]
    for name in report.samples[0].depths if report.samples else ():
        depth.plot(seconds, [sample.depths[name] for sample in report.samples], label=name)
    depth.set(xlabel="seconds", ylabel="messages in the queue")
    plots.shares(times, report.preview_s, "upload to the first picture")
    plots.shares(times, report.done_s, "upload to done")
    plots.shares(times, report.notice_s, "upload to the notice")
    times.set(xlabel="seconds", ylabel="% of images")
    plots.save(figure, (depth, times), path)
