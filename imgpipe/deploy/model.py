"""The sections of pipeline.yaml as frozen values: what may be written, its defaults, and the limits
of one value.

What only shows when values are seen together is in `rules`; what only shows in names and documents
is in `limits`. Decided here:

- `lambda` in a step is either a folder (`lambdas/mine`) or a mapping of the same settings as the
  pipeline's `lambda`, with the folder under `source`. Steps that share a group share the function,
  so they mustn't disagree.
- `concurrency` means "so many at once" on both routes: the mapping's maximum concurrency for `via:
  queue`, the function's reserved concurrency for `via: function`. `reserved` also reserves for a
  function behind a queue.
- `via: worker` is a queue without a function: whoever runs `imgpipe worker` takes its messages.
- `writer` and `notifier` move short messages: they take timeout, retries and the like from
  `lambda`, but not its memory or concurrency, which are there for pictures.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    WithJsonSchema,
)

from imgpipe.deploy.units import (
    BYTES,
    MEGABYTES,
    PIXELS,
    SECONDS,
    AlarmRate,
    LogDays,
    Quantity,
    Rate,
    shown,
)

DAY = 86_400
MAX_PREFIX = 512
DESTINATION = (
    r"arn:[a-z-]+:((sqs|sns):[a-z0-9-]+:[0-9]{12}:[\w-]+"
    r"|lambda:[a-z0-9-]+:[0-9]{12}:function:[\w:$-]+|events:[a-z0-9-]+:[0-9]{12}:event-bus/[\w./-]+)"
)
"""What Lambda may tell of an invocation that worked; FIFO queues and topics are not among it."""
KMS_KEY = r"arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+"
BUCKET = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
OVERRIDABLE = ("uploads", "steps", "notify", "lambda", "table", "alarms")
"""The sections that an environment may lay something over: all but the pipeline's identity."""

Yes = Annotated[bool, Strict()]
Whole = Annotated[int, Strict()]

Seconds = Annotated[int, Quantity(SECONDS, "60s", 1, 900, "1s to 15m (AWS's limit for a function)")]
Backoff = Annotated[int, Quantity(SECONDS, "10s", 0, 900, "0s to 15m")]
FormLife = Annotated[int, Quantity(SECONDS, "5m", 1, 3600, "1s to 1h")]
LinkLife = Annotated[int, Quantity(SECONDS, "1h", 0, 43_200, "0s (no link) to 12h")]
Window = Annotated[int, Quantity(SECONDS, "5s", 0, 300, "0s to 5m (AWS's limit)")]
Retention = Annotated[
    int,
    Quantity(
        SECONDS, "4d", 60, 13 * DAY, "1m to 13d (a dead letter's 14 days count from the first send)"
    ),
]
Age = Annotated[int, Quantity(SECONDS, "15m", 60, DAY, "1m to 1d")]
Decode = Annotated[int, Quantity(SECONDS, "10s", 1, 900, "1s to 15m")]
MemoryMB = Annotated[int, Quantity(MEGABYTES, "1769", 128, 10_240, "128 to 10240 MB (AWS's limit)")]
TmpMB = Annotated[int, Quantity(MEGABYTES, "512MB", 512, 10_240, "512 to 10240 MB (AWS's limit)")]
ImageMB = Annotated[int, Quantity(MEGABYTES, "960MB", 64, 10_240, "64 MB to 10 GB")]
Size = Annotated[int, Quantity(BYTES, "200MB", 1, 5 * 10**9, "1 B to 5 GB")]
Pixels = Annotated[int, Quantity(PIXELS, "250MP", 1, 10 * 10**9, "1 to 10 GP")]
Count = Annotated[int, Quantity({}, "500", 1, 1_000_000, "1 to 1000000")]
Concurrency = Annotated[int, Quantity({}, "50", 1, 1000, "1 to 1000")]
BatchSize = Annotated[int, Quantity({}, "10", 1, 10_000, "1 to 10000 (AWS's limit)")]
Retries = Annotated[int, Quantity({}, "5", 1, 1000, "1 to 1000 (AWS's limit)")]
Side = Annotated[int, Quantity({}, "800", 1, 16_383, "1 to 16383 pixels")]
Quality = Annotated[int, Quantity({}, "80", 1, 100, "1 to 100")]
Share = Annotated[float, Field(ge=0, le=1)]
Ratio = Annotated[float, Field(ge=1, le=4)]
Gravity = Literal[
    "centre",
    "top",
    "bottom",
    "left",
    "right",
    "top-left",
    "top-right",
    "bottom-left",
    "bottom-right",
    "attention",
]
Colours = Annotated[int, Quantity({}, "5", 0, 16, "0 to 16 colours")]


def _name(text: str) -> str:
    if not re.fullmatch(r"[a-z](-?[a-z0-9])*", text):
        raise ValueError(
            f"{shown(text)} must be lower-case letters, digits and single hyphens, a letter first"
        )
    return text


def _prefix(text: str) -> str:
    if text and (
        not re.fullmatch(r"[A-Za-z0-9_.-][A-Za-z0-9_./-]*/", text) or len(text) > MAX_PREFIX
    ):
        raise ValueError(
            f"{shown(text)} must be letters, digits, `_`, `.`, `-` and `/`, without a slash in "
            "front and with one at the end"
        )
    return text


def _bucket(text: str) -> str:
    if not re.fullmatch(BUCKET, text) or ".." in text:
        raise ValueError(
            f"{shown(text)} is no bucket's name: 3 to 63 lower-case letters, digits, `.` and `-`"
        )
    return text


def _suffix(text: str) -> str:
    if not re.fullmatch(r"\.?[A-Za-z0-9]+(\.[A-Za-z0-9]+)*", text):
        raise ValueError(f"{shown(text)} must be a file name's ending, such as `jpg`")
    return "." + text.removeprefix(".").lower()


def _media_type(text: str) -> str:
    if not re.fullmatch(r"image/(\*|[a-z0-9][a-z0-9.+-]*)", text):
        raise ValueError(
            f"{shown(text)} is no type of image; write it like image/png, or image/* for all"
        )
    return text


def _email(text: str) -> str:
    if not re.fullmatch(
        r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,}",
        text,
    ):
        raise ValueError(f"{shown(text)} is not an e-mail address")
    return text


def _phone(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"\+[1-9][0-9]{6,14}", value):
        return value
    raise ValueError(
        f"{shown(value)} is not a phone number; "
        'write it in quotes, with the country: "+447700900000"'
    )


def _push(text: str) -> str:
    if not re.fullmatch(r"arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:endpoint/\S+", text):
        raise ValueError(
            f"{shown(text)} is not the ARN of a push endpoint (arn:aws:sns:…:endpoint/…)"
        )
    return text


def _kms_key(text: str) -> str:
    if not re.fullmatch(KMS_KEY, text):
        raise ValueError(
            f"{shown(text)} is not the ARN of a KMS key (arn:aws:kms:eu-west-1:210987654321:key/…); a role can't "
            "be let use an alias"
        )
    return text


def _destination(text: str) -> str:
    if not re.fullmatch(DESTINATION, text):
        raise ValueError(
            f"{shown(text)} is not the ARN of a queue, topic, function or event bus "
            "(arn:aws:sqs:eu-west-1:210987654321:done)"
        )
    return text


def _over(text: str) -> str:
    (PIXEL_LANE if text.endswith("P") else BYTE_LANE).check(text)
    return text


def _origin(text: str) -> str:
    if not re.fullmatch(r"https?://[^/\s*]*\*?[^/\s*]*", text) or text == "http://":
        raise ValueError(
            f"{shown(text)} is no origin; write a scheme, a host and a port, with one * at most: "
            "https://photos.example.com"
        )
    return text


def _colour(text: str) -> str:
    if not re.fullmatch(r"#[0-9A-Fa-f]{6}", text):
        raise ValueError(f'{shown(text)} is not a colour; write it in quotes: "#c83c32"')
    return text.lower()


def _background(text: str) -> str:
    """Return a colour, or the word for none."""
    if text in ("clear", "transparent"):
        return "clear"
    try:
        return _colour(text)
    except ValueError as error:
        raise ValueError(f"{error}, or `clear`") from None


def _place(value: object) -> object:
    if value in ("drop", "round", "keep") or _is_decimals(value):
        return value
    raise ValueError(
        f"{shown(value)} is no policy; known are `drop`, `round` and `keep`, or how many decimals "
        "of a degree are told, 0 to 4"
    )


def _is_decimals(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 4


def _places(value: object) -> object:
    """Return the mapping form of `gps`: one word stands for the row and for the outputs."""
    if isinstance(value, Mapping | Gps):
        return value
    return {"row": _place(value), "outputs": value}


def _filter(item: object) -> object:
    """Return the mapping form of a filter: `autocontrast` is `{autocontrast: true}`, its own
    default.
    """
    if isinstance(item, str):
        return {item: True}
    if isinstance(item, Mapping) and len(item) == 1:
        return {name: True if value is None else value for name, value in item.items()}
    raise ValueError(f"write a filter as its name or as {{name: value}}, not {shown(item)}")


def _lambda(value: object) -> object:
    return {"source": value} if isinstance(value, str) else value


On = Literal["created", "removed", "restored", "tagged"]
Name = Annotated[str, AfterValidator(_name)]
Prefix = Annotated[str, AfterValidator(_prefix)]
Suffix = Annotated[str, AfterValidator(_suffix)]
BucketName = Annotated[
    str, AfterValidator(_bucket), WithJsonSchema({"type": "string", "pattern": f"^{BUCKET}$"})
]
Origin = Annotated[
    str,
    AfterValidator(_origin),
    WithJsonSchema(
        {"type": "string", "description": "Whose pages may upload, with leave that was signed"}
    ),
]
LOOPBACK_ORIGINS = ("http://127.0.0.1:*", "http://localhost:*")
"""Where `imgpipe web` is, on whichever port. A page there can send nothing that nobody signed for it."""
MediaType = Annotated[
    str,
    AfterValidator(_media_type),
    WithJsonSchema({"type": "string", "pattern": r"^image/(\*|[a-z0-9][a-z0-9.+-]*)$"}),
]
Email = Annotated[
    str, AfterValidator(_email), WithJsonSchema({"type": "string", "format": "email"})
]
Phone = Annotated[
    str,
    BeforeValidator(_phone),
    WithJsonSchema({"type": "string", "pattern": r"^\+[1-9][0-9]{6,14}$"}),
]
Push = Annotated[str, AfterValidator(_push)]
KmsKey = Annotated[
    str, AfterValidator(_kms_key), WithJsonSchema({"type": "string", "pattern": f"^{KMS_KEY}$"})
]
Destination = Annotated[str, AfterValidator(_destination)]
Background = Annotated[
    str,
    AfterValidator(_background),
    WithJsonSchema({"type": "string", "pattern": "^(#[0-9A-Fa-f]{6}|clear|transparent)$"}),
]
Place = Annotated[
    str | int,
    BeforeValidator(_place),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["drop", "round", "keep"]},
                {"type": "integer", "minimum": 0, "maximum": 4},
            ]
        }
    ),
]
Filter = Annotated[
    Mapping[str, Any],
    BeforeValidator(_filter),
    WithJsonSchema(
        {"anyOf": [{"type": "string"}, {"type": "object", "minProperties": 1, "maxProperties": 1}]}
    ),
]
Visibility = Annotated[
    int | Literal["auto"],
    BeforeValidator(lambda value: value if value == "auto" else VISIBILITY.check(value)),
    WithJsonSchema(
        {
            "anyOf": [{"const": "auto"}, {"type": ["string", "integer"]}],
            "description": "`auto`: six timeouts and the window",
        }
    ),
]
PIXEL_LANE = Quantity(PIXELS, "40MP or 50MB", 1, 10 * 10**9, "1 to 10 GP")
BYTE_LANE = Quantity(BYTES, "50MB or 40MP", 1, 5 * 10**9, "1 B to 5 GB")
VISIBILITY = Quantity(SECONDS, "6m or auto", 0, 43_200, "at most 12h (AWS's limit)")


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class UploadLimits(Section):
    """What is refused before it is decoded, and what an image may take of a function."""

    bytes: Size = 200_000_000
    pixels: Pixels = 250_000_000
    frames: Count = 500
    decode: Decode = 10
    memory: ImageMB = 960
    isolate: bool = True


class Direct(Section):
    """Uploads over HTTP: a function with a URL hands out signed forms, which bind key, type, size and time."""

    auth: Literal["iam", "none"] = "iam"
    bytes: Size | None = None
    types: tuple[MediaType, ...] = ()
    expires: FormLife = 300


class Uploads(Section):
    """The bucket that publishes: which of its keys are uploads, and where S3 sends their events.

    `bucket` names one that is there already, and `kms_key` what it is encrypted with; `outputs` is
    a folder of it for the variants, which otherwise have a bucket of their own.
    """

    bucket: BucketName | None = None
    kms_key: KmsKey | None = None
    prefix: Prefix = "incoming/"
    outputs: Prefix = ""
    suffixes: tuple[Suffix, ...] = ()
    deliver: Literal["topic", "queue", "function", "eventbridge"] = "topic"
    events: tuple[Literal["put", "post", "copy", "multipart"], ...] = ()
    limits: UploadLimits = UploadLimits()
    origins: tuple[Origin, ...] = LOOPBACK_ORIGINS
    direct: Direct | None = None


class Variant(Section):
    """A picture made of each upload. Without `height` (or `width`) the other side follows from the
    original.
    """

    width: Side | None = None
    height: Side | None = None
    fit: Literal["inside", "cover", "contain", "fill"] = "inside"
    format: Literal["jpeg", "png", "webp", "avif", "gif"] = "jpeg"
    quality: Quality = 80
    background: Background = "#ffffff"
    metadata: Literal["strip", "copyright", "all"] = "strip"
    enlarge: Yes = False
    gravity: Gravity = "centre"
    focal: tuple[Share, Share] | None = None
    dpr: tuple[Ratio, ...] = ()
    progressive: Yes = False
    animated: Yes = True
    profile: Literal["srgb", "keep"] = "srgb"


class Gps(Section):
    """What becomes of the place where a picture was taken."""

    row: Place = "drop"
    outputs: Place = "drop"


class StepLambda(Section):
    """A step's own choice of Lambda settings; what it leaves out comes from the pipeline's
    `lambda`.
    """

    source: str | None = None
    on_success: Destination | None = None
    memory: MemoryMB | None = None
    timeout: Seconds | None = None
    tmp: TmpMB | None = None
    concurrency: Concurrency | None = None
    reserved: Concurrency | None = None
    batch: BatchSize | None = None
    window: Window | None = None
    retries: Retries | None = None
    backoff: Backoff | None = None
    visibility: Visibility | None = None
    retention: Retention | None = None
    log_retention: LogDays | None = None


class LambdaDefaults(Section):
    """The settings of every function and its queue, unless a step says otherwise."""

    memory: MemoryMB = 1769
    timeout: Seconds = 60
    tmp: TmpMB = 512
    concurrency: Concurrency | None = None
    reserved: Concurrency | None = None
    batch: BatchSize = 10
    window: Window = 0
    retries: Retries = 5
    backoff: Backoff = 10
    visibility: Visibility = "auto"
    retention: Retention = 4 * DAY
    log_retention: LogDays = 30
    architecture: Literal["x86_64", "arm64"] = "x86_64"


class Only(Section):
    """Which uploads a step works on, if not all: a folder below the uploads' prefix, some endings."""

    prefix: Prefix = ""
    suffixes: tuple[Suffix, ...] = ()


class Lane(Section):
    """Where uploads go that are too much for a step's function: a larger one, or the workers."""

    over: Annotated[str, AfterValidator(_over)]
    to: Literal["function", "worker"] = "function"
    memory: MemoryMB = 6144

    @property
    def max_pixels(self) -> int:
        return PIXEL_LANE.check(self.over) if self.over.endswith("P") else 0

    @property
    def max_bytes(self) -> int:
        return 0 if self.over.endswith("P") else BYTE_LANE.check(self.over)


class Step(Section):
    """What is done with each upload (or removal), and how its events reach the function that does
    it.
    """

    on: On = "created"
    only: Only = Only()
    via: Literal["function", "queue", "worker"] = "queue"
    lane: Lane | None = None
    group: Name | None = None
    variants: Mapping[Name, Variant] = Field(default_factory=dict)
    filters: tuple[Filter, ...] = ()
    exif: Yes = False
    gps: Annotated[Gps, BeforeValidator(_places)] = Gps()
    palette: Colours = 0
    tags: Literal["none", "basic", "rekognition"] = "none"
    lambda_: Annotated[StepLambda, BeforeValidator(_lambda)] = Field(
        default=StepLambda(), alias="lambda"
    )


class Notice(Section):
    """Who hears of it. E-mail addresses confirm first."""

    email: tuple[Email, ...] = ()
    sms: tuple[Phone, ...] = ()
    push: tuple[Push, ...] = ()

    @property
    def addresses(self) -> tuple[tuple[Literal["email", "sms", "application"], str], ...]:
        """Each address with the SNS protocol that reaches it."""
        return (
            *(("email", address) for address in self.email),
            *(("sms", address) for address in self.sms),
            *(("application", address) for address in self.push),
        )


class Notify(Section):
    """Notices to people, in words. `failed` also hears the alarms."""

    uploaded: Notice = Notice()
    completed: Notice = Notice()
    failed: Notice = Notice()
    uploaders: tuple[Email, ...] = ()
    window: Window = 10
    digest: Count = 5
    link: LinkLife = 3600

    @property
    def kinds(self) -> tuple[tuple[str, Notice], ...]:
        return (("uploaded", self.uploaded), ("completed", self.completed), ("failed", self.failed))


class TableSection(Section):
    billing: Literal["on-demand"] = "on-demand"
    recovery: Yes = True


class Alarms(Section):
    """When a person is told: dead letters, rejected uploads a period, the oldest message's age,
    errors in 5 minutes.
    """

    dlq: Count = 1
    rejected: AlarmRate = Rate(10, 3600)
    age: Age = 900
    errors: Count = 5


class Environment(Section):
    """Where a copy of the pipeline lives. Its other keys are laid over the pipeline's own before
    this is made.
    """

    profile: str | None = None
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")] | None = None


class Spec(Section):
    """A whole pipeline as declared, for one environment."""

    version: Literal[1]
    name: Name
    uploads: Uploads = Uploads()
    steps: Annotated[Mapping[Name, Step], Field(min_length=1)]
    notify: Notify = Notify()
    lambda_: LambdaDefaults = Field(default=LambdaDefaults(), alias="lambda")
    table: TableSection = TableSection()
    alarms: Alarms = Alarms()
    environments: Mapping[Name, Environment] = Field(default_factory=dict)

    @cached_property
    def created(self) -> dict[str, Step]:
        """The steps that every upload goes through."""
        return {name: step for name, step in self.steps.items() if step.on == "created"}
