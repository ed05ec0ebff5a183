"""Dead letters on SQS as moto answers, and SQS's own mover as its model describes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from imgpipe.errors import CloudError, DeniedError, UsageError
from imgpipe.operate.dlq import causes, find, mover, queues, route, server_side
from imgpipe.operate.dlq.choose import Choice
from imgpipe.operate.dlq.letters import Home, Letter
from imgpipe.operate.project import Project
from tests.refusing import refuse
from tests.studio import (
    create_queues,
    create_table,
    put_row,
    result,
    s3_event,
    sns_envelope,
    studio,
)


@pytest.fixture
def project() -> Iterator[Project]:
    with mock_aws():
        made = studio()
        create_queues(made)
        create_table(made)
        yield made


def home(project: Project, name: str) -> Home:
    return next(home for home in queues.homes(project.graph) if home.name == name)


def put_letter(project: Project, queue: str, body: Any, **words: str) -> None:
    attributes = {name: {"DataType": "String", "StringValue": text} for name, text in words.items()}
    project.cloud.client("sqs").send_message(
        QueueUrl=project.graph.place.queue_url(project.graph.queues[queue]),
        MessageBody=json.dumps(body),
        MessageAttributes=attributes,
    )


def test_more_letters_than_one_call_gives_are_all_found(project: Project) -> None:
    for number in range(23):
        put_letter(project, "enhance-dlq", sns_envelope(s3_event(f"incoming/{number:02}.jpg")))
    found = find.letters(project, queues.homes(project.graph))
    assert sorted(str(letter.key) for letter in found) == [
        f"incoming/{number:02}.jpg" for number in range(23)
    ]
    again = find.letters(project, queues.homes(project.graph))
    assert {letter.receives for letter in (*found, *again)} == {5}, "looking changes nothing"


def test_a_letter_learns_its_steps_and_its_reason_from_the_row_of_its_version(
    project: Project,
) -> None:
    error = {"class": "ClientError", "message": "the table is away", "reason": ""}
    expected = ["sizes", "metadata"]
    sizes = {"step": "sizes", "expected": expected}
    put_row(
        project,
        result("incoming/a.jpg", **sizes, status="failed", error=error, outputs={}, facts={}),
        result("incoming/a.jpg", **{**sizes, "step": "metadata"}),
    )
    put_letter(project, "images-dlq", sns_envelope(s3_event("incoming/a.jpg")))
    [letter] = causes.explained(project, find.letters(project, [home(project, "images-dlq")]))
    assert (letter.step, letter.error, letter.reason) == (
        "sizes",
        "ClientError",
        "the table is away",
    )


def test_a_letter_without_a_row_or_a_log_still_reads(project: Project) -> None:
    put_letter(project, "images-dlq", {"any": "thing"})
    [letter] = causes.explained(project, find.letters(project, [home(project, "images-dlq")]))
    assert (letter.step, letter.key, letter.as_json()["reason"]) == ("sizes, metadata", None, None)


def test_a_redriven_message_keeps_its_body_and_its_own_attributes(project: Project) -> None:
    body = sns_envelope(s3_event("incoming/a.jpg"))
    put_letter(project, "enhance-dlq", body, trace="t1", ErrorCode="403")
    homes = queues.homes(project.graph)
    routes = [
        (letter, route.route(project.graph, letter)) for letter in find.letters(project, homes)
    ]
    assert [outcome.status for outcome in mover.redrive(project, homes, routes)] == ["moved"]

    url = project.graph.place.queue_url(project.graph.queues["enhance"])
    [message] = project.cloud.client("sqs").receive_message(
        QueueUrl=url, MessageAttributeNames=["All"]
    )["Messages"]
    assert json.loads(message["Body"]) == body
    assert set(message["MessageAttributes"]) == {"trace"}
    assert find.letters(project, homes) == []


class Moves:
    """SQS, as far as it moves letters by itself: one task, whose states the test tells."""

    def __init__(self, *states: dict[str, Any]) -> None:
        self._states = list(states)
        self.started: list[dict[str, str]] = []
        self.exceptions = type("Exceptions", (), {"ClientError": RuntimeError})

    def start_message_move_task(self, **request: str) -> Any:
        self.started.append(request)
        return {"TaskHandle": "h"}

    def list_message_move_tasks(self, **_: Any) -> Any:
        state = self._states.pop(0)
        return {"Results": [state] if state else []}


def task(status: str, moved: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "Status": status,
        "ApproximateNumberOfMessagesMoved": moved,
        "ApproximateNumberOfMessagesToMove": 5,
        **more,
    }


def test_sqs_moves_a_whole_queue_to_the_branch_and_tells_its_progress() -> None:
    moves = Moves({}, task("RUNNING", 2), task("COMPLETED", 5))
    project = studio(sqs=moves)
    found = list(server_side.move(project, home(project, "enhance-dlq"), lambda _: None))
    assert [(progress.moved, progress.total, progress.done) for progress in found] == [
        (2, 5, False),
        (5, 5, True),
    ]
    [request] = moves.started
    assert request["SourceArn"].endswith(":photo-studio-local-enhance-dlq")
    assert request["DestinationArn"].endswith(":photo-studio-local-enhance")


def test_a_move_that_is_under_way_is_followed_and_not_started_again() -> None:
    moves = Moves(task("RUNNING", 1), task("RUNNING", 3), task("COMPLETED", 5))
    project = studio(sqs=moves)
    assert len(list(server_side.move(project, home(project, "enhance-dlq"), lambda _: None))) == 2
    assert moves.started == []


def test_a_move_that_fails_says_why() -> None:
    project = studio(sqs=Moves({}, task("FAILED", FailureReason="CouldNotDetermineMessageSource")))
    with pytest.raises(CloudError, match="CouldNotDetermineMessageSource"):
        list(server_side.move(project, home(project, "enhance-dlq"), lambda _: None))


def test_only_the_dead_letters_of_a_queue_can_be_moved_by_sqs() -> None:
    project = studio()
    with pytest.raises(UsageError) as refused:
        list(server_side.move(project, home(project, "thumbs-dlq"), lambda _: None))
    assert "without --server-side" in refused.value.hint
    names = {home.name for home in server_side.movable(project, Choice())}
    assert names == {"enhance-dlq", "images-dlq", "notifier-dlq", "tidy-dlq", "results-dlq"}
    assert [home.name for home in server_side.movable(project, Choice(step="sizes"))] == [
        "images-dlq"
    ]


def test_a_dead_letter_queue_that_is_gone_holds_no_letters(project: Project) -> None:
    gone = home(project, "enhance-dlq")
    project.cloud.client("sqs").delete_queue(QueueUrl=gone.url)
    assert find.letters(project, [gone]) == []
    assert find.waiting(project.cloud.client("sqs"), gone.url) == 0


def test_a_letter_that_could_not_be_sent_stays_and_is_shown_again(project: Project) -> None:
    put_letter(project, "enhance-dlq", sns_envelope(s3_event("incoming/a.jpg")))
    homes = [home(project, "enhance-dlq")]
    [letter] = find.letters(project, homes)
    nowhere = route.ToQueue("enhance", f"{homes[0].url}-nowhere", letter.body, {})

    [outcome] = mover.redrive(project, homes, [(letter, nowhere)])
    assert (outcome.status, outcome.to) == ("failed", "enhance")
    assert "sending it" in outcome.why
    assert [left.id for left in find.letters(project, homes)] == [letter.id]


class RefusingDeletes:
    """SQS, which doesn't let anything be deleted."""

    def __init__(self, sqs: Any) -> None:
        self._sqs = sqs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sqs, name)

    def delete_message(self, **_: Any) -> Any:
        error: Any = {"Error": {"Code": "AccessDenied", "Message": "no"}}
        raise ClientError(error, "DeleteMessage")


def test_a_letter_that_was_sent_and_could_not_be_deleted_says_so_and_stays(
    project: Project,
) -> None:
    put_letter(project, "enhance-dlq", sns_envelope(s3_event("incoming/a.jpg")))
    homes = [home(project, "enhance-dlq")]
    [letter] = find.letters(project, homes)
    sqs = project.cloud.client("sqs")
    project.cloud.made["sqs"] = RefusingDeletes(sqs)  # type: ignore[attr-defined]

    [outcome] = mover.redrive(project, homes, [(letter, route.route(project.graph, letter))])
    assert outcome.status == "failed"
    assert "may be sent again" in outcome.why
    assert [left.id for left in find.letters(project, homes)] == [letter.id]
    url = project.graph.place.queue_url(project.graph.queues["enhance"])
    assert len(sqs.receive_message(QueueUrl=url)["Messages"]) == 1


def look(project: Project, homes: list[Home], _: Letter) -> None:
    find.letters(project, homes)


def move(project: Project, homes: list[Home], letter: Letter) -> None:
    list(mover.each(project, homes, [letter], lambda it: mover.Outcome(it, "failed")))


@pytest.mark.parametrize("meet", [look, move])
@pytest.mark.parametrize("operation", ["ReceiveMessage", "ChangeMessageVisibilityBatch"])
def test_a_queue_whose_letters_may_not_be_met_is_named(
    project: Project, operation: str, meet: Callable[[Project, list[Home], Letter], None]
) -> None:
    homes = [home(project, "images-dlq")]
    put_letter(project, "images-dlq", "x")
    [letter] = find.letters(project, homes)
    refuse(project.cloud.client("sqs"), operation)
    with pytest.raises(DeniedError, match=rf"queue .*-images-dlq: {operation}"):
        meet(project, homes, letter)
