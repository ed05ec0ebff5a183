"""Versions of the functions: what each `up` put there, and the way back to an earlier one.

After an `up` changed functions, each of them is published as a version of Lambda's own, described by its code and
settings; a note under `ops/versions/` keeps the function whole, and `ops/code/` its zip. A rollback makes a function
what its note says: code, settings, memory, timeout. How many may run at once is no part of a version, as it is none
of Lambda's. pipeline.yaml doesn't change with it, so `plan` shows the difference and the next `up` would take it away
again.

Versions go with their function: a note whose version Lambda no longer has, such as after a `down` that keeps data, is
not offered, and is forgotten when the function is published anew. (AWS gives no number twice, also to a function that
was made again; other clouds begin with 1.)
"""

from __future__ import annotations

import base64
import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgpipe.cloud import error_code, explain
from imgpipe.deploy.names import OPERATIONS
from imgpipe.deploy.providers.lambda_function import Functions
from imgpipe.deploy.resources import Function
from imgpipe.errors import MissingError, UsageError
from imgpipe.operate import last_up, ops, parallel
from imgpipe.operate.times import iso
from imgpipe.runtime.settings import SETTINGS_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from imgpipe.deploy.providers.site import Archive, Site
    from imgpipe.operate.project import Project

FOLDER, CODE = "versions/", "code/"
OWED = "unnoted.json"
"""Functions that an `up` is about to change, until their versions are noted: what a killed one left is made up for."""
KEPT = 20
"""Versions of a function that are kept; older ones go when a new one comes."""
HASH_LENGTH = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A function as it was published. `number` is Lambda's, or 0 where it gave none."""

    name: str  # the function's short name
    number: int
    at: str
    run: str  # the `up` that made it
    function: Function
    current: bool = False

    @property
    def settings(self) -> str:
        return settings_hash(self.function)

    def as_json(self) -> dict[str, Any]:
        return {
            "function": self.name,
            "version": self.number,
            "at": self.at,
            "run": self.run,
            "code": self.function.code_hash,
            "settings": self.settings,
            "memory_mb": self.function.memory_mb,
            "timeout_s": self.function.timeout_s,
            "current": self.current,
        }


@dataclass(frozen=True, slots=True)
class Zip:
    """A zip that was read back. `path` is a file of its own."""

    path: Path
    sha256_base64: str


def settings_hash(function: Function) -> str:
    """Identify what a function is told and how it is run, without its code."""
    told = dict(function.environment).get(SETTINGS_VARIABLE, "")
    text = (
        f"{told}\n{function.memory_mb}\n{function.timeout_s}\n{function.tmp_mb}\n{function.handler}"
    )
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]


def owed(project: Project) -> set[str]:
    """Return the functions that an `up` which didn't come to its end has, or may have, changed."""
    try:
        note = ops.read(project, OWED)
    except MissingError:  # no bucket, no pipeline
        return set()
    return set(note["functions"]) if note else set()


def owe(project: Project, changing: set[str]) -> set[str]:
    """Note the functions that are about to be changed; return all whose versions are to be noted afterwards."""
    before = owed(project)
    if changing - before:
        ops.write(project, OWED, {"functions": sorted(before | changing)})
    return before | changing


def record(
    project: Project,
    changed: Sequence[Function],
    archive_of: Callable[[Function], Archive],
    *,
    words: Sequence[str] = (),
    created: Collection[str] = (),
) -> None:
    """Publish and note each of `changed`, which an `up` has just made or changed, and the `up` itself.

    `words` is all that it changed; `created` are the names of functions that weren't there before it.
    """
    run, published = iso(datetime.now(UTC)), []
    if changed:
        _keep_code(project, changed, archive_of)
        with ThreadPoolExecutor(min(8, len(changed)), "versions") as pool:
            waiting = [
                pool.submit(_publish, project, function, run, fresh=function.name in created)
                for function in changed
            ]
            published = [future.result() for future in waiting]
    fresh = {_short(project, function) for function in changed if function.name in created}
    last_up.write(project, run, published, words, fresh)
    if changed:
        ops.remove(project, OWED)


def listed(project: Project, name: str | None = None) -> list[Version]:
    """Return the versions that there are, by function, the newest first. Raises UsageError for an unknown function."""
    functions = (*project.graph.branches, *project.graph.called)
    short = {branch.name for branch in functions if branch.function}
    if name is not None and name not in short:
        raise UsageError(f"function {name}", f"the functions are {', '.join(sorted(short))}")
    names = [each for each in ops.names(project, FOLDER) if name in (None, _short_of(each))]
    notes = parallel.stream(lambda each: ops.read(project, each), names, 8)
    noted = [_version(note) for note in notes if note]
    there = _published(project, {version.function.name for version in noted})
    found = [version for version in noted if version.number in there[version.function.name]]
    live = _live(project, {version.function.name for version in found})
    marked = [
        replace(each, current=_same(each.function, live.get(each.function.name))) for each in found
    ]
    return sorted(marked, key=lambda version: (version.name, -version.number, version.at))


def target(versions: Sequence[Version], name: str, number: int | None) -> Version:
    """Return the version of function `name` to go back to: `number`, or the newest that isn't current.

    Raises MissingError when there is none.
    """
    own = [version for version in versions if version.name == name]
    if number is not None:
        found = [version for version in own if version.number == number]
    else:
        running = next((place for place, version in enumerate(own) if version.current), -1)
        found = own[running + 1 :]
    if not found:
        which = f"version {number}" if number is not None else "an earlier version"
        raise MissingError(f"function {name}", f"{which} isn't known", hint="imgpipe versions")
    return found[0]


def before_last_up(versions: Sequence[Version], last: last_up.LastUp | None) -> list[Version]:
    """Return what each function whose version the last `up` changed was before it.

    Raises MissingError when it changed none, or nothing was there before it.
    """
    found = _as_noted(versions, last) if last else _by_runs(versions)
    if not found:
        why = "nothing was there before it"
        if last and any(version.run != last.run for version in versions):
            did = "; ".join(last.changed) or "nothing"
            why = f"it changed no function's version; what it did change: {did}"
        hint = "imgpipe versions, then imgpipe rollback FUNCTION --to VERSION"
        raise MissingError("the last `up`", why, hint=hint)
    return found


def _as_noted(versions: Sequence[Version], last: last_up.LastUp) -> list[Version]:
    return [it for it in versions if last.before.get(it.name) == it.number]


def _by_runs(versions: Sequence[Version]) -> list[Version]:
    """Tell by the versions alone, for a pipeline whose last `up` left no note of itself."""
    last = max((version.run for version in versions), default="")
    changed = {version.name for version in versions if version.run == last}
    found = []
    for name in sorted(changed):
        own = [version for version in versions if version.name == name and version.run != last]
        found += own[:1]
    return found


def rollback(project: Project, site: Site, wanted: Version) -> None:
    """Make the function what `wanted` says. Raises CloudError, MissingError when its code isn't kept any more."""
    functions = Functions(replace(site, archive_of=lambda function: _read_code(project, function)))
    there = next(iter(functions.read(wanted.function.name, {})), None)
    if there is None:
        raise MissingError(f"function {wanted.name}", "it is not there", hint="imgpipe up")
    functions.update(_with_concurrency_of(there, wanted.function), there)
    last_up.went_back(project, wanted.name, wanted.number)


def _same(wanted: Function, there: Function | None) -> bool:
    return there is not None and _with_concurrency_of(there, wanted) == there


def _with_concurrency_of(there: Function, wanted: Function) -> Function:
    return replace(wanted, reserved_concurrency=there.reserved_concurrency)


def _live(project: Project, names: Iterable[str]) -> dict[str, Function]:
    from imgpipe.operate.provision import site_of

    functions = Functions(site_of(project))
    declared = {each.key: each for each in project.graph.of(Function)}

    def read(name: str) -> Function | None:
        return next(iter(functions.read(name, declared)), None)

    return {found.name: found for found in parallel.stream(read, sorted(names), 8) if found}


def _published(project: Project, names: Iterable[str]) -> dict[str, set[int]]:
    """Return the numbers of the versions that Lambda has of each function; 0 is the function itself."""
    return dict(parallel.stream(lambda name: (name, _numbers(project, name)), sorted(names), 8))


def _numbers(project: Project, name: str) -> set[int]:
    client = project.cloud.client("lambda")
    pages = client.get_paginator("list_versions_by_function").paginate(FunctionName=name)
    try:
        found = [str(each["Version"]) for page in pages for each in page["Versions"]]
    except client.exceptions.ResourceNotFoundException:
        return set()
    except client.exceptions.ClientError as error:
        raise explain(error, f"the versions of {name}") from error
    return {int(number) if number.isdecimal() else 0 for number in found}


def _keep_code(
    project: Project, changed: Sequence[Function], archive_of: Callable[[Function], Archive]
) -> None:
    s3, bucket = project.cloud.client("s3"), project.graph.ops_bucket
    for key, function in {_code_key(function): function for function in changed}.items():
        try:
            if not _is_kept(s3, bucket, key):
                s3.put_object(Bucket=bucket, Key=key, Body=archive_of(function).path.read_bytes())
        except s3.exceptions.ClientError as error:
            raise explain(error, f"code {key}") from error


def _is_kept(s3: Any, bucket: str, key: str) -> bool:
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except s3.exceptions.ClientError as error:
        if error_code(error) not in {"404", "NoSuchKey", "NotFound"}:
            raise
        return False
    return True


def _read_code(project: Project, function: Function) -> Zip:
    s3, key = project.cloud.client("s3"), _code_key(function)
    try:
        body = s3.get_object(Bucket=project.graph.ops_bucket, Key=key)["Body"].read()
    except s3.exceptions.ClientError as error:
        raise explain(error, f"the code of {function.name}") from error
    path = Path(tempfile.mkdtemp(prefix="imgpipe-")) / "code.zip"
    path.write_bytes(body)
    return Zip(path, base64.b64encode(hashlib.sha256(body).digest()).decode())


def _code_key(function: Function) -> str:
    return f"{OPERATIONS}/{CODE}{function.code_hash}-{function.architecture}-{function.runtime}.zip"


def _publish(project: Project, function: Function, run: str, *, fresh: bool) -> last_up.Published:
    """Publish a function and note its version, unless Lambda answers with one that is noted: nothing had changed."""
    client = project.cloud.client("lambda")
    about = f"code {function.code_hash}, settings {settings_hash(function)}"
    try:
        answer = client.publish_version(FunctionName=function.name, Description=about)
    except client.exceptions.ClientError as error:
        raise explain(error, f"a version of {function.name}") from error
    number = int(answer["Version"]) if str(answer["Version"]).isdecimal() else 0
    name = _short(project, function)
    noted = _still_noted(project, name, set() if fresh else _numbers(project, function.name))
    note = f"{FOLDER}{name}/{number:06}.json"
    known = ops.read(project, note) if note in noted else None
    if known is None or not _same(_version(known).function, function):
        told = {"name": name, "number": number, "at": iso(datetime.now(UTC)), "run": run}
        ops.write(project, note, {**told, "function": asdict(function)})
        _drop_old(project, function, sorted({*noted, note}))
    before = int(Path(noted[-1]).stem) if noted else None
    return last_up.Published(name=name, number=number, before=before)


def _still_noted(project: Project, name: str, there: set[int]) -> list[str]:
    """Return the notes of the versions that are `there`, the oldest first; forget all others of that function."""
    kept = []
    for each in sorted(ops.names(project, f"{FOLDER}{name}/")):
        if int(Path(each).stem) in there:
            kept.append(each)
        else:
            ops.remove(project, each)
    return kept


def _drop_old(project: Project, function: Function, noted: Sequence[str]) -> None:
    """Forget what is older than the last `KEPT` versions. The code stays: other versions may have it."""
    client = project.cloud.client("lambda")
    for each in noted[:-KEPT]:
        number = str(int(Path(each).stem))
        try:
            client.delete_function(FunctionName=function.name, Qualifier=number)
        except client.exceptions.ClientError as error:
            raise explain(error, f"version {number} of {function.name}") from error
        ops.remove(project, each)


def _short(project: Project, function: Function) -> str:
    return next(
        (
            branch.name
            for branch in (*project.graph.branches, *project.graph.called)
            if branch.function == function.name
        ),
        function.name,
    )


def _short_of(note: str) -> str:
    return note.removeprefix(FOLDER).split("/", 1)[0]


def _version(note: Mapping[str, Any]) -> Version:
    fields = dict(note["function"])
    fields["environment"] = tuple((str(name), str(value)) for name, value in fields["environment"])
    return Version(
        name=str(note["name"]),
        number=int(note["number"]),
        at=str(note["at"]),
        run=str(note["run"]),
        function=Function(**fields),
    )


def changes(before: Function | None, after: Function) -> Iterator[str]:
    """Yield in words what a rollback would change."""
    if before is None:
        yield "the function is not there"
        return
    if before.code_hash != after.code_hash:
        yield f"code {before.code_hash} → {after.code_hash}"
    for name, words in (("memory_mb", "memory"), ("timeout_s", "timeout"), ("tmp_mb", "tmp")):
        if getattr(before, name) != getattr(after, name):
            yield f"{words} {getattr(before, name)} → {getattr(after, name)}"
    if dict(before.environment) != dict(after.environment):
        yield "settings"


def live(project: Project, versions: Sequence[Version]) -> dict[str, Function]:
    """Return the functions that `versions` are of, as they are now, by full name."""
    return _live(project, {version.function.name for version in versions})
