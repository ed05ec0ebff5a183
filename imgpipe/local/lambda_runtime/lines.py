"""What Lambda itself writes into a function's log, and the error documents that it answers with.

The words are AWS's: people and tools search logs for them.
"""

from __future__ import annotations

import json
import math
import signal
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imgpipe.local.lambda_runtime.function import Function

EXIT_ERROR = "Runtime.ExitError"
TIMED_OUT = "Sandbox.Timedout"
TOO_LARGE = "Function.ResponseSizeTooLarge"
RESPONSE_MAX_BYTES = 6_291_556


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """How an invocation went. `init_ms` is 0 when the environment was warm."""

    duration_ms: float
    init_ms: float
    memory_mb: int
    error_type: str = ""


def init_start() -> str:
    """Return the first line of an environment: it names the Python that runs, not the declared."""
    version = f"python:{sys.version_info.major}.{sys.version_info.minor}"
    return f"INIT_START Runtime Version: {version}.local\tRuntime Version ARN: local"


def init_report(init_ms: float, error_type: str) -> str:
    status = "timeout" if error_type == TIMED_OUT else f"error\tError Type: {error_type}"
    return f"INIT_REPORT Init Duration: {init_ms:.2f} ms\tPhase: init\tStatus: {status}"


def start(request_id: str, version: str) -> str:
    return f"START RequestId: {request_id} Version: {version}"


def end(request_id: str) -> str:
    return f"END RequestId: {request_id}"


def report(request_id: str, function: Function, measured: Measured) -> str:
    parts = [
        f"REPORT RequestId: {request_id}",
        f"Duration: {measured.duration_ms:.2f} ms",
        f"Billed Duration: {math.ceil(measured.duration_ms)} ms",
        f"Memory Size: {function.memory_mb} MB",
        f"Max Memory Used: {measured.memory_mb} MB",
    ]
    if measured.init_ms:
        parts.append(f"Init Duration: {measured.init_ms:.2f} ms")
    if measured.error_type == TIMED_OUT:
        parts.append("Status: timeout")
    elif measured.error_type == EXIT_ERROR:
        parts.append(f"Status: error\tError Type: {EXIT_ERROR}")
    return "\t".join(parts)


def timeout_line(request_id: str, timeout_s: int, now: datetime | None = None) -> str:
    moment = (now or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
    return f"{moment}Z {request_id} Task timed out after {timeout_s:.2f} seconds"


def timed_out(request_id: str, timeout_s: int) -> bytes:
    return _document(
        TIMED_OUT, f"RequestId: {request_id} Error: Task timed out after {timeout_s:.2f} seconds"
    )


def exited(request_id: str, status: int) -> bytes:
    """Return the document for a process that ended by itself; a negative status is a signal."""
    if status == 0:
        why = "Runtime exited without providing a reason"
    elif status < 0:
        why = f"Runtime exited with error: signal: {_signal_name(-status)}"
    else:
        why = f"Runtime exited with error: exit status {status}"
    return _document(EXIT_ERROR, f"RequestId: {request_id} Error: {why}")


def too_large(size: int) -> bytes:
    return _document(
        TOO_LARGE,
        f"Response payload size ({size} bytes) exceeded maximum allowed payload size "
        f"({RESPONSE_MAX_BYTES} bytes).",
    )


_SIGNALS = {
    signal.SIGKILL: "killed",
    signal.SIGSEGV: "segmentation fault",
    signal.SIGABRT: "aborted",
    signal.SIGTERM: "terminated",
    signal.SIGBUS: "bus error",
}


def _signal_name(number: int) -> str:
    return next((name for known, name in _SIGNALS.items() if known == number), str(number))


def _document(error_type: str, message: str) -> bytes:
    return json.dumps({"errorType": error_type, "errorMessage": message}).encode()
