"""AWS/Lambda: one measurement an invocation, whoever asked for it.

Faults of stock ministack: only synchronous invocations are counted, asynchronous ones when they
are accepted, those of mapped queues never; a throttle counts as an invocation.

Measured around `_execute_function_dispatch`, through which every invocation passes once.
ministack's own measurements, made by some of its callers, are dropped, except a throttle: that one
never gets so far."""

from __future__ import annotations

import time
from typing import Any

from ministack.services import lambda_svc

from imgpipe.local.corrections import metrics

NAMESPACE = "AWS/Lambda"


def _measure(function: str, name: str, value: float, unit: str = "Count") -> None:
    metrics.record(NAMESPACE, name, value, unit, {"FunctionName": function})


def _dispatch(func: Any, config: Any, event: Any, request_id: str, started: float) -> Any:
    name = str(config.get("FunctionName") or "")
    running = lambda_svc._inflight.get(lambda_svc._inflight_key(config), 1)
    _measure(name, "ConcurrentExecutions", float(running))
    begun, failed = time.perf_counter(), True
    try:
        result = _stock_dispatch(func, config, event, request_id, started)
        failed = bool(result.get("error"))
    finally:
        _measure(name, "Invocations", 1)
        _measure(name, "Errors", float(failed))
        _measure(name, "Duration", (time.perf_counter() - begun) * 1000, "Milliseconds")
    return result


def _emit(function_name: str, *, throttle: bool, error: bool, **_: Any) -> None:
    """Count a throttle once: who finds it says that there was no error, who reports it says that
    there was.
    """
    if throttle and not error:
        _measure(function_name, "Throttles", 1)


_stock_dispatch = lambda_svc._execute_function_dispatch


def install() -> None:
    lambda_svc._execute_function_dispatch = _dispatch
    lambda_svc._emit_lambda_metrics = _emit
