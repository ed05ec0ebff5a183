"""Checks of `doctor` on scenes made by hand, where no emulator keeps what they look at; and what policies let in."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from imgpipe.deploy.plan import Action, Verb
from imgpipe.deploy.resources import Key, Place, Remark, Role, Subscription
from imgpipe.deploy.resources import Mapping as QueueMapping
from imgpipe.operate.doctor import logs, policy
from imgpipe.operate.doctor.asking import Asking
from imgpipe.operate.doctor.findings import Finding, Severity, parted
from imgpipe.operate.doctor.pages import PAGES
from imgpipe.operate.doctor.registry import CHECKS
from imgpipe.operate.doctor.run import report
from imgpipe.operate.doctor.scene import (
    Bucket,
    Function,
    Log,
    Queue,
    Rule,
    Scene,
    Table,
    Topic,
)
from tests.photos import ROOT
from tests.studio import studio_graph

PLACE = Place("123456789012", "eu-west-1")
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
EMPTY = Scene(place=PLACE, now=NOW)
QUEUE, DLQ = PLACE.queue_arn("q"), PLACE.queue_arn("q-dlq")
ARN = "arn:aws:s3:::uploads/a.jpg"
TOPIC, FUNCTION = PLACE.topic_arn("t"), PLACE.function_arn("f")


def found(check: str, scene: Scene) -> list[Finding]:
    [one] = [one for one in CHECKS if one.id == check]
    return one.findings(scene)


def fed(function: Function, **mapping: Any) -> Scene:
    """Return a scene in which a queue feeds `function`."""
    one = {
        "FunctionArn": FUNCTION,
        "State": "Enabled",
        "UUID": "u",
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        **mapping,
    }
    return replace(
        EMPTY,
        queues={QUEUE: Queue(arn=QUEUE, attributes={"VisibilityTimeout": "1000"}, mappings=(one,))},
        functions={FUNCTION: function},
    )


def test_nothing_at_all_is_healthy() -> None:
    assert report(EMPTY).findings == ()


def test_every_check_has_an_id_of_its_own() -> None:
    assert len({check.id for check in CHECKS}) == len(CHECKS)


def test_a_mapping_may_not_call_more_than_may_run() -> None:
    function = Function(arn=FUNCTION, reserved=5)
    assert found("concurrency", fed(function, ScalingConfig={"MaximumConcurrency": 5})) == []
    [one] = found("concurrency", fed(function, ScalingConfig={"MaximumConcurrency": 50}))
    assert "MaximumConcurrency=5" in one.command


def test_only_a_queue_that_hears_of_something_is_missed_by_a_function() -> None:
    waiting = {"ApproximateNumberOfMessages": "3"}
    scene = replace(EMPTY, queues={QUEUE: Queue(arn=QUEUE, attributes=waiting)})
    assert found("stuck-mapping", scene) == []  # where a function puts what it refused, perhaps
    heard = Topic(arn=TOPIC, subscriptions=({"Protocol": "sqs", "Endpoint": QUEUE},))
    [one] = found("stuck-mapping", replace(scene, topics={TOPIC: heard}))
    assert one.command.startswith("aws lambda create-event-source-mapping")

    beside = replace(scene, topics={TOPIC: heard}, graph=studio_graph())
    [one] = found("stuck-mapping", beside)  # a stranger's, beside a pipeline of ours
    assert one.severity is Severity.RISK
    assert "create-event-source-mapping" not in one.command


def test_visibility_is_asked_for_six_timeouts_and_broken_below_one() -> None:
    def severities(timeout_s: int) -> list[Severity]:
        scene = fed(Function(arn=FUNCTION, configuration={"Timeout": timeout_s}))
        return [one.severity for one in found("stuck-visibility", scene)]

    assert severities(166) == []
    assert severities(167) == [Severity.RISK]
    assert severities(1001) == [Severity.BROKEN]


def test_an_address_that_has_not_confirmed_is_named_once_with_all_its_topics() -> None:
    pending = {
        "Protocol": "email",
        "Endpoint": "a@example.com",
        "SubscriptionArn": "PendingConfirmation",
    }
    confirmed = {**pending, "SubscriptionArn": f"{TOPIC}:1"}
    other = PLACE.topic_arn("u")
    topics = {arn: Topic(arn=arn, subscriptions=(pending,)) for arn in (TOPIC, other)}
    [one] = found("unconfirmed-mail", replace(EMPTY, topics=topics))
    assert "topic t, u" in one.what
    assert "aws sns subscribe" in one.command
    healthy = {TOPIC: Topic(arn=TOPIC, subscriptions=(confirmed,))}
    assert found("unconfirmed-mail", replace(EMPTY, topics=healthy)) == []


def test_much_mail_is_a_cost_only_where_people_get_it() -> None:
    sent = {("t", "NumberOfNotificationsDelivered"): 5000.0}
    mail = {"Protocol": "email", "Endpoint": "a@example.com", "SubscriptionArn": f"{TOPIC}:1"}
    queue = {**mail, "Protocol": "sqs", "Endpoint": QUEUE}

    def costs(*subscriptions: Any, measured: Any = sent) -> list[Finding]:
        topics = {TOPIC: Topic(arn=TOPIC, subscriptions=subscriptions)}
        return found("mail-cost", replace(EMPTY, topics=topics, measured=measured))

    assert [one.severity for one in costs(mail, queue)] == [Severity.COST]
    assert costs(queue) == costs(mail, measured={}) == []


def test_a_table_that_is_gone_is_named() -> None:
    assert found("table-missing", replace(EMPTY, tables={"t": Table(name="t")})) == []
    assert found("table-missing", replace(EMPTY, tables={"t": Table(name="t", missing=True)}))


@pytest.mark.parametrize(
    ("metric", "named"), [("WriteThrottleEvents", True), ("ConsumedWriteCapacityUnits", False)]
)
@pytest.mark.capability("S4-16")
def test_cloudwatch_alone_shows_a_throttled_table(metric: str, named: bool) -> None:
    scene = replace(EMPTY, tables={"t": Table(name="t")}, measured={("t", metric): 12.0})
    assert bool(found("table-throttled", scene)) is named


def test_drift_is_one_finding_with_the_first_reasons() -> None:
    queue = next(iter(studio_graph().resources.values()))
    actions = tuple(
        Action(verb=Verb.UPDATE, resource=queue, reason=f"reason {number}") for number in range(5)
    )
    [one] = found("drift", replace(EMPTY, drift=actions))
    assert "reason 2; and 2 more" in one.why
    assert one.command.startswith("imgpipe plan")


def test_what_makes_anothers_bucket_unsafe_is_named_with_its_command() -> None:
    said = Remark("it keeps no versions", "aws s3api put-bucket-versioning")
    [one] = found("existing-bucket", replace(EMPTY, remarks={"their-photos": (said,)}))
    assert one.what == "bucket their-photos: it keeps no versions"
    assert one.command == "aws s3api put-bucket-versioning"
    assert found("existing-bucket", EMPTY) == []


ALL_OF_S3 = {"Effect": "Allow", "Action": ["s3:*", "sqs:SendMessage"], "Resource": "*"}


@pytest.mark.parametrize(
    ("statement", "wide"),
    [
        (ALL_OF_S3, ["s3:*"]),
        ({**ALL_OF_S3, "Action": "*", "Resource": ["*"]}, ["*"]),
        ({**ALL_OF_S3, "Resource": "arn:aws:s3:::photos/*"}, []),
        ({**ALL_OF_S3, "Action": "logs:CreateLogGroup"}, []),
        ({**ALL_OF_S3, "Effect": "Deny"}, []),
        ({**ALL_OF_S3, "Condition": {"Bool": {"aws:SecureTransport": "true"}}}, []),
    ],
)
def test_only_whole_services_on_everything_are_wide_rights(
    statement: dict[str, Any], wide: list[str]
) -> None:
    assert policy.unbounded({"Statement": statement}) == wide


def test_no_role_of_ours_has_wide_rights() -> None:
    roles = [one for one in studio_graph().resources.values() if isinstance(one, Role)]
    assert roles
    assert [policy.unbounded(policy.parse(one.policy)) for one in roles] == [[]] * len(roles)


@pytest.mark.fault("F-44")
@pytest.mark.parametrize(
    ("age_days", "severity"), [(11.5, None), (12.5, Severity.RISK), (13.5, Severity.BROKEN)]
)
def test_letters_are_named_when_less_than_two_days_are_left(
    age_days: float, severity: Severity | None
) -> None:
    kept = {"MessageRetentionPeriod": str(14 * 86_400), "ApproximateNumberOfMessages": "3"}
    redrive = {"RedrivePolicy": f'{{"deadLetterTargetArn": "{DLQ}"}}'}
    scene = replace(
        EMPTY,
        queues={
            QUEUE: Queue(arn=QUEUE, attributes=redrive),
            DLQ: Queue(arn=DLQ, attributes=kept),
        },
        ages={"q-dlq": age_days * 86_400},
    )
    assert [one.severity for one in found("expiring-letters", scene)] == (
        [severity] if severity else []
    )


def ours() -> Scene:
    """Return our own pipeline as it is declared: notifications, topics with their queues and functions."""
    graph = studio_graph()
    topics: dict[str, Topic] = {}
    for name in graph.topics.values():
        subscriptions = tuple(
            {"Protocol": one.protocol, "Endpoint": _endpoint(one), "SubscriptionArn": "arn:x"}
            for one in graph.of(Subscription)
            if one.topic == name
        )
        topics[PLACE.topic_arn(name)] = Topic(
            arn=PLACE.topic_arn(name), subscriptions=subscriptions
        )
    rules = tuple(
        Rule(
            id=rule.id,
            events=rule.events,
            target=PLACE.topic_arn(rule.target.name),
            prefix=rule.prefix,
            suffix=rule.suffix,
        )
        for resource in graph.resources.values()
        if resource.key.kind == "notification"
        for rule in resource.rules  # type: ignore[union-attr]
    )
    bucket = Bucket(name=graph.uploads_bucket, rules=rules)
    return replace(EMPTY, graph=graph, topics=topics, buckets={bucket.name: bucket})


def _endpoint(one: Subscription) -> str:
    match one.protocol:
        case "sqs":
            return PLACE.queue_arn(one.endpoint)
        case "lambda":
            return PLACE.function_arn(one.endpoint)
        case _:
            return one.endpoint


@pytest.mark.capability("S4-18")
def test_our_own_rules_and_subscriptions_are_missed_when_others_replaced_them() -> None:
    scene = ours()
    assert found("trigger-notification", scene) == []
    [bucket] = scene.buckets.values()
    foreign = replace(bucket, rules=(replace(bucket.rules[0], id="theirs", prefix="other/"),))
    lost = found("trigger-notification", replace(scene, buckets={bucket.name: foreign}))
    assert lost
    assert "something replaced it; 1 other rules are there" in lost[0].why
    assert lost[0].command == "imgpipe up"

    deaf = {arn: replace(topic, subscriptions=()) for arn, topic in scene.topics.items()}
    assert found("trigger-notification", replace(scene, topics=deaf))


@pytest.mark.capability("S4-17")
def test_our_own_mapping_is_missed_when_it_is_not_there() -> None:
    graph = studio_graph()
    declared = graph.of(QueueMapping)[0]
    arn = PLACE.queue_arn(declared.queue)
    scene = replace(EMPTY, graph=graph, queues={arn: Queue(arn=arn)})
    [one] = found("stuck-mapping", scene)
    assert declared.queue in one.what
    assert one.command == "imgpipe up"
    assert Key("mapping", declared.key.name) in graph.resources


def test_a_log_is_read_by_what_its_lines_say() -> None:
    sizes = "Billed Duration: 13 ms\tMemory Size: 128 MB\tMax Memory Used: 77 MB"
    told = logs.told(
        [
            "2026-11-21T07:00:00Z r Task timed out after 3.00 seconds",
            "RequestId: r Error: Runtime exited with error: signal: killed",
            "botocore.errorfactory.ProvisionedThroughputExceededException: slow down",
            "ThrottlingException when calling the UpdateItem operation",
            "ThrottlingException when calling the GetLogEvents operation",
            "Traceback (most recent call last):",
            "OSError: cannot write mode RGBA as JPEG",
            "NoSuchKey: incoming/a+b.jpg, of bucket b",
            "NoSuchKey: incoming/plain.jpg",
        ],
        [f"REPORT RequestId: r\tDuration: 12.5 ms\t{sizes}"],
        group="g",
    )
    assert [len(some) for some in (told.timeouts, told.killed, told.raised, told.unfit)] == [1] * 4
    assert len(told.throttled) == 2
    assert told.undecoded == ("incoming/a+b.jpg",)
    assert (told.calls, told.max_used_mb, told.max_ms) == (1, 77, 12.5)


def test_what_was_refused_is_told_until_the_role_may_do_it() -> None:
    said = (
        '{"message": "... is not authorized to perform: s3:GetObject on resource: '
        '\\"arn:aws:s3:::b/in/a.jpg\\" with an explicit deny"}'
    )
    told = logs.told([said], [], group="g")
    assert told.refused == (("s3:GetObject", "arn:aws:s3:::b/in/a.jpg"),)
    short = (
        "not authorized to perform: s3:GetObject with an explicit deny in an identity-based policy"
    )
    assert logs.told([short], [], group="g").refused == (("s3:GetObject", ""),)
    allow = {"Statement": {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::b/*"}}
    deny = {"Statement": {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::b/in/*"}}
    assert policy.always([allow], "s3:GetObject")
    assert not policy.always([allow, deny], "s3:GetObject")
    assert not policy.always([allow], "s3:PutObject")


def test_time_nearly_over_and_memory_nearly_full_are_risks() -> None:
    log = Log(group="g", max_ms=2900, max_used_mb=120)
    scene = replace(EMPTY, functions={FUNCTION: Function(arn=FUNCTION, log=log)})
    for check in ("timeout", "out-of-memory"):
        assert [one.severity for one in found(check, scene)] == [Severity.RISK]


ALLOW = {
    "Effect": "Allow",
    "Principal": {"Service": "s3.amazonaws.com"},
    "Action": "sqs:SendMessage",
}
DENY_HTTP = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "sqs:*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}


@pytest.mark.parametrize(
    ("statements", "let_in"),
    [
        ([ALLOW], True),
        ([ALLOW, DENY_HTTP], True),
        ([{**ALLOW, "Action": "SQS:*"}], True),
        ([{**ALLOW, "Principal": "*"}], True),
        ([{**ALLOW, "Resource": "arn:aws:sqs:*:*:other"}], False),
        ([{**ALLOW, "Principal": {"Service": "sns.amazonaws.com"}}], False),
        ([{**ALLOW, "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::other"}}}], False),
        ([{**ALLOW, "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::b"}}}], True),
        ([{**ALLOW, "Condition": {"StringEquals": {"aws:SourceAccount": "2"}}}], False),
        ([{**ALLOW, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o"}}}], True),
        (
            [{**ALLOW, "Principal": "*", "Condition": {"StringEquals": {"AWS:SourceOwner": "1"}}}],
            False,
        ),
        ([ALLOW, {**ALLOW, "Effect": "Deny"}], False),
        ([], False),
    ],
)
def test_a_policy_lets_in_whom_iam_would(statements: list[Any], let_in: bool) -> None:
    answer = policy.lets(
        {"Statement": statements},
        service="s3.amazonaws.com",
        action="sqs:SendMessage",
        resource="arn:aws:sqs:eu-west-1:1:q",
        source="arn:aws:s3:::b",
        account="1",
    )
    assert answer is let_in


@pytest.mark.parametrize(
    ("words", "command", "advice"),
    [
        ("imgpipe up", "imgpipe up", ""),
        ("imgpipe plan, then imgpipe up", "imgpipe plan", "then imgpipe up"),
        ("imgpipe up, with `timeout: 9s` for a", "", "imgpipe up, with `timeout: 9s` for a"),
        ("mend the code: convert it", "", "mend the code: convert it"),
        ("aws s3api x --y '{\"a\": 1, \"b\": 2}'; imgpipe up", "aws s3api x --y '{\"a\": 1, \"b\": 2}'", "imgpipe up"),
        ("aws sns x --to ADDRESS", "", "aws sns x --to ADDRESS"),
        ("aws sqs x --attributes file://a.json", "", "aws sqs x --attributes file://a.json"),
    ],
)  # fmt: skip
def test_what_can_be_run_is_told_apart_from_advice(words: str, command: str, advice: str) -> None:
    assert parted(words) == (command, advice)


class OneLog:
    """Answers as CloudWatch Logs does, of a group with one refusal an hour ago."""

    def describe_log_groups(self, **_: Any) -> dict[str, Any]:
        return {"logGroups": [{"logGroupName": "g"}]}

    def filter_log_events(self, startTime: int, filterPattern: str, **_: Any) -> dict[str, Any]:  # noqa: N803 - AWS's names
        at = (NOW - timedelta(hours=1)).timestamp() * 1000
        line = f"AccessDenied: x is not authorized to perform: s3:GetObject on resource: {ARN}"
        seen = "not authorized" in filterPattern and at >= startTime
        return {"events": [{"message": line}] if seen else []}


def test_a_denial_is_told_until_the_role_may_also_after_a_deploy() -> None:
    class Cloud:
        def client(self, _: str) -> Any:
            return OneLog()

    changed, since = NOW - timedelta(minutes=5), NOW - timedelta(days=1)
    log = logs.read(Asking(Cloud()), "g", since, changed)  # type: ignore[arg-type]
    assert log.refused == (("s3:GetObject", ARN),)
    allow = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    deny = {**allow, "Effect": "Deny"}
    for statements, told in (([allow, deny], 1), ([], 1), ([allow], 0)):
        policies = {"p": {"Statement": statements}}
        function = Function(arn=FUNCTION, role_policies=policies, log=log)
        assert len(found("denied", replace(EMPTY, functions={FUNCTION: function}))) == told
    assert logs.read(Asking(Cloud()), "g", changed, changed).refused == ()  # type: ignore[arg-type]


def test_a_role_may_what_is_allowed_and_not_denied() -> None:
    allow = {
        "Statement": {"Effect": "Allow", "Action": ["s3:Put*"], "Resource": "arn:aws:s3:::b/*"}
    }
    deny = {"Statement": {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::b/in/*"}}
    assert policy.may([allow], "s3:PutObject", "arn:aws:s3:::b/in/a")
    assert not policy.may([allow, deny], "s3:PutObject", "arn:aws:s3:::b/in/a")
    assert not policy.may([allow], "s3:GetObject", "arn:aws:s3:::b/in/a")


def test_every_check_has_a_section_in_the_docs_and_says_the_same() -> None:
    page = (ROOT / "docs" / "doctor.md").read_text()
    sections = re.findall(r"^### `([\w-]+)`: (.+)$", page, re.MULTILINE)
    assert sections == [(check.id, check.about) for check in CHECKS]
    assert list(PAGES) == [check.id for check in CHECKS]
    assert all(it.cause and it.see and it.mend for it in PAGES.values())
