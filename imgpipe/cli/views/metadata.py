"""How an image looks in words: the picture, its camera and colours, its variants and steps; and many, as a table."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from imgpipe.cli import render
from imgpipe.cli.views import words
from imgpipe.operate import images
from imgpipe.operate.times import from_iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from rich.console import RenderableType
    from rich.table import Table

PAGE = 200
"""Rows a table of `metadata list` has before the next one begins, so that a long list starts at once."""


def show(row: Mapping[str, Any], prefix: str) -> Iterator[RenderableType]:
    """Yield the parts of one image's page."""
    yield f"[bold]{render.safe(row['key'])}[/]  {words.status(row['status'])}"
    yield _about(row)
    if row["outputs"]:
        yield ""
        yield _variants(row["outputs"])
    if row["steps"]:
        yield ""
        yield _steps(row["steps"])
    if hint := _next(row, prefix):
        yield ""
        yield f"[cyan]next:[/] {render.safe(hint)}"


def _about(row: Mapping[str, Any]) -> Table:
    from rich.table import Table

    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    facts = row["facts"]
    exif = facts.get("exif") or {}
    lines = {
        "reason": render.safe(row.get("reason") or ""),
        "uploaded": _uploaded(row),
        "picture": _picture(facts),
        "camera": _camera(exif),
        "exposure": _exposure(exif),
        "taken": render.safe(exif.get("taken_at", "").replace("T", " ")),
        "place": _place(facts.get("gps") or {}),
        "colours": _colours(facts),
        "version": render.safe(row.get("version_id") or ""),
    }
    for label, text in lines.items():
        if text:
            made.add_row(label, text)
    return made


def _uploaded(row: Mapping[str, Any]) -> str:
    when = from_iso(row["uploaded_at"])
    told = [words.short_time(when), words.ago(when)] if when else []
    if row["size"]:
        told.append(render.size(row["size"]))
    return " · ".join(told)


def _picture(facts: Mapping[str, Any]) -> str:
    width, height = facts.get("width"), facts.get("height")
    if not width or not height:
        return ""
    told = [
        f"{width} x {height}",
        f"{width * height / 1e6:.1f} MP",
        facts.get("format", ""),
        facts.get("mode", ""),
    ]
    if facts.get("frames"):
        told.append(words.plural(facts["frames"], "frame"))
    if facts.get("orientation"):
        told.append("lay on its side, turned upright")
    return " · ".join(render.safe(text) for text in told if text)


def _camera(exif: Mapping[str, Any]) -> str:
    make, model = str(exif.get("make", "")), str(exif.get("camera", ""))
    name = model if model.casefold().startswith(make.casefold()) else f"{make} {model}".strip()
    return " · ".join(render.safe(text) for text in (name, exif.get("lens")) if text)


def _exposure(exif: Mapping[str, Any]) -> str:
    told = []
    if seconds := exif.get("exposure_s"):
        told.append(f"1/{round(1 / seconds)} s" if seconds < 0.3 else f"{seconds:g} s")
    if number := exif.get("f_number"):
        told.append(f"f/{number:g}")
    if iso := exif.get("iso"):
        told.append(f"ISO {iso:g}")
    if length := exif.get("focal_length_mm"):
        told.append(f"{length:g} mm")
    return " · ".join(told)


def _place(gps: Mapping[str, Any]) -> str:
    if "latitude" not in gps:
        return ""
    latitude, longitude = gps["latitude"], gps["longitude"]
    north, east = "N" if latitude >= 0 else "S", "E" if longitude >= 0 else "W"
    return f"{abs(latitude):g}° {north}, {abs(longitude):g}° {east}"


def _colours(facts: Mapping[str, Any]) -> str:
    """Return the palette, with a swatch beside each colour where the terminal can show one."""
    named = [render.safe(colour) for colour in facts.get("palette") or ()]
    if render.out().color_system is None or not render.out().is_terminal:
        return "  ".join(named)
    return "  ".join(f"[on {colour}]   [/] {colour}" for colour in named)


def _variants(outputs: Mapping[str, Mapping[str, Any]]) -> Table:
    made = words.table(
        "variant", "size", "bytes", "format", "key", right=("size", "bytes"), folds=("key",)
    )
    return render.rows(
        made,
        (
            (
                name,
                f"{it['width']} x {it['height']}",
                render.size(it["bytes"]),
                it["format"],
                it["key"],
            )
            for name, it in outputs.items()
        ),
    )


def _steps(steps: Mapping[str, Mapping[str, Any]]) -> Table:
    made = words.table(
        "step", "status", "ms", "attempts", "error", right=("ms", "attempts"), folds=("error",)
    )
    for name, step in steps.items():
        error = step.get("error") or {}
        told = ": ".join(str(error[part]) for part in ("class", "message") if error.get(part))
        cells = (
            "" if step.get("ms") is None else f"{step['ms']:,}",
            step.get("attempts") or "",
            told,
        )
        made.add_row(
            render.safe(name), words.status(step["status"]), *(render.safe(cell) for cell in cells)
        )
    return made


def _next(row: Mapping[str, Any], prefix: str) -> str:
    key = images.short(prefix, row["key"])
    match row["status"]:
        case "failed" | "rejected":
            return words.command("imgpipe", "dlq", "list", "--key", key)
        case "in_flight":
            return "imgpipe status"
        case "done" if row["outputs"]:
            return words.command(
                "imgpipe", "download", key, "--variant", next(iter(row["outputs"]))
            )
        case _:
            return ""


def pages(rows: Iterable[Mapping[str, Any]], width: int) -> Iterator[Table]:
    """Yield tables of `PAGE` rows each, as the rows come."""
    coming = iter(rows)
    first = list(islice(coming, PAGE))
    while first:
        yield _page(first, width)
        first = list(islice(coming, PAGE))


def _page(rows: list[Mapping[str, Any]], width: int) -> Table:
    """Return one table; where there is room, with the variants and the reason apart.

    Where there is none, only what isn't done is noted.
    """
    wide = width >= 120
    noted = any(map(_note, rows))
    notes = ("variants", "reason") if wide else ("notes",) if noted else ()
    columns = ("key", "status", "uploaded", "picture", "bytes", *notes)
    made = words.table(*columns, right=("bytes",), folds=("key", *notes))
    for row in rows:
        facts = row["facts"]
        when = from_iso(row["uploaded_at"])
        apart = (", ".join(row["outputs"]), row.get("reason") or "")
        told = apart if wide else (_note(row),) if noted else ()
        made.add_row(
            render.safe(row["key"]),
            words.status(row["status"]),
            words.short_time(when) if when else "",
            f"{facts['width']}x{facts['height']}" if facts.get("width") else "",
            render.size(row["size"]),
            *map(render.safe, told),
        )
    return made


def _note(row: Mapping[str, Any]) -> str:
    """Return what is worth a column where room is short: nothing of an image that is done."""
    return "" if row["status"] == "done" else row.get("reason") or ", ".join(row["outputs"])
