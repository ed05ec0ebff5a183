"""What is wrong with a declaration only when its values are seen together. Each rule yields all it
finds.

A rule looks at the Spec as a person wrote it; what shows only in computed names and documents is in
`limits`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imgpipe.cloud import LOCAL
from imgpipe.deploy import steps, templates, trial
from imgpipe.deploy.model import Notice, Only, Spec, Step, StepLambda, Variant
from imgpipe.deploy.names import DLQ_ENDING, OPERATIONS, RESERVED
from imgpipe.deploy.problems import Finding, YamlPath
from imgpipe.deploy.units import duration, shown

if TYPE_CHECKING:
    from pathlib import Path

    from imgpipe.deploy.steps import Group

PLACEHOLDER_DOMAINS = (
    "example.com",
    "example.org",
    "example.net",
    "example",
    "test",
    "invalid",
    "localhost",
)
"""Domains that are nobody's (RFC 2606): an address there is a placeholder."""
MAX_SIDE = 16_383
"""The longest side that WebP has, which every variant keeps to."""
WITH_METADATA = frozenset({"jpeg", "png", "webp", "avif"})


@dataclass(frozen=True, slots=True)
class Context:
    """What a rule may look at."""

    spec: Spec
    environment: str
    folder: Path  # where `lambdas/` is
    groups: tuple[Group, ...]


Rule = Callable[[Context], Iterator[Finding]]


def check(spec: Spec, environment: str, folder: Path) -> list[Finding]:
    """Return everything that the rules find."""
    context = Context(spec, environment, folder, steps.groups(spec))
    return [finding for rule in RULES for finding in rule(context)]


def _step(name: str, *more: str | int) -> YamlPath:
    return ("steps", name, *more)


def names_that_mislead(context: Context) -> Iterator[Finding]:
    """AWS reserves some beginnings of bucket names; S3 can't notify FIFO queues and topics."""
    name = context.spec.name
    if name.startswith(("sthree-", "amzn-s3-demo-")):
        yield Finding(
            ("name",), f"`{name}`: AWS refuses buckets whose name begins like this; choose another"
        )
    for group in context.groups:
        path = _name_path(group)
        if group.name in RESERVED or group.name.endswith(DLQ_ENDING):
            yield Finding(
                path,
                f"`{group.name}` is a name that the pipeline itself uses; choose another",
                True,
            )
        if group.name.endswith("-fifo"):
            yield Finding(
                path,
                f"`{group.name}`: S3 can't notify FIFO queues or topics, and order is kept without",
                True,
            )


def a_key_of_its_bucket(context: Context) -> Iterator[Finding]:
    uploads = context.spec.uploads
    if uploads.kms_key and not uploads.bucket:
        yield Finding(
            ("uploads", "kms_key"),
            "`kms_key` says what `bucket` is encrypted with, and there is no `bucket`: the pipeline's own is encrypted "
            "by S3",
        )


def _name_path(group: Group) -> YamlPath:
    """Return where a group's name is written: under `group`, or as the step's own name."""
    name, step = next(iter(group.steps.items()))
    return _step(name, "group") if step.group else _step(name)


def something_to_do(context: Context) -> Iterator[Finding]:
    if not context.spec.created:
        yield Finding(
            ("steps",),
            "no step works on uploads: give one `variants` or facts such as `exif: true`",
            True,
        )
    for name, step in context.spec.steps.items():
        makes = bool(steps.settings(step))
        if step.on != "removed" and not makes and not step.lambda_.source:
            yield Finding(
                _step(name),
                f"`{name}` does nothing: give it `variants`, `exif`, `palette` or `tags`",
                True,
            )
        if step.on == "removed" and makes:
            yield Finding(
                _step(name),
                f"`{name}` is about removed uploads: there is no picture to work on",
                True,
            )


def removed_steps(context: Context) -> Iterator[Finding]:
    """The writer sends to the tidy queue, so there must be one queue."""
    tidies = [group for group in context.groups if group.source == steps.TIDY]
    for group in tidies:
        if group.via == "function":
            yield Finding(
                _step(next(iter(group.steps)), "via"),
                "tidying needs a queue, which the writer sends to, too: write `via: queue`",
            )
    for group in tidies[1:]:
        yield Finding(_name_path(group), f"`{tidies[0].name}` tidies already; once is enough", True)


def delivery(context: Context) -> Iterator[Finding]:
    """Without a topic or a bus, S3 sends an upload to one queue or function."""
    deliver = context.spec.uploads.deliver
    for group in context.groups if deliver in {"queue", "function"} else ():
        to_function = group.via == "function"
        if group.on == "created" and to_function != (deliver == "function"):
            way = "`via: function`" if deliver == "function" else "`via: queue` or `via: worker`"
            yield Finding(
                _step(next(iter(group.steps)), "via"),
                f"`deliver: {deliver}` sends uploads straight to a {deliver}: write {way}, or "
                "`deliver: topic`",
            )
    if deliver in {"queue", "function"} and context.spec.notify.uploaded.addresses:
        yield Finding(
            ("notify", "uploaded"),
            f"with `deliver: {deliver}` only the step hears of an upload, and no notice could be "
            "written: use `completed`, or `deliver: topic`",
            True,
        )


def direct_uploads(context: Context) -> Iterator[Finding]:
    """A form's upload is an event of its own kind, which S3 must announce."""
    uploads = context.spec.uploads
    if uploads.direct and uploads.events and "post" not in uploads.events:
        yield Finding(
            ("uploads", "events"),
            "direct uploads arrive as `post`, which is not among these: nobody would hear of them",
        )
    if uploads.direct and (uploads.direct.bytes or 0) > uploads.limits.bytes:
        yield Finding(
            ("uploads", "direct", "bytes"),
            "larger than `limits: {bytes: …}`: what is between would be uploaded and then rejected",
        )


def some_uploads(context: Context) -> Iterator[Finding]:
    """A step's own prefix and endings must be able to match something."""
    heard = context.spec.uploads.suffixes
    for name, step in context.spec.steps.items():
        for index, suffix in enumerate(step.only.suffixes):
            if heard and suffix not in heard:
                yield Finding(
                    _step(name, "only", "suffixes", index),
                    f"`{suffix}` is not among `uploads: {{suffixes: …}}`: it would never come",
                )
            if suffix in step.only.suffixes[:index]:
                yield Finding(_step(name, "only", "suffixes", index), f"`{suffix}` is listed twice")
        if step.on == "removed" and step.only != Only():
            yield Finding(
                _step(name, "only"),
                "every removal is tidied: what was never made costs nothing to tidy",
                True,
            )


def groups_agree(context: Context) -> Iterator[Finding]:
    """Steps of a group share one function, so there is one way to it and one set of settings."""
    for group in context.groups:
        first_name, first = next(iter(group.steps.items()))
        for name, step in list(group.steps.items())[1:]:
            for field in ("on", "via", "only", "lane"):
                if getattr(step, field) != getattr(first, field):
                    yield Finding(
                        _step(name, field),
                        f"`{name}` shares the group `{group.name}` with `{first_name}`, so it "
                        f"needs the same `{field}`",
                    )
            yield from _settings_agree(group, first_name, first.lambda_, name, step.lambda_)


def _settings_agree(
    group: Group, first: str, one: StepLambda, name: str, other: StepLambda
) -> Iterator[Finding]:
    for field in StepLambda.model_fields:
        mine, theirs = getattr(other, field), getattr(one, field)
        if mine is not None and theirs is not None and mine != theirs:
            yield Finding(
                _step(name, "lambda", field),
                f"`{name}` and `{first}` share the function of the group `{group.name}`, but "
                f"differ in `{field}`",
            )


def group_names(context: Context) -> Iterator[Finding]:
    """`group: enhance` next to a step `enhance` without a group would quietly make them one."""
    for group in context.groups:
        alone = [name for name, step in group.steps.items() if step.group is None]
        if alone and len(group.steps) > 1:
            other = next(name for name in group.steps if name not in alone)
            yield Finding(
                _step(other, "group"),
                f"`{group.name}` is also the name of a step; write `group: {group.name}` there, "
                "too, or choose another name",
            )


def variants(context: Context) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for name, step in context.spec.steps.items():
        for variant, made in step.variants.items():
            path = _step(name, "variants", variant)
            if made.width is None and made.height is None:
                yield Finding(
                    path, f"`{variant}` has no size: give it `width`, `height` or both", True
                )
            elif made.fit != "inside" and None in (made.width, made.height):
                yield Finding(
                    path, f"`{variant}`: `fit: {made.fit}` needs `width` and `height`", True
                )
            if variant == OPERATIONS:
                yield Finding(
                    path,
                    f"`{OPERATIONS}/` is where imgpipe keeps its own notes; choose another name",
                    True,
                )
            if variant in seen:
                yield Finding(
                    path,
                    f"`{seen[variant]}` makes a variant `{variant}` already; choose another name",
                    True,
                )
            seen.setdefault(variant, name)


def variant_settings(context: Context) -> Iterator[Finding]:
    """Settings that another one makes idle are mistaken for working."""
    for name, step in context.spec.steps.items():
        for variant, made in step.variants.items():
            for field, why in (*_idle(made), *_impossible(made)):
                yield Finding(_step(name, "variants", variant, field), f"`{variant}`: {why}")


def _idle(made: Variant) -> Iterator[tuple[str, str]]:
    placed = made.fit in ("cover", "contain")
    if made.gravity != "centre" and not placed:
        yield "gravity", "`gravity` says what `fit: cover` keeps; here nothing is cut off"
    if made.focal and not placed:
        yield "focal", "`focal` says what `fit: cover` keeps; here nothing is cut off"
    if made.focal and made.gravity != "centre":
        yield "focal", "`focal` and `gravity` say the same thing; write one of them"
    if made.gravity == "attention" and made.fit == "contain":
        yield "gravity", "`attention` says what `fit: cover` keeps; `contain` keeps everything"


def _impossible(made: Variant) -> Iterator[tuple[str, str]]:
    if made.progressive and made.format != "jpeg":
        yield "progressive", f"a {made.format} can't be progressive; leave it out"
    if made.background == "clear" and made.format == "jpeg":
        yield (
            "background",
            "a jpeg can't be clear: write `format: webp` (or png, avif), or a background's colour",
        )
    if len(set(made.dpr)) < len(made.dpr):
        yield "dpr", "a density is listed twice"
    largest = max(made.dpr, default=1) * max(made.width or 0, made.height or 0)
    if largest > MAX_SIDE:
        yield "dpr", f"its largest would be {largest:g} pixels wide or high; at most {MAX_SIDE}"


def filters(context: Context) -> Iterator[Finding]:
    """Try each filter on a small picture. Code of a user's own may know filters that we don't."""
    folder = templates.source_folder(steps.IMAGES, context.folder)
    for name, step in context.spec.steps.items():
        if step.filters and not step.variants:
            yield Finding(
                _step(name, "filters"), "filters work on variants: this step makes none", True
            )
        for index, item in enumerate(step.filters if steps.source(step) == steps.IMAGES else ()):
            [(filter_name, value)] = item.items()
            why = trial.refusal(filter_name, value, folder)
            if why:
                yield Finding(_step(name, "filters", index), why)


def borders(context: Context) -> Iterator[Finding]:
    """A variant keeps to its size with its border, so something must be left for the picture."""
    for name, step in context.spec.steps.items():
        if steps.source(step) != steps.IMAGES or not step.filters:
            continue
        margin = _margin(step.filters, context.folder)
        for variant, made in step.variants.items():
            sides = [side for side in (made.width, made.height) if side]
            if sides and min(sides) <= 2 * margin:
                yield Finding(
                    _step(name, "variants", variant),
                    f"`{variant}`: a border of {margin} pixels on each side leaves nothing of "
                    f"{min(sides)}; at most {(min(sides) - 1) // 2}",
                    True,
                )


def _margin(wanted: Sequence[Mapping[str, Any]], project: Path) -> int:
    from imgpipe.runtime.image.filters import chain

    folder = templates.source_folder(steps.IMAGES, project)
    ours = [item for item in wanted if not any(trial.is_own(name, folder) for name in item)]
    try:
        return chain(ours, folder).margin()
    except Exception:  # noqa: BLE001 - what is wrong with a filter, the rule before says
        return 0


def facts(context: Context) -> Iterator[Finding]:
    for name, step in context.spec.steps.items():
        if "gps" not in step.model_fields_set:
            continue
        if not step.exif and not steps.keeps_all(step):
            yield Finding(
                _step(name, "gps"),
                "`gps` says what becomes of a position in EXIF: add `exif: true` to have it in the "
                "row, or `metadata: all` to a variant",
                True,
            )
        elif step.gps.outputs not in ("drop", step.gps.row) and not steps.keeps_all(step):
            yield Finding(
                _step(name, "gps", "outputs"),
                "no variant of this step carries EXIF: give one `metadata: all`",
                True,
            )
        elif step.gps.row not in ("drop", step.gps.outputs) and not step.exif:
            yield Finding(
                _step(name, "gps", "row"),
                "a place comes to the row with `exif: true`: add it",
                True,
            )


def tags(context: Context) -> Iterator[Finding]:
    """Rekognition is a service of AWS that the embedded cloud hasn't."""
    for name, step in context.spec.steps.items():
        if step.tags == "rekognition" and context.environment == LOCAL:
            yield Finding(
                _step(name, "tags"),
                "the embedded cloud has no Rekognition; write here "
                f"`environments: {{{LOCAL}: {{steps: {{{name}: {{tags: basic}}}}}}}}`",
            )


def kept_metadata(context: Context) -> Iterator[Finding]:
    for name, step in context.spec.steps.items():
        for variant, made in step.variants.items():
            if made.metadata != "strip" and made.format not in WITH_METADATA:
                yield Finding(
                    _step(name, "variants", variant, "metadata"),
                    f"a {made.format} can't carry EXIF; leave `metadata` out",
                )


def queue_times(context: Context) -> Iterator[Finding]:
    for path, group in _places(context):
        run = group.running
        needed = 6 * run.timeout_s + run.window_s
        if group.via == "queue" and run.visibility_s < needed:
            yield Finding(
                (*path, "visibility"),
                f"a message must stay hidden for six timeouts and the window, {duration(needed)}: "
                "write that, or `auto`",
            )
        if group.via != "function" and run.visibility_s * run.retries > run.retention_s:
            yield Finding(
                (*path, "retention"),
                f"{run.retries} retries of {duration(run.visibility_s)} take longer than messages "
                "are kept "
                f"({duration(run.retention_s)}): they would be lost, not dead-lettered",
            )
        if run.batch > 10 and run.window_s == 0:
            yield Finding(
                (*path, "batch"),
                f"AWS needs a `window` of 1s or more for batches above 10, not {run.batch}",
            )


def concurrency(context: Context) -> Iterator[Finding]:
    for path, group in _places(context):
        run = group.running
        if group.via == "queue" and run.concurrency == 1:
            yield Finding(
                (*path, "concurrency"),
                "AWS lets a queue's function run 2 to 1000 at once, not 1; `reserved: 1` is the "
                "way to one",
            )
        if (
            group.via == "queue"
            and run.reserved
            and run.concurrency
            and run.reserved < run.concurrency
        ):
            yield Finding(
                (*path, "reserved"),
                f"reserved for {run.reserved} at once, but up to {run.concurrency} would come: the "
                "rest is throttled and burns retries",
            )
        if (
            group.via == "function"
            and run.reserved
            and run.concurrency
            and run.reserved != run.concurrency
        ):
            yield Finding(
                (*path, "reserved"),
                "`via: function` has one limit: `concurrency` and `reserved` differ; write one",
            )


def lanes(context: Context) -> Iterator[Finding]:
    names = {group.name for group in context.groups}
    for group in context.groups:
        path = _step(next(iter(group.steps)), "lane")
        if group.lane and group.on == "removed":
            yield Finding(
                path, "a removal has no size: this is for steps that work on pictures", True
            )
        if group.lane and group.large in names:
            yield Finding(path, f"`{group.large}` is the lane's own name; rename that step", True)
        if group.lane and group.lane.to == "worker" and group.via == "worker":
            yield Finding(path, "the workers have all of this step's uploads already", True)


def destinations(context: Context) -> Iterator[Finding]:
    for name, step in context.spec.steps.items():
        if step.lambda_.on_success and step.via != "function":
            yield Finding(
                _step(name, "lambda", "on_success"),
                "Lambda tells of successes only where S3 or a topic invokes the function: write "
                "`via: function`, or use `notify: {completed: …}`",
            )


PLACEHOLDER = re.compile(
    r"<[^<>]+>|\b(change|replace|fill)[-_ ]?(me|this|in)\b|\byour[-_ ]?\w+|\bTODO\b|\bx{3,}\b",
    re.IGNORECASE,
)
EXAMPLE_ACCOUNTS = ("123456789012", "111122223333", "000000000000")
NOBODYS_PHONES = re.compile(r"\+447700900\d{3}|\+1\d{3}55501\d{2}")
"""Numbers that Ofcom and NANPA keep for films."""


def placeholders(context: Context) -> Iterator[Finding]:
    """What a person was meant to fill in must not reach a cloud."""
    data = context.spec.model_dump(by_alias=True, exclude={"environments"})
    here = context.spec.environments.get(context.environment)
    section = {} if here is None else here.model_dump(by_alias=True)
    written = [*_texts(data, ()), *_texts(section, ("environments", context.environment))]
    for path, text in written:
        away = context.environment != LOCAL
        account = text.startswith("arn:") and text.split(":")[4] in EXAMPLE_ACCOUNTS
        if PLACEHOLDER.search(text) or (away and (account or NOBODYS_PHONES.fullmatch(text))):
            yield Finding(path, f"{shown(text)} is a placeholder: write what it stands for")


def _texts(data: Any, path: YamlPath) -> Iterator[tuple[YamlPath, str]]:
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from _texts(value, (*path, key))
    elif isinstance(data, list | tuple):
        for index, value in enumerate(data):
            yield from _texts(value, (*path, index))
    elif isinstance(data, str):
        yield path, data


def _places(context: Context) -> Iterator[tuple[YamlPath, Group]]:
    """Yield each group with where its Lambda settings are written: in a step, or for all."""
    for group in context.groups:
        own = [
            name
            for name, step in group.steps.items()
            if step.lambda_.model_dump(exclude_none=True, exclude={"source"})
        ]
        yield (_step(own[0], "lambda") if own else ("lambda",)), group


def lambda_folders(context: Context) -> Iterator[Finding]:
    for name, step in context.spec.steps.items():
        if step.lambda_.source is not None:
            why = _folder_refusal(step, context.folder)
            if why:
                yield Finding(_step(name, "lambda"), why)


def _folder_refusal(step: Step, folder: Path) -> str:
    written = step.lambda_.source or ""
    name = steps.source(step)
    if written.strip("/") not in {name, f"lambdas/{name}"} or not name or name.startswith("."):
        return f"`{written}` must be a folder in `lambdas/`, such as `lambdas/mine`"
    if name in {
        steps.WRITER,
        steps.NOTIFIER,
        steps.DIRECT,
        steps.TIDY if step.on == "created" else steps.IMAGES,
    }:
        return f"`lambdas/{name}` is not made for this; copy `lambdas/images` and change it"
    if not (templates.source_folder(name, folder) / "handler.py").is_file():
        return (
            f"there is no lambdas/{name}/handler.py next to pipeline.yaml; "
            "copy lambdas/images to begin with"
        )
    return ""


def people(context: Context) -> Iterator[Finding]:
    for kind, notice in context.spec.notify.kinds:
        yield from _twice(kind, notice)
        for index, address in enumerate(notice.email):
            if context.environment != LOCAL and _is_placeholder(address):
                yield Finding(
                    ("notify", kind, "email", index),
                    f"{address} is a placeholder, and nobody would hear: write a real address "
                    "here, or under "
                    f"`environments: {{{context.environment}: {{notify: …}}}}`",
                )


def _twice(kind: str, notice: Notice) -> Iterator[Finding]:
    for way, addresses in (("email", notice.email), ("sms", notice.sms), ("push", notice.push)):
        for index, address in enumerate(addresses):
            if address in addresses[:index]:
                yield Finding(("notify", kind, way, index), f"{address} is listed twice")


def _is_placeholder(address: str) -> bool:
    domain = address.rpartition("@")[2].lower()
    return any(domain == known or domain.endswith(f".{known}") for known in PLACEHOLDER_DOMAINS)


def the_local_environment(context: Context) -> Iterator[Finding]:
    here = context.spec.environments.get(LOCAL)
    for field in ("profile", "region") if here else ():
        if getattr(here, field):
            yield Finding(
                ("environments", LOCAL, field),
                f"`{LOCAL}` is the embedded cloud on this machine: it has no {field}",
                True,
            )


def regions(context: Context) -> Iterator[Finding]:
    for name, environment in context.spec.environments.items():
        if (environment.region or "").startswith("cn-"):
            path = ("environments", name, "region")
            yield Finding(
                path, "AWS in China has host names of its own, which imgpipe doesn't know"
            )


def suffixes(context: Context) -> Iterator[Finding]:
    given = context.spec.uploads.suffixes
    for index, suffix in enumerate(given):
        if suffix in given[:index]:
            yield Finding(
                ("uploads", "suffixes", index),
                f"`{suffix}` is listed twice; every case is matched anyway",
            )


RULES: tuple[Rule, ...] = (
    names_that_mislead,
    a_key_of_its_bucket,
    something_to_do,
    removed_steps,
    delivery,
    direct_uploads,
    some_uploads,
    groups_agree,
    group_names,
    variants,
    variant_settings,
    filters,
    borders,
    facts,
    tags,
    kept_metadata,
    queue_times,
    concurrency,
    lanes,
    destinations,
    placeholders,
    lambda_folders,
    people,
    the_local_environment,
    regions,
    suffixes,
)
