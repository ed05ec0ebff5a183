"""One at a time: who holds the lease, who waits, who takes over."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from imgpipe.deploy import lease
from imgpipe.errors import ImgpipeError, MissingError
from tests.providers.conftest import Clients
from tests.providers.refusing import RefusingClients

BUCKET = "shop-test-variants"
ME = replace(lease.myself("up"), id="me")
OTHER = lease.Holder("down", "ann", "elsewhere", 7, id="other")


@pytest.fixture
def s3(clients: Clients) -> Any:
    made = clients.client("s3")
    made.create_bucket(Bucket=BUCKET)
    return made


def _holder(s3: Any) -> str | None:
    try:
        body = s3.get_object(Bucket=BUCKET, Key=lease.KEY)["Body"].read()
    except s3.exceptions.NoSuchKey:
        return None
    return str(json.loads(body)["id"])


def _leave(s3: Any, holder: lease.Holder) -> None:
    """Put a lease as somebody does who then says nothing more."""
    body = json.dumps({name: getattr(holder, name) for name in holder.__slots__})
    s3.put_object(Bucket=BUCKET, Key=lease.KEY, Body=body.encode())


class Clock:
    """Lets time pass for S3's `Date` header, which is what a lease's age is told by."""

    def __init__(self, s3: Any) -> None:
        self.passed = timedelta(0)
        s3.meta.events.register_last("after-call.s3.GetObject", self._shift)

    def _shift(self, parsed: dict[str, Any], **_: Any) -> None:
        if "LastModified" in parsed:
            parsed["LastModified"] -= self.passed

    def pause(self, seconds: float) -> None:
        self.passed += timedelta(seconds=seconds)


@pytest.fixture
def clock(s3: Any) -> Clock:
    return Clock(s3)


def test_the_lease_is_there_while_held_and_gone_afterwards(s3: Any) -> None:
    with lease.held(s3, BUCKET, ME) as mine:
        assert _holder(s3) == "me"
        assert not mine.lost
    assert _holder(s3) is None


def test_it_is_given_back_after_an_error_too(s3: Any) -> None:
    with pytest.raises(ZeroDivisionError), lease.held(s3, BUCKET, ME):
        raise ZeroDivisionError
    assert _holder(s3) is None


@pytest.mark.fault("F-7", "F-8")
def test_a_second_one_waits_and_says_for_whom(s3: Any, clock: Clock) -> None:
    _leave(s3, OTHER)
    said: list[str] = []

    def pause(seconds: float) -> None:
        s3.delete_object(Bucket=BUCKET, Key=lease.KEY)

    with lease.held(s3, BUCKET, ME, say=said.append, pause=pause):
        assert _holder(s3) == "me"
    assert said == ["waiting for `imgpipe down` of ann on elsewhere (process 7)"]


def test_a_holder_that_renews_is_named_when_patience_ends(s3: Any, clock: Clock) -> None:
    _leave(s3, OTHER)
    waits: list[float] = []
    with (
        pytest.raises(ImgpipeError, match=r"of ann on elsewhere .* is at work") as caught,
        lease.held(s3, BUCKET, ME, pause=waits.append),
    ):
        pytest.fail("two at once")
    assert sum(waits) >= lease.WAIT_S
    assert "run again" in caught.value.hint
    assert _holder(s3) == "other"


def test_the_lease_of_one_that_stopped_renewing_runs_out(s3: Any, clock: Clock) -> None:
    _leave(s3, OTHER)
    with lease.held(s3, BUCKET, ME, pause=clock.pause):
        assert _holder(s3) == "me"
    assert clock.passed >= timedelta(
        seconds=lease.TTL_S - 3
    )  # S3 tells whole seconds, of two times


@pytest.fixture
def dead_process() -> int:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def test_one_that_died_on_this_machine_is_found_out_at_once(s3: Any, dead_process: int) -> None:
    _leave(s3, replace(OTHER, host=platform.node(), pid=dead_process))
    with lease.held(s3, BUCKET, ME, pause=lambda _s: pytest.fail("waited")):
        assert _holder(s3) == "me"


def test_one_that_lives_on_this_machine_is_not_robbed(s3: Any) -> None:
    assert not replace(OTHER, host=platform.node(), pid=os.getppid()).is_dead()
    assert not OTHER.is_dead()


def test_an_answer_that_was_lost_does_not_lock_us_out(clients: Clients, s3: Any) -> None:
    """The SDK asks again and is refused by our own lease."""
    refusing = RefusingClients(clients)
    precondition = ClientError({"Error": {"Code": "PreconditionFailed"}}, "PutObject")
    refusing.refuse("s3", "put_object", precondition)
    _leave(s3, ME)
    with lease.held(refusing.client("s3"), BUCKET, ME, pause=lambda _s: pytest.fail("waited")):
        assert _holder(s3) == "me"


def test_releasing_what_somebody_else_took_over_leaves_theirs(s3: Any) -> None:
    with lease.held(s3, BUCKET, ME):
        _leave(s3, OTHER)
    assert _holder(s3) == "other"


def test_a_network_that_is_down_at_the_end_is_no_failure(clients: Clients, s3: Any) -> None:
    refusing = RefusingClients(clients)
    refusing.refuse("s3", "delete_object", ConnectionClosedError(endpoint_url="x"))
    with lease.held(refusing.client("s3"), BUCKET, ME):
        pass
    assert _holder(s3) == "me"


def test_without_its_bucket_there_is_no_lease(s3: Any) -> None:
    with (
        pytest.raises(MissingError, match="NoSuchBucket"),
        lease.held(s3, "shop-test-nowhere", ME),
    ):
        pytest.fail("held")
