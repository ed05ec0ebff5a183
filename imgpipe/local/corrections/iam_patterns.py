"""A `*` in a policy matches every character, a line break too: S3 keys may hold one.

Stock ministack translates a pattern into a regular expression whose `.` stops at a line break, so a role that may read
`incoming/*` is refused an upload that has a line break in its name.
"""

from __future__ import annotations

import re
from functools import lru_cache

from ministack.core import iam_evaluator

_stock_compile = iam_evaluator._fnmatch_compile


@lru_cache(maxsize=4096)
def compiled(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    stock: re.Pattern[str] = _stock_compile(pattern, ignore_case)
    return re.compile(stock.pattern, stock.flags | re.DOTALL)


def install() -> None:
    iam_evaluator._fnmatch_compile = compiled
