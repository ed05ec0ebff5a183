"""`package` and `process`: the functions' zips, and the functions' image work without a cloud."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
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
    from imgpipe.operate.process import Processed

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
    for each in _targets(target, env, declared):
        with render.err().status(f"building for {each}"):
            zips = packages.build(steps.sources(declared), folder, into, target=each)
        built += [(source, each, made) for source, made in zips.items()]
    if json:
        render.print_json([_zip_json(*each) for each in built])
    else:
        _show_zips(built)


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
        "path": str(made.path),
    }


def _show_zips(built: Iterable[tuple[str, str, Zip]]) -> None:
    table = render.table("source", "for", "size", "code hash", "SHA-256 of the zip", right=["size"])
    for column in table.columns[:-1]:
        column.no_wrap = True
    lines = [
        (source, target, render.size(made.size), made.code_hash, made.sha256_base64)
        for source, target, made in built
    ]
    render.out().print(render.rows(table, lines))
    folders = sorted({str(made.path.parent) for _, _, made in built})
    render.err().print(f"in {', '.join(map(render.safe, folders))}", soft_wrap=True)


def process(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="Image files.", show_default=False)
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
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Do the functions' image work on files, without any cloud: to look at settings and to time them.

    Exits 1 if any file was not done.
    """
    from imgpipe.deploy import spec
    from imgpipe.operate import process as core

    declared = spec.load(file, env)
    if out:
        core.refuse_same_names(files)
    wanted = core.functions(declared, file.resolve().parent, step or ())
    ends = core.process(files, wanted, core.limits(declared), out=out)
    done = list(ends) if json else list(_shown(ends))
    if json:
        render.print_json([_processed_json(end) for end in done])
    elif len(done) > 1:
        _show_sum(done)
    if any(end.status != "done" for end in done):
        raise typer.Exit(errors.FAILED)


def _processed_json(end: Processed) -> dict[str, Any]:
    return {**asdict(end), "total_ms": end.total_ms}


def _shown(ends: Iterable[Processed]) -> Iterator[Processed]:
    """Print each end as it comes: a line a file, a line a variant."""
    for end in ends:
        name = render.safe(end.file)
        if end.status == "done":
            times = ", ".join(f"{function} {ms:.0f}" for function, ms in end.ms.items())
            size = render.size(end.size)
            render.out().print(
                f"[green]done[/] {name} [dim]{size}, {end.total_ms:.0f} ms ({times})[/]",
                soft_wrap=True,
            )
            _show_variants(end)
        else:
            why = render.safe(f"{end.reason}: {end.message}")
            render.out().print(f"[red]{end.status}[/] {name} [dim]{why}[/]", soft_wrap=True)
        yield end


def _show_variants(end: Processed) -> None:
    for name, made in end.variants.items():
        where = f" -> {render.safe(made.path)}" if made.path else ""
        measures = f"{made.width} x {made.height}  {render.size(made.bytes)} {made.format}"
        render.out().print(f"  {render.safe(name)}  {measures}{where}", soft_wrap=True)


def _show_sum(ends: list[Processed]) -> None:
    done = [end for end in ends if end.status == "done"]
    each = f", {sum(end.total_ms for end in done) / len(done):.0f} ms each" if done else ""
    render.err().print(f"{len(done)} of {len(ends)} done{each}")
