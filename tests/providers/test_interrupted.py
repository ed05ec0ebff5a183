"""`up` and `down` cut off at every call that changes something: running again gets to the same end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pytest
from botocore.exceptions import ConnectionClosedError

from imgpipe.deploy.apply import apply
from imgpipe.deploy.observe import observe
from imgpipe.deploy.plan import pending, plan, plan_down
from imgpipe.deploy.providers.site import Site
from imgpipe.errors import ImgpipeError
from tests.providers.conftest import Clients
from tests.providers.samples import BUCKET, EVERYTHING, FUNCTION, QUEUE, ROLE, TABLE, TOPIC

READING = ("Get", "List", "Describe", "Head")
UP_CALLS, DOWN_CALLS = 33, 22
"""Two more than change something when the samples are put up or taken down: the last run undisturbed."""


class Killed(BaseException):
    """Stands for SIGKILL: no handler of ours may catch it, and nothing more is sent."""


@dataclass
class Fault:
    """Strikes at the n-th changing call: `before` or `after` it the process dies, or its answer is `lost`."""

    n: int
    kind: Literal["before", "after", "lost"]
    seen: int = 0
    dead: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def watch(self, client: Any) -> Any:
        client.meta.events.register_first("before-send", self._before)
        client.meta.events.register_last("before-send", self._after)
        return client

    def _before(self, event_name: str, **_: Any) -> None:
        if self.dead:
            raise Killed
        if event_name.rpartition(".")[2].startswith(READING):
            return
        with self.lock:
            self.seen += 1
            strikes = self.seen == self.n
        if strikes and self.kind == "before":
            self.dead = True
            raise Killed
        threading.current_thread().strikes = strikes  # type: ignore[attr-defined]

    def _after(self, **_: Any) -> None:
        strikes = getattr(threading.current_thread(), "strikes", False)
        threading.current_thread().strikes = False  # type: ignore[attr-defined]
        if strikes and self.kind == "lost":
            raise ConnectionClosedError(endpoint_url="the answer")
        if strikes:
            self.dead = True
            raise Killed


@dataclass
class FaultyClients:
    clients: Clients
    fault: Fault
    made: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        if service not in self.made:
            self.made[service] = self.fault.watch(Clients().client(service))
        return self.made[service]


def _faulty(site: Site, n: int, kind: Any) -> Site:
    return replace(site, clients=FaultyClients(site.clients, Fault(n, kind)))  # type: ignore[arg-type]


def _run(site: Site, actions: Any) -> None:
    for _ in apply(site, actions):
        pass


def _disturbed(site: Site, actions: Any) -> bool:
    """Carry the actions out; tell whether the fault killed it. Any other failure is one of the test."""
    try:
        _run(site, actions)
    except ImgpipeError:
        if not site.clients.fault.dead:  # type: ignore[attr-defined]
            raise
        return True
    return False


@pytest.fixture
def bystander(site: Site) -> Iterator[Site]:
    """A queue and a role of somebody else, which must stay whatever happens."""
    site.client("sqs").create_queue(QueueName="shop-test-theirs", tags={"team": "other"})
    site.client("iam").create_role(RoleName="shop-theirs", AssumeRolePolicyDocument=ROLE.trust)
    yield site
    queues = site.client("sqs").list_queues()["QueueUrls"]
    roles = {role["RoleName"] for role in site.client("iam").list_roles()["Roles"]}
    assert any(url.endswith("/shop-test-theirs") for url in queues)
    assert "shop-theirs" in roles


@pytest.mark.parametrize("kind", ["before", "after"])
@pytest.mark.parametrize("n", range(1, UP_CALLS, 3))
@pytest.mark.fault("F-1", "F-2")
def test_up_killed_at_any_call_is_mended_by_running_again(
    bystander: Site, n: int, kind: str
) -> None:
    n += kind == "after"
    _disturbed(_faulty(bystander, n, kind), plan(EVERYTHING, {}))
    _run(bystander, plan(EVERYTHING, observe(bystander, EVERYTHING).resources))

    there = observe(bystander, EVERYTHING).resources
    assert there == EVERYTHING
    assert pending(plan(EVERYTHING, there)) == []


@pytest.mark.parametrize("n", range(1, UP_CALLS, 5))
@pytest.mark.fault("F-3")
def test_up_goes_through_when_an_answer_is_lost(bystander: Site, n: int) -> None:
    """The SDK asks again; what was done already must not be in the way."""
    assert not _disturbed(_faulty(bystander, n, "lost"), plan(EVERYTHING, {}))
    assert observe(bystander, EVERYTHING).resources == EVERYTHING


@pytest.mark.parametrize("kind", ["before", "after"])
@pytest.mark.parametrize("n", range(1, DOWN_CALLS, 3))
@pytest.mark.fault("F-5")
def test_down_killed_at_any_call_leaves_nothing_when_run_again(
    bystander: Site, n: int, kind: str
) -> None:
    site = replace(bystander, erase_data=True)
    _run(site, plan(EVERYTHING, {}))
    n += kind == "after"
    _disturbed(_faulty(site, n, kind), plan_down(observe(site, EVERYTHING).resources, {}))
    _run(site, plan_down(observe(site, EVERYTHING).resources, {}))
    assert observe(site, EVERYTHING).resources == {}


def test_the_numbers_above_cover_every_call(site: Site) -> None:
    quiet = _faulty(site, 0, "after")
    _run(quiet, plan(EVERYTHING, {}))
    assert UP_CALLS - 3 <= quiet.clients.fault.seen < UP_CALLS  # type: ignore[attr-defined]
    quiet = replace(_faulty(site, 0, "after"), erase_data=True)
    _run(quiet, plan_down(observe(site, EVERYTHING).resources, {}))
    assert DOWN_CALLS - 3 <= quiet.clients.fault.seen < DOWN_CALLS  # type: ignore[attr-defined]


@pytest.mark.parametrize("n", [3, 11, 19])
@pytest.mark.fault("F-6")
def test_down_after_a_killed_up_leaves_nothing(bystander: Site, n: int) -> None:
    site = replace(bystander, erase_data=True)
    _disturbed(_faulty(site, n, "after"), plan(EVERYTHING, {}))
    _run(site, plan_down(observe(site, EVERYTHING).resources, {}))
    assert observe(site, EVERYTHING).resources == {}


def test_a_change_killed_between_code_and_configuration_is_mended(site: Site) -> None:
    _run(site, plan(EVERYTHING, {}))
    changed = {
        **EVERYTHING,
        FUNCTION.key: replace(FUNCTION, code_hash="two", timeout_s=90),
        QUEUE.key: replace(QUEUE, visibility_s=540),
        TOPIC.key: replace(TOPIC, display_name="Shop"),
        BUCKET.key: replace(BUCKET, abort_multipart_days=2),
        TABLE.key: replace(TABLE, recovery=False),
    }
    for n in range(1, 12):
        _disturbed(_faulty(site, n, "after"), plan(changed, observe(site, changed).resources))
    _run(site, plan(changed, observe(site, changed).resources))
    assert observe(site, changed).resources == changed
