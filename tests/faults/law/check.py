"""The law: every version has one status, nothing is lost, nothing is there twice, people hear of a thing once.

It asks nothing of imgpipe: what it reads are bytes and rows, so that a mistake of the pipeline isn't a mistake here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.faults.law.state import Quiet, State, Uploads, Version

ENDED = ("done", "rejected", "failed")


@dataclass(frozen=True, slots=True)
class Breach:
    """Something that breaks the law. `kind` is one of a few words, so that they can be counted."""

    kind: str
    key: str
    why: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.key}: {self.why}"


def breaches(uploads: Uploads, state: State) -> list[Breach]:
    """Return everything that breaks the law; nothing when it holds."""
    return [
        *_kept(uploads, state),
        *_rows(uploads, state),
        *_unnamed(state),
        *_told(state),
        *_waiting(state),
    ]


def statuses(state: State) -> Counter[str]:
    """Count every version under its one status. The sum is the number of uploads, unless the law is broken."""
    rows = {row["key"]: row for row in state.rows}
    latest = {each.key: each for each in state.versions if each.latest}
    found: Counter[str] = Counter()
    for version in state.versions:
        if version.marker:
            continue
        if not version.latest:
            newest = latest.get(version.key)
            found["removed" if newest is None or newest.marker else "superseded"] += 1
            continue
        row = rows.get(version.key)
        about = row is not None and row["version_id"] == version.id
        found[row["status"] if row and about else "none"] += 1
    return found


def sizes(state: State) -> Counter[str]:
    """Count what was held to the law."""
    return Counter(
        uploads=sum(not version.marker for version in state.versions),
        rows=len(state.rows),
        outputs=len(state.outputs),
        completed=len(state.completed),
        notices=len(state.notices),
    )


def _kept(uploads: Uploads, state: State) -> Iterator[Breach]:
    """What was accepted is there; what is there was uploaded."""
    there = {(each.key, each.id): each.etag for each in state.versions if not each.marker}
    for (key, identifier), etag in uploads.accepted.items():
        if (key, identifier) in uploads.erased:
            continue
        if there.get((key, identifier)) != etag:
            yield Breach("lost upload", key, f"version {identifier} was accepted and isn't there")
    unknown = Counter(uploads.unknown)
    for (key, identifier), etag in there.items():
        if (key, identifier) in uploads.accepted:
            continue
        unknown[key, etag] -= 1
        if unknown[key, etag] < 0:
            yield Breach("strange upload", key, f"nobody uploaded version {identifier}")


def _rows(uploads: Uploads, state: State) -> Iterator[Breach]:
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in state.rows:
        rows[row["key"]].append(row)
    latest = {each.key: each for each in state.versions if each.latest}
    for key in sorted(rows.keys() | latest.keys()):
        version, found = latest.get(key), rows[key]
        if len(found) > 1:
            yield Breach("duplicated row", key, f"{len(found)} rows")
        elif version is None or version.marker:
            if found and found[0]["status"] != "removed":
                yield Breach(
                    "no tombstone", key, f"it was removed, its row says {found[0]['status']}"
                )
        elif not found:
            yield Breach("lost", key, f"no row of version {version.id}")
        else:
            yield from _row(uploads, state, version, found[0])


def _row(uploads: Uploads, state: State, version: Version, row: dict[str, Any]) -> Iterator[Breach]:
    key, status = version.key, row["status"]
    if row["version_id"] != version.id:
        yield Breach(
            "lost", key, f"its row is about {row['version_id']} ({status}), not {version.id}"
        )
        return
    quiet = uploads.quiet[version.etag]
    wanted = "done" if quiet else "rejected"
    if status != wanted:
        yield Breach("lost", key, f"version {version.id} is {status}, not {wanted}")
        return
    yield from _announced(state, version, row)
    if status == "rejected":
        if not any(
            letter[0] == key and letter[1] in (None, version.id) for letter in state.letters
        ):
            yield Breach("no letter", key, f"version {version.id} is rejected without a letter")
        return
    yield from _made(quiet, state, row)


def _made(quiet: Quiet, state: State, row: dict[str, Any]) -> Iterator[Breach]:
    """Each output is there, and just what a quiet run under one of the settings makes."""
    named = {variant: made["key"] for variant, made in row["outputs"].items()}
    for variant, key in named.items():
        if key not in state.outputs:
            yield Breach("lost output", row["key"], f"{variant} is named and isn't there: {key}")
    seen = {variant: state.outputs.get(key, "") for variant, key in named.items()}
    if "" in seen.values():
        return
    steps = {step for settings in quiet.values() for step in settings}
    variants = {name for settings in quiet.values() for made in settings.values() for name in made}
    right = {step for step in steps if _is_of_one(quiet, step, seen)}
    if strange := seen.keys() - variants:
        yield Breach("wrong bytes", row["key"], f"{sorted(strange)} are made by no step")
    for step in sorted(steps - right):
        if any(seen.keys() & settings.get(step, {}).keys() for settings in quiet.values()):
            yield Breach("wrong bytes", row["key"], f"{step} isn't what a quiet run makes")
    if not any(settings.keys() <= right for settings in quiet.values()):
        yield Breach("lost output", row["key"], f"done with {sorted(seen)} only")


def _is_of_one(quiet: Quiet, step: str, seen: dict[str, str]) -> bool:
    """Whether all that a step made is what it makes under one and the same of the settings."""
    return any(
        step in settings and settings[step].items() <= seen.items() for settings in quiet.values()
    )


def _announced(state: State, version: Version, row: dict[str, Any]) -> Iterator[Breach]:
    told = [
        each
        for each in state.completed
        if (each["key"], each["version_id"]) == (version.key, version.id)
    ]
    if not any(each["status"] == row["status"] and each["id"] for each in told):
        yield Breach("not announced", version.key, f"version {version.id} ended {row['status']}")


def _unnamed(state: State) -> Iterator[Breach]:
    named = Counter(made["key"] for row in state.rows for made in row["outputs"].values())
    for key in sorted(state.outputs.keys() - named.keys()):
        yield Breach("duplicated output", key, "no row names it")
    for key, count in sorted(named.items()):
        if count > 1:
            yield Breach("duplicated output", key, f"{count} rows name it")


def _told(state: State) -> Iterator[Breach]:
    ids: dict[tuple[Any, ...], set[str]] = defaultdict(set)
    for end in state.completed:
        ids[end["key"], end["version_id"], end["status"]].add(end["id"])
    for (key, version, status), some in ids.items():
        if len(some) > 1:
            yield Breach("two ids", str(key), f"{version} {status} was announced as {sorted(some)}")
    said: dict[tuple[str, str, int], set[str]] = defaultdict(set)
    for notice in state.notices:
        said[notice.kind, notice.name, notice.most].add(notice.message_id)
    for (kind, name, most), messages in said.items():
        if len(messages) > most:
            yield Breach("told twice", name, f"{len(messages)} notices `{kind}`, not {most}")


def _waiting(state: State) -> Iterator[Breach]:
    for queue, count in sorted(state.waiting.items()):
        if count:
            yield Breach("not quiet", queue, f"{count} messages wait")
