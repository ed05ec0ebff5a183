"""An embedded cloud for tests: `from tests.cloud_fixture import embedded_cloud` makes the fixture
known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from imgpipe.local import lifecycle

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass
class EmbeddedCloud:
    """A running embedded cloud: its project's folder, and clients for it."""

    folder: Path
    running: lifecycle.Running
    _clients: dict[str, Any] = field(default_factory=dict)

    @property
    def endpoint(self) -> str:
        return self.running.endpoint

    @property
    def data(self) -> Path:
        return self.folder / ".imgpipe"

    def client(self, service: str, **changes: Any) -> Any:
        """Return a boto3 client with the project's own key; `changes` make a new one (other
        keys, a config).
        """
        if changes or service not in self._clients:
            made = self._make(service, **changes)
            if changes:
                return made
            self._clients[service] = made
        return self._clients[service]

    def _make(self, service: str, **changes: Any) -> Any:
        import boto3
        from botocore.config import Config

        settings: dict[str, Any] = {
            "endpoint_url": self.running.endpoint,
            "region_name": self.running.region,
            "aws_access_key_id": self.running.access_key,
            "aws_secret_access_key": self.running.secret_key,
            "config": Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        }
        return boto3.Session().client(service, **{**settings, **changes})


@pytest.fixture(scope="session")
def embedded_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCloud]:
    """One embedded cloud for the session. Name what you make so that it is yours alone."""
    folder = tmp_path_factory.mktemp("cloud")
    try:
        yield EmbeddedCloud(folder, lifecycle.ensure(folder))
    finally:
        lifecycle.stop(folder)
