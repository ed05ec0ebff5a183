"""What the policies of every pipeline say: nobody else's resource speaks for ours, and no `*` is without a reason."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from imgpipe.deploy import policies
from imgpipe.deploy import resources as r
from imgpipe.deploy.graph import Graph
from tests.security import pipelines
from tests.security.roles import listed

GRAPHS = dict(pipelines.graphs())
Statement = dict[str, Any]

OUTPUTS = r"([\w-]+-variants-[\w-]+/|[\w-]+/processed/)"
"""Where variants are: in a bucket of their own, or in a folder beside the uploads."""

WILDCARDS = {
    r"role Log arn:aws:logs:[^*]+:log-group:/aws/lambda/[\w-]+:\*": (
        "Lambda names the streams of a function's own log group"
    ),
    r"role (ReadUploads|WriteUploads) arn:aws:s3:::[\w-]+/incoming/([\w-]+/)?\*": (
        "uploads have names that nobody knows before; other prefixes stay closed"
    ),
    rf"role WriteVariants arn:aws:s3:::{OUTPUTS}[\w-]+/\*": (
        "variants are named after uploads, each in the folder of its variant, which is named here"
    ),
    rf"role DeleteVariants arn:aws:s3:::{OUTPUTS}\*": (
        "tidy also deletes variants whose step is no longer declared; KeepNotes takes `ops/` out"
    ),
    r"role KeepNotes arn:aws:s3:::[\w-]+/ops/\*": "it denies",
    rf"role ReadPictures arn:aws:s3:::{OUTPUTS}\*": (
        "a notice links to the largest variant, whatever it is called; LeaveNotes takes `ops/` out"
    ),
    r"role LeaveNotes arn:aws:s3:::[\w-]+/ops/\*": "it denies",
    r"role Label \*": "Rekognition's DetectLabels knows no resources",
    r"trust aws:SourceArn arn:aws:ecs:[^*]+:\*": (
        "workers run as any task of this account; SourceAccount names it, too"
    ),
    r"bucket DenyPlainHttp arn:aws:s3:::[\w-]+/\*": "it denies, and covers every object",
    r"bucket DenyPlainHttp action s3:\*": "it denies, whatever is asked",
    r"queue DenyPlainHttp action sqs:\*": "it denies, whatever is asked",
    r"(bucket|topic|queue) DenyPlainHttp principal \*": "it denies, whoever asks",
    r"topic AlarmsPublish aws:SourceArn arn:aws:cloudwatch:[^*]+:alarm:[\w-]+\*": (
        "every alarm of this pipeline, by the beginning of its name"
    ),
    r"function (open-url|open-invoke) principal \*": (
        "`direct: {auth: none}` was asked for: everybody may ask for a form, which binds what can be uploaded"
    ),
}
"""Every `*` in a policy that imgpipe writes: where, and why it can't be narrower."""


def stars(kind: str, statement: Statement) -> Iterator[str]:
    """Yield each `*` of a statement as `kind Sid what`."""
    where = f"{kind} {statement['Sid']}" if "Sid" in statement else kind
    for resource in listed(statement.get("Resource", [])):
        if "*" in resource:
            yield f"{where} {resource}"
    for action in listed(statement["Action"]):
        if "*" in action:
            yield f"{where} action {action}"
    if "*" in json.dumps(statement.get("Principal", "")):
        yield f"{where} principal *"
    for operator in statement.get("Condition", {}).values():
        for name, values in operator.items():
            yield from (f"{where} {name} {value}" for value in listed(values) if "*" in value)


def statements(graph: Graph) -> Iterator[tuple[str, Statement]]:
    """Yield every statement of every policy, with the kind of what it belongs to."""
    for resource in graph.resources.values():
        match resource:
            case r.Role():
                yield from (("role", one) for one in json.loads(resource.policy)["Statement"])
                yield from (("trust", one) for one in json.loads(resource.trust)["Statement"])
            case r.Bucket() | r.Topic() | r.Queue():
                document = json.loads(resource.policy)
                yield from ((resource.key.kind, one) for one in document["Statement"])
            case r.Permission():
                yield "function", _of_permission(resource)
            case _:
                pass


def _of_permission(permission: r.Permission) -> Statement:
    """Return the statement that AWS makes of a permission."""
    source = {"aws:SourceArn": permission.source_arn} if permission.source_arn else {}
    account = permission.source_account
    return {
        "Sid": permission.statement_id,
        "Effect": "Allow",
        "Principal": permission.principal,
        "Action": permission.action,
        "Condition": {
            "ArnLike": source,
            "StringEquals": {"aws:SourceAccount": account} if account else {},
        },
    }


@pytest.mark.capability("S3-10")
def test_every_wildcard_has_its_reason() -> None:
    found = {
        star
        for graph in GRAPHS.values()
        for kind, one in statements(graph)
        for star in stars(kind, one)
    }
    unexplained = [
        star for star in found if not any(re.fullmatch(known, star) for known in WILDCARDS)
    ]
    assert not unexplained
    idle = [known for known in WILDCARDS if not any(re.fullmatch(known, star) for star in found)]
    assert not idle, "a reason for what is no longer there"


def test_every_statement_of_a_role_says_why() -> None:
    found = {
        one["Sid"] for graph in GRAPHS.values() for kind, one in statements(graph) if kind == "role"
    }
    assert found == set(policies.WHY)


def test_no_statement_turns_round_what_it_names() -> None:
    """`NotAction` and its like allow what nobody thought of."""
    for graph in GRAPHS.values():
        for _, statement in statements(graph):
            assert not {"NotAction", "NotResource", "NotPrincipal"} & set(statement)


SERVICES_OF_OUR_OWN = {"lambda.amazonaws.com", "ec2.amazonaws.com"}
"""They take a role only from who may pass it, which is somebody of its own account: no deputy to be confused."""


@pytest.mark.parametrize("name", GRAPHS)
def test_a_service_speaks_for_our_own_resources_only(name: str) -> None:
    """The source is named, with its account: in its ARN, or beside it where a bucket's ARN has none."""
    graph = GRAPHS[name]
    for kind, statement in statements(graph):
        if statement["Effect"] == "Deny" or not _is_service(statement.get("Principal")):
            continue
        if kind == "trust" and set(_services(statement["Principal"])) <= SERVICES_OF_OUR_OWN:
            continue
        told = {key: each for one in statement["Condition"].values() for key, each in one.items()}
        arns = listed(told["aws:SourceArn"])
        assert arns, (name, statement)
        accounts = {arn.split(":")[4] for arn in arns}
        assert accounts <= {"", graph.place.account}
        if "" in accounts:
            assert told["aws:SourceAccount"] == graph.place.account, (name, statement)


def _services(principal: Any) -> list[str]:
    return listed(principal["Service"]) if isinstance(principal, dict) else [principal]


def _is_service(principal: Any) -> bool:
    if isinstance(principal, dict):
        return "Service" in principal
    return isinstance(principal, str) and principal.endswith(".amazonaws.com")


@pytest.mark.parametrize("name", GRAPHS)
def test_nobody_else_is_let_in(name: str) -> None:
    """Beside services, only the account itself takes a worker's role, and the URL that was opened on purpose."""
    graph = GRAPHS[name]
    for kind, statement in statements(graph):
        principal = statement.get("Principal")
        if statement["Effect"] == "Deny" or principal is None:
            continue
        if isinstance(principal, dict):
            owner = f"arn:aws:iam::{graph.place.account}:root"
            assert set(principal) <= {"AWS", "Service"}
            assert principal.get("AWS", owner) == owner
            assert kind == "trust" or "AWS" not in principal
        else:
            opened = statement["Sid"] in r.URL_STATEMENTS
            assert principal.endswith(".amazonaws.com") or opened


@pytest.mark.parametrize("name", GRAPHS)
def test_what_may_read_uploads_can_tell_a_missing_one_from_a_forbidden_one(name: str) -> None:
    """S3 answers 403 for a missing key to who may not list the bucket: it would be tried for ever."""
    for role in GRAPHS[name].of(r.Role):
        allowed = [one for one in json.loads(role.policy)["Statement"] if one["Effect"] == "Allow"]
        may_list = {
            each
            for one in allowed
            for each in listed(one["Resource"])
            if "s3:ListBucket" in listed(one["Action"])
        }
        read = {
            each.split("/")[0]
            for one in allowed
            if one["Sid"] == "ReadUploads"
            for each in listed(one["Resource"])
        }
        assert read <= may_list
