"""What comes out, beside what went in: the faults that only the eye would find."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgpipe.operate.doctor.findings import Fault, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgpipe.operate.doctor.scene import Scene


def orientation(scene: Scene) -> Iterator[Fault]:
    """Photographs that lie on their side: the camera's note on how it was held was ignored."""
    for one in scene.pictures:
        if one.turned and one.output_wide == one.wide_as_stored:
            yield _broken(
                f"{one.output} lies on its side",
                f"the EXIF orientation of {one.upload} turns it, and the output is not turned",
                "mend the code: ImageOps.exif_transpose(image) before anything else",
            )
            return


def cmyk(scene: Scene) -> Iterator[Fault]:
    """Outputs in the colours of print, which browsers show wrong."""
    for one in scene.pictures:
        if one.output_mode == "CMYK":
            yield _broken(
                f"{one.output} is kept as CMYK",
                "browsers show it in wrong colours, or not at all",
                "mend the code: convert through its profile to sRGB (ImageCms.profileToProfile)",
            )
            return


def transparency(scene: Scene) -> Iterator[Fault]:
    """Transparent pictures that became dark."""
    for one in scene.pictures:
        if one.black:
            yield _broken(
                f"{one.output} is black where {one.upload} is transparent",
                "its transparency was dropped instead of put on a background",
                "mend the code: Image.alpha_composite over white before saving as JPEG",
            )
            return


def _broken(what: str, why: str, command: str) -> Fault:
    return Fault(severity=Severity.BROKEN, what=what, why=why, command=command)
