"""Requests without a key: on S3 what the bucket's own policy grants to everybody, and the links in
mail, which carry a secret of their own. Nothing else.

ministack takes them for root's on S3. Upload forms carry their signature among their fields, where
S3 itself checks it; a form without one is refused here. Left out: the operations of STS and Cognito
that AWS serves unsigned, because nothing here checks the tokens that they take.
"""

from __future__ import annotations

import contextvars
from typing import Any

from ministack.core import iam_evaluator
from ministack.services import s3

is_form: contextvars.ContextVar[bool] = contextvars.ContextVar("is_form", default=False)
"""Whether this request posts a form; the guard sets it."""

NOBODY = "anonymous"

_stock_enforce = iam_evaluator.enforce


def _enforce(
    access_key: str,
    action: str,
    service: str,
    region: str,
    resource_arn: str = "*",
    service_context: dict[str, Any] | None = None,
) -> Any:
    if access_key or not iam_evaluator._anonymous.get():
        return _stock_enforce(access_key, action, service, region, resource_arn, service_context)
    if action in iam_evaluator._UNSIGNED_LINK_ACTIONS:
        return None
    if service != "s3":
        return _stock_enforce(access_key, action, service, region, resource_arn, service_context)
    if is_form.get() and action == "s3:PutObject":
        return None
    found = iam_evaluator._resource_policy(service, resource_arn)
    context = iam_evaluator.EvalContext(
        principal_arn=NOBODY,
        principal_type="Anonymous",
        principal_account="",
        action=action,
        resource_arn=resource_arn,
        region=region,
        service_context={key.lower(): value for key, value in (service_context or {}).items()},
    )
    result = iam_evaluator.evaluate_resource_policy(found[0] if found else None, context)
    if result.decision == "Allow":
        return None
    result.principal_arn = NOBODY
    return result


def _refuse_unsigned_form(_policy: str, _size: int) -> Any:
    return s3._error("AccessDenied", "Access Denied", 403)


def install() -> None:
    iam_evaluator.enforce = _enforce
    s3._enforce_post_policy_size = _refuse_unsigned_form
