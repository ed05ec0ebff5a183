"""What a pipeline holds of one key, wherever it may lie.

Outputs are found by name as well as by row: those of an attempt that never said so, or of settings long gone, are
named by no row. Two uploads may share the beginning of their outputs' names (`a.jpg` and `a.png`), so what belongs to
another key's row or versions is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from imgpipe.cloud import explain
from imgpipe.operate import branches, listing, rows
from imgpipe.operate.audit import outputs
from imgpipe.operate.dlq import find, queues
from imgpipe.operate.dlq.letters import Home, Letter
from imgpipe.operate.erase import notes
from imgpipe.operate.erase.notes import Note
from imgpipe.operate.why.ask import list_versions
from imgpipe.runtime import items
from imgpipe.runtime.results import content_version, output_key

if TYPE_CHECKING:
    from imgpipe.operate.project import Project
    from imgpipe.operate.why.facts import Version

_VERSION = re.compile(r"\.([0-9a-f]{12})\.[a-z0-9]+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What there is of a key. Of any image: `waiting` counts what work queues show or hide, `hidden` what they hide,
    being worked on; `held` what dead-letter queues hide, being read by somebody.
    """

    key: str
    versions: tuple[Version, ...] = ()
    parts: tuple[str, ...] = ()  # ids of uploads in parts that were never finished
    outputs: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()  # sort keys: the image's row, and its notices
    letters: tuple[Letter, ...] = ()
    messages: tuple[Letter, ...] = ()
    notes: tuple[Note, ...] = ()
    waiting: int = 0
    hidden: int = 0
    held: int = 0

    @property
    def empty(self) -> bool:
        return not (
            self.versions
            or self.parts
            or self.outputs
            or self.rows
            or self.letters
            or self.messages
            or self.notes
        )

    def as_json(self) -> dict[str, list[Any]]:
        return {
            "versions": [
                {"version_id": it.id or "null", "delete_marker": it.marker} for it in self.versions
            ],
            "unfinished_uploads": list(self.parts),
            "outputs": list(self.outputs),
            "rows": list(self.rows),
            "dead_letters": [{"id": it.id, "queue": it.queue} for it in self.letters],
            "queued_messages": [{"id": it.id, "queue": it.queue} for it in self.messages],
            "notes": [it.as_json() for it in self.notes],
        }


@dataclass(slots=True)
class Survey:
    """Asks about one key again and again. `homes` are the queues whose messages are work."""

    project: Project
    key: str
    homes: list[Home] = field(init=False)

    def __post_init__(self) -> None:
        self.homes = work_queues(self.project)

    def __call__(self, *, look_into_queues: bool, read_notes: bool) -> Holdings:
        """Return what there is now. Looking into a work queue counts as an attempt at what lies there, so it is asked
        for only when the queues don't empty by themselves. Reading the notes takes a request a note.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return self._ask(look_into_queues, read_notes)
        except (BotoCoreError, ClientError) as error:
            raise explain(error, f"image {self.key}") from error

    def _ask(self, look: bool, read_notes: bool) -> Holdings:
        project = self.project
        held = self._hidden(queues.homes(project.graph))
        dead = find.letters(
            project,
            [
                home
                for home in queues.homes(project.graph)
                if find.waiting(project.cloud.client("sqs"), home.url)
            ],
        )
        queued = find.letters(project, self.homes) if look else []
        made = tuple(sorted(self._outputs()))
        return Holdings(
            key=self.key,
            versions=list_versions(project, self.key),
            parts=tuple(self._parts()),
            outputs=made,
            rows=tuple(str(item["sk"]) for item in self._items()),
            letters=tuple(it for it in dead if it.key == self.key),
            messages=tuple(it for it in queued if it.key == self.key),
            notes=notes.naming(project, self.key, made) if read_notes else (),
            waiting=self._waiting(),
            hidden=self._hidden(self.homes),
            held=held,
        )

    def _items(self) -> Iterator[dict[str, Any]]:
        pages = self.project.cloud.client("dynamodb").get_paginator("query")
        for page in pages.paginate(
            TableName=self.project.graph.table,
            KeyConditionExpression="pk = :key",
            ExpressionAttributeValues={":key": {"S": self.key}},
            ConsistentRead=True,
        ):
            yield from (items.decode(item) for item in page["Items"])

    def _parts(self) -> Iterator[str]:
        s3 = self.project.cloud.client("s3")
        pages = s3.get_paginator("list_multipart_uploads")
        for page in pages.paginate(Bucket=self.project.graph.uploads_bucket, Prefix=self.key):
            yield from (it["UploadId"] for it in page.get("Uploads", []) if it["Key"] == self.key)

    def _outputs(self) -> set[str]:
        row = rows.by_keys(self.project, [self.key], consistent=True).get(self.key)
        named = outputs.outputs_of(row) if row else set()
        found = set(self._alike())
        there = {key for key in named if outputs.is_there(self.project, key)}
        return there | (found - self._of_others(found) if found else found)

    def _alike(self) -> Iterator[str]:
        """Yield outputs whose name is as this key's outputs are named, also of versions that were replaced."""
        bucket = self.project.graph.variants_bucket
        for folder in outputs.folders(self.project, {}):
            begin = self._begin(folder.prefix.rstrip("/"))
            for key in listing.keys_ever(self.project, bucket, f"{begin}."):
                if _VERSION.fullmatch(key.removeprefix(begin)):
                    yield key

    def _begin(self, folder: str) -> str:
        made = output_key(folder, self.key, self.project.graph.prefix, "0" * 12, "x")
        return made.removesuffix(f".{'0' * 12}.x")

    def _of_others(self, found: set[str]) -> set[str]:
        """Return which of `found` belong to uploads of another key: by their rows, or by their versions."""
        graph = self.project.graph
        begin = graph.prefix + self._begin("x").removeprefix("x/")
        pages = self.project.cloud.client("s3").get_paginator("list_object_versions")
        hashes = {
            str(chosen.get("hash", ""))
            for branch in branches.creators(graph)
            for chosen in branches.settings_of(branch).steps.values()
        }
        keys, theirs = set[str](), set[str]()
        for page in pages.paginate(Bucket=graph.uploads_bucket, Prefix=begin):
            for it in page.get("Versions", []):
                if it["Key"] != self.key:
                    keys.add(it["Key"])
                    theirs |= {content_version(it["VersionId"], "", step) for step in hashes}
        known = rows.by_keys(self.project, keys, consistent=True)
        named = {key for row in known.values() for key in outputs.outputs_of(row)}
        return {key for key in found if key in named or _version(key) in theirs}

    def _waiting(self) -> int:
        sqs = self.project.cloud.client("sqs")
        return sum(find.held(sqs, home.url) for home in self.homes)

    def _hidden(self, homes: Iterable[Home]) -> int:
        sqs = self.project.cloud.client("sqs")
        return sum(find.hidden(sqs, home.url) for home in homes)


def work_queues(project: Project) -> list[Home]:
    """Return the queues that feed functions and workers."""
    graph = project.graph
    shorts = {name: short for short, name in graph.queues.items()}
    return [
        Home(name=shorts[branch.queue], url=graph.place.queue_url(branch.queue), retention_s=0)
        for branch in graph.branches
        if branch.queue
    ]


def _version(output: str) -> str:
    found = _VERSION.search(output)
    return found[1] if found else ""
