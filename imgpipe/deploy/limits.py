"""AWS's limits on what a declaration becomes: names, environments, policies, a bucket's
notification entries.

They are checked on the graph itself, built for the longest account and Region, so that what is
checked is what is deployed. Two proofs are here as well: no two notification entries overlap, and
no output can start its own pipeline.
"""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

from imgpipe.deploy import graph
from imgpipe.deploy import resources as r
from imgpipe.deploy.problems import Finding, YamlPath
from imgpipe.deploy.steps import groups, sources
from imgpipe.runtime.settings import CODE_HASH_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from imgpipe.deploy.graph import Graph
    from imgpipe.deploy.model import Spec

ACCOUNT = "0" * 12
LONGEST_REGION = "ap-southeast-1"
CODE_HASH = "0" * 64

NAME_LENGTHS: Mapping[str, int] = {
    "bucket": 63,
    "topic": 256,
    "queue": 80,
    "table": 255,
    "log_group": 512,
    "role": 64,
    "function": 64,
    "alarm": 255,
    "dashboard": 255,
}
ENVIRONMENT_BYTES = 4096
ROLE_POLICY_CHARACTERS = 10_240
NOTIFICATION_ENTRIES = 100
FILTER_VALUE_LENGTH = 1024


def check(spec: Spec, environment: str) -> list[Finding]:
    """Return every limit that `spec` would pass in `environment`."""
    declared = spec.environments.get(environment)
    region = (declared.region if declared else None) or LONGEST_REGION
    hashes = dict.fromkeys(sources(spec), CODE_HASH)
    built = graph.build(spec, environment, account=ACCOUNT, region=region, code_hashes=hashes)
    return [
        *_names(spec, built),
        *sizes(built),
        *(Finding(_blamed(spec), message) for message in notification_faults(built)),
        *_loops(spec, built),
    ]


def _loops(spec: Spec, built: Graph) -> list[Finding]:
    """Return each loop; of results beside the uploads one for all, for it is one setting that is wrong.

    There no key may be both: also where no variant of today would be an upload, one of tomorrow could.
    """
    below = spec.uploads.outputs
    if not (below and _either(str.startswith, below, spec.uploads.prefix)):
        return [Finding(("uploads", "prefix"), message) for message in loops(built)]
    every = f"every key below `{spec.uploads.prefix}`" if spec.uploads.prefix else "every key"
    return [
        Finding(
            ("uploads", "outputs"),
            f"{every} is an upload, and what is written below `{below}` could start the pipeline "
            "again: an endless loop; neither prefix may begin with the other",
        )
    ]


def _blamed(spec: Spec) -> YamlPath:
    """Return the setting that notification entries follow from."""
    direct = spec.uploads.deliver in {"queue", "function"}
    return ("uploads", "deliver") if direct else ("uploads", "suffixes")


def _names(spec: Spec, built: Graph) -> Iterator[Finding]:
    """Yield the name that is worst for each kind of resource and each part of pipeline.yaml that it
    comes from.
    """
    for kind, limit in NAME_LENGTHS.items():
        over: dict[YamlPath, str] = {}
        for key in built.resources:
            if key.kind == kind and len(key.name) > limit:
                path = _origin(spec, built, key.name)
                over[path] = max(over.get(path, ""), key.name, key=len)
        for path, name in over.items():
            yield Finding(
                path,
                f"AWS allows a {kind.replace('_', ' ')}'s name {limit} characters, and `{name}` "
                f"would have {len(name)}: "
                f"make this, or the environment's name, {len(name) - limit} shorter",
                at_key=path[0] == "steps",
            )


def _origin(spec: Spec, built: Graph, name: str) -> YamlPath:
    """Return the place in pipeline.yaml that the long part of `name` comes from: a step or group,
    or the pipeline.
    """
    rest = name.rpartition("/")[2].removeprefix(f"{built.pipeline}-{built.environment}-")
    for group in groups(spec):
        if rest.startswith(group.name) and len(group.name) > len(spec.name):
            step_name, step = next(iter(group.steps.items()))
            return ("steps", step_name, "group") if step.group else ("steps", step_name)
    return ("name",)


def sizes(built: Graph) -> Iterator[Finding]:
    """Yield each function whose settings or role are longer than AWS allows."""
    first_step = {branch.function: branch.steps[0] for branch in built.branches if branch.steps}
    for function in built.of(r.Function):
        step = first_step.get(function.name)
        path: YamlPath = ("steps", step) if step else ("steps",)
        pairs = [*function.environment, (CODE_HASH_VARIABLE, CODE_HASH)]
        used = sum(len(name.encode()) + len(value.encode()) for name, value in pairs)
        if used > ENVIRONMENT_BYTES:
            yield Finding(
                path,
                f"the settings of `{function.name}` take {used:,} bytes, and Lambda allows "
                f"{ENVIRONMENT_BYTES:,}: "
                "spread its variants over more groups",
                at_key=True,
            )
        policy = built.resources[r.Key("role", function.role)]
        if isinstance(policy, r.Role) and len(policy.policy) > ROLE_POLICY_CHARACTERS:
            yield Finding(
                path,
                f"the policy of `{function.name}` is longer than IAM allows: use more groups",
                at_key=True,
            )


def _occasions(rules: Sequence[r.Rule]) -> str:
    """Return the events that `rules` are for, as S3 names them, each once."""
    return ", ".join(dict.fromkeys("+".join(rule.events) for rule in rules))


def notification_faults(built: Graph) -> Iterator[str]:
    """Yield why S3 would refuse the uploads bucket's notification entries."""
    for notification in built.of(r.Notification):
        rules = notification.rules
        if len(rules) > NOTIFICATION_ENTRIES:
            yield (
                f"{len(rules)} notification entries (each suffix in three cases, for each of "
                f"{_occasions(rules)}); "
                f"S3 allows {NOTIFICATION_ENTRIES} a bucket: list fewer suffixes, or none, as "
                "content decides anyway"
            )
        for rule in rules:
            if rule.target.name.endswith(".fifo"):
                yield f"S3 can't notify the FIFO {rule.target.kind} `{rule.target.name}`"
        for one, other in itertools.combinations(rules, 2):
            if overlap(one, other) and one.target == other.target:
                yield (
                    f"`{one.suffix or one.prefix}` and `{other.suffix or other.prefix}` overlap: "
                    "S3 refuses two entries that match the same key for the same event"
                )
            elif overlap(one, other):
                names = [_short(built, rule.target) for rule in (one, other)]
                yield (
                    f"`{names[0]}` gets {_which(one)}, and `{names[1]}` {_which(other)}: these overlap, "
                    "and S3 sends an event to one place only; give each step its own `only`, "
                    "or use `deliver: topic`"
                )


def _short(built: Graph, target: r.Key) -> str:
    return target.name.removeprefix(f"{built.pipeline}-{built.environment}-")


def _which(rule: r.Rule) -> str:
    return f"`{rule.prefix}*{rule.suffix}`"


def overlap(one: r.Rule, other: r.Rule) -> bool:
    """Whether S3 would call two entries ambiguous: a common event, and both prefixes and suffixes
    that can meet.
    """
    return (
        any(_same_event(mine, theirs) for mine in one.events for theirs in other.events)
        and _either(str.startswith, one.prefix, other.prefix)
        and _either(str.endswith, one.suffix, other.suffix)
    )


def _same_event(one: str, other: str) -> bool:
    """`s3:ObjectCreated:*` covers `s3:ObjectCreated:Put`."""
    return _either(
        lambda event, kind: event == kind or (kind.endswith("*") and event.startswith(kind[:-1])),
        one,
        other,
    )


def _either(test: Callable[[str, str], bool], one: str, other: str) -> bool:
    return test(one, other) or test(other, one)


def _called_alone(built: Graph) -> set[str]:
    """Return the roles of functions that have a URL and that no queue, topic, bus or bucket feeds."""
    fed = {each.function for each in built.of(r.Mapping)}
    fed |= {each.function for each in built.of(r.AsyncInvoke)}
    fed |= {each.function for each in built.of(r.Permission) if each.source_arn}
    alone = {url.function for url in built.of(r.FunctionUrl)} - fed
    return {each.role for each in built.of(r.Function) if each.name in alone}


def loops(built: Graph) -> Iterator[str]:
    """Yield each folder that a function may write to and whose objects would start the pipeline
    again.

    Proven on the roles: what a function isn't allowed to write can't loop, whatever its code does. Nor can a
    function that no event reaches, because people alone call it, at its URL.
    """
    called = _called_alone(built)
    triggers = [
        (notification.bucket, rule)
        for notification in built.of(r.Notification)
        for rule in notification.rules
        if any(event.startswith("s3:ObjectCreated") for event in rule.events)
    ]
    for role in built.of(r.Role):
        if role.name in called:
            continue
        for bucket, prefix in written(role.policy):
            for watched, rule in triggers:
                if bucket == watched and _either(str.startswith, prefix, rule.prefix):
                    yield (
                        f"`{role.name}` may write to {bucket}/{prefix}, whose uploads start the "
                        "pipeline: an endless loop"
                    )


def written(policy: str) -> list[tuple[str, str]]:
    """Return bucket and prefix of everything that a role's policy lets it write to S3."""
    statements = json.loads(policy)["Statement"]
    arns = [
        arn
        for statement in statements
        if statement["Effect"] == "Allow" and "s3:PutObject" in _listed(statement["Action"])
        for arn in _listed(statement["Resource"])
    ]
    places = [arn.rpartition(":::")[2].partition("/") for arn in arns]
    return [(bucket, prefix.removesuffix("*")) for bucket, _, prefix in places]


def _listed(value: str | Sequence[str]) -> Iterable[str]:
    return [value] if isinstance(value, str) else value
