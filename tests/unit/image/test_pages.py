"""A process keeps the memory of one picture for the next."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest

from imgpipe.runtime import image
from imgpipe.runtime.image import making, pages
from imgpipe.runtime.settings import Limits
from tests.pictures import corners, encoded

FAULTS = """
import resource, sys
from imgpipe.runtime.image import pages

pages.keep(int(sys.argv[1]) << 20)
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    made = [bytearray(8 << 20) for _ in range(4)]
    del made
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
"""Takes 8,192 pages, three times over."""
GLIBC = sys.platform == "linux" and "glibc" in (os.confstr("CS_GNU_LIBC_VERSION") or "")


def faults(memory_mb: int = 960, **more: str) -> int:
    """Return the page faults of the third turn in a fresh process."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, str(memory_mb)],
        env=env | more,
        check=True,
        capture_output=True,
        text=True,
    )
    return int(done.stdout)


@pytest.mark.skipif(not GLIBC, reason="of glibc")
def test_pages_are_kept_unless_memory_is_short_or_the_environment_says_otherwise() -> None:
    assert faults() < 500
    assert faults(memory_mb=190) > 5_000
    assert faults(MALLOC_TRIM_THRESHOLD_="0") > 5_000


def test_every_picture_is_made_with_its_pages_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(making.pages, "keep", asked.append)
    image.make(encoded(corners()), {"s": {"variants": {"v": {"width": 8}}}}, Limits())
    assert asked == [Limits().memory_bytes]


def test_where_there_is_no_glibc_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []

    def musl(name: object) -> object:
        opened.append(name)
        return object()

    for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ctypes, "CDLL", musl)
    monkeypatch.setattr(sys, "platform", "linux")
    pages.keep.cache_clear()
    pages.keep(1 << 30)
    pages.keep.cache_clear()
    assert opened == [None]
