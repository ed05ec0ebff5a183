"""Who gets the next free place, and what becomes of a batch."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from imgpipe.local.corrections import permissions
from imgpipe.local.corrections.event_source_poller import Batch, Poller, settle
from imgpipe.local.corrections.event_source_queue import Source
from tests.unit.corrections.conftest import make_mapping, make_message, make_queue

if TYPE_CHECKING:
    from collections.abc import Callable

Result = dict[str, Any]
PATIENCE_S = 10.0


class Functions:
    """Functions that work until they are let go, and note what they were given."""

    def __init__(self, result: Result | None = None) -> None:
        self.result = result or {"body": None}
        self.batches: list[tuple[str, list[str]]] = []
        self.gate = threading.Semaphore(0)

    def invoke(self, function: Any, event: Any) -> Result:
        bodies = [record["body"] for record in event["Records"]]
        self.batches.append((function["config"]["FunctionName"], bodies))
        self.gate.acquire(timeout=PATIENCE_S)
        return self.result

    def let_go(self, count: int) -> None:
        for _ in range(count):
            self.gate.release()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if condition():
                return
            await asyncio.sleep(0.005)


def run(scenario: Callable[[Poller, Functions], Any], *, places: int, **result: Any) -> Functions:
    """Play the scenario with a poller on a loop of its own."""
    functions = Functions(result or None)

    async def play() -> None:
        loop = asyncio.get_running_loop()
        poller = Poller(loop, functions.invoke, lambda: places)
        try:
            await scenario(poller, functions)
        finally:
            functions.let_go(1_000)
            await until(lambda: poller.running() == 0)

    asyncio.run(play())
    return functions


def fill(queue: dict[str, Any], count: int) -> None:
    queue["messages"] += [
        make_message(f"{queue['name']}{number}", sent_at=1e12) for number in range(count)
    ]
    for message in queue["messages"]:
        message["visible_at"] = 0.0


def test_waiting_messages_are_spread_over_the_free_places() -> None:
    queue = make_queue("q")
    make_mapping(queue, "f")
    fill(queue, 6)

    async def scenario(poller: Poller, functions: Functions) -> None:
        poller.ask()
        await until(lambda: len(functions.batches) == 3)

    functions = run(scenario, places=3)
    assert sorted(len(bodies) for _, bodies in functions.batches) == [2, 2, 2]


def test_no_more_is_taken_than_there_are_places() -> None:
    queue = make_queue("q")
    make_mapping(queue, "f", BatchSize=1)
    fill(queue, 9)

    async def scenario(poller: Poller, functions: Functions) -> None:
        poller.ask()
        await until(lambda: poller.running() == 2)
        taken = [message for message in queue["messages"] if message["receive_count"]]
        assert len(taken) == 2

    run(scenario, places=2)


def test_a_mapping_keeps_to_its_maximum_concurrency() -> None:
    queue = make_queue("q")
    make_mapping(queue, "f", BatchSize=1, ScalingConfig={"MaximumConcurrency": 2})
    fill(queue, 9)

    async def scenario(poller: Poller, functions: Functions) -> None:
        poller.ask()
        await until(lambda: len(functions.batches) == 2)
        functions.let_go(1)
        await until(lambda: len(functions.batches) == 3)
        assert poller.running() == 2

    run(scenario, places=8)


def test_the_mapping_with_the_fewest_running_batches_is_next() -> None:
    busy, quiet = make_queue("busy"), make_queue("quiet")
    make_mapping(busy, "a", BatchSize=1)
    make_mapping(quiet, "b", BatchSize=1)
    fill(busy, 50)
    fill(quiet, 2)

    async def scenario(poller: Poller, functions: Functions) -> None:
        poller.ask()
        await until(lambda: len(functions.batches) == 4)

    functions = run(scenario, places=4)
    assert sorted(name for name, _ in functions.batches[:4]) == ["a", "a", "b", "b"]


def test_a_message_that_nobody_announced_is_found_all_the_same() -> None:
    queue = make_queue("q")
    make_mapping(queue, "f")

    async def scenario(poller: Poller, functions: Functions) -> None:
        poller.ask()
        await asyncio.sleep(0)
        fill(queue, 1)
        await until(lambda: functions.batches)

    run(scenario, places=1)


def test_a_delayed_message_is_taken_when_it_becomes_visible() -> None:
    queue = make_queue("q")
    make_mapping(queue, "f")

    async def scenario(poller: Poller, functions: Functions) -> None:
        import time

        queue["messages"].append(
            make_message("later", sent_at=time.time(), visible_at=time.time() + 0.2)
        )
        poller.ask()
        await until(lambda: functions.batches)

    run(scenario, places=1)


def test_what_succeeded_is_deleted_and_the_next_batch_starts() -> None:
    queue = make_queue("q")
    make_mapping(queue, "f", BatchSize=1)
    fill(queue, 3)

    async def scenario(poller: Poller, functions: Functions) -> None:
        poller.ask()
        functions.let_go(3)
        await until(lambda: not queue["messages"])

    functions = run(scenario, places=1)
    assert [bodies for _, bodies in functions.batches] == [["q0"], ["q1"], ["q2"]]


def test_a_function_without_reserved_concurrency_left_takes_nothing() -> None:
    queue = make_queue("q")
    make_mapping(queue, "f")["FunctionName"]
    from ministack.services import lambda_svc

    lambda_svc._functions.all_values()[0]["concurrency"] = 0
    fill(queue, 3)

    async def scenario(poller: Poller, functions: Functions) -> None:
        poller.ask()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    functions = run(scenario, places=4)
    assert functions.batches == []
    assert all(message["receive_count"] == 0 for message in queue["messages"])


def test_messages_that_the_filter_drops_are_deleted_unseen() -> None:
    queue = make_queue("q")
    make_mapping(queue, "f", FilterCriteria={"Filters": [{"Pattern": '{"body": ["q1"]}'}]})
    fill(queue, 3)

    async def scenario(poller: Poller, functions: Functions) -> None:
        poller.ask()
        functions.let_go(9)
        await until(lambda: not queue["messages"])

    functions = run(scenario, places=1)
    assert functions.batches == [("f", ["q1"])]


def batch_of(queue: dict[str, Any], *bodies: str, **mapping: Any) -> Batch:
    messages = [
        make_message(body, receive_count=1, visible_at=99.0, receipt_handle=f"h-{body}")
        for body in bodies
    ]
    queue["messages"] += messages
    made = make_mapping(queue, "f", **mapping)
    function = {"config": {"Role": "r"}}
    return Batch(made, queue, function, "000000000000", "us-east-1", messages, {})


@pytest.mark.parametrize("result", [None, {"throttle": True, "error": True}])
def test_what_never_ran_is_given_back_without_a_receive(result: Result | None) -> None:
    queue = make_queue("q")
    settle(batch_of(queue, "a", "b"), result, 10.0)
    assert [message["receive_count"] for message in queue["messages"]] == [0, 0]
    assert all(message["visible_at"] <= 11.0 for message in queue["messages"])


def test_what_failed_waits_for_its_visibility_timeout() -> None:
    queue = make_queue("q")
    settle(batch_of(queue, "a"), {"error": True, "body": {}}, 10.0)
    assert [message["visible_at"] for message in queue["messages"]] == [99.0]


def test_of_a_partly_failed_batch_the_failed_stay() -> None:
    queue = make_queue("q")
    batch = batch_of(queue, "a", "b", FunctionResponseTypes=["ReportBatchItemFailures"])
    settle(batch, {"body": {"batchItemFailures": [{"itemIdentifier": "id-b"}]}}, 10.0)
    assert [message["body"] for message in queue["messages"]] == ["b"]


def forbid(monkeypatch: pytest.MonkeyPatch, forbidden: str) -> None:
    """Take one right from every role."""

    def allow(_role: str, action: str, _arn: str, _policy: Any) -> bool:
        return action != forbidden

    monkeypatch.setattr(permissions, "allow", allow)


@pytest.mark.parametrize("action", ["sqs:ReceiveMessage", "sqs:GetQueueAttributes"])
def test_without_leave_to_receive_nothing_is_taken(
    monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    queue = make_queue("q")
    mapping = make_mapping(queue, "f")
    fill(queue, 1)
    forbid(monkeypatch, action)

    async def scenario(poller: Poller, functions: Functions) -> None:
        poller.ask()
        await until(lambda: action[4:] in mapping.get("LastProcessingResult", ""))
        assert not functions.batches

    run(scenario, places=3)


def test_without_leave_to_delete_what_is_done_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = make_queue("q")
    batch = batch_of(queue, "a")
    forbid(monkeypatch, "sqs:DeleteMessage")
    settle(batch, {"body": None}, 10.0)
    assert [message["body"] for message in queue["messages"]] == ["a"]
    assert "DeleteMessage" in batch.mapping["LastProcessingResult"]


def source(count: int, *, size: int, window: int, visible_since: float = 100.0) -> Source:
    queue = make_queue("q")
    messages = [make_message(str(number), sent_at=visible_since) for number in range(count)]
    mapping = make_mapping(queue, "f", BatchSize=size, MaximumBatchingWindowInSeconds=window)
    return Source(mapping, queue, None, "000000000000", "us-east-1", 5, messages, None)


def test_a_batch_with_a_window_leaves_when_it_is_full_or_the_first_has_waited_long_enough() -> None:
    assert source(3, size=5, window=20).due() == 120.0
    assert source(5, size=5, window=20).due() == 0.0
    assert source(0, size=5, window=20).due() is None


def test_a_batch_without_a_window_leaves_at_once() -> None:
    assert source(1, size=5, window=0).due() == 0.0


def test_a_mapping_with_a_window_fills_its_batches() -> None:
    assert source(50, size=50, window=2).share(5) == 50
    assert source(50, size=10, window=0).share(5) == 10
    assert source(7, size=10, window=0).share(3) == 3
