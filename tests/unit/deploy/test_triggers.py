"""Every way from the uploads bucket to a step, and what `validate` says of those that can't work."""

from __future__ import annotations

import json
from typing import Any

import pytest

from imgpipe.deploy import diagram
from imgpipe.deploy import resources as r
from imgpipe.deploy.graph import Graph, dangling
from imgpipe.deploy.plan import plan
from imgpipe.runtime.settings import Settings
from tests.unit.deploy.declared import ACCOUNT, REGION, build, declare, problem, problems

P = "tiny-local-"
HEAD = "version: 1\nname: tiny\n"
BUCKET = f"arn:aws:s3:::{P}uploads-{ACCOUNT}-{REGION}"


def made(text: str) -> Graph:
    graph = build(declare(HEAD + text))
    assert dangling(graph.resources.values()) == []
    return graph


def rules(graph: Graph) -> dict[str, tuple[str, tuple[str, ...], str, str]]:
    [notification] = graph.of(r.Notification)
    return {
        rule.id.removeprefix(notification.id_prefix): (
            str(rule.target).replace(P, ""),
            rule.events,
            rule.prefix,
            rule.suffix,
        )
        for rule in notification.rules
    }


def senders(policy: str) -> dict[str, Any]:
    return {
        statement["Principal"]["Service"]: statement["Condition"]
        for statement in json.loads(policy)["Statement"]
        if statement["Effect"] == "Allow"
    }


def queue(graph: Graph, name: str) -> r.Queue:
    found = graph.resources[r.Key("queue", P + name)]
    assert isinstance(found, r.Queue)
    return found


@pytest.mark.capability("S3-1")
@pytest.mark.capability("S2-3")
def test_s3_sends_straight_to_a_queue_that_takes_it_from_this_bucket_alone() -> None:
    graph = made("uploads: {deliver: queue}\nsteps: {thumb: {exif: true}}\n")
    assert rules(graph) == {"thumb": ("queue thumb", ("s3:ObjectCreated:*",), "incoming/", "")}
    assert "uploaded" not in graph.topics
    assert senders(queue(graph, "thumb").policy) == {
        "s3.amazonaws.com": {
            "ArnEquals": {"aws:SourceArn": BUCKET},
            "StringEquals": {"aws:SourceAccount": ACCOUNT},
        }
    }


@pytest.mark.capability("S2-3")
@pytest.mark.capability("S4-1")
def test_s3_invokes_a_function_whose_failures_end_in_its_queue() -> None:
    graph = made(
        "uploads: {deliver: function, suffixes: [jpg]}\n"
        "steps: {thumb: {via: function, exif: true}, tidy: {on: removed}}\n"
    )
    assert {short: (where, suffix) for short, (where, _, _, suffix) in rules(graph).items()} == {
        **{f"thumb{suffix}": ("function thumb", suffix) for suffix in (".jpg", ".JPG", ".Jpg")},
        **{f"tidy{suffix}": ("queue tidy", suffix) for suffix in (".jpg", ".JPG", ".Jpg")},
    }
    permission = graph.resources[r.Key("permission", f"{P}thumb/s3")]
    assert isinstance(permission, r.Permission)
    assert (permission.source_arn, permission.source_account) == (BUCKET, ACCOUNT)
    [failures] = graph.of(r.AsyncInvoke)
    assert (failures.function, failures.on_failure) == (f"{P}thumb", f"{P}thumb-dlq")


@pytest.mark.capability("S2-3")
def test_eventbridge_has_a_rule_for_each_step_and_the_bus_hears_of_the_bucket() -> None:
    graph = made(
        "uploads: {deliver: eventbridge, events: [put, multipart]}\n"
        "steps: {thumb: {via: function, exif: true}, sizes: {palette: 3}, tidy: {on: removed}}\n"
        "notify: {uploaded: {email: [a@b.photo]}}\n"
    )
    [notification] = graph.of(r.Notification)
    assert (notification.eventbridge, notification.rules) == (True, ())
    found = {rule.name.removeprefix(P): rule for rule in graph.of(r.EventRule)}
    assert {name: str(rule.target).replace(P, "") for name, rule in found.items()} == {
        "thumb": "function thumb",
        "sizes": "queue sizes",
        "tidy": "queue tidy",
        "notifier": "queue notifier",
    }
    pattern = json.loads(found["sizes"].pattern)
    assert pattern["detail-type"] == ["Object Created"]
    assert pattern["detail"]["reason"] == ["CompleteMultipartUpload", "PutObject"]
    assert pattern["detail"]["object"]["key"] == [{"prefix": "incoming/"}]
    assert json.loads(found["tidy"].pattern)["detail-type"] == ["Object Deleted"]
    arn = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{P}sizes"
    for name in ("sizes", "sizes-dlq"):
        condition = senders(queue(graph, name).policy)["events.amazonaws.com"]
        assert condition == {"ArnEquals": {"aws:SourceArn": arn}}
    assert set(notification.waits_for) >= {rule.key for rule in found.values()}


@pytest.mark.capability("S2-2")
def test_prefixes_take_uploads_to_different_steps() -> None:
    text = (
        "uploads: {deliver: queue}\n"
        "steps:\n"
        "  scans: {only: {prefix: scans/, suffixes: [tif]}, exif: true}\n"
        "  phones: {only: {prefix: phones/}, palette: 3}\n"
    )
    assert {short: rule[2:] for short, rule in rules(made(text)).items()} == {
        **{f"scans{form}": ("incoming/scans/", form) for form in (".tif", ".TIF", ".Tif")},
        "phones": ("incoming/phones/", ""),
    }
    told = build(declare(HEAD + text))
    writer = next(branch for branch in told.branches if branch.name == "writer")
    assert Settings.loads(writer.environment["IMGPIPE_SETTINGS"]).matches == {
        "scans": {"prefix": "incoming/scans/", "suffixes": [".tif"]},
        "phones": {"prefix": "incoming/phones/", "suffixes": []},
    }


def test_a_subscriber_gets_only_its_part_of_the_topic() -> None:
    graph = made("steps: {scans: {only: {prefix: scans/}, exif: true}, all: {palette: 3}}\n")
    policies = {made.endpoint: made for made in graph.of(r.Subscription)}
    scans, everything = policies[f"{P}scans"], policies[f"{P}all"]
    assert json.loads(scans.filter_policy) == {
        "Records": {"s3": {"object": {"key": [{"prefix": "incoming/scans/"}]}}}
    }
    assert (scans.filter_scope, everything.filter_policy) == ("body", "")


@pytest.mark.capability("S2-1")
def test_each_occasion_has_events_of_its_own() -> None:
    graph = made(
        "uploads: {events: [put, post, copy, multipart]}\n"
        "steps:\n"
        "  facts: {exif: true}\n"
        "  again: {on: restored, exif: true}\n"
        "  tags: {on: tagged, palette: 3}\n"
        "  tidy: {on: removed}\n"
    )
    assert {rule[0]: rule[1] for rule in rules(graph).values()} == {
        "topic uploaded": (
            "s3:ObjectCreated:CompleteMultipartUpload",
            "s3:ObjectCreated:Copy",
            "s3:ObjectCreated:Post",
            "s3:ObjectCreated:Put",
        ),
        "topic restored": ("s3:ObjectRestore:Completed",),
        "topic tagged": ("s3:ObjectTagging:*",),
        "topic removed": ("s3:LifecycleExpiration:*", "s3:ObjectRemoved:*"),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "uploads: {deliver: queue}\nsteps: {a: {via: function, exif: true}}\n",
            "write `via: queue` or `via: worker`, or `deliver: topic`",
        ),
        (
            "uploads: {deliver: function}\nsteps: {a: {exif: true}}\n",
            "write `via: function`, or `deliver: topic`",
        ),
        (
            "uploads: {deliver: queue}\nsteps: {a: {exif: true}, b: {palette: 3}}\n",
            "`a` gets `incoming/*`, and `b` `incoming/*`: these overlap",
        ),
        (
            "uploads: {deliver: queue}\nsteps: {a: {exif: true}}\nnotify: {uploaded: {email: [a@b.photo]}}\n",
            "no notice could be written: use `completed`",
        ),
        (
            "uploads: {suffixes: [jpg]}\nsteps: {a: {only: {suffixes: [tif]}, exif: true}}\n",
            "`.tif` is not among",
        ),
    ],
)
def test_what_can_not_work_is_told(text: str, message: str) -> None:
    assert message in problem(HEAD + text)


def test_overlaps_of_prefix_and_suffix_are_proven() -> None:
    text = (
        "uploads: {deliver: queue}\nsteps:\n"
        "  a: {only: {prefix: x/}, exif: true}\n"
        "  b: {only: {suffixes: [png]}, palette: 3}\n"
    )
    found = problems(HEAD + text)
    assert len(found) == 3  # in each of three spellings
    assert all("`incoming/x/*`" in line and "overlap" in line for line in found)


def test_a_hundred_entries_a_bucket_are_counted_over_all_steps() -> None:
    endings = ", ".join(f"ax{number}" for number in range(18))
    more = ", ".join(f"by{number}" for number in range(18))
    text = (
        "uploads: {deliver: queue}\nsteps:\n"
        f"  a: {{only: {{suffixes: [{endings}]}}, exif: true}}\n"
        f"  b: {{only: {{suffixes: [{more}]}}, palette: 3}}\n"
    )
    told = problem(HEAD + text)
    assert "108 notification entries" in told
    assert "s3:ObjectCreated:*)" in told  # nothing here listens to removals


@pytest.mark.capability("S2-7")
@pytest.mark.capability("S0-9")
def test_one_at_a_time_leaves_receives_for_those_that_find_no_place() -> None:
    graph = made(
        "steps: {a: {exif: true, lambda: {reserved: 1}}, b: {palette: 3, lambda: {concurrency: 7}}}\n"
    )
    functions = {it.name: it for it in graph.of(r.Function)}
    mappings = {it.queue: it.max_concurrency for it in graph.of(r.Mapping)}
    assert functions[f"{P}a"].reserved_concurrency == 1
    assert (mappings[f"{P}a"], mappings[f"{P}b"]) == (2, 7)
    assert (queue(graph, "a").max_receives, queue(graph, "b").max_receives) == (10, 5)


@pytest.mark.capability("S2-15")
def test_lambda_tells_a_destination_of_each_success() -> None:
    arn = "arn:aws:sqs:eu-west-1:210987654321:done"
    graph = made(f"steps: {{a: {{via: function, exif: true, lambda: {{on_success: '{arn}'}}}}}}\n")
    [told] = graph.of(r.AsyncInvoke)
    assert (told.on_success, told.on_failure) == (arn, f"{P}a-dlq")
    role = graph.resources[r.Key("role", f"{P}a-{REGION}")]
    assert isinstance(role, r.Role)
    allowed = {it["Sid"]: it["Resource"] for it in json.loads(role.policy)["Statement"]}
    assert allowed["Successes"] == arn
    behind_a_queue = f"steps: {{a: {{exif: true, lambda: {{on_success: '{arn}'}}}}}}\n"
    assert "write `via: function`" in problem(HEAD + behind_a_queue)
    assert "is not the ARN" in problem(HEAD + behind_a_queue.replace(":done", ":done.fifo"))


@pytest.mark.capability("S4-22")
@pytest.mark.capability("S3-9")
@pytest.mark.parametrize(("to", "via"), [("function", "queue"), ("worker", "worker")])
def test_a_lane_is_the_same_work_with_more_room(to: str, via: str) -> None:
    step = f"{{via: function, exif: true, lane: {{over: 40MP, to: {to}, memory: 4096}}}}"
    graph = made(f"steps: {{a: {step}}}\n")
    small, large, _ = graph.branches
    assert (large.name, large.via, large.queue) == ("a-large", via, f"{P}a-large")
    told = Settings.loads(small.environment["IMGPIPE_SETTINGS"])
    own = Settings.loads(large.environment["IMGPIPE_SETTINGS"])
    assert told.lane.queue_url == own.queue_url == graph.place.queue_url(f"{P}a-large")
    assert (told.lane.max_pixels, told.lane.max_bytes) == (40_000_000, 0)
    assert (own.steps, own.settings_hash) == (told.steps, told.settings_hash)
    assert own.limits.memory_bytes > told.limits.memory_bytes
    assert not own.lane.queue_url
    if to == "function":
        function = graph.resources[r.Key("function", f"{P}a-large")]
        assert isinstance(function, r.Function)
        assert function.memory_mb == 4096
    assert "queue a-large → " in diagram.text(graph)
    assert diagram.svg(graph).count("a-large") >= 2
    senders_ = [
        statement["Resource"]
        for statement in json.loads(_role(graph, "a").policy)["Statement"]
        if statement["Sid"] == "Lane"
    ]
    assert senders_ == [graph.place.queue_arn(f"{P}a-large")]


def _role(graph: Graph, name: str) -> r.Role:
    role = graph.resources[r.Key("role", f"{P}{name}-{REGION}")]
    assert isinstance(role, r.Role)
    return role


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{a: {exif: true, lane: {over: lots}}}", "`over`"),
        ("{a: {via: worker, exif: true, lane: {over: 1MB, to: worker}}}", "have all of this"),
        ("{a: {exif: true, lane: {over: 1MB}}, a-large: {palette: 3}}", "the lane's own name"),
    ],
)
def test_a_lane_that_can_not_work_is_told(text: str, message: str) -> None:
    assert message in problem(HEAD + f"steps: {text}\n")


@pytest.mark.capability("S1-12")
@pytest.mark.parametrize(
    "text",
    [
        "environments: {prod: {profile: <profile>}}\n",
        "environments: {prod: {profile: your-profile}}\n",
        "environments: {prod: {profile: CHANGE_ME}}\n",
        "environments: {prod: {notify: {completed: {sms: ['+447700900123']}}}}\n",
        "environments: {prod: {notify: {failed: {push: ['arn:aws:sns:eu-west-1:123456789012:endpoint/GCM/a/b']}}}}\n",
    ],
)
def test_a_placeholder_left_in_a_setting_is_refused(text: str) -> None:
    told = HEAD + "steps: {a: {exif: true}}\n" + text
    assert "is a placeholder" in problem(told, "prod")
    assert declare(told)


@pytest.mark.capability("S0-11")
def test_adding_a_step_changes_that_branch_and_what_must_know_of_all_steps() -> None:
    before = build(declare(HEAD + "steps: {a: {exif: true}}\n")).resources
    after = build(declare(HEAD + "steps: {a: {exif: true}, new: {palette: 3}}\n")).resources
    for one, other in ((before, after), (after, before)):
        actions = [action for action in plan(other, one) if action.changes]
        others = {str(action.key) for action in actions if f"{P}new" not in str(action.key)}
        assert others == {
            f"function {P}writer",
            f"alarm {P}rejected-rate",
            f"dashboard {P}{REGION}",
        }


def test_a_lanes_limit_with_an_unknown_unit_is_told_how_to_write_it() -> None:
    lane = "steps: {a: {exif: true, lane: {over: 50XB, to: worker}}}\n"
    assert "write it like 50MB or 40MP, not '50XB'" in problem(HEAD + lane)
