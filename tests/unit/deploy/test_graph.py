"""The graph of the default pipeline: everything that the photo studio needs, and nothing that it
may do too much.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from imgpipe.deploy import resources as r
from imgpipe.deploy.graph import Graph, dangling
from imgpipe.runtime.settings import Settings
from tests.photos import ROOT
from tests.unit.deploy.declared import ACCOUNT, REGION, SMALLEST, build, declare, studio

STUDIO = studio()
P = "photo-studio-local-"


def settings(graph: Graph, function: str) -> Settings:
    made = graph.resources[r.Key("function", f"{graph.pipeline}-{graph.environment}-{function}")]
    assert isinstance(made, r.Function)
    return Settings.loads(dict(made.environment)["IMGPIPE_SETTINGS"])


def statements(policy: str) -> list[dict[str, Any]]:
    return list(json.loads(policy)["Statement"])


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def allowed(graph: Graph, role: str) -> dict[str, set[str]]:
    """Map each action that a role may do to the resources it may do it to."""
    made = graph.resources[r.Key("role", f"{P}{role}-{REGION}")]
    assert isinstance(made, r.Role)
    actions: dict[str, set[str]] = {}
    for statement in statements(made.policy):
        if statement["Effect"] == "Allow":
            for action in listed(statement["Action"]):
                actions.setdefault(action, set()).update(listed(statement["Resource"]))
    return actions


@pytest.mark.capability("S0-2")
@pytest.mark.capability("S1-5")
def test_every_upload_goes_to_one_topic_and_every_removal_to_another() -> None:
    [notification] = STUDIO.of(r.Notification)
    assert {rule.target.name: (rule.events, rule.prefix) for rule in notification.rules} == {
        f"{P}uploaded": (("s3:ObjectCreated:*",), "incoming/"),
        f"{P}removed": (("s3:LifecycleExpiration:*", "s3:ObjectRemoved:*"), "incoming/"),
    }
    assert all(rule.id.startswith(notification.id_prefix) for rule in notification.rules)


@pytest.mark.capability("S0-3")
def test_branches_subscribe_to_the_topic_each_on_its_own() -> None:
    heard = {
        (made.protocol, made.endpoint.removeprefix(P), (made.dlq or "").removeprefix(P))
        for made in STUDIO.of(r.Subscription)
        if made.topic == f"{P}uploaded"
    }
    assert heard == {
        ("lambda", "thumbs", "thumbs-dlq"),
        ("sqs", "enhance", "enhance-dlq"),
        ("sqs", "images", "images-dlq"),
        ("sqs", "notifier", "notifier-dlq"),
    }


def test_the_names_are_those_that_scripts_may_rely_on() -> None:
    assert list(STUDIO.topics) == ["uploaded", "removed", "completed", "notices", "alarms"]
    assert set(STUDIO.queues) == {
        *("enhance", "enhance-dlq", "images", "images-dlq", "tidy", "tidy-dlq"),
        *(
            "results",
            "results-dlq",
            "thumbs-dlq",
            "notifier",
            "notifier-dlq",
            "notices-dlq",
            "rejected",
        ),
    }
    assert [branch.name for branch in STUDIO.branches] == [
        *("thumbs", "enhance", "images", "tidy", "writer", "notifier")
    ]
    assert STUDIO.uploads_bucket == f"{P}uploads-{ACCOUNT}-{REGION}"
    assert STUDIO.table == f"{P}images"
    assert STUDIO.tags == {"imgpipe:pipeline": "photo-studio", "imgpipe:env": "local"}


def test_outputs_name_what_other_tools_may_talk_to() -> None:
    outputs = STUDIO.outputs()
    assert list(outputs)[:3] == ["uploads_bucket", "variants_bucket", "table"]
    assert outputs["enhance_queue_url"].endswith(f"/{ACCOUNT}/{P}enhance")
    assert outputs["uploaded_topic_arn"] == f"arn:aws:sns:{REGION}:{ACCOUNT}:{P}uploaded"
    assert outputs["thumbs_log_group"] == f"/aws/lambda/{P}thumbs"


def test_everything_that_is_needed_is_there() -> None:
    assert dangling(STUDIO.resources.values()) == []


def test_s3_publishes_only_when_everybody_listens() -> None:
    [notification] = STUDIO.of(r.Notification)
    waited = set(notification.waits_for)
    assert {made.key for made in STUDIO.of(r.Subscription)} <= waited
    assert {made.key for made in STUDIO.of(r.Permission)} <= waited


@pytest.mark.capability("S0-6")
def test_every_failure_of_a_direct_function_ends_in_its_branchs_queue() -> None:
    failures = {made.function: made.on_failure for made in STUDIO.of(r.AsyncInvoke)}
    assert failures == {f"{P}thumbs": f"{P}thumbs-dlq"}
    for function, queue in failures.items():
        role = allowed(STUDIO, function.removeprefix(P))
        assert f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}" in role["sqs:SendMessage"]


def test_dead_letters_are_kept_longer_than_the_work_waits() -> None:
    queues = {queue.name: queue for queue in STUDIO.of(r.Queue)}
    for queue in queues.values():
        if queue.dlq:
            assert queues[queue.dlq].retention_s == 14 * 86_400 > queue.retention_s


@pytest.mark.capability("S4-5")
@pytest.mark.capability("S4-19")
def test_alarms_watch_every_dead_letter_queue_and_every_queues_age_and_tell_somebody() -> None:
    alarms = {alarm.name.removeprefix(P): alarm for alarm in STUDIO.of(r.Alarm)}
    assert set(alarms) == {
        *(f"{name}-dlq" for name in ("thumbs", "enhance", "images", "tidy", "results")),
        *("notifier-dlq", "notices-dlq"),
        *(f"{name}-age" for name in ("enhance", "images", "tidy", "results", "notifier")),
        *(f"{branch.name}-errors" for branch in STUDIO.branches),
        "rejected-rate",
    }
    assert {alarm.action for alarm in alarms.values()} == {f"{P}alarms"}
    dead = alarms["enhance-dlq"]
    assert (dead.metric, dead.statistic) == ("ApproximateNumberOfMessagesVisible", "Maximum")
    assert (dead.threshold, dead.comparison) == (1, "GreaterThanOrEqualToThreshold")
    assert (dead.period_s, dead.evaluation_periods, dead.treat_missing_data) == (
        60,
        1,
        "notBreaching",
    )
    rate = alarms["rejected-rate"]
    assert (rate.metric, rate.period_s, rate.threshold) == ("NumberOfMessagesSent", 3600, 10 * 3)
    [person] = [made for made in STUDIO.of(r.Subscription) if made.topic == f"{P}alarms"]
    assert person.endpoint == "ops@example.com"


@pytest.mark.capability("S0-4")
def test_people_hear_of_what_they_asked_for_and_each_address_subscribes_once() -> None:
    heard = {
        made.endpoint: json.loads(made.filter_policy)
        for made in STUDIO.of(r.Subscription)
        if made.topic == f"{P}notices"
    }
    assert heard == {
        "studio@example.com": {"kind": ["uploaded", "completed"]},
        "ops@example.com": {"kind": ["failed"]},
    }
    assert settings(STUDIO, "notifier").notices == ("uploaded", "completed", "failed")


def test_the_notifier_hears_only_the_ends_that_somebody_asked_for() -> None:
    graph = build(declare(SMALLEST + "notify: {failed: {email: [a@b.photo]}}\n"))
    [heard] = [made for made in graph.of(r.Subscription) if made.endpoint == "tiny-local-notifier"]
    assert heard.topic == "tiny-local-completed"
    assert json.loads(heard.filter_policy) == {"status": ["failed", "rejected"]}


def test_without_anybody_to_tell_there_is_no_notifier() -> None:
    graph = build(declare(SMALLEST))
    assert "notices" not in graph.topics
    assert [branch.name for branch in graph.branches] == ["thumb", "writer"]
    assert settings(graph, "writer").tidy_queue_url == ""


@pytest.mark.capability("S2-14")
def test_text_messages_and_push_reach_people_too() -> None:
    arn = "arn:aws:sns:eu-west-1:123456789012:endpoint/APNS/app/1"
    more = f'notify: {{failed: {{sms: ["+447700900000"], push: ["{arn}"]}}}}\n'
    made = build(declare(SMALLEST + more)).of(r.Subscription)
    assert {("sms", "+447700900000"), ("application", arn)} <= {
        (each.protocol, each.endpoint) for each in made
    }


def test_a_function_is_told_of_its_own_steps_and_the_writer_of_all_that_are_expected() -> None:
    told = settings(STUDIO, "images")
    assert set(told.steps) == {"sizes", "metadata"}
    assert told.expected == ()
    assert settings(STUDIO, "writer").expected == ("thumbnail", "enhance", "sizes", "metadata")
    assert told.steps["metadata"].items() >= {"exif": True, "gps": "drop", "palette": 5}.items()
    assert told.steps["sizes"]["variants"]["medium"] == {
        "width": 800,
        "fit": "inside",
        "format": "jpeg",
        "quality": 80,
        "background": "#ffffff",
    }
    assert settings(STUDIO, "enhance").steps["enhance"]["filters"] == [
        {"autocontrast": True},
        {"sharpen": 1.2},
    ]


def test_a_function_gives_up_when_its_queue_does() -> None:
    graph = build(declare(SMALLEST + "  more: {exif: true, lambda: {retries: 7}}\n"))
    queue = graph.resources[r.Key("queue", "tiny-local-more")]
    assert isinstance(queue, r.Queue)
    assert settings(graph, "more").max_receives == queue.max_receives == 7
    assert settings(graph, "thumb").max_receives == 3


@pytest.mark.capability("S0-9")
@pytest.mark.capability("S4-9")
def test_scaling_limits_are_settings() -> None:
    text = (
        SMALLEST.replace("200}}}", "200}}, lambda: {concurrency: 20}}")
        + "  more: {exif: true, lambda: {concurrency: 30, reserved: 40, batch: 100, window: 5s}}\n"
    )
    graph = build(declare(text))
    [mapping] = [each for each in graph.of(r.Mapping) if each.function == "tiny-local-more"]
    reserved = {each.name: each.reserved_concurrency for each in graph.of(r.Function)}
    assert (mapping.max_concurrency, mapping.batch, mapping.window_s) == (30, 100, 5)
    assert reserved == {"tiny-local-thumb": 20, "tiny-local-more": 40, "tiny-local-writer": None}


def test_a_message_stays_hidden_for_six_timeouts_and_the_window() -> None:
    text = SMALLEST + "  more: {exif: true, lambda: {timeout: 100s, window: 20s}}\n"
    queue = build(declare(text)).resources[r.Key("queue", "tiny-local-more")]
    assert isinstance(queue, r.Queue)
    assert queue.visibility_s == 620


@pytest.mark.capability("S4-1")
def test_suffixes_match_in_every_case() -> None:
    graph = build(declare(SMALLEST + "uploads: {suffixes: [jpg, .png]}\n"))
    [notification] = graph.of(r.Notification)
    assert {rule.suffix for rule in notification.rules} == {
        *(".jpg", ".JPG", ".Jpg", ".png", ".PNG", ".Png")
    }


# Policies


def test_buckets_topics_and_queues_refuse_plain_http() -> None:
    guarded = (*STUDIO.of(r.Bucket), *STUDIO.of(r.Topic), *STUDIO.of(r.Queue))
    for resource in guarded:
        [deny] = [each for each in statements(resource.policy) if each["Effect"] == "Deny"]
        assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        assert deny["Principal"] == "*"


@pytest.mark.capability("S3-10")
def test_every_service_that_may_come_in_is_bound_to_its_source() -> None:
    for resource in (*STUDIO.of(r.Topic), *STUDIO.of(r.Queue)):
        for statement in statements(resource.policy):
            if statement["Effect"] == "Deny":
                continue
            sources = {
                name: value
                for operator in statement["Condition"].values()
                for name, value in operator.items()
            }
            assert sources["aws:SourceArn"]
            if statement["Principal"] != {"Service": "sns.amazonaws.com"}:
                assert sources["aws:SourceAccount"] == ACCOUNT


@pytest.mark.capability("S1-4")
def test_s3_may_publish_for_this_bucket_only() -> None:
    topic = STUDIO.resources[r.Key("topic", f"{P}uploaded")]
    assert isinstance(topic, r.Topic)
    [allow] = [each for each in statements(topic.policy) if each["Effect"] == "Allow"]
    assert allow["Principal"] == {"Service": "s3.amazonaws.com"}
    assert allow["Condition"]["ArnLike"] == {
        "aws:SourceArn": f"arn:aws:s3:::{STUDIO.uploads_bucket}"
    }


def test_topics_that_services_do_not_speak_to_let_none_in() -> None:
    for name in ("completed", "notices"):
        topic = STUDIO.resources[r.Key("topic", P + name)]
        assert isinstance(topic, r.Topic)
        assert [each["Effect"] for each in statements(topic.policy)] == ["Deny"]


def test_a_function_may_be_invoked_by_its_topics_only() -> None:
    assert {
        (each.function, each.principal, each.source_arn) for each in STUDIO.of(r.Permission)
    } == {
        (P + function, "sns.amazonaws.com", f"arn:aws:sns:{REGION}:{ACCOUNT}:{P}{topic}")
        for function, topic in (("thumbs", "uploaded"),)
    }


@pytest.mark.capability("S3-10")
def test_no_role_names_a_wildcard_action_or_every_resource() -> None:
    for role in STUDIO.of(r.Role):
        for statement in statements(role.policy):
            assert not [action for action in listed(statement["Action"]) if "*" in action]
            assert "*" not in listed(statement["Resource"])


STORE_ACTIONS = {
    "open": {"s3:GetObject"},
    "exists": {"s3:GetObject"},
    "put": {"s3:PutObject"},
    "delete": {"s3:DeleteObject"},
    "send": {"sqs:SendMessage"},
    "hide": {"sqs:ChangeMessageVisibility"},
    "publish": {"sns:Publish"},
    "get_item": {"dynamodb:GetItem"},
    "put_item": {"dynamodb:PutItem"},
    "metadata": {"s3:GetObject"},
    "version": {"s3:GetObject"},
    "link": {"s3:GetObject"},
    "labels": {"rekognition:DetectLabels"},
}
CALLS = {
    *("get_object", "head_object", "put_object", "delete_objects", "send_message_batch"),
    *("publish", "get_item", "put_item", "change_message_visibility_batch"),
    "detect_labels",
}
PLUMBING = {
    *("logs:CreateLogStream", "logs:PutLogEvents", "s3:ListBucket"),
    *("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
}
"""What Lambda itself does with the role, and what makes a missing object read as 404."""

RUNTIME = ROOT / "imgpipe" / "runtime"


@pytest.mark.parametrize(
    ("branch", "module"),
    [
        ("enhance", "steps"),
        ("images", "steps"),
        ("tidy", "tidy"),
        ("writer", "writer"),
        ("notifier", "notifier"),
    ],
)
def test_a_role_allows_exactly_what_its_code_calls(branch: str, module: str) -> None:
    texts = [(RUNTIME / f"{each}.py").read_text() for each in (module, "entry")]
    called = re.findall(r"\bstore\.(\w+)\(", "".join(texts))
    wanted = set().union(*(STORE_ACTIONS[method] for method in called))
    assert set(allowed(STUDIO, branch)) - PLUMBING == wanted


@pytest.mark.capability("S2-5")
def test_only_the_function_that_asks_a_model_may_do_so() -> None:
    prod = "environments: {prod: {region: eu-west-1}}\n"
    plain = SMALLEST + "  facts: {tags: basic}\n" + prod
    asking = SMALLEST + "  facts: {tags: rekognition}\n" + prod
    text = (RUNTIME / "labels.py").read_text()
    (called,) = re.findall(r"\bstore\.(\w+)\(", text)
    for declared, expected in ((plain, set()), (asking, {"facts"})):
        graph = build(declare(declared, "prod"), "prod")
        may = {
            role.name.split("-")[2]
            for role in graph.of(r.Role)
            for statement in statements(role.policy)
            if STORE_ACTIONS[called] & set(listed(statement["Action"]))
        }
        assert may == expected


def test_a_direct_functions_role_also_lets_its_failures_out() -> None:
    called = re.findall(r"\bstore\.(\w+)\(", (RUNTIME / "steps.py").read_text())
    wanted = set().union(*(STORE_ACTIONS[method] for method in called))
    assert set(allowed(STUDIO, "thumbs")) - PLUMBING == wanted | {"sqs:SendMessage"}


def test_the_runtime_calls_nothing_that_roles_do_not_know() -> None:
    text = (RUNTIME / "store.py").read_text()
    assert set(re.findall(r'\bclient\("\w+"\)\.(\w+)\(', text)) == CALLS


@pytest.mark.capability("S3-3")
def test_a_function_writes_its_own_variants_and_nothing_else() -> None:
    bucket = f"arn:aws:s3:::{STUDIO.variants_bucket}"
    assert allowed(STUDIO, "images")["s3:PutObject"] == {f"{bucket}/large/*", f"{bucket}/medium/*"}
    assert allowed(STUDIO, "thumbs")["s3:PutObject"] == {f"{bucket}/thumb/*"}


def test_tidy_can_never_delete_our_own_notes() -> None:
    role = STUDIO.resources[r.Key("role", f"{P}tidy-{REGION}")]
    assert isinstance(role, r.Role)
    [deny] = [each for each in statements(role.policy) if each["Effect"] == "Deny"]
    assert deny["Resource"] == f"arn:aws:s3:::{STUDIO.variants_bucket}/ops/*"


# Change


@pytest.mark.capability("S0-11")
def test_another_subscriber_changes_its_own_branch_alone() -> None:
    before = build(declare(SMALLEST)).resources
    after = build(declare(SMALLEST + "  gone: {on: removed, group: tidy}\n")).resources
    changed = {key for key in before if after.get(key) != before[key]}
    names = {key.name for key in changed}
    assert names == {
        "tiny-local-writer",  # learns where outputs that no row names go
        f"tiny-local-writer-{REGION}",
        f"tiny-local-uploads-{ACCOUNT}-{REGION}",  # S3 tells of removals, too
        f"tiny-local-{REGION}",  # the dashboard shows the new branch
    }
    assert {key.kind for key in changed} == {"function", "role", "notification", "dashboard"}


def test_more_people_change_no_function_that_works_on_pictures() -> None:
    one = build(declare(SMALLEST + "notify: {failed: {email: [a@b.photo]}}\n")).resources
    two = build(declare(SMALLEST + "notify: {failed: {email: [a@b.photo, c@d.photo]}}\n")).resources
    assert {key for key in one if one[key] != two.get(key)} == set()
    assert {key.kind for key in two if key not in one} == {"subscription"}


@pytest.mark.capability("S3-5")
def test_two_environments_share_no_resource() -> None:
    other = studio("stage")
    assert not {key for key in STUDIO.resources if key in other.resources}


def test_functions_run_on_lambdas_python_on_aws_and_on_this_machines_here() -> None:
    import sys

    here = f"python{sys.version_info.major}.{sys.version_info.minor}"
    assert {each.runtime for each in STUDIO.of(r.Function)} == {here}
    assert {each.runtime for each in studio("prod").of(r.Function)} == {"python3.13"}


def test_the_account_and_region_may_stay_symbolic() -> None:
    from imgpipe.deploy import graph, steps

    made = declare(SMALLEST)
    built = graph.build(
        made,
        "prod",
        account="${AWS::AccountId}",
        region="${AWS::Region}",
        code_hashes=dict.fromkeys(steps.sources(made), ""),
    )
    assert built.uploads_bucket == "tiny-prod-uploads-${AWS::AccountId}-${AWS::Region}"
