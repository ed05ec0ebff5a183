"""A queue's messages: what is received, expired, buried and deleted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ministack.services import sqs

from imgpipe.local.corrections import sqs_messages, sqs_moves
from tests.unit.corrections.conftest import arn, make_message, make_queue


def bodies(queue: dict[str, Any]) -> list[str]:
    return [message["body"] for message in queue["messages"]]


def with_grave(receives: int = 2) -> tuple[dict[str, Any], dict[str, Any]]:
    grave = make_queue("grave")
    policy = f'{{"deadLetterTargetArn": "{arn(grave)}", "maxReceiveCount": "{receives}"}}'
    return make_queue("source", RedrivePolicy=policy), grave


def test_receiving_hides_the_oldest_visible_messages_and_counts() -> None:
    queue = make_queue("q")
    queue["messages"] += [make_message(name) for name in "abc"]
    queue["messages"][0]["visible_at"] = 99.0
    taken = sqs_messages.take(queue, 1, 30, 10.0)
    assert [message["body"] for message in taken] == ["b"]
    assert (taken[0]["visible_at"], taken[0]["receive_count"]) == (40.0, 1)


def test_giving_back_leaves_no_trace_of_the_receive() -> None:
    queue = make_queue("q")
    queue["messages"].append(make_message("a"))
    [message] = sqs_messages.take(queue, 1, 30, 10.0)
    sqs_messages.give_back(message, 11.0)
    assert (message["visible_at"], message["receive_count"]) == (11.0, 0)


def test_a_message_received_often_enough_moves_to_the_dead_letter_queue_and_names_its_source() -> (
    None
):
    queue, grave = with_grave(receives=2)
    queue["messages"] += [make_message("dead", receive_count=2), make_message("alive")]
    sqs_messages.bury(queue, 10.0)
    assert (bodies(queue), bodies(grave)) == (["alive"], ["dead"])
    assert grave["messages"][0]["sys"]["DeadLetterQueueSourceArn"] == arn(queue)
    assert grave["messages"][0]["id"] == "id-dead"


def test_a_message_in_flight_is_not_buried() -> None:
    queue, grave = with_grave(receives=1)
    queue["messages"].append(make_message("busy", receive_count=1, visible_at=99.0))
    sqs_messages.bury(queue, 10.0)
    assert bodies(grave) == []


def test_the_survey_tells_what_is_visible_and_when_more_will_be() -> None:
    queue = make_queue("q")
    queue["messages"] += [
        make_message("now", sent_at=5.0),
        make_message("soon", sent_at=5.0, visible_at=20.0),
        make_message("later", sent_at=5.0, visible_at=30.0),
    ]
    visible, next_visible = sqs_messages.survey(queue, 10.0)
    assert ([message["body"] for message in visible], next_visible) == (["now"], 20.0)


def test_a_message_older_than_the_retention_is_gone() -> None:
    queue = make_queue("q", MessageRetentionPeriod="60")
    queue["messages"] += [make_message("old", sent_at=0.5), make_message("new", sent_at=50.0)]
    sqs_messages.expire(queue, 61.0)
    assert bodies(queue) == ["new"]


def test_deleting_with_a_handle_of_an_earlier_receive_deletes_nothing() -> None:
    queue = make_queue("q")
    queue["messages"].append(make_message("a"))
    old = sqs_messages.take(queue, 1, 0, 10.0)[0]["receipt_handle"]
    sqs_messages.take(queue, 1, 0, 11.0)
    sqs_messages.delete(queue, {old})
    assert bodies(queue) == ["a"]


def test_the_list_of_messages_stays_the_same_object() -> None:
    queue, _ = with_grave(receives=1)
    messages = queue["messages"]
    messages += [make_message("dead", receive_count=1), make_message("old", sent_at=-1e9)]
    messages.append(make_message("alive"))
    handle = None
    sqs_messages.survey(queue, 10.0)
    handle = sqs_messages.take(queue, 1, 30, 10.0)[0]["receipt_handle"]
    sqs_messages.delete(queue, {handle})
    assert queue["messages"] is messages
    assert messages == []


def task(source: dict[str, Any], destination: dict[str, Any] | None = None) -> sqs_moves.Task:
    return sqs_moves.Task(
        id="t",
        source=arn(source),
        destination=arn(destination) if destination else None,
        rate=None,
        to_move=len(source["messages"]),
        account="000000000000",
    )


@given(count=st.integers(0, 12), steps=st.lists(st.integers(1, 5), max_size=8))
def test_moving_back_loses_and_doubles_nothing_wherever_it_stops(
    count: int, steps: list[int]
) -> None:
    sqs._queues.clear()
    queue, grave = with_grave(receives=1)
    names = [f"m{number}" for number in range(count)]
    queue["messages"] += [make_message(name, receive_count=1) for name in names]
    sqs_messages.bury(queue, 10.0)
    move = task(grave)
    for most in steps:
        sqs_moves.move_some(move, most)
    assert sorted(bodies(queue) + bodies(grave)) == sorted(names)
    assert move.moved == len(queue["messages"]) == min(count, sum(steps))


def test_a_moved_message_is_a_new_one_with_the_same_content() -> None:
    queue, grave = with_grave(receives=1)
    attributes = {"k": {"DataType": "String", "StringValue": "v"}}
    queue["messages"].append(
        make_message("a", receive_count=1, message_attributes=attributes, md5_body="5")
    )
    sqs_messages.bury(queue, 10.0)
    sqs_moves.move_some(task(grave), 10)
    [message] = queue["messages"]
    assert (message["body"], message["message_attributes"]) == ("a", attributes)
    assert message["id"] != "id-a"
    assert message["receive_count"] == 0
    assert "DeadLetterQueueSourceArn" not in message["sys"]


def test_a_message_that_was_sent_straight_to_the_dead_letter_queue_has_no_way_back() -> None:
    _, grave = with_grave()
    grave["messages"].append(make_message("stray"))
    with pytest.raises(sqs_moves.StoppedError, match="CouldNotDetermineMessageSource"):
        sqs_moves.move_some(task(grave), 10)


def test_a_task_stops_when_its_destination_is_deleted() -> None:
    _, grave = with_grave()
    other = make_queue("other")
    grave["messages"].append(make_message("x"))
    move = task(grave, other)
    sqs._queues.clear()
    make_queue("grave")["messages"].append(make_message("x"))
    with pytest.raises(sqs_moves.StoppedError, match="NonExistentQueue"):
        sqs_moves.move_some(move, 10)
