"""Puts the pool under ministack: Python functions run here, whoever invokes them.

ministack keeps choosing the record, counting concurrency, throttling and shaping answers. Functions
of other runtimes stay with it.
"""

from __future__ import annotations

import contextvars
import hashlib
import json
import os
import re
import secrets
import time
from typing import TYPE_CHECKING, Any

from ministack.services import lambda_svc

from imgpipe.local.lambda_runtime import logs, process
from imgpipe.local.lambda_runtime.code import Shelf, runtime_folder
from imgpipe.local.lambda_runtime.credentials import Credentials
from imgpipe.local.lambda_runtime.environment import Environment
from imgpipe.local.lambda_runtime.function import Function, Invocation
from imgpipe.local.lambda_runtime.pool import Pool
from imgpipe.local.lambda_runtime.turns import Turns

if TYPE_CHECKING:
    from pathlib import Path

    from imgpipe.local.lambda_runtime.function import Outcome

Record = dict[str, Any]

LOG_SOURCE = "imgpipe"
"""Marks a result whose log is kept already."""

_waiting_callers: contextvars.ContextVar[int] = contextvars.ContextVar("waiting_callers", default=0)


def turns_here() -> int:
    """Return how many invocations may run at once: the cores, two at least."""
    wanted = os.environ.get("IMGPIPE_LAMBDA_CONCURRENCY", "")
    return int(wanted) if wanted.isdigit() and int(wanted) else max(2, os.cpu_count() or 2)


class Runtime:
    """Runs ministack's function records in the pool."""

    def __init__(self, folder: Path, endpoint: str, secret: str) -> None:
        process.end_orphans(folder / "tmp")
        host = process.Host(
            endpoint=endpoint,
            runtime=runtime_folder(folder / "runtime"),
            scratch=_empty(folder / "tmp"),
            client=process.client_here(),
        )
        credentials = Credentials(secret)
        self._code = Shelf(folder / "code")
        self._layers: dict[str, Path] = {}
        self.turns = Turns(turns_here())
        self.pool = Pool(
            lambda function: Environment(function, host, credentials.of(function), logs.keep),
            self.turns,
        )

    def execute(self, record: Record, event: Any, request_id: str) -> Record:
        """Run the function of `record` once and return the result as ministack wants it."""
        config = record.get("config") or record
        invocation = Invocation(
            request_id=request_id,
            payload=json.dumps(event).encode(),
            arn=config["FunctionArn"],
            trace=_trace(config),
        )
        outcome = self.pool.run(self.function(record), invocation, depth=_waiting_callers.get())
        return _result(outcome)

    def function(self, record: Record) -> Function:
        config = record.get("config") or record
        account, region = lambda_svc._account_region_from_function_config(config)
        name = config["FunctionName"]
        logging = config.get("LoggingConfig") or {}
        layers = (self._layer(attached) for attached in config.get("Layers") or [])
        return Function(
            name=name,
            arn=f"arn:aws:lambda:{region}:{account}:function:{name}",
            version=config.get("Version", "$LATEST"),
            handler=config.get("Handler", ""),
            runtime=config.get("Runtime", ""),
            timeout_s=int(config.get("Timeout", 3)),
            memory_mb=int(config.get("MemorySize", 128)),
            role=config.get("Role", ""),
            account=account,
            region=region,
            log_group=logging.get("LogGroup") or f"/aws/lambda/{name}",
            code=self._code.lay_out(_digest(config, record["code_zip"]), record["code_zip"]),
            log_format=logging.get("LogFormat", "Text"),
            log_level=logging.get("ApplicationLogLevel", ""),
            layers=tuple(layer for layer in layers if layer),
            variables=tuple(sorted(lambda_svc._runtime_env_vars(config).items())),
        )

    def _layer(self, attached: Any) -> Path | None:
        arn = attached.get("Arn", "") if isinstance(attached, dict) else attached
        if arn not in self._layers:
            zipped = lambda_svc._resolve_layer_zip(attached)
            if zipped is None:
                return None
            self._layers[arn] = self._code.lay_out(hashlib.sha256(zipped).hexdigest(), zipped)
        return self._layers[arn]


def _digest(config: Record, zipped: bytes) -> str:
    known = lambda_svc._b64_sha_to_hex(config.get("CodeSha256") or "")
    return known or hashlib.sha256(zipped).hexdigest()


def _empty(folder: Path) -> Path:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _result(outcome: Outcome) -> Record:
    result: Record = {"log": outcome.log, "log_source": LOG_SOURCE, **_body(outcome.payload)}
    if outcome.error_type:
        result |= {"error": True, "function_error": "Unhandled"}
    return result


def _body(payload: bytes) -> Record:
    try:
        return {"body": json.loads(payload)}
    except ValueError:
        return {"body": payload.decode("utf-8", "replace"), "raw_payload": True}


_LINEAGE = re.compile(r"Lineage=\d+:[0-9a-f]{8}:(\d+)")


def _trace(config: Record) -> str:
    """Return the trace header. The SDK in the handler sends it along, and with it the depth."""
    sampled = (config.get("TracingConfig") or {}).get("Mode") == "Active"
    function = hashlib.sha256(config["FunctionArn"].encode()).hexdigest()[:8]
    depth = lambda_svc._invoke_depth.get()
    return (
        f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)};Parent={secrets.token_hex(8)};"
        f"Sampled={int(sampled)};Lineage=1:{function}:{depth}"
    )


def install(folder: Path, endpoint: str, secret: str) -> Runtime:
    """Run Python functions in a pool whose files are under `folder`."""
    runtime = Runtime(folder, endpoint, secret)
    stock_run, stock_emit = lambda_svc._execute_function_warm, lambda_svc._emit_lambda_logs
    stock_execute, stock_drop = lambda_svc._execute_function, lambda_svc.invalidate_worker
    stock_depth = lambda_svc._inbound_invoke_depth

    def run(record: Record, event: Any, request_id: str) -> Record:
        config = record.get("config") or record
        if not record.get("code_zip") or not config.get("Runtime", "").startswith("python"):
            return dict(stock_run(record, event, request_id))
        return runtime.execute(record, event, request_id)

    def emit(*args: Any, log_source: str | None = None) -> None:
        if log_source != LOG_SOURCE:
            stock_emit(*args, log_source=log_source)

    def execute(record: Record, event: Any) -> Record:
        _waiting_callers.set(max(0, lambda_svc._invoke_depth.get() - 1))
        return dict(stock_execute(record, event))

    def drop(
        name: str,
        qualifier: str | None = None,
        account: str | None = None,
        region: str | None = None,
    ) -> None:
        stock_drop(name, qualifier=qualifier, account=account, region=region)
        runtime.pool.drop(lambda_svc._func_arn(name), qualifier)

    def depth(headers: Any) -> int:
        found = _LINEAGE.search(headers.get("x-amzn-trace-id", ""))
        return int(found[1]) if found else int(stock_depth(headers))

    lambda_svc._execute_function_warm = run
    lambda_svc._emit_lambda_logs = emit
    lambda_svc._execute_function = execute
    lambda_svc.invalidate_worker = drop
    lambda_svc._inbound_invoke_depth = depth
    return runtime
