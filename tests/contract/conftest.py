"""The backends: the embedded cloud, which runs functions, and moto inside this process, which
doesn't. A check that asks for `aws` runs on both, one that asks for `cloud`, `functions` or
`recorder` on the embedded cloud alone.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from imgpipe.local import lifecycle
from tests.cloud_fixture import EmbeddedCloud
from tests.contract.aws import EXPIRING, REGION, Aws, Function, Lambda, Recorder, zipped
from tests.contract.known_gaps import EMBEDDED, GAPS, MOTO

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = {
    "IMGPIPE_LAMBDA_CONCURRENCY": "8",  # more than the cores: most functions here sleep or wait
    "IMGPIPE_ASYNC_RETRY_S": "0.2",
    "NOT_FOR_FUNCTIONS": "a variable of whoever starts the embedded cloud",
}
MOTO_PATIENCE_S = 1.5
"""Nothing of moto's happens later by itself, but for a visibility timeout."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here not in item.path.parents:
            continue
        backend = getattr(item, "callspec", None) and item.callspec.params.get("aws")
        reason = GAPS.get(getattr(item, "originalname", ""), {}).get(backend or EMBEDDED)
        if reason:
            item.add_marker(pytest.mark.xfail(reason=f"{backend or EMBEDDED}: {reason}"))


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """The embedded cloud, one for the session."""
    folder = tmp_path_factory.mktemp("contract")
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in SETTINGS.items():
                patch.setenv(name, value)
            running = EmbeddedCloud(folder, lifecycle.ensure(folder))
        aws = Aws(EMBEDDED, running.client, running.endpoint)
        _put_what_expires(aws)
        yield aws
    finally:
        lifecycle.stop(folder)


def _put_what_expires(aws: Aws) -> None:
    """Put an item whose time is up. The last check looks whether it is gone, up to a minute
    later.
    """
    dynamodb = aws.client("dynamodb")
    dynamodb.create_table(
        TableName=EXPIRING,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.update_time_to_live(
        TableName=EXPIRING,
        TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires_at"},
    )
    for key, expiry in {"past": 1, "future": 10**11}.items():
        item = {"pk": {"S": key}, "expires_at": {"N": str(expiry)}}
        dynamodb.put_item(TableName=EXPIRING, Item=item)


@pytest.fixture(scope="session")
def in_process() -> Aws:
    """moto, which answers while it is started."""
    from moto import mock_aws

    with mock_aws():
        return Aws(MOTO, _moto_client, long_poll_s=0)


def _moto_client(service: str, **changes: Any) -> Any:
    settings = {
        "region_name": REGION,
        "aws_access_key_id": "testing",
        "aws_secret_access_key": "testing",
        "config": Config(retries={"total_max_attempts": 1}),
    }
    return boto3.Session().client(service, **{**settings, **changes})


@pytest.fixture(params=[EMBEDDED, MOTO])
def aws(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """Each backend in turn. moto forgets everything after a check."""
    if request.param == EMBEDDED:
        yield request.getfixturevalue("cloud")
        return
    from moto import mock_aws

    monkeypatch.setattr("tests.contract.aws.PATIENCE_S", MOTO_PATIENCE_S)
    backend = request.getfixturevalue("in_process")
    with mock_aws():
        yield backend


@pytest.fixture(scope="session")
def functions(cloud: Aws) -> Lambda:
    runtime = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return Lambda(cloud, cloud.role(), runtime)


@pytest.fixture(scope="session")
def probe(functions: Lambda) -> Function:
    """A function that does what its event says. Checks share it: do nothing to it that lasts."""
    return functions.make("probe", MemorySize=128, variables={"MINE": "42"})


@pytest.fixture(scope="session")
def recorder(functions: Lambda) -> Recorder:
    """A function that keeps what it gets. Checks share it, each with sources of its own."""
    bucket = functions.aws.bucket()
    return Recorder(
        functions.make("record", code=zipped(), Timeout=2, variables={"BUCKET": bucket}),
        bucket,
        functions.aws,
    )
