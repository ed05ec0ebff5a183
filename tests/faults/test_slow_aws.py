"""AWS is eventually consistent: `up` waits for what isn't there yet, in the words in which AWS says so.

The answers are put below the SDK's retries, as the services spell them; a name is refused twice before it goes through.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgpipe.deploy.plan import pending
from imgpipe.errors import DeniedError, ImgpipeError, ThrottledError
from imgpipe.operate import provision
from tests.faults import on_moto
from tests.faults.account import differences
from tests.faults.on_moto import World
from tests.faults.strikes import Refused

NOT_YET: dict[str, Refused] = {
    "lambda:CreateFunction": Refused(
        400,
        "InvalidParameterValueException",
        "The role defined for the function cannot be assumed by Lambda.",
    ),
    "lambda:CreateEventSourceMapping": Refused(
        400,
        "InvalidParameterValueException",
        "The provided execution role does not have permissions to call ReceiveMessage on SQS",
    ),
    "lambda:PutFunctionEventInvokeConfig": Refused(
        400,
        "InvalidParameterValueException",
        "The function's execution role does not have permissions to call SendMessage on arn",
    ),
    "lambda:AddPermission": Refused(404, "ResourceNotFoundException", "Function not found: arn"),
    "sqs:CreateQueue": Refused(
        400,
        "AWS.SimpleQueueService.QueueDeletedRecently",
        "You must wait 60 seconds after deleting a queue before you can create another with the same name.",
    ),
    "s3:CreateBucket": Refused(
        409, "OperationAborted", "A conflicting conditional operation is currently in progress"
    ),
    "s3:PutBucketVersioning": Refused(404, "NoSuchBucket", "The specified bucket does not exist"),
    "s3:PutBucketNotificationConfiguration": Refused(
        400, "InvalidArgument", "Unable to validate the following destination configurations"
    ),
    "sns:Subscribe": Refused(404, "NotFound", "Topic does not exist"),
    "sns:CreateTopic": Refused(400, "ConcurrentAccess", "Updates to the topic are in progress"),
    "iam:CreateRole": Refused(409, "ConcurrentModification", "Please retry"),
    "iam:PutRolePolicy": Refused(404, "NoSuchEntity", "The role cannot be found."),
    "dynamodb:UpdateTimeToLive": Refused(
        400, "ResourceNotFoundException", "Requested resource not found: Table"
    ),
    "dynamodb:UpdateContinuousBackups": Refused(
        400, "ContinuousBackupsUnavailableException", "Backups are being enabled for the table"
    ),
    "logs:CreateLogGroup": Refused(
        400, "OperationAbortedException", "A conflicting operation is currently in progress"
    ),
    "logs:PutRetentionPolicy": Refused(
        400, "ResourceNotFoundException", "The specified log group does not exist."
    ),
}


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    logging.disable(logging.WARNING)  # moto looks for Docker, and says so
    yield on_moto.world(tmp_path, "studio", monkeypatch)
    logging.disable(logging.NOTSET)


def test_all_that_is_not_there_yet_is_waited_for_and_told(studio: World) -> None:
    with studio.fresh():
        studio.up()
        wanted = studio.snapshot()
    with studio.fresh():
        refusals = {operation: [refused] * 2 for operation, refused in NOT_YET.items()}
        studio.line.refusals = refusals
        project = studio.project
        events = list(provision.up(project, provision.plan(project)))
        assert {operation: left for operation, left in refusals.items() if left} == {}
        assert differences(wanted, studio.snapshot()) == []
        assert pending(provision.plan(project)) == []
    notes = {event.text for event in events if event.state == "note"}
    assert {
        "AWS has yet to settle: waiting",
        "SQS keeps a deleted name for 60 s: waiting",
        "waiting until Lambda may use it",
    } <= notes


@pytest.mark.parametrize(
    ("refused", "known"),
    [
        (Refused(403, "AccessDenied", "not authorized to perform: sqs:CreateQueue"), DeniedError),
        (Refused(400, "ThrottlingException", "Rate exceeded"), ThrottledError),
    ],
    ids=["denied", "throttled for good"],
)
def test_what_no_waiting_helps_against_is_told_and_mended_by_running_again(
    studio: World, refused: Refused, known: type[ImgpipeError]
) -> None:
    with studio.fresh():
        studio.line.refusals = {"sqs:CreateQueue": [refused] * 1000}
        with pytest.raises(known, match="CreateQueue") as caught:
            studio.up()
        assert "run again" in caught.value.hint
        studio.line.refusals = {}
        studio.up()
        assert pending(provision.plan(studio.project)) == []
