"""Steps and the functions that run them: settings in one normal form, their hashes, and the groups
they make.

A step's normal form has every default filled in and nothing that isn't set, so that writing a
default out changes no hash and no picture is made again for it. The hash covers what decides the
pictures and facts, never how a function is run: more memory makes no output stale.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from imgpipe.deploy.resources import canonical
from imgpipe.runtime.settings import DECODING_SHARE, Limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from imgpipe.deploy.model import LambdaDefaults, Lane, On, Spec, Step, StepLambda, Variant

HASH_LENGTH = 12
FIRST_POLLERS = 5
LARGE = "-large"
DECODING_TIME = 0.6
"""The share of a function's timeout that one image may take."""
IMAGES, TIDY, WRITER, NOTIFIER, DIRECT = "images", "tidy", "writer", "notifier", "direct"
"""The Lambda sources that come with imgpipe, each a folder of `lambdas/`."""
FIRST_SETTINGS = frozenset({"width", "height", "fit", "format", "quality", "background"})
"""Of a variant; always part of its normal form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """How a function is run and its queue kept; every setting is there."""

    memory_mb: int
    timeout_s: int
    tmp_mb: int
    concurrency: int | None
    reserved: int | None
    batch: int
    window_s: int
    retries: int
    backoff_s: int
    visibility_s: int
    retention_s: int
    log_days: int
    on_success: str = ""

    @property
    def max_concurrency(self) -> int | None:
        """The mapping's limit. With fewer reserved than the five pollers that Lambda begins with, no more than
        there is room for may come, and never fewer than AWS's least, two.
        """
        few = self.reserved is not None and self.reserved < FIRST_POLLERS
        return self.concurrency or (max(2, self.reserved or 0) if few else None)

    @property
    def receives(self) -> int:
        """How often the queue hands out a message: with one place and two pollers, every second time for nothing."""
        return min(1000, self.retries * 2) if self.reserved == 1 else self.retries


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Steps that share a function, in the order of pipeline.yaml."""

    name: str
    on: On
    prefix: str
    suffixes: tuple[str, ...]
    via: Literal["function", "queue", "worker"]
    source: str
    steps: Mapping[str, Step]
    running: Running
    lane: Lane | None = None

    @property
    def large(self) -> str:
        """The name of the branch that the lane leads to."""
        return self.name + LARGE


def settings(step: Step) -> dict[str, Any]:
    """Return the normal form of what `step` does: what its function gets, and is hashed."""
    made: dict[str, Any] = {}
    if step.variants:
        made["variants"] = {name: _variant(each) for name, each in variants(step).items()}
    if step.filters:
        made["filters"] = [dict(item) for item in step.filters]
    if step.exif:
        made["exif"] = True
    if step.exif or keeps_all(step):
        made["gps"] = _gps(step)
    if step.palette:
        made["palette"] = step.palette
    if step.tags != "none":
        made["tags"] = step.tags
    return made


def variants(step: Step) -> dict[str, Variant]:
    """Return every variant that `step` makes: the declared ones, and each again for the denser
    screens of its `dpr`, such as `thumb@2x`.
    """
    return {
        name if ratio == 1 else f"{name}@{ratio:g}x": _denser(variant, ratio)
        for name, variant in step.variants.items()
        for ratio in sorted({1.0, *variant.dpr})
    }


def _denser(variant: Variant, ratio: float) -> Variant:
    width, height = (side and round(side * ratio) for side in (variant.width, variant.height))
    return variant.model_copy(update={"width": width, "height": height, "dpr": ()})


def _variant(variant: Variant) -> dict[str, Any]:
    """Return a variant's settings; those that came later only where they aren't the default.

    So that no picture is made again for a new setting that nobody uses; and a function's
    environment, which they travel in, has 4 KB.
    """
    made = variant.model_dump(exclude_none=True)
    fields = type(variant).model_fields
    return {
        name: value
        for name, value in made.items()
        if name in FIRST_SETTINGS or value != fields[name].default
    }


def keeps_all(step: Step) -> bool:
    """Say whether a variant of `step` carries the camera's notes, and so may carry the place."""
    return any(variant.metadata == "all" for variant in step.variants.values())


def _gps(step: Step) -> str | int | dict[str, str | int]:
    """Return what becomes of the place; what there is no place for in row or outputs is dropped."""
    row = step.gps.row if step.exif else "drop"
    outputs = step.gps.outputs if keeps_all(step) else "drop"
    return row if row == outputs else {"row": row, "outputs": outputs}


def digest(document: Any) -> str:
    return hashlib.sha256(canonical(document).encode()).hexdigest()[:HASH_LENGTH]


def with_hash(step: Step) -> dict[str, Any]:
    made = settings(step)
    return {**made, "hash": digest(made)}


def group_hash(group: Group) -> str:
    """Identify what one function does: a letter that it rejected is worth sending again when this changed."""
    return digest({name: digest(settings(step)) for name, step in group.steps.items()})


def settings_hash(spec: Spec) -> str:
    """Identify the steps that an upload must go through, and their settings."""
    return digest({name: digest(settings(step)) for name, step in spec.created.items()})


def limits(spec: Spec, timeout_s: int | None = None) -> Limits:
    """Return what the functions may take on; in a function of `timeout_s`, at most three fifths of
    that for one image, so that it can say how the image ended.
    """
    declared = spec.uploads.limits
    memory_bytes = declared.memory * 1_048_576
    return Limits(
        max_bytes=declared.bytes,
        max_pixels=declared.pixels,
        max_frames=declared.frames,
        decode_s=min(float(declared.decode), (timeout_s or math.inf) * DECODING_TIME),
        max_decoded_bytes=int(memory_bytes * DECODING_SHARE),
        memory_bytes=memory_bytes,
        isolate=declared.isolate,
    )


def matches(spec: Spec, named: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the prefix and endings of those `named` steps that don't work on every upload."""
    found = {}
    for name in named:
        only = spec.steps[name].only
        if only.prefix or only.suffixes:
            found[name] = {
                "prefix": spec.uploads.prefix + only.prefix,
                "suffixes": list(only.suffixes),
            }
    return found


def source(step: Step) -> str:
    """Return the folder under `lambdas/` that runs `step`."""
    if step.lambda_.source:
        return step.lambda_.source.strip("/").rpartition("/")[2]
    return TIDY if step.on == "removed" else IMAGES


def groups(spec: Spec) -> tuple[Group, ...]:
    """Gather the steps into functions. What steps of a group disagree about, `rules` refuses; here
    the first wins.
    """
    gathered: dict[str, dict[str, Step]] = {}
    for name, step in spec.steps.items():
        gathered.setdefault(step.group or name, {})[name] = step
    return tuple(_group(spec, name, steps) for name, steps in gathered.items())


def _group(spec: Spec, name: str, steps: Mapping[str, Step]) -> Group:
    first = next(iter(steps.values()))
    return Group(
        name=name,
        on=first.on,
        prefix=spec.uploads.prefix + first.only.prefix,
        suffixes=first.only.suffixes or spec.uploads.suffixes,
        via=first.via,
        source=source(first),
        steps=steps,
        lane=first.lane,
        running=running(spec.lambda_, *(step.lambda_ for step in steps.values())),
    )


def running(defaults: LambdaDefaults, *choices: StepLambda) -> Running:
    """Lay the steps' choices over the pipeline's defaults."""
    chosen = defaults.model_dump()
    for choice in reversed(choices):
        chosen |= choice.model_dump(exclude_none=True)
    six_timeouts = 6 * chosen["timeout"] + chosen["window"]
    return Running(
        memory_mb=chosen["memory"],
        timeout_s=chosen["timeout"],
        tmp_mb=chosen["tmp"],
        concurrency=chosen["concurrency"],
        reserved=chosen["reserved"],
        batch=chosen["batch"],
        window_s=chosen["window"],
        retries=chosen["retries"],
        backoff_s=chosen["backoff"],
        visibility_s=six_timeouts if chosen["visibility"] == "auto" else chosen["visibility"],
        retention_s=chosen["retention"],
        log_days=chosen["log_retention"],
        on_success=chosen.get("on_success") or "",
    )


def sources(spec: Spec) -> tuple[str, ...]:
    """Return the folders of `lambdas/` that this pipeline's functions are built from, sorted."""
    notify = spec.notify
    people = notify.uploaders or any(notice.addresses for _, notice in notify.kinds)
    house = {WRITER, *([NOTIFIER] if people else []), *([DIRECT] if spec.uploads.direct else [])}
    return tuple(sorted(house | {group.source for group in groups(spec)}))
