"""What an execution environment is made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A version of a function as it is set up now. Environments made from equal ones are alike."""

    name: str
    arn: str
    """Without version or alias."""
    version: str
    handler: str
    runtime: str
    timeout_s: int
    memory_mb: int
    role: str
    account: str
    region: str
    log_group: str
    code: Path
    log_format: str = "Text"
    log_level: str = ""
    layers: tuple[Path, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def log_group_arn(self) -> str:
        return f"arn:aws:logs:{self.region}:{self.account}:log-group:{self.log_group}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One call. `arn` is what was invoked, with the version or alias if one was named."""

    request_id: str
    payload: bytes
    arn: str
    trace: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of it: what the function returned, or an error document.

    `error_type` is "" when it succeeded; `log` holds what it wrote, with Lambda's own lines.
    """

    payload: bytes
    error_type: str = ""
    log: str = ""
    duration_ms: float = 0.0
    memory_mb: int = 0
