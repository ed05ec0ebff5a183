"""Which uploads a step works on: a prefix and endings, in any case.

What feeds a function is filtered as far as S3, SNS or EventBridge can; this decides, here and in the writer, which has
to know what to expect of an upload.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

Rule = dict[str, Any]
"""`prefix`: what keys begin with. `suffixes`: lower-case endings; none means any."""


def matches(rule: Mapping[str, Any], key: str) -> bool:
    endings = tuple(rule.get("suffixes") or ())
    return key.startswith(rule.get("prefix", "")) and (not endings or key.lower().endswith(endings))
