"""Queues: visibility, dead letters, move tasks, and what is refused."""

from __future__ import annotations

import json
import threading
from collections import Counter
from typing import Any

from tests.contract.aws import Aws, Queue, error_code, pairs, unique, until


def redrive_to(arn: str, receives: int = 2) -> dict[str, str]:
    return {"RedrivePolicy": json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": receives})}


def with_grave(aws: Aws, receives: int = 1) -> tuple[Queue, Queue]:
    grave = aws.queue()
    return aws.queue(dead_letters=grave, receives=receives, VisibilityTimeout="0"), grave


def bury(aws: Aws, queue: Queue, grave: Queue, *bodies: str) -> None:
    """Send messages and fail them until they are in the dead-letter queue."""
    aws.send(queue, *bodies)

    def buried() -> bool:
        aws.look(queue)
        return aws.depths(grave)[0] == len(bodies)

    until(buried)


def tasks(aws: Aws, source: Queue) -> list[dict[str, Any]]:
    found = aws.client("sqs").list_message_move_tasks(SourceArn=source.arn, MaxResults=10)
    return list(found["Results"])


def test_a_received_message_counts_as_in_flight(aws: Aws) -> None:
    queue = aws.queue()
    aws.send(queue, "a")
    aws.look(queue)
    assert aws.depths(queue) == (0, 1, 0)


def test_a_received_message_is_hidden(aws: Aws) -> None:
    queue = aws.queue()
    aws.send(queue, "a")
    aws.look(queue)
    assert aws.look(queue) == []


def test_a_message_is_back_after_its_visibility_timeout_and_counts_its_receives(aws: Aws) -> None:
    queue = aws.queue(VisibilityTimeout="1")
    aws.send(queue, "a")
    aws.look(queue)
    [message] = until(lambda: aws.look(queue))
    assert message["Attributes"]["ApproximateReceiveCount"] == "2"


def test_a_message_made_visible_is_back_at_once(aws: Aws) -> None:
    queue = aws.queue()
    aws.send(queue, "a")
    [message] = aws.look(queue)
    aws.client("sqs").change_message_visibility(
        QueueUrl=queue.url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
    )
    assert len(aws.look(queue)) == 1


def test_a_delayed_message_counts_as_delayed(aws: Aws) -> None:
    queue = aws.queue()
    aws.client("sqs").send_message(QueueUrl=queue.url, MessageBody="a", DelaySeconds=60)
    assert aws.depths(queue) == (0, 0, 1)


def test_a_long_poll_returns_when_a_message_arrives(cloud: Aws) -> None:
    queue = cloud.queue()
    sender = threading.Timer(0.5, lambda: cloud.send(queue, "late"))
    sender.start()
    messages = cloud.look(queue, WaitTimeSeconds=20)
    sender.join()
    assert [message["Body"] for message in messages] == ["late"]


def test_a_fifo_queue_drops_a_duplicate(aws: Aws) -> None:
    sqs = aws.client("sqs")
    url = sqs.create_queue(
        QueueName=unique("q") + ".fifo",
        Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"},
    )["QueueUrl"]
    for _ in range(2):
        sqs.send_message(QueueUrl=url, MessageBody="1", MessageGroupId="g")
    assert len(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]) == 1


def test_a_queue_that_exists_is_not_made_again_with_other_attributes(aws: Aws) -> None:
    queue = aws.queue()
    code = error_code(
        aws.client("sqs").create_queue,
        QueueName=queue.name,
        Attributes={"VisibilityTimeout": "99"},
    )
    assert code == "QueueAlreadyExists"


def test_a_message_may_be_deleted_twice(aws: Aws) -> None:
    queue = aws.queue()
    aws.send(queue, "a")
    handle = {"QueueUrl": queue.url, "ReceiptHandle": aws.look(queue)[0]["ReceiptHandle"]}
    aws.client("sqs").delete_message(**handle)
    assert error_code(aws.client("sqs").delete_message, **handle) is None


def test_a_message_is_dead_after_exactly_as_many_receives_as_allowed(aws: Aws) -> None:
    queue, grave = with_grave(aws, receives=2)
    aws.send(queue, "poison")
    received = 0

    def buried() -> bool:
        nonlocal received
        received += len(aws.look(queue))
        return aws.depths(grave)[0] == 1

    until(buried)
    assert received == 2


def test_a_dead_letter_keeps_its_attributes_and_names_its_source(aws: Aws) -> None:
    queue, grave = with_grave(aws)
    aws.client("sqs").send_message(
        QueueUrl=queue.url,
        MessageBody="poison",
        MessageAttributes={"k": {"DataType": "String", "StringValue": "v"}},
    )
    until(lambda: aws.look(queue) == [] and aws.depths(grave)[0] == 1)
    [letter] = aws.look(grave)
    assert letter["MessageAttributes"]["k"]["StringValue"] == "v"
    assert letter["Attributes"]["DeadLetterQueueSourceArn"] == queue.arn


def test_a_dead_letter_queue_names_its_source_queues(aws: Aws) -> None:
    queue, grave = with_grave(aws)
    found = aws.client("sqs").list_dead_letter_source_queues(QueueUrl=grave.url)
    assert found["queueUrls"] == [queue.url]


def test_a_move_task_brings_dead_letters_back_to_their_source(aws: Aws) -> None:
    queue, grave = with_grave(aws)
    bury(aws, queue, grave, "a", "b")
    aws.client("sqs").start_message_move_task(SourceArn=grave.arn)
    until(lambda: aws.depths(queue)[0] == 2)
    assert aws.depths(grave) == (0, 0, 0)


def test_a_finished_move_task_tells_how_many_it_moved_and_no_handle(aws: Aws) -> None:
    queue, grave = with_grave(aws)
    bury(aws, queue, grave, "a", "b")
    aws.client("sqs").start_message_move_task(SourceArn=grave.arn)
    until(lambda: tasks(aws, grave)[0]["Status"] == "COMPLETED")
    [task] = tasks(aws, grave)
    assert task["ApproximateNumberOfMessagesMoved"] == 2
    assert "TaskHandle" not in task


def start_slow_move(aws: Aws) -> tuple[Queue, str]:
    _, grave = with_grave(aws)
    target = aws.queue()
    aws.client("sqs").send_message_batch(QueueUrl=grave.url, Entries=list(pairs(10)))
    started = aws.client("sqs").start_message_move_task(
        SourceArn=grave.arn, DestinationArn=target.arn, MaxNumberOfMessagesPerSecond=2
    )
    return grave, started["TaskHandle"]


def test_a_move_task_with_a_rate_takes_its_time(aws: Aws) -> None:
    grave, handle = start_slow_move(aws)
    [task] = tasks(aws, grave)
    assert (task["Status"], task["TaskHandle"]) == ("RUNNING", handle)


def test_a_move_task_can_be_cancelled(aws: Aws) -> None:
    grave, handle = start_slow_move(aws)
    aws.client("sqs").cancel_message_move_task(TaskHandle=handle)
    until(lambda: tasks(aws, grave)[0]["Status"] == "CANCELLED")
    assert aws.depths(grave)[0] > 0


def test_a_queue_has_one_move_task_at_a_time(aws: Aws) -> None:
    grave, _ = start_slow_move(aws)
    code = error_code(aws.client("sqs").start_message_move_task, SourceArn=grave.arn)
    assert code == "AWS.SimpleQueueService.UnsupportedOperation"


def test_a_queue_that_is_no_dead_letter_queue_has_no_move_task(aws: Aws) -> None:
    code = error_code(aws.client("sqs").start_message_move_task, SourceArn=aws.queue().arn)
    assert code == "InvalidParameterValue"


def test_a_dead_letter_queue_that_denies_its_sources_is_refused(aws: Aws) -> None:
    grave = aws.queue(RedriveAllowPolicy=json.dumps({"redrivePermission": "denyAll"}))
    code = error_code(
        aws.client("sqs").set_queue_attributes,
        QueueUrl=aws.queue().url,
        Attributes=redrive_to(grave.arn),
    )
    assert code == "InvalidParameterValue"


def test_a_dead_letter_queue_that_does_not_exist_is_refused(aws: Aws) -> None:
    code = error_code(
        aws.client("sqs").set_queue_attributes,
        QueueUrl=aws.queue().url,
        Attributes=redrive_to(aws.queue().arn + "-not"),
    )
    assert code == "InvalidParameterValue"


def test_no_message_is_lost_or_doubled_between_parallel_senders_and_receivers(cloud: Aws) -> None:
    queue, seen = cloud.queue(), Counter[str]()
    senders = [
        threading.Thread(target=cloud.send, args=(queue, *(f"{who}-{n}" for n in range(25))))
        for who in range(4)
    ]
    for sender in senders:
        sender.start()
    until(lambda: seen.update(m["Body"] for m in cloud.receive(queue)) or seen.total() >= 100)
    for sender in senders:
        sender.join()
    assert set(seen.values()) == {1}
    assert cloud.depths(queue) == (0, 0, 0)
