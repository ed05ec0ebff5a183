"""The image core's figures as Markdown tables, which are read in a terminal as well, and as a plot of bars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Figures = dict[str, Any]
COLUMNS = ("ours", "sharp", "sharp_best", "pyvips", "opencv", "pillow", "pillow_draft", "floor")
WITH_MORE = ("ours_all", "guarded")
"""Ours too, doing more than the row that they are compared with."""
EACH_ROW = (
    "Each row is a race of its own: compare within a row.\n"
    "`in the guarded child` and `whole job` are over the photographs of `three JPEG`."
)
HEADS = {
    "ours": "ours",
    "sharp": "sharp",
    "sharp_best": "best",
    "pyvips": "vips",
    "opencv": "cv",
    "pillow": "Pillow",
    "pillow_draft": "draft",
    "floor": "floor",
}
"""`best` is sharp's best form; `cv` OpenCV; `Pillow` the naive use of it, `draft` with its scaled decode."""
IN_WORDS = {
    "jpeg3_vs_sharp": "three JPEG: sharp's usual form",
    "jpeg3_vs_sharp_best": "three JPEG: sharp's best form",
    "jpeg3_vs_naive_pillow": "three JPEG: naive Pillow",
    "jpeg3_vs_floor": "three JPEG: ours over the floor",
    "thumb_vs_sharp": "one thumbnail: sharp",
    "thumb_vs_naive_pillow": "one thumbnail: naive Pillow",
    "thumb_of_12mp_vs_naive_pillow": "one thumbnail, 12 MP or more: naive Pillow",
    "thumb_vs_pillow_draft": "one thumbnail: Pillow with draft",
    "png3_vs_sharp": "three of a PNG: sharp's usual form",
    "png3_plain_vs_sharp_best": "three of a PNG: sharp's best form",
    "png3_vs_sharp_best": "three of a PNG: sharp's best form",
    "webp3_vs_sharp": "three WebP, effort 4: sharp",
    "webp3_method2_vs_sharp": "three WebP, effort 2: sharp",
    "guard_vs_plain": "guarded child over the same process",
    "whole_job_vs_three": "whole job over its three variants",
}


def everything(figures: Figures) -> str:
    """Return all tables, each under a heading."""
    parts = {
        "Ratios": ratios(figures),
        f"Times. {EACH_ROW}": times(figures),
        "Quality": quality(figures),
        "Quality against sharp's usual form": against_sharp(figures),
        "Memory": memory(figures),
        "Cold start": cold(figures),
    }
    return "\n".join(f"{heading}\n\n{table}" for heading, table in parts.items())


def ratios(figures: Figures) -> str:
    """Return how many times quicker ours is, by the wall and by processor time, and what was wanted."""
    lines = [
        [
            each.get("shown") or IN_WORDS[each["name"]],
            f"{each['ratio']:.2f}",
            "" if each["cpu_ratio"] is None else f"{each['cpu_ratio']:.2f}",
            _wanted(each),
            _answer(each),
        ]
        for each in figures["ratios"]
    ]
    return table(["", "ratio", "CPU", "wanted", "met"], lines)


def _answer(mark: Figures) -> str:
    if mark["least"] is None and mark["most"] is None:
        return ""
    return "yes" if mark["met"] else "no"


def _wanted(mark: Figures) -> str:
    if mark["least"] is not None:
        return f"at least {mark['least']:g}"
    return f"at most {mark['most']:g}" if mark["most"] is not None else ""


def times(figures: Figures) -> str:
    """Return milliseconds a picture: the mean over the pictures of each engine's least time.

    A row that does more says what its pictures took without, in the same turns.
    """
    lines = []
    for row in figures["rows"].values():
        found = [row["engines"].get(name, {}).get("ms") for name in COLUMNS]
        found[0] = found[0] or row["engines"].get("ours_vips", {}).get("ms")
        shown = row["shown"]
        if more := next((name for name in WITH_MORE if name in row["engines"]), None):
            shown += f" (without: {found[0]:.0f})"
            found[0] = row["engines"][more]["ms"]
        lines.append([shown, str(row["pictures"]), *(f"{ms:.0f}" if ms else "-" for ms in found)])
    return table(["ms", "pictures", *(HEADS[name] for name in COLUMNS)], lines)


def quality(figures: Figures) -> str:
    """Return PSNR of the brightness in dB and SSIM at each size, and the bytes of all of them, for each job."""
    rows = list(figures["quality"].values())
    sizes = _largest_first(of for row in rows for of in row["engines"].values())
    lines = [
        [
            f"{row['shown']}: {HEADS[name]}",
            *(_likeness(of[size]) if size in of else "-" for size in sizes),
            f"{sum(each['bytes'] for each in of.values()) / 1000:.1f}",
        ]
        for row in rows
        for name, of in row["engines"].items()
    ]
    return table(["PSNR-Y / SSIM", *(f"{size} px" for size in sizes), "kB"], lines)


def against_sharp(figures: Figures) -> str:
    """Return by how much ours differs from sharp's usual form: in dB at each size, and in bytes."""
    rows = figures["quality"].values()
    found = [(row["shown"], row["against_sharp"]) for row in rows if row["against_sharp"]]
    sizes = _largest_first(apart["psnr_db"] for _, apart in found)
    lines = [
        [
            shown,
            *(
                f"{apart['psnr_db'][size]:+.2f}" if size in apart["psnr_db"] else "-"
                for size in sizes
            ),
            f"{(apart['bytes_ratio'] - 1) * 100:+.1f} %",
            "yes" if apart["met"] else "no",
        ]
        for shown, apart in found
    ]
    return table(
        ["dB, ours less sharp's", *(f"{size} px" for size in sizes), "bytes", "met"], lines
    )


def _largest_first(found: Iterable[Figures]) -> list[str]:
    """Return the sizes that `found` have figures of."""
    return sorted({size for of in found for size in of}, key=int, reverse=True)


def _likeness(at: Figures) -> str:
    return f"{at['psnr_db']:.2f} / {at['ssim']:.4f}"


def memory(figures: Figures) -> str:
    """Return the peak of resident memory in MB."""
    names = ("ours", "sharp", "sharp_best", "pyvips", "pillow")
    lines = [
        [shown, *(f"{of[name]:.0f}" if name in of else "-" for name in names)]
        for shown, of in figures["memory_mb"].items()
    ]
    return table(["MB", *(HEADS[name] for name in names)], lines)


def cold(figures: Figures) -> str:
    found, sizes = figures["cold"]["import"], figures["cold"]["zip_bytes"]
    lines = [
        ["to an opened JPEG, as shipped, ms", found["imgpipe_ms"], found["pillow_ms"]],
        ["both with .pyc, ms", found["imgpipe_ms"], found["pillow_with_pyc_ms"]],
        ["both without, ms", found["imgpipe_without_pyc_ms"], found["pillow_ms"]],
        [
            "with SDK and a client for S3, as shipped, ms",
            found["imgpipe_ready_ms"],
            found["pillow_ready_ms"],
        ],
        ["zip for x86_64, MB", _mb(sizes["imgpipe_x86_64"]), _mb(sizes["pillow_host"])],
        ["zip for arm64, MB", _mb(sizes["imgpipe_arm64"]), ""],
    ]
    return table(
        ["", "ours", "pip install Pillow"], [[str(cell) for cell in line] for line in lines]
    )


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f}"


def bars(figures: Figures) -> str:
    """Return a plot of the milliseconds that each engine takes for three JPEG."""
    engines = figures["rows"]["jpeg3"]["engines"]
    found = [(each["shown"], each["ms"]) for each in engines.values() if each["ms"]]
    longest, widest = max(ms for _, ms in found), max(len(shown) for shown, _ in found)
    lines = [
        f"{shown:<{widest}}  {'█' * max(1, round(ms / longest * 36))} {ms:.0f}"
        for shown, ms in sorted(found, key=lambda each: each[1])
    ]
    return "\n".join(["ms a photograph, to 1600, 800 and 200 px", "", *lines]) + "\n"


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose columns stand below one another; numbers to the right."""
    widths = [max(len(line[at]) for line in [head, *lines]) for at in range(len(head))]
    rule = [
        ("-" * width) if at == 0 else "-" * (width - 1) + ":" for at, width in enumerate(widths)
    ]
    return "\n".join(_line(cells, widths) for cells in [head, rule, *lines]) + "\n"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.ljust(width) if at == 0 else cell.rjust(width)
        for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return f"| {' | '.join(padded)} |"
