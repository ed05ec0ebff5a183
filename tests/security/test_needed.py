"""Each role's rights, one by one, against a list of what is needed: nothing more is there, and nothing less."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from imgpipe.deploy import policies
from imgpipe.deploy import resources as r
from imgpipe.deploy.building import Branch
from imgpipe.deploy.graph import Graph
from tests.security import pipelines
from tests.security.roles import listed, rights

GRAPHS = dict(pipelines.graphs())
LOG = "logs:CreateLogStream logs:PutLogEvents"
POLL = "sqs:ChangeMessageVisibility sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage"
WORK = "sqs:ChangeMessageVisibility sqs:DeleteMessage sqs:ReceiveMessage"
READ = {"s3:GetObject": ("uploads/incoming/*",), "s3:ListBucket": ("uploads",)}
ENDS = ("queue rejected", "queue results")


def step(
    name: str, *, calls: str = POLL, reads: str = "incoming/*", sends: tuple[str, ...] = ENDS
) -> dict[str, tuple[str, ...]]:
    """Return what a step takes that makes nothing: its queue, its uploads, and the ways to say how it ended."""
    read = {"s3:GetObject": (f"uploads/{reads}",), "s3:ListBucket": ("uploads",)}
    log = {LOG: (f"log {name}",)} if calls == POLL else {}
    return {**log, calls: (f"queue {name}",), **read, "sqs:SendMessage": sends}


def makes(*folders: str) -> dict[str, tuple[str, ...]]:
    return {"s3:PutObject": tuple(f"variants/{folder}/*" for folder in folders)}


EVERYTHING: dict[str, dict[str, tuple[str, ...]]] = {
    "thumb": {
        LOG: ("log thumb",),
        **READ,
        "sqs:SendMessage": ("queue thumb-dlq", "heard-of-thumbs", *ENDS),
        **makes("thumb"),
    },
    "sizes": {**step("sizes", sends=("queue sizes-large", *ENDS)), **makes("medium", "large")},
    "sizes-large": {**step("sizes-large"), **makes("medium", "large")},
    "print": {**step("print", sends=("queue print-large", *ENDS)), **makes("print")},
    "print-large": {**step("print-large", calls=WORK), **makes("print")},
    "tint": {**step("tint", calls=WORK), **makes("tinted")},
    "facts": {**step("facts", reads="incoming/facts/*"), "rekognition:DetectLabels": ("*",)},
    "again": {**step("again"), **makes("again")},
    "marked": {**step("marked"), **makes("marked")},
    "tidy": {
        **step("tidy", sends=("queue results",)),
        "s3:DeleteObject": ("variants/*",),
        "dynamodb:GetItem": ("table/images",),
    },
    "writer": {
        LOG: ("log writer",),
        POLL: ("queue results",),
        "dynamodb:GetItem dynamodb:PutItem": ("table/images",),
        "sns:Publish": ("topic completed",),
        "sqs:SendMessage": ("queue tidy",),
    },
    "notifier": {
        LOG: ("log notifier",),
        POLL: ("queue notifier",),
        "dynamodb:PutItem": ("table/images",),
        "sns:Publish": ("topic notices",),
        "s3:GetObject": ("variants/*", "uploads/incoming/*"),
        "s3:ListBucket": ("uploads",),
    },
    "direct": {LOG: ("log direct",), "s3:PutObject": ("uploads/incoming/*",)},
}
"""What each role of the pipeline with everything needs: actions, and what they are needed for."""


def short(graph: Graph, arn: str) -> str:
    """Return an ARN in few words."""
    kind, last = arn.split(":")[2:3][0] if arn != "*" else "", arn.split(":", 5)[-1]
    for bucket, word in ((graph.uploads_bucket, "uploads"), (graph.variants_bucket, "variants")):
        last = last.replace(bucket, word)
    last = last.replace("everything-prod-", "")
    if kind == "logs":
        return f"log {last.removeprefix('log-group:/aws/lambda/').removesuffix(':*')}"
    named = {"sqs": "queue ", "sns": "topic "}.get(kind, "") if "everything-prod" in arn else ""
    return named + last


def branches(graph: Graph) -> list[Branch]:
    return [*graph.branches, *graph.called]


def policy(graph: Graph, branch: Branch) -> str:
    role = graph.resources[r.Key("role", branch.role)]
    assert isinstance(role, r.Role)
    return role.policy


@pytest.mark.capability("S3-10")
@pytest.mark.parametrize("branch", branches(GRAPHS["everything"]), ids=lambda it: it.name)
def test_a_role_has_just_the_rights_that_are_needed(branch: Branch) -> None:
    graph = GRAPHS["everything"]
    found = [(it.action, short(graph, it.resource)) for it in rights(policy(graph, branch))]
    needed = {
        (action, resource)
        for actions, resources in EVERYTHING[branch.name].items()
        for action in actions.split()
        for resource in resources
    }
    assert set(found) == needed
    assert len(found) == len(needed), "a right that is given twice"


def test_every_role_is_in_the_list() -> None:
    assert {each.name for each in branches(GRAPHS["everything"])} == set(EVERYTHING)


TELLING = {"sqs": "sqs:SendMessage", "sns": "sns:Publish", "lambda": "lambda:InvokeFunction"}
ACTIONS = {
    "Log": {LOG},
    "Receive": {POLL, WORK},
    "Failures": {"sqs:SendMessage"},
    "Successes": {*TELLING.values(), "events:PutEvents"},
    "ReadUploads": {"s3:GetObject"},
    "MissingReadsAs404": {"s3:ListBucket"},
    "WriteVariants": {"s3:PutObject"},
    "Label": {"rekognition:DetectLabels"},
    "Lane": {"sqs:SendMessage"},
    "Report": {"sqs:SendMessage"},
    "DeleteVariants": {"s3:DeleteObject"},
    "KeepNotes": {"s3:DeleteObject"},
    "Rows": {"dynamodb:GetItem", "dynamodb:GetItem dynamodb:PutItem", "dynamodb:PutItem"},
    "Publish": {"sns:Publish"},
    "Tidy": {"sqs:SendMessage"},
    "ReadPictures": {"s3:GetObject"},
    "LeaveNotes": {"s3:GetObject"},
    "WriteUploads": {"s3:PutObject"},
    "UseKey": {"kms:Decrypt", "kms:GenerateDataKey", "kms:Decrypt kms:GenerateDataKey"},
}
"""What a statement may allow, or deny, by what it is for."""


def statements() -> Iterator[tuple[str, Graph, Branch, dict[str, str | list[str]]]]:
    for name, graph in GRAPHS.items():
        for branch in branches(graph):
            for one in json.loads(policy(graph, branch))["Statement"]:
                yield f"{name}/{branch.name}", graph, branch, one


def test_no_statement_of_any_pipeline_allows_more_than_it_is_for() -> None:
    assert set(ACTIONS) == set(policies.WHY)
    wrong = [
        f"{where} {one['Sid']}: {one['Action']}"
        for where, _, _, one in statements()
        if " ".join(sorted(listed(one["Action"]))) not in ACTIONS[str(one["Sid"])]
    ]
    assert not wrong


def test_what_the_cloud_does_in_a_functions_name_is_about_its_own_log_and_queues() -> None:
    """Lambda polls, logs, and tells of ends with the function's role: each of one resource of the function's own."""
    for where, graph, branch, one in statements():
        place = graph.place
        own = {
            "Log": f"{place.arn('logs', f'log-group:{branch.log_group}')}:*",
            "Receive": place.arn("sqs", branch.queue or ""),
            "Failures": place.arn("sqs", branch.dlq),
        }
        sid = str(one["Sid"])
        if sid in own:
            assert one["Resource"] == own[sid], where
        if sid == "Successes":
            assert one["Action"] == TELLING[str(one["Resource"]).split(":")[2]], where


def test_a_key_of_anothers_is_used_by_way_of_s3_for_what_the_role_does_with_its_objects() -> None:
    found = {
        branch.name: sorted(listed(one["Action"]))
        for where, _, branch, one in statements()
        if one["Sid"] == "UseKey"
    }
    both = ["kms:Decrypt", "kms:GenerateDataKey"]
    assert found == {
        "thumb": both,
        "sizes": both,
        "tidy": ["kms:Decrypt"],
        "notifier": ["kms:Decrypt"],
    }
    for _, graph, _, one in statements():
        if one["Sid"] == "UseKey":
            through = f"s3.{graph.place.region}.amazonaws.com"
            assert one["Condition"] == {"StringEquals": {"kms:ViaService": through}}
            assert one["Resource"].endswith(":key/k1")
