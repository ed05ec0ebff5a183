"""One pipeline, put up once, for all the tests of a worker that don't break it; and one each for those that do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.pipeline import Pipeline


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """The photo studio, up. Tests share it: use keys of your own and break nothing."""
    yield from _put_up(tmp_path_factory.mktemp("studio"))


@pytest.fixture
def own_studio(tmp_path: Path) -> Iterator[Pipeline]:
    """A photo studio that the test may break."""
    yield from _put_up(tmp_path)


def _put_up(folder: Path) -> Iterator[Pipeline]:
    pipeline = Pipeline.copy_to(folder)
    try:
        pipeline.run("up", "--yes")
        yield pipeline
    finally:
        pipeline.run("local", "stop", code=None)
