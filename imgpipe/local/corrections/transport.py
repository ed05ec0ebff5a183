"""Policies that refuse plain HTTP hold here as on AWS: loopback counts as a secure transport.

A pipeline denies every request with `aws:SecureTransport` false. The embedded cloud speaks plain HTTP, but only to this
machine, and services call one another inside one process. So the condition key is always true.
"""

from __future__ import annotations

from typing import Any

from ministack.core import iam_evaluator

_stock_resolve = iam_evaluator._resolve_condition_key


def resolve(key: str, context: iam_evaluator.EvalContext) -> Any:
    return "true" if key.lower() == "aws:securetransport" else _stock_resolve(key, context)


def install() -> None:
    iam_evaluator._resolve_condition_key = resolve
