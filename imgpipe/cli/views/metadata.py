"""How an image looks in words: the picture, its camera and colours, its variants and steps; and many, as a table."""

from __future__ import annotations

import re
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

_TURNED = {
    2: "mirrored, turned back",
    **dict.fromkeys((3, 4), "upside down, turned upright"),
    **dict.fromkeys((5, 6, 7, 8), "lay on its side, turned upright"),
}
SMALL_PIXELS = 100_000
_COLOUR = re.compile("#[0-9a-f]{6}")
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
        yield render.step(render.safe(hint))


def _about(row: Mapping[str, Any]) -> Table:
    return about(
        {
            "reason": render.safe(words.reason(row.get("reason") or "")),
            "removed" if row["status"] == "removed" else "uploaded": _uploaded(row),
            **described(row["facts"]),
            "version": render.safe(row.get("version_id") or ""),
        }
    )


def about(lines: Mapping[str, str]) -> Table:
    """Return lines of a label and its text; what has no text is left out."""
    from rich.table import Table

    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for label, text in lines.items():
        if text:
            made.add_row(label, text)
    return made


def described(facts: Mapping[str, Any], size: int = 0) -> dict[str, str]:
    """Return what a picture's facts say, as text by label; `size` is the file's, if not told yet."""
    exif = facts.get("exif") or {}
    return {
        "picture": _picture(facts, size),
        "note": render.safe(facts.get("note") or ""),
        "camera": _camera(exif),
        "exposure": _exposure(exif),
        "taken": _taken(exif),
        "by": _author(exif),
        "place": _place(facts.get("gps") or {}),
        "look": _look(facts),
        "tags": _tags(facts.get("tags") or ()),
        "colours": _colours(facts),
        "hash": _hashes(facts),
    }


def _uploaded(row: Mapping[str, Any]) -> str:
    when = from_iso(row["uploaded_at"])
    told = [words.short_time(when), words.ago(when)] if when else []
    if row["size"]:
        told.append(render.size(row["size"]))
    return " · ".join(told)


def _picture(facts: Mapping[str, Any], size: int) -> str:
    width, height = facts.get("width"), facts.get("height")
    if not width or not height:
        return ""
    told = [
        f"{width} x {height}",
        _pixels(width * height),
        facts.get("format", ""),
        facts.get("mode", ""),
        f"{facts['depth']} bit" if facts.get("depth") else "",
        facts.get("profile", ""),
        render.size(size) if size else "",
    ]
    if facts.get("frames"):
        told.append(words.plural(facts["frames"], "frame"))
    told.append(_TURNED.get(facts.get("orientation") or 1, ""))
    return " · ".join(render.safe(text) for text in told if text)


def _pixels(count: int) -> str:
    """Return `12.2 MP`; of a small picture, whose megapixels would be none, the pixels."""
    return f"{count / 1e6:.1f} MP" if count >= SMALL_PIXELS else words.plural(count, "pixel")


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
    if bias := exif.get("exposure_bias_ev"):
        told.append(f"{bias:+g} EV")
    return " · ".join(told)


def _taken(exif: Mapping[str, Any]) -> str:
    """Return the moment as the camera's clock showed it, with the offset from UTC if it told one."""
    date, _, rest = str(exif.get("taken_at", "")).partition("T")
    clock, offset = rest[:8], rest[8:]
    return render.safe(" ".join(part for part in (date, clock, offset) if part))


def _author(exif: Mapping[str, Any]) -> str:
    told = (exif.get("artist"), exif.get("copyright"))
    return " · ".join(render.safe(text) for text in dict.fromkeys(told) if text)


def _look(facts: Mapping[str, Any]) -> str:
    names = ("brightness", "contrast", "colour", "sharpness")
    return " · ".join(f"{name} {facts[name]:g}" for name in names if _is_number(facts.get(name)))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _tags(tags: Iterable[Mapping[str, Any]]) -> str:
    """Return tags by origin: what was computed, then what a model recognised, with how sure it is."""
    told: dict[str, list[str]] = {}
    for tag in tags:
        sure = f" {tag['confidence']:.0f} %" if _is_number(tag.get("confidence")) else ""
        told.setdefault(str(tag.get("origin", "")), []).append(f"{tag.get('name', '')}{sure}")
    return "; ".join(
        f"{render.safe(', '.join(names))} [dim]({render.safe(origin)})[/]"
        for origin, names in told.items()
    )


def _hashes(facts: Mapping[str, Any]) -> str:
    told = [(name, facts.get(name)) for name in ("phash", "blurhash")]
    return " · ".join(f"{name} {render.safe(value)}" for name, value in told if value)


def _place(gps: Mapping[str, Any]) -> str:
    if "latitude" not in gps:
        return ""
    latitude, longitude = gps["latitude"], gps["longitude"]
    north, east = "N" if latitude >= 0 else "S", "E" if longitude >= 0 else "W"
    return f"{abs(latitude):g}° {north}, {abs(longitude):g}° {east}"


def _colours(facts: Mapping[str, Any]) -> str:
    """Return the palette, with a swatch beside each colour where the terminal can show one."""
    named = [colour for colour in map(str, facts.get("palette") or ()) if _COLOUR.fullmatch(colour)]
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
        cells = (
            "" if step.get("ms") is None else f"{step['ms']:,}",
            step.get("attempts") or "",
            _error(step.get("error") or {}),
        )
        made.add_row(
            render.safe(name), words.status(step["status"]), *(render.safe(cell) for cell in cells)
        )
    return made


def _error(error: Mapping[str, Any]) -> str:
    """Return why a step refused or failed: plain words first, where there are, then what was found."""
    plain = words.reason(str(error.get("reason") or ""), named=False) or error.get("class")
    message = error.get("message")
    return ": ".join(str(part) for part in dict.fromkeys((plain, message)) if part)


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


def pages(rows: Iterable[Mapping[str, Any]], width: int, prefix: str = "") -> Iterator[Table]:
    """Yield tables of `PAGE` rows each, as the rows come; narrow ones leave `prefix` out of the keys."""
    coming = iter(rows)
    first = list(islice(coming, PAGE))
    while first:
        yield _page(first, width, prefix)
        first = list(islice(coming, PAGE))


def _page(rows: list[Mapping[str, Any]], width: int, prefix: str) -> Table:
    """Return one table; where there is room, with the variants and the reason apart.

    Where there is none, only what isn't done is noted; and of a list in which nothing is done, what the pictures are
    gives way to why.
    """
    wide = width >= 120
    noted = any(map(_note, rows))
    notes = ("variants", "reason") if wide else ("notes",) if noted else ()
    sizes = ("picture", "bytes") if wide or not all(map(_note, rows)) else ()
    columns = ("key", "status", "uploaded", *sizes, *notes)
    made = words.table(*columns, right=("bytes",), folds=("key", *notes))
    for row in rows:
        facts = row["facts"]
        when = from_iso(row["uploaded_at"])
        apart = (", ".join(row["outputs"]), words.reason(row.get("reason") or ""))
        told = apart if wide else (_note(row),) if noted else ()
        pixels = f"{facts['width']}x{facts['height']}" if facts.get("width") else ""
        made.add_row(
            render.safe(row["key"] if wide else images.short(prefix, row["key"])),
            words.status(row["status"]),
            words.short_time(when) if when else "",
            *((pixels, render.size(row["size"])) if sizes else ()),
            *map(render.safe, told),
        )
    return made


def _note(row: Mapping[str, Any]) -> str:
    """Return what is worth a column where room is short: nothing of an image that is done."""
    if row["status"] == "done":
        return ""
    told = words.brief(words.reason(row.get("reason") or "", named=False))
    return told or ", ".join(row["outputs"])
