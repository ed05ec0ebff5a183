"""Write the generated parts of the documentation: `python docs/generate.py`. A test fails when they are out of date.

docs/commands.md    every command and option, from the command line itself
docs/pipeline.svg   the default pipeline, drawn from its graph
docs/doctor.md      its sections about single checks, from what they say of themselves
docs/schema.json    the JSON Schema of pipeline.yaml, for editors
docs/security.md    its table of roles, from the graphs of the default pipeline and of what others add
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
ACCOUNT, REGION = "123456789012", "eu-west-1"


def documents() -> Iterator[tuple[Path, str]]:
    """Yield each generated file with what should be in it."""
    yield HERE / "commands.md", commands()
    yield HERE / "pipeline.svg", picture()
    yield HERE / "schema.json", schema()
    yield HERE / "pipeline-yaml.md", settings()
    yield HERE / "security.md", security()
    yield HERE / "doctor.md", checks()


def commands() -> str:
    from typer.cli import get_docs_for_click

    from imgpipe.cli.main import build_app

    command = typer.main.get_command(build_app())
    _say_whole(command)
    with typer.Context(command, info_name="imgpipe") as context:  # type: ignore[attr-defined]
        text = get_docs_for_click(obj=command, ctx=context, name="imgpipe")
    return "\n".join(line.rstrip() for line in text.splitlines()).rstrip() + "\n"


def _say_whole(command: Any) -> None:
    """Have each command listed with the whole first paragraph of its help, in place of its first words and dots."""
    command.short_help = " ".join((command.help or "").split("\n\n")[0].split())
    for each in getattr(command, "commands", {}).values():
        _say_whole(each)


def picture() -> str:
    from imgpipe.deploy import diagram, graph, package, spec

    declared = spec.load(ROOT / "pipeline.yaml", "local")
    hashes = package.code_hashes(declared, ROOT)
    return diagram.svg(
        graph.build(declared, "local", account=ACCOUNT, region=REGION, code_hashes=hashes)
    )


def schema() -> str:
    from imgpipe.deploy import schema as pipeline_schema

    return json.dumps(pipeline_schema.document(), indent=2) + "\n"


CHECKS_BEGIN = "## The checks\n"


def checks() -> str:
    """Return the page of `doctor`: what was written by hand up to the checks, then a section for each of them."""
    from imgpipe.operate.doctor.pages import PAGES
    from imgpipe.operate.doctor.registry import CHECKS

    before = (HERE / "doctor.md").read_text().partition(CHECKS_BEGIN)[0]
    parts = [before + CHECKS_BEGIN]
    for check in CHECKS:
        page = PAGES[check.id]
        told = f"- mend it: {page.mend}" + (
            f"\n- in a pipeline of others: {page.theirs}" if page.theirs else ""
        )
        parts.append(
            f"### `{check.id}`: {check.about}\n\n{_filled(page.cause)}\n\n- see it: {page.see}\n{told}\n"
        )
    return "\n".join(parts)


def _filled(text: str) -> str:
    return textwrap.fill(text, 120, break_on_hyphens=False, break_long_words=False)


SECTIONS = {
    "Uploads": "uploads",
    "UploadLimits": "uploads.limits",
    "Direct": "uploads.direct",
    "Step": "steps.NAME",
    "Gps": "steps.NAME.gps",
    "Variant": "steps.NAME.variants.NAME",
    "Only": "steps.NAME.only",
    "Lane": "steps.NAME.lane",
    "StepLambda": "steps.NAME.lambda alone",
    "Notify": "notify",
    "Notice": "notify.KIND",
    "LambdaDefaults": "lambda, and steps.NAME.lambda",
    "TableSection": "table",
    "Alarms": "alarms",
    "Environment": "environments.NAME",
}

INTRODUCTION = """# pipeline.yaml, setting by setting

`imgpipe validate` checks the file and names line and column of whatever is wrong, all at once. `imgpipe schema` prints
the JSON Schema for editors. Sizes are written as `200MB`, pixels as `250MP`, durations as `60s`, `15m` or `4d`, rates
as `10/h`. What you leave out has the default below.

An environment may lay any of `uploads`, `steps`, `notify`, `lambda`, `table` and `alarms` over the pipeline's own,
setting by setting; `null` takes a thing away.
"""


def settings() -> str:
    from imgpipe.deploy import schema as pipeline_schema

    document = pipeline_schema.document()
    parts = [INTRODUCTION, _filters(), _section("at the top", document)]
    parts += [_section(title, _own(document["$defs"], name)) for name, title in SECTIONS.items()]
    return "\n".join(parts)


def _own(described: dict[str, Any], name: str) -> dict[str, Any]:
    """Return what a section says; of a step's `lambda` only what all functions together can't have."""
    section: dict[str, Any] = described[name]
    if name != "StepLambda":
        return section
    shared = described["LambdaDefaults"]["properties"]
    text = (
        "And what only a step has, beside its own choice of the settings for all functions below."
    )
    own = {key: it for key, it in section["properties"].items() if key not in shared}
    return {"description": text, "properties": own}


def _filters() -> str:
    from imgpipe.runtime.image.filters import FILTERS

    names = ", ".join(f"`{name}`" for name in sorted(FILTERS))
    text = f"Filters, in a step's `filters`: {names}, each alone or with a value (`{{sharpen:\x001.2}}`, "
    text += '`{tint:\0"#c83c32"}`), and those of your own: '
    text += "[image-core.md](image-core.md#filters) says what each does."
    filled = textwrap.fill(text, 120, break_on_hyphens=False)
    return filled.replace("\0", " ") + "\n"


def _section(title: str, described: dict[str, Any]) -> str:
    lines = [
        f"| `{name}` | {_cell(setting.get('description', ''))} | {_default(setting)} |"
        for name, setting in described["properties"].items()
    ]
    text = described.get("description", "")
    return "\n".join(
        [
            f"## {title}",
            "",
            text,
            "",
            "| setting | what it is | default |",
            "|---|---|---|",
            *lines,
            "",
        ]
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _default(setting: dict[str, Any]) -> str:
    value = setting.get("default")
    return "" if value is None else f"`{_with_unit(value, setting) or json.dumps(value)}`"


def _with_unit(value: Any, setting: dict[str, Any]) -> str:
    """Return a quantity as people write it, `10s`; nothing for what has no unit."""
    from imgpipe.deploy import units

    if f"{value}d" in setting.get("enum", ()):
        return f"{value}d"
    patterns = [each["pattern"] for each in setting.get("anyOf", ()) if "pattern" in each]
    for known in (units.SECONDS, units.MEGABYTES, units.BYTES, units.PIXELS):
        if any(f"({'|'.join(known)})?$" in pattern for pattern in patterns):
            fits = [unit for unit, size in known.items() if value and value % size == 0]
            unit = max(fits, key=lambda each: known[each], default=next(iter(known)))
            return f"{value // known[unit]}{unit}"
    return ""


ROLES = """\
version: 1
name: studio
uploads: {direct: {}}
steps: {tint: {via: worker, variants: {tinted: {width: 1200}}}}
environments: {prod: {region: eu-west-1}}
"""
"""What the default pipeline has none of: workers, and uploads over HTTP."""
MARKS = ("<!-- roles -->\n", "<!-- /roles -->")


def security() -> str:
    """Return docs/security.md as it stands, with its table of roles made again."""
    path = HERE / "security.md"
    before, _, rest = path.read_text().partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    return f"{before}{MARKS[0]}\n{_roles()}\n{MARKS[1]}{after}"


def _roles() -> str:
    from imgpipe.deploy import graph, spec, steps, yaml_source
    from imgpipe.deploy.resources import Role

    lines = ["| role | may | on | why |", "|---|---|---|---|"]
    seen: set[str] = set()
    for declared in (
        spec.load(ROOT / "pipeline.yaml", "local"),
        spec.parse(yaml_source.parse(ROLES, ROOT / "pipeline.yaml"), "prod"),
    ):
        hashes = dict.fromkeys(steps.sources(declared), "")
        made = graph.build(declared, "prod", account=ACCOUNT, region=REGION, code_hashes=hashes)
        prefix = f"{made.pipeline}-{made.environment}-"
        for role in made.of(Role):
            name = role.name.removeprefix(prefix).removesuffix(f"-{REGION}")
            if name not in seen:
                lines += _rights(name, role.policy, prefix)
            seen.add(name)
    return "\n".join(lines) + "\n"


def _rights(role: str, policy: str, prefix: str) -> Iterator[str]:
    from imgpipe.deploy.policies import WHY

    for at, statement in enumerate(json.loads(policy)["Statement"]):
        actions, resources = (_several(statement[part]) for part in ("Action", "Resource"))
        may = ", ".join(f"`{action}`" for action in actions)
        where = ", ".join(f"`{_short(arn, prefix)}`" for arn in resources)
        denied = "**not** " if statement["Effect"] == "Deny" else ""
        yield f"| {'' if at else role} | {denied}{may} | {where} | {WHY[statement['Sid']]} |"


def _several(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _short(arn: str, prefix: str) -> str:
    """Return what an ARN names, without what is the same in all: `queue results-dlq`."""
    service, _, _, resource = arn.split(":", 5)[2:]
    kind = {"sqs": "queue ", "sns": "topic ", "s3": "bucket "}.get(service, "")
    return kind + resource.replace(prefix, "").replace(f"-{ACCOUNT}-{REGION}", "")


def main() -> None:
    for path, text in documents():
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            sys.stdout.write(f"wrote {path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
