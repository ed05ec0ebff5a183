"""Lambda's settings. Code is kept once, by its hash, and not written again when something else changes."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ministack.services import lambda_svc

from imgpipe.local.journal.store import JournalError


class Code:
    """Zips in ministack's folder of code, each written once and named by its SHA-256."""

    def __init__(self) -> None:
        self._names: dict[int, tuple[bytes, str]] = {}

    def reference(self, record: dict[str, Any]) -> Any:
        """Return what the settings say in place of the bytes of a function's zip, which are on disk by then.

        Functions with the same code share its bytes in memory from here on.
        """
        zipped = record.get("code_zip")
        if not isinstance(zipped, bytes):
            return zipped
        if id(zipped) not in self._names:
            name = hashlib.sha256(zipped).hexdigest()
            self._write(name, zipped)
            record["code_zip"] = zipped = next(
                (same for same, known in self._names.values() if known == name), zipped
            )
            self._names[id(zipped)] = (zipped, name)
        return {lambda_svc._BLOB_REF_KEY: self._names[id(zipped)][1]}

    def _write(self, name: str, zipped: bytes) -> None:
        path = Path(lambda_svc.CODE_BLOB_DIR) / f"{name}.zip"
        if path.exists():
            return
        partial = path.with_suffix(".tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(zipped)
            partial.rename(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise JournalError(f"{path}: {error}") from error

    def forget(self, kept: set[str]) -> None:
        """Let go of the bytes that no function has any more."""
        self._names = {
            key: (zipped, name) for key, (zipped, name) in self._names.items() if name in kept
        }

    def prune(self, kept: set[str]) -> None:
        """Delete the zips that no function has any more. Only at a start: the last commit may need them."""
        for path in Path(lambda_svc.CODE_BLOB_DIR).glob("*.zip"):
            if path.stem not in kept:
                path.unlink(missing_ok=True)


def _records() -> Iterator[dict[str, Any]]:
    """Yield every function and every version of one."""
    for function in lambda_svc._functions._data.values():
        yield function
        yield from (function.get("versions") or {}).values()


def _without_code(code: Code, record: dict[str, Any]) -> dict[str, Any]:
    plain = {**record, "code_zip": code.reference(record)}
    if record.get("versions"):
        plain["versions"] = {
            number: {**version, "code_zip": code.reference(version)}
            for number, version in record["versions"].items()
        }
    return plain


def _names(code: Code) -> set[str]:
    references = [code.reference(record) for record in _records()]
    return {reference[lambda_svc._BLOB_REF_KEY] for reference in references if reference}


def describe(code: Code) -> dict[str, Any]:
    """Return Lambda's settings, with references in place of code."""
    functions = type(lambda_svc._functions)()
    functions._data = {
        key: _without_code(code, record) for key, record in lambda_svc._functions._data.items()
    }
    code.forget(_names(code))
    return {
        "functions": functions,
        "layers": lambda_svc._layers,
        "esms": lambda_svc._esms,
        "function_urls": lambda_svc._function_urls,
    }


def restore(code: Code) -> None:
    """Finish what the last process began, and delete code that nothing refers to."""
    for record in _records():
        _finish(record.get("config") or {})
    code.prune(_names(code))


def _finish(config: dict[str, Any]) -> None:
    """A creation or an update that waited for its moment is through: the code is there."""
    if config.get("State") == "Pending":
        config["State"] = "Active"
        config.pop("StateReason", None)
        config.pop("StateReasonCode", None)
    if config.get("LastUpdateStatus") == "InProgress":
        config["LastUpdateStatus"] = "Successful"
        config.pop("LastUpdateStatusReason", None)
        config.pop("LastUpdateStatusReasonCode", None)
