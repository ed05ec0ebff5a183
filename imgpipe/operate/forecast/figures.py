"""The dated figures that a forecast stands on, read from `prices.yaml` and `timings.yaml`."""

from __future__ import annotations

from datetime import date
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from imgpipe.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


class Figures(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    dated: date


F = TypeVar("F", bound=Figures)


class Prices(Figures):
    """US dollars. Requests, messages and events are each; storage is per GB (10^9 bytes) and month."""

    region: str
    s3_put: float
    s3_get: float
    s3_gb_month: float
    sns_publish: float
    sns_email: float
    sns_sms: float
    sns_push: float
    sqs_request: float
    lambda_request: float
    lambda_gb_s_x86_64: float
    lambda_gb_s_arm64: float
    dynamodb_write: float
    dynamodb_read: float
    dynamodb_gb_month: float
    dynamodb_recovery_gb_month: float
    logs_gb: float
    logs_gb_month: float
    alarm_month: float
    dashboard_month: float
    eventbridge_event: float


class Timings(Figures):
    """Milliseconds; `per_mp` is per megapixel."""

    machine: str
    open_ms: float
    decode_ms_per_mp: float
    facts_ms: float
    encode_ms_per_mp: dict[str, float]
    filter_ms_per_mp: dict[str, float]
    bytes_per_pixel: dict[str, float]
    upload_bytes_per_pixel: float
    messenger_ms: float
    arm64_factor: float
    s3_get_wait_ms: float
    s3_put_wait_ms: float
    message_wait_ms: float
    table_wait_ms: float
    cold_start_ms: float
    event_delay_ms: float
    server_ms: float


@cache
def prices(file: Path | None = None) -> Prices:
    """Return the prices in `file`, or those that come with imgpipe. Raises UsageError."""
    return _read(Prices, "prices.yaml", file)


@cache
def timings(file: Path | None = None) -> Timings:
    """Return the timings in `file`, or those that come with imgpipe. Raises UsageError."""
    return _read(Timings, "timings.yaml", file)


def embedded(timing: Timings) -> Timings:
    """Return `timing` for the embedded cloud: nothing is far away, but its server works on the same processors."""
    return timing.model_copy(
        update={
            "s3_get_wait_ms": 4.0,
            "s3_put_wait_ms": 6.0,
            "message_wait_ms": 4.0,
            "table_wait_ms": 4.0,
            "cold_start_ms": 150.0,
            "event_delay_ms": 30.0,
            "server_ms": 42.0,
        }
    )


def _read(kind: type[F], name: str, file: Path | None) -> F:
    try:
        source = file or resources.files(__package__).joinpath(name)
        document: Any = yaml.safe_load(source.read_text(encoding="utf-8"))
        return kind.model_validate(document)
    except OSError as error:
        raise UsageError(str(file or name), error.strerror or str(error)) from error
    except (yaml.YAMLError, ValidationError) as error:
        why = " ".join(line.strip() for line in str(error).splitlines()[:3])
        raise UsageError(
            str(file or name), why, hint=f"begin with a copy of imgpipe's {name}"
        ) from error
