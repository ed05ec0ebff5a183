"""What was uploaded to a pipeline, and what can be seen of it when all is quiet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version, or a delete marker, that the uploads bucket lists."""

    key: str
    id: str
    etag: str = ""
    latest: bool = True
    marker: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One publishing to people. `name` is what it is about, and `most` how many of them there may be: one for each
    upload that it can be about, where the words don't tell them apart.
    """

    kind: str
    name: str
    message_id: str
    most: int = 1


Quiet = Mapping[str, Mapping[str, Mapping[str, str]]]
"""What a quiet run makes of a picture: by settings, then step, then variant, the digest of the bytes."""


@dataclass(slots=True, kw_only=True)
class Uploads:
    """What was asked of the bucket. `accepted` was answered with success; of `unknown` the answer was lost.

    `quiet` tells by ETag what is made of each picture, under any of the settings that were in force; a picture
    without any is one that must be rejected.
    """

    accepted: dict[tuple[str, str], str] = field(default_factory=dict)  # key, version -> ETag
    unknown: list[tuple[str, str]] = field(default_factory=list)  # key, ETag
    erased: set[tuple[str, str]] = field(default_factory=set)  # versions deleted by id
    quiet: dict[str, Quiet] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class State:
    """What is there. `outputs` maps each object in the variants bucket to the digest of its bytes."""

    versions: list[Version] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)  # as `row.view` shows them
    outputs: dict[str, str] = field(default_factory=dict)
    letters: list[tuple[str, str | None, str]] = field(default_factory=list)  # key, version, kind
    completed: list[dict[str, Any]] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    waiting: dict[str, int] = field(default_factory=dict)  # messages by queue, dead letters apart
