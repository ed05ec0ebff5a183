"""moto in this process, and a site in it where nobody waits."""

from __future__ import annotations

import base64
import hashlib
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from imgpipe.cloud import Cloud, local_target
from imgpipe.deploy.apply import apply
from imgpipe.deploy.observe import observe
from imgpipe.deploy.plan import plan_down
from imgpipe.deploy.providers.site import Site
from imgpipe.deploy.resources import Function, Place
from imgpipe.local import lifecycle
from tests.providers.samples import EVERYTHING

ACCOUNT, REGION = "123456789012", "us-east-1"
TAGS = {"imgpipe:pipeline": "shop", "imgpipe:env": "test"}
PREFIX = "shop-test-"


@dataclass(frozen=True)
class BuiltZip:
    path: Path
    sha256_base64: str


@dataclass
class Clients:
    """Clients of moto, each made once, as `imgpipe.cloud.Cloud` does."""

    made: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        if service not in self.made:
            self.made[service] = boto3.client(service, region_name=REGION)
        return self.made[service]


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clients]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws(config={"lambda": {"use_docker": False}}):
        yield Clients()


@pytest.fixture
def built(tmp_path: Path) -> BuiltZip:
    path = tmp_path / "function.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("handler.py", "def handler(event, context): return event")
    return BuiltZip(path, base64.b64encode(hashlib.sha256(path.read_bytes()).digest()).decode())


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def site(moto_site: Site) -> Site:
    return moto_site


@pytest.fixture
def moto_site(clients: Clients, built: BuiltZip, pauses: list[float]) -> Site:
    """Return a site whose pauses are written down and over at once."""
    return _site(clients, built, Place(ACCOUNT, REGION), pauses.append)


def _site(clients: Any, built: BuiltZip, place: Place, pause: Callable[[float], None]) -> Site:
    def archive_of(function: Function) -> BuiltZip:
        return built

    return Site(
        clients=clients, place=place, prefix=PREFIX, tags=TAGS, archive_of=archive_of, pause=pause
    )


@pytest.fixture(scope="session")
def embedded_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("providers")
    lifecycle.ensure(folder)
    try:
        yield Cloud(local_target(folder))
    finally:
        lifecycle.stop(folder)


@pytest.fixture
def embedded_site(embedded_cloud: Cloud, built: BuiltZip) -> Iterator[Site]:
    place = Place(embedded_cloud.account, embedded_cloud.region)
    made = _site(embedded_cloud, built, place, time.sleep)
    yield made
    _take_down(replace(made, erase_data=True))


def _take_down(site: Site) -> None:
    there = observe(site, EVERYTHING).resources
    assert all(
        event.state in {"started", "note", "done"} for event in apply(site, plan_down(there, {}))
    )
