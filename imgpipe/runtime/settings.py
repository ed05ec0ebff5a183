"""What a function is told about its pipeline: JSON in the environment variable IMGPIPE_SETTINGS.

`deploy.graph` writes it and the handlers read it, through the same class, so the two can't drift
apart. Lambda allows 4 KB of environment in all, so fields that a function doesn't need stay empty
and are left out of the JSON.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from imgpipe.runtime.matching import Rule

SETTINGS_VARIABLE = "IMGPIPE_SETTINGS"
CODE_HASH_VARIABLE = "IMGPIPE_CODE_HASH"
MEMORY_VARIABLE = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"
IMAGE_SHARE = 0.75
"""Of a function's memory. The rest is for the function itself: Python, the SDK, the file on its way."""
CLOCK_TIMES = 20
"""How many times its processor time an image may take by the clock, on a machine that is busy; in a
function, its timeout comes first.
"""
DECODING_SHARE = 0.85
"""Of an image's memory. The rest is for Python, the libraries, the file and the variants."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is refused before decoding (file size, width x height, frames, memory that decoding would
    take), and what ends it: processor seconds and memory of the process that works on one image.

    `wall_s` is what the function's own time leaves by the clock, where that is known.
    """

    max_bytes: int = 200_000_000
    max_pixels: int = 250_000_000
    max_frames: int = 500
    decode_s: float = 10.0
    max_decoded_bytes: int = 855_638_016
    memory_bytes: int = 1_006_632_960
    wall_s: float = 0.0
    isolate: bool = True  # work on images in a process of its own

    @property
    def clock_s(self) -> float:
        """Seconds after which work that has still processor time left is given up for now."""
        far_s = self.decode_s * CLOCK_TIMES
        return min(far_s, self.wall_s) if self.wall_s else far_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """The queue of a larger function, or of workers, and what is for it: more bytes, or more pixels."""

    queue_url: str = ""
    max_bytes: int = 0
    max_pixels: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Direct:
    """What may be uploaded over HTTP: how large, which types, whose names end how, and how long leave holds."""

    max_bytes: int = 0
    types: tuple[str, ...] = ()
    endings: tuple[str, ...] = ()
    life_s: int = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A function's view of the pipeline.

    `steps` maps each step that this function runs to its settings as in pipeline.yaml (`variants`,
    `filters`, `exif`, `gps`, `palette`, …), with a `hash` of those settings; `settings_hash` identifies
    them all. `expected`, which only the writer has, lists every create step of the pipeline, and
    its `settings_hash` is the pipeline's.
    """

    pipeline: str
    environment: str
    function: str = ""  # the short name, such as `images`
    uploads_bucket: str = ""
    variants_bucket: str = ""
    variants_prefix: str = ""
    prefix: str = ""
    table: str = ""
    results_queue_url: str = ""
    rejected_queue_url: str = ""
    tidy_queue_url: str = ""
    completed_topic_arn: str = ""
    notices_topic_arn: str = ""
    settings_hash: str = ""
    expected: tuple[str, ...] = ()
    on: str = "created"  # what starts its steps: created, restored or tagged
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    matches: dict[str, Rule] = field(default_factory=dict)  # of steps that work on some uploads
    limits: Limits = field(default_factory=Limits)
    lane: Lane = field(default_factory=Lane)
    direct: Direct = field(default_factory=Direct)
    queue_url: str = ""  # the function's own queue
    backoff_s: int = 10  # the pause before the second attempt
    max_receives: int = 5
    notices: tuple[str, ...] = ()  # which kinds people asked for: uploaded, completed, failed
    uploaders: tuple[str, ...] = ()  # addresses that hear of their own uploads
    digest: int = 5  # more notices of a kind at once become one
    link_s: int = 0  # how long a notice's link to its picture lives; 0: none

    def dumps(self) -> str:
        """Return compact JSON without the empty fields, stable for equal settings."""
        fields = {name: value for name, value in asdict(self).items() if value not in ("", (), {})}
        if not self.lane.queue_url:
            del fields["lane"]
        if not self.direct.max_bytes:
            del fields["direct"]
        if not self.limits.wall_s:
            del fields["limits"]["wall_s"]
        return json.dumps(fields, sort_keys=True, separators=(",", ":"))

    @classmethod
    def loads(cls, text: str) -> Settings:
        fields = json.loads(text)
        for name in ("expected", "notices", "uploaders"):
            fields[name] = tuple(fields.get(name, ()))
        parts = {
            "limits": Limits(**fields.get("limits", {})),
            "lane": Lane(**fields.get("lane", {})),
            "direct": _direct(fields.get("direct", {})),
        }
        return cls(**{**fields, **parts})


def _direct(fields: dict[str, Any]) -> Direct:
    lists = {name: tuple(fields.get(name, ())) for name in ("types", "endings")}
    return Direct(**{**fields, **lists})


def from_environment() -> Settings:
    return Settings.loads(os.environ[SETTINGS_VARIABLE])


def within_memory(limits: Limits) -> Limits:
    """Return `limits` for the memory that this function has: running out of it kills it."""
    memory_mb = int(os.environ.get(MEMORY_VARIABLE, "0"))
    share = int(memory_mb * 1_048_576 * IMAGE_SHARE) or limits.memory_bytes
    memory = min(limits.memory_bytes, share)
    decoded = min(limits.max_decoded_bytes, int(memory * DECODING_SHARE))
    return replace(limits, memory_bytes=memory, max_decoded_bytes=decoded)


def code_hash() -> str:
    """Return the hash of the sources and lock that this function was deployed from."""
    return os.environ.get(CODE_HASH_VARIABLE, "")
