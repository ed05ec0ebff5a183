"""A workshop for execution environments, closed at the end of each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.local.functions import PORTABLE, Workshop


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    made = Workshop(tmp_path / "run")
    yield made
    made.close()


@pytest.fixture(params=["aws", "portable"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workshop]:
    """The same with AWS's own runtime client and with ours."""
    place = tmp_path / "run"
    made = Workshop(place) if request.param == "aws" else Workshop(place, PORTABLE)
    if request.param == "aws" and made.client != "awslambdaric":
        pytest.skip("AWS's runtime client isn't built for this platform")
    yield made
    made.close()
