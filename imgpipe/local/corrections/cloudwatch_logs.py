"""Filter patterns of CloudWatch Logs, and the metrics that are counted with them.

Faults of stock ministack: a quoted phrase falls apart into words, case doesn't matter, a pattern
on JSON matches every line, and a metric filter is kept but never counts.

AWS's rules: words and quoted phrases must all occur, as they are written; `-word` must not; of
several `?word` one must; `{ $.level = "ERROR" && $.ms > 100 }` looks at lines that are JSON. A
metric filter adds its value, or the number that its `$.field` names, for each line that matches as
it comes in.

Left out: patterns on space-delimited fields (`[ip, user, …]`), brackets and regular expressions in
a pattern."""

from __future__ import annotations

import fnmatch
import json
import operator
import re
from collections.abc import Callable, Iterable
from typing import Any

from ministack.services import cloudwatch_logs

from imgpipe.local.corrections import metrics, metrics_embedded

Matches = Callable[[str], bool]

_TERM = re.compile(r'([-?]?)(?:"((?:[^"\\]|\\.)*)"|(\S+))')
_COMPARISON = re.compile(r'^\s*\$\.([\w.\[\]-]+)\s*(=|!=|<=|>=|<|>)\s*(?:"([^"]*)"|(\S+))\s*$')
_NUMERIC: dict[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MISSING = object()


def compiled(pattern: str) -> Matches:
    """Return what tells whether a line matches the pattern."""
    text = pattern.strip()
    if text.startswith("{") and text.endswith("}"):
        return _json_pattern(text[1:-1])
    return _word_pattern(text)


def _word_pattern(text: str) -> Matches:
    words: dict[str, list[str]] = {"": [], "-": [], "?": []}
    for sign, phrase, word in _TERM.findall(text):
        words[sign].append(phrase or word)

    def matches(line: str) -> bool:
        return (
            all(word in line for word in words[""])
            and not any(word in line for word in words["-"])
            and (not words["?"] or any(word in line for word in words["?"]))
        )

    return matches


def _json_pattern(text: str) -> Matches:
    choices = [[_comparison(part) for part in choice.split("&&")] for choice in text.split("||")]

    def matches(line: str) -> bool:
        try:
            document = json.loads(line)
        except ValueError:
            return False
        return any(all(compare(document) for compare in choice) for choice in choices)

    return matches


def _comparison(text: str) -> Callable[[Any], bool]:
    found = _COMPARISON.match(text.strip().strip("()"))
    if found is None:
        return lambda _document: False
    path, sign, phrase, bare = found.groups()

    def compare(document: Any) -> bool:
        value = selected(document, path)
        if value is _MISSING:
            return False
        if phrase is None and isinstance(value, int | float) and _is_number(bare):
            return _NUMERIC[sign](float(value), float(bare))
        shown = json.dumps(value) if isinstance(value, bool) else str(value)
        same = fnmatch.fnmatchcase(shown, bare if phrase is None else phrase)
        return same if sign == "=" else not same and sign == "!="

    return compare


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def selected(document: Any, path: str) -> Any:
    """Return what `a.b[0]` names in the document, or a value of its own kind when there is
    nothing.
    """
    for key, index in re.findall(r"([\w-]+)|\[(\d+)\]", path):
        try:
            document = document[key] if key else document[int(index)]
        except (KeyError, IndexError, TypeError):
            return _MISSING
    return document


def count(group: str, events: Iterable[dict[str, Any]]) -> None:
    """Let the metric filters of the group count what comes in."""
    lines = [str(event.get("message", "")) for event in events]
    for (name, _), each in cloudwatch_logs._metric_filters.items():
        if name == group:
            matches = compiled(each.get("filterPattern") or "")
            for line in filter(matches, lines):
                _add(each.get("metricTransformations") or [], line)


def _add(transformations: Iterable[dict[str, Any]], line: str) -> None:
    for each in transformations:
        value = _value(str(each.get("metricValue") or "1"), line)
        if value is not None:
            space, name = each["metricNamespace"], each["metricName"]
            metrics.record(space, name, value, each.get("unit") or "None")


def _value(wanted: str, line: str) -> float | None:
    if not wanted.startswith("$."):
        return float(wanted)
    try:
        return float(selected(json.loads(line), wanted[2:]))
    except (TypeError, ValueError):
        return None


_stock_pass_on = cloudwatch_logs._fanout_to_subscription_filters


def _pass_on(group: str, stream: str, events: list[dict[str, Any]]) -> None:
    count(group, events)
    metrics_embedded.count(str(event.get("message", "")) for event in events)
    _stock_pass_on(group, stream, events)


def install() -> None:
    cloudwatch_logs._compile_filter_pattern = compiled
    cloudwatch_logs._subscription_pattern_matches = lambda pattern, line: compiled(pattern or "")(
        line or ""
    )
    cloudwatch_logs._fanout_to_subscription_filters = _pass_on
