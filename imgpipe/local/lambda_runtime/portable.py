"""A runtime client in plain Python, for platforms that AWS's own isn't built for.

It runs as a script inside the environment's process and imports nothing of imgpipe. It keeps to
what AWS's client does in the cases that functions meet: the context object, error documents, log
lines with the request's id, failures of the first import. Left out: SnapStart, extensions, JSON
log format.
"""

from __future__ import annotations

import http.client
import importlib
import json
import logging
import os
import sys
import time
import traceback
from typing import Any

API = "/2018-06-01/runtime/"
FORMAT = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"
INDENT = "\N{NO-BREAK SPACE}"


class LambdaContext:
    """What a handler gets as its second argument."""

    def __init__(self, headers: http.client.HTTPMessage) -> None:
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers["Lambda-Runtime-Invoked-Function-Arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.client_context = None
        self.identity = None
        self._deadline_ms = int(headers["Lambda-Runtime-Deadline-Ms"])

    def get_remaining_time_in_millis(self) -> int:
        return max(0, self._deadline_ms - int(time.time() * 1000))


class Current(logging.Filter):
    """Puts the request's id into each record."""

    request_id = ""

    def filter(self, record: logging.LogRecord) -> bool:
        record.aws_request_id = self.request_id
        return True


class Client:
    """Speaks the Runtime API over one connection."""

    def __init__(self, address: str) -> None:
        self._connection = http.client.HTTPConnection(address)

    def next(self) -> tuple[bytes, http.client.HTTPMessage]:
        self._connection.request("GET", API + "invocation/next")
        answer = self._connection.getresponse()
        return answer.read(), answer.headers

    def post(self, path: str, body: bytes, error_type: str = "") -> None:
        headers = {"Content-Type": "application/json"}
        if error_type:
            headers["Lambda-Runtime-Function-Error-Type"] = error_type
        self._connection.request("POST", API + path, body, headers)
        self._connection.getresponse().read()


def load(name: str) -> Any:
    """Return the handler. Raises ImportError or AttributeError, like AWS's client."""
    module, _, function = name.rpartition(".")
    return getattr(importlib.import_module(module.replace("/", ".")), function)


def document(error: BaseException, request_id: str = "", message: str = "") -> dict[str, Any]:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename != __file__]
    return {
        "errorMessage": message or str(error),
        "errorType": type(error).__name__,
        "requestId": request_id,
        "stackTrace": traceback.format_list(own),
    }


def tell(error: dict[str, Any]) -> None:
    """Write the error into the log as one event: its lines end with carriage returns."""
    lines = [f"[ERROR] {error['errorType']}: {error['errorMessage']}"]
    lines.append("Traceback (most recent call last):")
    for frame in error["stackTrace"]:
        for line in frame.splitlines():
            bare = line.lstrip(" ")
            lines.append(INDENT * (len(line) - len(bare)) + bare)
    sys.stdout.write("\r".join(lines) + "\n")


def load_or_report(client: Client, name: str) -> Any:
    """Return the handler; report why there is none, and end."""
    module, _, function = name.rpartition(".")
    try:
        return load(name)
    except ImportError as error:
        message = f"Unable to import module '{module}': {error}"
        failed = document(error, message=message) | {"errorType": "Runtime.ImportModuleError"}
    except AttributeError as error:
        message = f"Handler '{function}' missing on module '{module}'"
        failed = document(error, message=message) | {"errorType": "Runtime.HandlerNotFound"}
    except Exception as error:  # noqa: BLE001 - whatever the user's module raises is reported
        failed = document(error)
    tell(failed)
    client.post("init/error", json.dumps(failed).encode(), failed["errorType"])
    sys.exit(1)


def serve(client: Client, handler: Any, current: Current) -> None:
    """Serve invocations until the process is killed."""
    while True:
        payload, headers = client.next()
        context = LambdaContext(headers)
        current.request_id = context.aws_request_id
        os.environ["_X_AMZN_TRACE_ID"] = headers["Lambda-Runtime-Trace-Id"] or ""
        path = f"invocation/{context.aws_request_id}/"
        try:
            answer = json.dumps(handler(json.loads(payload), context), ensure_ascii=False).encode()
        except Exception as error:  # noqa: BLE001 - whatever the handler raises is reported
            failed = document(error, context.aws_request_id)
            tell(failed)
            client.post(path + "error", json.dumps(failed).encode(), failed["errorType"])
        else:
            client.post(path + "response", answer)


def main() -> None:
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    current = Current()
    logs = logging.StreamHandler(sys.stdout)
    logs.setFormatter(logging.Formatter(FORMAT, "%Y-%m-%dT%H:%M:%S"))
    logs.formatter.converter = time.gmtime  # type: ignore[union-attr]
    logs.addFilter(current)
    logging.getLogger().addHandler(logs)
    client = Client(os.environ["AWS_LAMBDA_RUNTIME_API"])
    serve(client, load_or_report(client, os.environ["_HANDLER"]), current)


if __name__ == "__main__":
    main()
