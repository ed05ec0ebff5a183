"""Dead letters of every kind read the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from imgpipe.errors import MissingError, UsageError
from imgpipe.operate.dlq import causes, choose, queues, route
from imgpipe.operate.dlq.choose import Choice
from imgpipe.operate.dlq.letters import Home, Letter, decode
from imgpipe.operate.dlq.route import NoWay, ToFunction, ToQueue
from tests.studio import s3_event, sns_envelope, studio_graph

GRAPH = studio_graph()
HOMES = {home.name: home for home in queues.homes(GRAPH)}
SENT_MS = 1_790_000_000_000
KEY = "incoming/a b+c%20d \U0001f4f8\n.jpg"


def message(body: Any, **words: str) -> dict[str, Any]:
    return {
        "MessageId": "letter-1",
        "Body": body if isinstance(body, str) else json.dumps(body),
        "Attributes": {"SentTimestamp": str(SENT_MS), "ApproximateReceiveCount": "6"},
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": text} for name, text in words.items()
        },
    }


def record(event: Any, **response: Any) -> dict[str, Any]:
    """Return what Lambda sends to a function's on-failure queue."""
    return {
        "version": "1.0",
        "timestamp": "2026-11-21T07:10:00Z",
        "requestContext": {
            "requestId": "r1",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3,
        },
        "requestPayload": event,
        "responsePayload": response,
    }


def sns_event(text: Any) -> dict[str, Any]:
    return {"Records": [{"EventSource": "aws:sns", "Sns": sns_envelope(text)}]}


IN_QUEUE = decode(HOMES["enhance-dlq"], message(sns_envelope(s3_event(KEY, "v9"))))
RAW = decode(HOMES["images-dlq"], message(s3_event(KEY, "v9")))
UNDELIVERED = decode(
    HOMES["thumbs-dlq"],
    message(
        sns_envelope(s3_event(KEY, "v9")),
        ErrorCode="403",
        ErrorMessage="not authorised",
        RequestID="q",
    ),
)
INVOCATION = decode(
    HOMES["thumbs-dlq"],
    message(record(sns_event(s3_event(KEY, "v9")), errorType="OSError", errorMessage="disk")),
)
REJECTED = decode(
    HOMES["rejected"],
    message(
        s3_event(KEY, "v9"),
        branch="images",
        step="sizes,metadata",
        key="incoming/a b+c%20d \U0001f4f8�.jpg",
        version_id="v9",
        reason="unsupported_format",
        message="text/plain",
        settings_hash="s0",
        code_hash="images-code",
        first_seen="2026-11-21T06:00:00.000Z",
    ),
)


@pytest.mark.parametrize(
    "letter", [IN_QUEUE, RAW, UNDELIVERED, INVOCATION, REJECTED], ids=lambda it: it.kind
)
def test_every_kind_tells_the_very_key_and_version(letter: Letter) -> None:
    assert (letter.key, letter.version_id) == (KEY, "v9")
    assert set(letter.as_json()) == {
        "id",
        "queue",
        "step",
        "key",
        "error",
        "reason",
        "first_seen",
        "expires",
        "receives",
    }


def test_a_letter_is_kept_fourteen_days_from_its_first_send() -> None:
    assert IN_QUEUE.first_seen == datetime.fromtimestamp(SENT_MS / 1000, UTC)
    assert (IN_QUEUE.expires - IN_QUEUE.first_seen).days == 14


def test_a_letter_counts_the_attempts_of_its_step_and_not_who_looked_at_it() -> None:
    assert IN_QUEUE.receives == 5, "what the queue allows; SQS counts a sixth, our own look"
    assert INVOCATION.receives == 3
    assert UNDELIVERED.receives == 0
    assert REJECTED.receives == 1
    again = decode(HOMES["rejected"], message(s3_event(KEY, "v9"), receives="4"))
    assert again.receives == 4


def test_a_letter_says_what_it_knows_of_its_failure() -> None:
    assert (IN_QUEUE.step, IN_QUEUE.error, IN_QUEUE.reason) == ("enhance", "", "")
    assert (UNDELIVERED.error, UNDELIVERED.reason) == ("403", "not authorised")
    assert (INVOCATION.step, INVOCATION.error, INVOCATION.reason) == (
        "thumbnail",
        "OSError",
        "disk",
    )
    assert (REJECTED.step, REJECTED.reason, REJECTED.message) == (
        "sizes, metadata",
        "unsupported_format",
        "text/plain",
    )
    assert REJECTED.first_seen == datetime(2026, 11, 21, 6, tzinfo=UTC)


@pytest.mark.capability("S4-14")
def test_a_function_that_ran_out_of_time_is_called_so() -> None:
    text = "2026-11-21T07:00:00Z r1 Task timed out after 60.00 seconds"
    letter = decode(HOMES["thumbs-dlq"], message(record({}, errorMessage=text)))
    assert (letter.error, letter.reason) == ("Timeout", "Task timed out after 60.00 seconds")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not json",
        "[]",
        "3",
        '{"Records": []}',
        '{"Records": [3]}',
        '{"Message": "{"}',
        "[" * 5000,
    ],
)
@pytest.mark.parametrize("queue", ["enhance-dlq", "thumbs-dlq", "results-dlq", "rejected"])
def test_any_body_at_all_is_a_letter(queue: str, body: str) -> None:
    letter = decode(HOMES[queue], message(body))
    assert letter.key is None
    assert letter.body == body


def test_results_and_completions_tell_their_key_too() -> None:
    result = decode(
        HOMES["results-dlq"],
        message({"v": 1, "kind": "step", "key": KEY, "version_id": "v9", "step": "x"}),
    )
    completed = sns_event({"v": 1, "id": "i", "key": KEY, "status": "done", "version_id": "v9"})
    notice = decode(
        HOMES["notifier-dlq"], message(record(completed, errorType="E", errorMessage="m"))
    )
    assert (result.key, notice.key) == (KEY, KEY)
    assert (result.step, notice.step) == ("writer", "notifier")


def test_a_queued_letter_goes_back_to_its_own_queue_as_it_was() -> None:
    letter = decode(
        HOMES["enhance-dlq"], message(sns_envelope(s3_event(KEY)), trace="t", ErrorCode="1")
    )
    way = route.route(GRAPH, letter)
    assert isinstance(way, ToQueue)
    assert way.url.endswith("/photo-studio-local-enhance")
    assert way.body == letter.body
    assert way.attributes == {"trace": {"DataType": "String", "StringValue": "t"}}


def test_what_sns_could_not_deliver_to_a_queue_goes_to_that_queue() -> None:
    letter = decode(HOMES["enhance-dlq"], message(sns_envelope(s3_event(KEY)), ErrorCode="403"))
    way = route.route(GRAPH, letter)
    assert isinstance(way, ToQueue)
    assert way.attributes == {}


def test_a_failed_invocation_is_invoked_again_with_its_own_event() -> None:
    way = route.route(GRAPH, INVOCATION)
    assert isinstance(way, ToFunction)
    assert way.function == "photo-studio-local-thumbs"
    assert json.loads(way.event) == sns_event(s3_event(KEY, "v9"))


def test_what_sns_could_not_deliver_to_a_function_is_rebuilt_as_the_function_would_have_seen_it() -> (
    None
):
    from imgpipe.runtime import events

    way = route.route(GRAPH, UNDELIVERED)
    assert isinstance(way, ToFunction)
    event = json.loads(way.event)
    assert event["Records"][0]["EventSource"] == "aws:sns"
    assert "SigningCertUrl" in event["Records"][0]["Sns"]
    [heard] = events.messages(event, "request")
    assert events.changes(heard.document())[0].key == KEY


def test_a_rejected_letter_goes_back_to_the_branch_that_rejected_it() -> None:
    way = route.route(GRAPH, REJECTED)
    assert isinstance(way, ToQueue)
    assert way.branch == "images"
    assert way.attributes == {}


def test_mail_has_no_way_back() -> None:
    letter = decode(
        HOMES["notices-dlq"], message(sns_envelope({"any": "words"}, "notices"), ErrorCode="5")
    )
    assert isinstance(route.route(GRAPH, letter), NoWay)


def test_a_rejection_by_unchanged_code_and_settings_is_not_sent_again_unless_forced() -> None:
    from imgpipe.deploy.resources import Function
    from imgpipe.runtime.settings import Settings

    function = next(it for it in GRAPH.of(Function) if it.name.endswith("-images"))
    settings = Settings.loads(dict(function.environment)["IMGPIPE_SETTINGS"])
    words = {
        "branch": "images",
        "step": "sizes",
        "reason": "corrupt_image",
        "code_hash": function.code_hash,
    }
    same = decode(
        HOMES["rejected"], message(s3_event(KEY), **words, settings_hash=settings.settings_hash)
    )
    assert route.chosen(GRAPH, same, force=False) == NoWay(route.POINTLESS)
    assert isinstance(route.chosen(GRAPH, same, force=True), ToQueue)
    assert isinstance(route.chosen(GRAPH, REJECTED, force=False), ToQueue)


def test_letters_are_chosen_by_all_conditions_together() -> None:
    letters = [IN_QUEUE, INVOCATION, REJECTED]

    def chosen(**wanted: Any) -> list[Letter]:
        return choose.chosen(letters, Choice(prefix="incoming/", **wanted))

    assert chosen() == letters
    assert chosen(step="enhance") == [IN_QUEUE]
    assert chosen(step="thumbs") == chosen(step="thumbnail") == [INVOCATION]
    assert chosen(step="metadata", error="UNSUPPORTED") == [REJECTED]
    assert chosen(key=KEY.removeprefix("incoming/")) == chosen(key=KEY) == letters
    assert chosen(queue="thumbs-dlq", error="rejected") == []


def test_an_id_may_be_cut_short_but_must_mean_one_letter() -> None:
    with pytest.raises(MissingError, match="there is none"):
        choose.chosen([IN_QUEUE], Choice(ids=("nope",)))
    with pytest.raises(UsageError, match="2 ids begin so"):
        choose.chosen([IN_QUEUE, RAW], Choice(ids=("letter",)))
    assert choose.chosen([IN_QUEUE], Choice(ids=("lett",))) == [IN_QUEUE]


def test_unknown_queues_and_steps_are_refused_with_those_that_there_are() -> None:
    homes = list(HOMES.values())
    with pytest.raises(UsageError, match="enhance-dlq"):
        choose.homes_for(homes, Choice(queue="nope"))
    with pytest.raises(UsageError, match="thumbnail"):
        choose.homes_for(homes, Choice(step="nope"))
    assert {home.name for home in choose.homes_for(homes, Choice(step="enhance"))} == {
        "enhance-dlq",
        "rejected",
    }


def test_every_dead_letter_queue_is_known_once() -> None:
    names = [home.name for home in queues.homes(GRAPH)]
    dlqs = {short for short in GRAPH.queues if short.endswith("-dlq")}
    assert sorted(names) == sorted({*dlqs, "rejected"})
    assert all(
        isinstance(home, Home) and home.retention_s == 14 * 86_400
        for home in HOMES.values()
        if "-dlq" in home.name
    )


def test_the_log_tells_failures_in_all_the_ways_that_functions_fail() -> None:
    said = [
        {
            "timestamp": 1,
            "message": json.dumps(
                {"event": "failed", "message_id": "m1", "error": "OSError", "message": "d"}
            ),
        },
        {
            "timestamp": 2,
            "message": "[ERROR] RuntimeError: broken on purpose\rTraceback (most recent call last):",
        },
        {"timestamp": 3, "message": "[ERROR] 2026-11-21T07:00:00.000Z r1 KeyError: 'x'"},
        {
            "timestamp": 4,
            "message": "2026-11-21T07:00:00.000Z r1 Task timed out after 3.00 seconds\n",
        },
        {
            "timestamp": 5,
            "message": "RequestId: r1 Error: Runtime exited with error: signal: killed\nRuntime.ExitError",
        },
        {"timestamp": 6, "message": json.dumps({"event": "start", "message_id": "failed"})},
    ]
    found = [(failure.error, failure.reason, failure.subject) for failure in causes.read(said)]
    assert found == [
        ("OSError", "d", "m1"),
        ("RuntimeError", "broken on purpose", ""),
        ("KeyError", "'x'", ""),
        ("Timeout", "Task timed out after 3.00 seconds", ""),
        ("Runtime.ExitError", "Runtime exited with error: signal: killed", ""),
    ]
