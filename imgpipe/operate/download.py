"""An original or one of its variants -> a file, whole or not at all: written beside its place and moved there."""

from __future__ import annotations

import os
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from imgpipe.cloud import error_code, explain
from imgpipe.errors import CloudError, ImgpipeError, MissingError, UsageError
from imgpipe.operate import images, metadata

if TYPE_CHECKING:
    from collections.abc import Callable

    from imgpipe.operate.project import Project

CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Found:
    """An object that can be downloaded, and the name that a file of it would have."""

    bucket: str
    key: str
    file_name: str


def find(project: Project, key: str, variant: str | None) -> Found:
    """Return the original of `key`, or its `variant`.

    Raises MissingError for what isn't there, UsageError for a variant that pipeline.yaml doesn't know either.
    """
    if variant is None:
        return _original(project, key)
    row = metadata.show(project, key)
    output = row["outputs"].get(variant)
    if output is None:
        short = images.short(project.graph.prefix, row["key"])
        made = ", ".join(sorted(row["outputs"])) or "none yet"
        refusal = MissingError if variant in _declared(project) else UsageError
        raise refusal(
            f"variant {variant!r} of {row['key']}",
            f"there is none; it is {row['status']}, its variants: {made}",
            hint=f"imgpipe metadata show {shlex.quote(short)}",
        )
    stem = PurePosixPath(row["key"]).stem or "image"
    suffix = PurePosixPath(output["key"]).suffix
    return Found(project.graph.variants_bucket, output["key"], f"{stem}.{variant}{suffix}")


def _declared(project: Project) -> set[str]:
    return {name for step in project.spec.steps.values() for name in step.variants}


def is_variant(project: Project, key: str) -> bool:
    """Return whether `key` lies where a declared variant lies: its bucket may hold originals as well, and our notes."""
    below = project.graph.variants_prefix
    folder, inside, _ = key.removeprefix(below).partition("/")
    return key.startswith(below) and bool(inside) and folder in _declared(project)


def place(found: Found, out: Path | None) -> Path:
    """Return the file to write. Raises UsageError rather than overwrite what nobody named."""
    if out is not None:
        return out / found.file_name if out.is_dir() else out
    chosen = Path(found.file_name)
    if chosen.exists():
        raise UsageError(
            str(chosen), "there is such a file already", hint="name a place with --out PATH"
        )
    return chosen


def fetch(
    project: Project, found: Found, target: Path, progress: Callable[[int, int], None]
) -> int:
    """Write the object to `target` and return its size. `progress` hears of bytes so far and in
    all.

    Raises CloudError when the object could not be read to its end: then `target` is as it was.
    """
    s3 = project.cloud.client("s3")
    try:
        answer = s3.get_object(Bucket=found.bucket, Key=found.key)
    except s3.exceptions.ClientError as error:
        raise explain(error, found.key) from error
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:100]}.")
    try:
        with os.fdopen(handle, "wb") as file:
            _copy(answer, found.key, file, progress)
        Path(partial).chmod(0o666 & ~_umask())
        Path(partial).replace(target)
    except OSError as error:
        Path(partial).unlink(missing_ok=True)
        if error.errno is None:  # the SDK's connection errors are OSErrors too
            raise
        raise _disk(target, error) from error
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
    return int(answer["ContentLength"])


def _disk(target: Path, error: OSError) -> ImgpipeError:
    """Say what the disk had against it."""
    hint = "free some space there, or name another place with --out"
    return ImgpipeError(str(target), (error.strerror or str(error)).lower(), hint=hint)


def _copy(answer: Any, key: str, file: Any, progress: Callable[[int, int], None]) -> None:
    whole, so_far = int(answer["ContentLength"]), 0
    try:
        for chunk in answer["Body"].iter_chunks(CHUNK_BYTES):
            file.write(chunk)
            so_far += len(chunk)
            progress(so_far, whole)
    except OSError:  # the disk's own
        raise
    except Exception as error:
        raise CloudError(
            key, f"the download broke off after {so_far} of {whole} bytes", hint="run again"
        ) from error
    if so_far != whole:
        raise CloudError(
            key, f"the download ended after {so_far} of {whole} bytes", hint="run again"
        )


def _original(project: Project, key: str) -> Found:
    s3, bucket = project.cloud.client("s3"), project.graph.uploads_bucket
    for name in images.candidates(project.graph.prefix, key):
        try:
            s3.head_object(Bucket=bucket, Key=name)
        except s3.exceptions.ClientError as error:
            if error_code(error) in {"404", "NoSuchKey"}:
                continue
            raise explain(error, f"image {key}") from error
        return Found(bucket, name, PurePosixPath(name).name or "image")
    raise MissingError(f"image {key}", "there is no such upload", hint="imgpipe metadata list")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
