"""`package` and `process`: the functions' zips, and the functions' image work without a cloud."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgpipe import errors
from imgpipe.cli import options, render

if TYPE_CHECKING:
    from imgpipe.deploy.package import Zip
    from imgpipe.deploy.spec import Spec
    from imgpipe.deploy.wheels import Target

BUILD = "Build and try"


class Architecture(StrEnum):
    """What zips can be built for:

    this machine (the embedded cloud), or Lambda's two architectures.
    """

    HOST = "host"
    X86_64 = "x86_64"
    ARM64 = "arm64"
    ALL = "all"


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=BUILD)(package)
    app.command(rich_help_panel=BUILD)(process)


def package(
    target: Annotated[
        Architecture | None,
        typer.Option(
            help="What to build for. By default, what `up` would use.", show_default=False
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Where to put the zips. By default .imgpipe/build.", show_default=False),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            help="Also put the zips into this bucket, and print a template's parameters.",
            metavar="s3://BUCKET/PREFIX",
            show_default=False,
        ),
    ] = None,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Build the zips of the pipeline's functions and list them with their hashes.

    The same sources make the same zip, byte for byte. What didn't change since the last time isn't
    built again.
    """
    from imgpipe.deploy import package as packages
    from imgpipe.deploy import spec, steps

    declared = spec.load(file, env)
    folder = file.resolve().parent
    into = out or folder / ".imgpipe" / "build"
    built: list[tuple[str, str, Zip]] = []
    targets = _targets(target, env, declared)
    if to and len(targets) > 1:
        raise errors.UsageError(
            "--to", "it takes the zips of one target", hint="leave out --target all"
        )
    for each in targets:
        with render.err().status(f"building for {each}"):
            zips = packages.build(steps.sources(declared), folder, into, target=each)
        built += [(source, each, made) for source, made in zips.items()]
        if slow := packages.slow_starts(each, zips.values()):
            render.err().print(f"[yellow]{each}[/]: {render.safe(slow)}")
    if to:
        _publish(declared, folder, env, built, to, json=json)
    elif json:
        render.print_json([_zip_json(*each) for each in built])
    else:
        _show_zips(built)


def _publish(
    declared: Spec,
    folder: Path,
    env: str,
    built: list[tuple[str, str, Zip]],
    to: str,
    *,
    json: bool,
) -> None:
    """Put the zips into a bucket; print what CloudFormation's `--parameter-overrides` takes."""
    from imgpipe.operate import project, publish

    publish.parse(to)
    zips = {source: made for source, _, made in built}
    done = publish.publish(project.connect(declared, folder, env), zips, built[0][1], to)
    if json:
        render.print_json({"CodeBucket": done.bucket, "CodeVersion": done.version})
    else:
        typer.echo(f"CodeBucket={done.bucket}\nCodeVersion={done.version}")
    count = len(done.written)
    told = f"wrote {count} of {len(zips)} zips" if count else "every zip was there already"
    render.err().print(told)


def _targets(chosen: Architecture | None, env: str, declared: Spec) -> tuple[Target, ...]:
    match chosen:
        case Architecture.ALL:
            return ("host", "x86_64", "arm64")
        case Architecture.HOST:
            return ("host",)
        case Architecture.X86_64:
            return ("x86_64",)
        case Architecture.ARM64:
            return ("arm64",)
        case None:
            return ("host",) if env == options.LOCAL else (declared.lambda_.architecture,)


def _zip_json(source: str, target: str, made: Zip) -> dict[str, Any]:
    return {
        "source": source,
        "target": target,
        "code_hash": made.code_hash,
        "sha256": made.sha256_base64,
        "size": made.size,
        "compiled": made.compiled,
        "path": str(made.path),
    }


def _show_zips(built: Iterable[tuple[str, str, Zip]]) -> None:
    from imgpipe.cli.views import words

    table = render.table("source", "for", "size", "code hash", "SHA-256 of the zip", right=["size"])
    for column in table.columns[:-1]:
        column.no_wrap = True
    lines = [
        (source, target, render.size(made.size), made.code_hash, made.sha256_base64)
        for source, target, made in built
    ]
    words.put(render.rows(table, lines))
    folders = sorted({str(made.path.parent) for _, _, made in built})
    render.err().print(f"in {', '.join(map(render.safe, folders))}", soft_wrap=True)


def process(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="Image files, folders and globs.", show_default=False),
    ],
    step: Annotated[
        list[str] | None,
        typer.Option("--step", "-s", help="Only this step; may be repeated.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write the variants to this folder.", show_default=False, file_okay=False
        ),
    ] = None,
    processes: Annotated[
        int,
        typer.Option(
            "--processes", "-p", help="How many files to work on at once.", min=1, max=256
        ),
    ] = 1,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Also what in a folder is hidden, or not an image."),
    ] = False,
    isolate: Annotated[
        bool,
        typer.Option(
            help="Work on each image in a child process, as the functions do, or in this one."
        ),
    ] = True,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Do the functions' image work on files, without any cloud: to look at settings and to time
    them.

    What in a folder is hidden or not an image is left out; a file that you name is always worked
    on. Exits 1 if any file was not done.
    """
    from imgpipe.cli.views import process as view
    from imgpipe.deploy import spec, steps
    from imgpipe.operate.process import files as named
    from imgpipe.operate.process import functions, many, work

    declared, over = spec.load_off_cloud(file, env)
    view.tell_limits(file, over)
    wanted = functions.functions(declared, file.resolve().parent, step or ())
    if out:
        made = [name for each in declared.created.values() for name in each.variants]
        named.refuse_overwriting(files, out, made)
        named.ready(out)
    task = work.Task(functions=wanted, limits=steps.limits(declared), out=out, isolate=isolate)
    found = named.find(files, everything=everything, tell=view.left_out)
    ends = view.counted(many.process(found, task, processes=processes))
    tally = view.as_json(ends) if json else view.for_people(ends)
    if not tally.all_done:
        raise typer.Exit(errors.FAILED)
