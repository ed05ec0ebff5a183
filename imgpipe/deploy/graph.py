"""What a pipeline consists of: Spec -> Graph, a pure function. Start here to see the whole system.

    uploads bucket --created--> `uploaded` topic --+--> function (thumbs)
                                                   +--> queue --> function (enhance, images)
                                                   +--> queue --> workers (`imgpipe worker`)
                                                   +--> notifier --> `notices` topic --> people
                   --removed--> `removed` topic -----> queue --> tidy
    every step --> `results` queue --> writer --> table, `completed` topic, tidy's queue
    what can't work --> `rejected` queue; what didn't --> the branch's dead-letter queue
    alarms --> `alarms` topic --> people

The parts are built in `wiring` (branches, the house's own functions), `alarms` and `dashboard`; this module puts
them together and answers questions about the whole. Nothing here calls AWS: the account and Region
may be symbolic text. Functions run on python3.13 on AWS; the embedded cloud runs them on this
machine's own Python and processor.
"""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from imgpipe.cloud import LOCAL
from imgpipe.deploy import alarms, dashboard, wiring
from imgpipe.deploy.building import Branch, Build, Host
from imgpipe.deploy.names import Names
from imgpipe.deploy.resources import Key, Place, Resource
from imgpipe.runtime.settings import CODE_HASH_VARIABLE, SETTINGS_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from imgpipe.deploy.model import Spec

R = TypeVar("R", bound=Resource)

__all__ = ["Branch", "Graph", "Host", "build", "host_of"]

LAMBDA_RUNTIME = "python3.13"


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Every resource of a pipeline in one environment, and the names that operators ask for.

    `branches` are in the order of pipeline.yaml, the house's own (writer, notifier) last; `called` are
    functions that answer at a URL, without a queue or dead letters (their `dlq` is empty). `topics`
    and `queues` map short names (`uploaded`, `enhance-dlq`) to full ones. Variants lie below
    `variants_prefix` of their bucket, and imgpipe's own notes in `ops_bucket`, which is the variants'
    own bucket if they have one.
    """

    pipeline: str
    environment: str
    place: Place
    prefix: str
    resources: Mapping[Key, Resource]
    branches: tuple[Branch, ...]
    uploads_bucket: str
    variants_bucket: str
    variants_prefix: str
    ops_bucket: str
    table: str
    rejected_queue: str
    dashboard: str
    topics: Mapping[str, str]
    queues: Mapping[str, str]
    tags: Mapping[str, str]
    called: tuple[Branch, ...] = ()

    def of(self, kind: type[R]) -> tuple[R, ...]:
        """Return the resources of one kind."""
        return tuple(resource for resource in self.resources.values() if isinstance(resource, kind))

    def outputs(self) -> dict[str, str]:
        """Return what `imgpipe outputs` prints: a name for each thing that another tool may want to
        talk to.
        """
        made = {
            "uploads_bucket": self.uploads_bucket,
            "variants_bucket": self.variants_bucket,
            **({"variants_prefix": self.variants_prefix} if self.variants_prefix else {}),
            "table": self.table,
            "dashboard": self.dashboard,
        }
        for short, name in self.topics.items():
            made[f"{_word(short)}_topic_arn"] = self.place.topic_arn(name)
        for short, name in self.queues.items():
            made[f"{_word(short)}_queue_url"] = self.place.queue_url(name)
        for branch in (*self.branches, *self.called):
            made |= {f"{_word(branch.name)}_{part}": value for part, value in _parts(branch, self)}
        return made


def build(
    spec: Spec, environment: str, *, account: str, region: str, code_hashes: Mapping[str, str]
) -> Graph:
    """Return every resource of `spec` in `environment`. `code_hashes` maps a Lambda source folder
    to its hash.
    """
    names = _names(spec, environment, Place(account, region, partition_of(region)))
    made = Build(spec, names, code_hashes, host_of(spec, environment))
    wiring.wire(made)
    alarms.watch(made)
    dashboard.show(made)
    return Graph(
        pipeline=spec.name,
        environment=environment,
        place=names.place,
        prefix=spec.uploads.prefix,
        resources=MappingProxyType({resource.key: resource for resource in made.resources}),
        branches=tuple(made.branches),
        called=tuple(made.called),
        uploads_bucket=names.bucket("uploads"),
        variants_bucket=names.bucket("variants"),
        variants_prefix=spec.uploads.outputs,
        ops_bucket=names.bucket("ops"),
        table=names.part("images"),
        rejected_queue=names.part("rejected"),
        dashboard=names.dashboard,
        topics=MappingProxyType(dict(made.topics)),
        queues=MappingProxyType(dict(sorted(made.queues.items()))),
        tags=MappingProxyType({"imgpipe:pipeline": spec.name, "imgpipe:env": environment}),
    )


def _names(spec: Spec, environment: str, place: Place) -> Names:
    """Return the names, with those of buckets that are shared, or somebody else's."""
    own = Names(spec.name, environment, place)
    uploads = spec.uploads.bucket or own.bucket("uploads")
    inside = {"variants": uploads} if spec.uploads.outputs else {"ops": own.bucket("variants")}
    return replace(own, buckets={"uploads": uploads, **inside})


def _parts(branch: Branch, graph: Graph) -> Iterator[tuple[str, str]]:
    """Yield a function's outputs or, for workers, what whoever starts one has to give it."""
    if branch.function and branch.log_group:
        yield "function", branch.function
        yield "log_group", branch.log_group
    else:
        yield "worker_role_arn", graph.place.role_arn(branch.role)
        yield "worker_settings", branch.environment[SETTINGS_VARIABLE]
        yield "worker_code_hash", branch.environment[CODE_HASH_VARIABLE]


def partition_of(region: str) -> str:
    """Return the part of AWS that a Region is in. China's has other hosts: `rules` refuse it.

    A Region that stays CloudFormation's to know leaves the partition to it, too.
    """
    if region == "${AWS::Region}":
        return "${AWS::Partition}"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def host_of(spec: Spec, environment: str) -> Host:
    """Return what functions run on: Lambda's Python, or for the embedded cloud this machine's."""
    if environment == LOCAL:
        arm = platform.machine().lower() in {"aarch64", "arm64"}
        return Host(
            f"python{sys.version_info.major}.{sys.version_info.minor}", "arm64" if arm else "x86_64"
        )
    return Host(LAMBDA_RUNTIME, spec.lambda_.architecture)


def dangling(resources: Iterable[Resource]) -> list[tuple[Key, Key]]:
    """List what needs something that isn't there, with what it needs. A graph of ours has none."""
    known = list(resources)
    keys = {resource.key for resource in known}
    return [
        (resource.key, need) for resource in known for need in resource.needs if need not in keys
    ]


def _word(short: str) -> str:
    return short.replace("-", "_")
