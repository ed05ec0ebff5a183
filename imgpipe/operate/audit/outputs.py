"""The variants bucket beside the rows, both in the order of their keys, a page of each at a time.

An output's name begins with its upload's, so both lists run alike, but not quite: `a` comes before `a-b.jpg`, and
`a.<version>.jpg` after `a-b.<version>.jpg`. What doesn't match where it should is only a suspicion, and each is
asked about by itself before it is called missing or orphaned.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from imgpipe.cloud import error_code
from imgpipe.deploy.names import OPERATIONS

if TYPE_CHECKING:
    from imgpipe.operate.project import Project

_GONE = frozenset({"404", "NoSuchKey", "NotFound"})


@dataclass(slots=True)
class Folder:
    """One variant's outputs, listed onwards from `at`."""

    project: Project
    name: str
    at: str = ""
    _page: list[tuple[str, datetime]] = field(default_factory=list)
    _ended: bool = False

    @property
    def prefix(self) -> str:
        return f"{self.project.graph.variants_prefix}{self.name}/"

    def until(self, last: str | None) -> Iterator[tuple[str, datetime]]:
        """Yield the outputs up to `last`; to the end when it is None."""
        while True:
            while self._page:
                if last is not None and self._page[0][0] > last:
                    return
                key, when = self._page.pop(0)
                self.at = key
                yield key, when
            if self._ended:
                return
            self._more()

    def _more(self) -> None:
        start = {"StartAfter": self.at} if self.at else {}
        answer = self.project.cloud.client("s3").list_objects_v2(
            Bucket=self.project.graph.variants_bucket, Prefix=self.prefix, **start
        )
        found = answer.get("Contents", [])
        self._page = [(it["Key"], it["LastModified"]) for it in found]
        self._ended = not answer.get("IsTruncated")


def folders(project: Project, at: Mapping[str, str]) -> list[Folder]:
    """Return the variants' folders, each from where it was left; the one of our notes is none."""
    pages = project.cloud.client("s3").get_paginator("list_objects_v2")
    bucket, below = project.graph.variants_bucket, project.graph.variants_prefix
    found = [
        it["Prefix"].removeprefix(below).rstrip("/")
        for page in pages.paginate(Bucket=bucket, Prefix=below, Delimiter="/")
        for it in page.get("CommonPrefixes", [])
    ]
    return [Folder(project, name, at.get(name, "")) for name in found if name != OPERATIONS]


def is_there(project: Project, key: str) -> bool:
    s3 = project.cloud.client("s3")
    try:
        s3.head_object(Bucket=project.graph.variants_bucket, Key=key)
    except s3.exceptions.ClientError as error:
        if error_code(error) in _GONE:
            return False
        raise
    return True


def outputs_of(row: Mapping[str, Any]) -> set[str]:
    return {made["key"] for made in row["outputs"].values()}


def unclaimed(
    folder: Folder, last: str | None, named: Collection[str], seen: set[str]
) -> Iterator[tuple[str, datetime]]:
    """Yield the outputs up to `last` that none of the rows at hand names; note the others in `seen`."""
    for key, when in folder.until(last):
        if key in named:
            seen.add(key)
        else:
            yield key, when
