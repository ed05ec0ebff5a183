"""Where a letter goes back to: the very branch that failed, whichever way its messages come. Pure.

A branch behind a queue gets the message on its queue again. A function that SNS invokes gets the
event that it failed on, through Lambda's asynchronous invocation, so that retries and its
on-failure queue work as they did; the other subscribers of the topic hear nothing. Mail can't go
back: publishing it again would write to everyone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imgpipe.operate.dlq.letters import Letter, parse
from imgpipe.operate.dlq.queues import branch_of
from imgpipe.runtime.settings import CODE_HASH_VARIABLE, SETTINGS_VARIABLE, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgpipe.deploy.graph import Graph

_SERVICE_ATTRIBUTES = frozenset({"ErrorCode", "ErrorMessage", "RequestID"})
"""What SNS and Lambda add to a letter. They are about its failure, not part of the message."""


@dataclass(frozen=True, slots=True)
class ToQueue:
    """Send `body` to a branch's queue."""

    branch: str
    url: str
    body: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToFunction:
    """Invoke a branch's function with `event`, asynchronously."""

    branch: str
    function: str
    event: str


@dataclass(frozen=True, slots=True)
class NoWay:
    """Why a letter stays where it is."""

    why: str


Route = ToQueue | ToFunction | NoWay
POINTLESS = (
    "the code and the settings that rejected it are unchanged; --force sends it all the same"
)


def chosen(graph: Graph, letter: Letter, *, force: bool) -> Route:
    """Return the way back, unless it would lead to the same rejection again."""
    if not force and would_fail_again(graph, letter):
        return NoWay(POINTLESS)
    return route(graph, letter)


def route(graph: Graph, letter: Letter) -> Route:
    branch = branch_of(graph, letter.branch)
    if branch is None:
        return NoWay(
            "it is mail that could not be delivered, or of a step that is no longer in pipeline.yaml"
        )
    if branch.queue is not None and letter.kind != "invocation":
        return ToQueue(
            branch.name, graph.place.queue_url(branch.queue), letter.body, _own_attributes(letter)
        )
    event = _event(letter)
    if event is None or branch.function is None:
        return NoWay("its body is not an event that Lambda takes")
    return ToFunction(branch.name, branch.function, json.dumps(event, ensure_ascii=False))


def would_fail_again(graph: Graph, letter: Letter) -> bool:
    """Say whether a rejected letter meets just the code and settings that rejected it."""
    branch = branch_of(graph, letter.branch)
    if letter.kind != "rejected" or branch is None:
        return False
    settings = Settings.loads(branch.environment[SETTINGS_VARIABLE])
    unchanged = (branch.environment[CODE_HASH_VARIABLE], settings.settings_hash)
    return (letter.code_hash, letter.settings_hash) == unchanged


def _own_attributes(letter: Letter) -> Mapping[str, Any]:
    if letter.kind == "rejected":  # what they say is about the rejection
        return {}
    kept = {
        name: value for name, value in letter.attributes.items() if name not in _SERVICE_ATTRIBUTES
    }
    return {
        name: {
            part: value[part]
            for part in ("DataType", "StringValue", "BinaryValue")
            if part in value
        }
        for name, value in kept.items()
    }


def _event(letter: Letter) -> Mapping[str, Any] | None:
    document = parse(letter.body)
    if letter.kind == "invocation":
        payload = document.get("requestPayload")
        return payload if isinstance(payload, dict) else None
    if document.get("Type") == "Notification":
        return _as_lambda_sees_it(document)
    return document or None


def _as_lambda_sees_it(envelope: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the event in which SNS would have delivered `envelope`: it spells two names differently for Lambda."""
    renamed = {"SigningCertURL": "SigningCertUrl", "UnsubscribeURL": "UnsubscribeUrl"}
    sns = {renamed.get(name, name): value for name, value in envelope.items()}
    sns.setdefault("MessageAttributes", {})
    topic = str(envelope.get("TopicArn", ""))
    record = {
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": topic,
        "Sns": sns,
    }
    return {"Records": [record]}
