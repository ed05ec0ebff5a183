"""Engines: each module has functions from a file's bytes and a Job to the variants' bytes, largest first.

They are loaded by name in a process of their own (`worker`), so none pays for another's imports. sharp speaks the same
protocol from node.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.benchmarks.core.job import Job

Engine = Callable[[bytes, Job], list[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An engine's name in the results, how it is shown, and where it is."""

    name: str
    shown: str
    module: str  # below this package; `sharp` is node's
    function: str


KNOWN = {
    each.name: each
    for each in (
        Known(name="ours", shown="imgpipe", module="ours", function="variants"),
        Known(
            name="ours_pillow",
            shown="imgpipe, Pillow resampling (arm64)",
            module="ours",
            function="without_simd",
        ),
        Known(
            name="ours_vips",
            shown="imgpipe, PNG by libvips",
            module="ours",
            function="with_vips",
        ),
        Known(name="ours_all", shown="imgpipe, whole job", module="ours", function="whole_job"),
        Known(name="guarded", shown="imgpipe, guarded", module="ours", function="guarded"),
        Known(name="sharp", shown="sharp, clone()", module="sharp", function="usual"),
        Known(name="sharp_best", shown="sharp, raw cascade", module="sharp", function="best"),
        Known(name="pyvips", shown="pyvips, thumbnail cascade", module="vips", function="cascade"),
        Known(name="opencv", shown="opencv, INTER_AREA", module="opencv", function="cascade"),
        Known(name="pillow", shown="Pillow, naive", module="naive", function="variants"),
        Known(name="pillow_draft", shown="Pillow with draft", module="naive", function="drafted"),
        Known(name="floor", shown="floor: libjpeg-turbo", module="floor", function="variants"),
    )
}
