"""Sizes, durations and rates as people write them: `200MB`, `250MP`, `60s`, `4d`, `10/h`.

A plain number is in the unit that the setting's name says in the documentation: bytes, pixels,
megabytes or seconds. Each type carries its limits, and its JSON Schema for editors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

BYTES = {
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
}
MEGABYTES = {"MB": 1, "GB": 1024, "MiB": 1, "GiB": 1024}
"""Lambda's own counting: its 10,240 MB are 10 GB."""
PIXELS = {"MP": 10**6, "GP": 10**9}
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
PER = {"m": 60, "h": 3600, "d": 86400}

_QUANTITY = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*")
_RATE = re.compile(r"\s*([0-9]+)\s*/\s*([A-Za-z]+)\s*")


class Rate(NamedTuple):
    """So many in a period."""

    times: int
    period_s: int


def parse(value: object, units: Mapping[str, int], example: str) -> int:
    """Return `value` in the smallest of `units`. Raises ValueError, in words, when it isn't a whole
    number of them.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if not found or (found[2] and found[2] not in units):
        raise ValueError(f"write it like {example}, not {shown(value)}")
    exact = float(found[1]) * units.get(found[2], 1)
    if exact != int(exact):
        raise ValueError(f"{shown(value)} is not a whole number of the smallest unit")
    return int(exact)


def parse_rate(value: object) -> Rate:
    found = _RATE.fullmatch(value) if isinstance(value, str) else None
    if not found or found[2] not in PER:
        raise ValueError(f"write it like 10/h (m, h or d), not {shown(value)}")
    if int(found[1]) < 1:
        raise ValueError("it must be at least 1")
    return Rate(int(found[1]), PER[found[2]])


def shown(value: object) -> str:
    """Return `value` for a message: short, on one line, in YAML's terms."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, Mapping):
        return "a mapping"
    text = str(value)
    short = text if len(text) <= 40 else f"{text[:37]}..."
    return repr(short) if isinstance(value, str) else short


def duration(seconds: int) -> str:
    """Return seconds in the largest unit that divides them: `15m`."""
    for unit, length in reversed(SECONDS.items()):
        if seconds and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


@dataclass(frozen=True, eq=False, slots=True)  # pydantic needs annotations that hash: by identity
class Quantity:
    """The pydantic annotation of a whole number in `units`, from `low` to `high`, which `limits`
    says in words.
    """

    units: Mapping[str, int]
    example: str
    low: int
    high: int
    limits: str

    def check(self, value: object) -> int:
        number = parse(value, self.units, self.example)
        if not self.low <= number <= self.high:
            raise ValueError(f"it must be {self.limits}, not {shown(value)}")
        return number

    def __get_pydantic_core_schema__(
        self, _source: Any, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.check)

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        if not self.units:
            return {"type": "integer", "description": self.limits}
        pattern = rf"^[0-9]+(\.[0-9]+)?\s*({'|'.join(self.units)})?$"
        return {
            "anyOf": [{"type": "integer"}, {"type": "string", "pattern": pattern}],
            "description": self.limits,
        }


AWS_LOG_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
"""The retention periods that CloudWatch Logs allows."""


def _log_days(value: object) -> int:
    days = parse(value, {"d": 1}, "30d")
    if days not in AWS_LOG_DAYS:
        near = min(AWS_LOG_DAYS, key=lambda known: abs(known - days))
        raise ValueError(
            f"CloudWatch Logs doesn't keep logs for {days} days; the nearest it knows is {near}d"
        )
    return days


LogDays = Annotated[
    int,
    BeforeValidator(_log_days),
    WithJsonSchema({"enum": [*AWS_LOG_DAYS, *(f"{days}d" for days in AWS_LOG_DAYS)]}),
]
AlarmRate = Annotated[
    Rate,
    BeforeValidator(parse_rate),
    WithJsonSchema({"type": "string", "pattern": r"^[1-9][0-9]*\s*/\s*[mhd]$"}),
]
