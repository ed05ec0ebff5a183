"""Whose an output is, and whether any row names it: asked in two steps before it may be called an orphan.

First, cheaply: the uploads whose outputs are called so, and their rows. That clears what only seemed unnamed, and its
answer "nobody" proves nothing: an upload may have left the bucket, and its name may be among millions alike. So what is
left is compared with every row there is, in one reading of the table. Nothing depends on what an upload is called.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING

from imgpipe.operate import rows
from imgpipe.operate.branches import creators, settings_of
from imgpipe.runtime.results import content_version, output_key, stem
from imgpipe.runtime.row import load, status
from imgpipe.runtime.row import outputs as outputs_of

if TYPE_CHECKING:
    from imgpipe.deploy.graph import Graph
    from imgpipe.operate.project import Project

_NAME = re.compile(r"^([^/]+)/(.*)\.([0-9a-f]{12})\.([a-z0-9]+)$", re.DOTALL)
_PAGES = 3
"""Of uploads whose names go on behind the dot, 1,000 each; the table knows the rest."""
_SURE = 200
"""Characters of a stem that are kept however long it is: those of 1,024 bytes, less a variant's and a version's."""


def is_of(graph: Graph, output: str, key: str) -> bool:
    """Say whether an upload called `key` has outputs called like this one."""
    named = _named(graph, output)
    if named is None:
        return False
    variant, _, version, ending = named.groups()
    folder = f"{graph.variants_prefix}{variant}"
    return output_key(folder, key, graph.prefix, version, ending) == output


def called(
    graph: Graph, key: str, version_id: str | None, sequencer: str, steps: Collection[str] = ()
) -> frozenset[str]:
    """Return what the outputs of a version are called under the settings that hold now, without their endings: of
    `steps`, or of all.
    """
    return frozenset(
        output_key(
            f"{graph.variants_prefix}{variant}",
            key,
            graph.prefix,
            content_version(version_id, sequencer, str(chosen.get("hash", ""))),
            "",
        ).rstrip(".")
        for branch in creators(graph)
        if not steps or set(branch.steps) & set(steps)
        for step, chosen in settings_of(branch).steps.items()
        for variant in (chosen.get("variants") or {step: {}})
    )


def suspected(project: Project, output: str) -> frozenset[str] | None:
    """Return the uploads that the output may be of, if none of their rows names it; None where one does, or where it is
    called as those of a current version are that isn't done: its results will name it.
    """
    named = _named(project.graph, output)
    if named is None:
        return None
    alike = _alike(project, output, f"{project.graph.prefix}{named[2]}")
    found = [load(item)[0] for item in rows.items_by_keys(project, alike)]
    if any(output in outputs_of(row) for row in found):
        return None
    done = {(row["key"], row["version_id"]) for row in found if status(row) == "done"}
    whole = output.rpartition(".")[0]
    to_come = (pair for pair in alike.items() if pair[1] and pair not in done)
    if any(whole in called(project.graph, *pair, "") for pair in to_come):
        return None
    return frozenset(alike)


def orphans(
    project: Project, suspects: Mapping[str, Collection[str]]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each of `suspects` that no row names, with all uploads that it may be of. Reads the whole table once."""
    if not suspects:
        return
    left = {output: set(owners) for output, owners in suspects.items()}
    begun: dict[str, list[str]] = defaultdict(list)
    for output in left:
        named = _named(project.graph, output)
        begun[named[2][:_SURE] if named else ""].append(output)
    for item in rows.every_item(project):
        row, _ = load(item)
        for output in begun.get(stem(row["key"], project.graph.prefix)[:_SURE], ()):
            if output in left and is_of(project.graph, output, row["key"]):
                left[output].add(row["key"])
        for output in outputs_of(row):
            left.pop(output, None)
    for output, owners in sorted(left.items()):
        yield output, tuple(sorted(owners))


def _alike(project: Project, output: str, begin: str) -> dict[str, str]:
    """Map the keys whose outputs are called like this one, also of uploads that were removed, to their current version;
    to nothing where there is none, or none is known.
    """
    pages = project.cloud.client("s3").get_paginator("list_object_versions")
    listed = pages.paginate(Bucket=project.graph.uploads_bucket, Prefix=f"{begin}.", Delimiter=".")
    found = {begin: ""}
    for page in islice(listed, _PAGES):
        for it in page.get("DeleteMarkers", []):
            found.setdefault(it["Key"], "")
        for it in page.get("Versions", []):
            known = it["VersionId"] if it["IsLatest"] and it["VersionId"] != "null" else ""
            found[it["Key"]] = found.get(it["Key"]) or known
    return {key: current for key, current in found.items() if is_of(project.graph, output, key)}


def _named(graph: Graph, output: str) -> re.Match[str] | None:
    return _NAME.match(output.removeprefix(graph.variants_prefix))
