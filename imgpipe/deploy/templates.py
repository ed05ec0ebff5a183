"""The pipelines that come with imgpipe: where their files are, in an installed wheel and in a
checkout.

A wheel carries the repository's pipeline.yaml and `lambdas/` under
`imgpipe/templates/photo-studio`; a checkout has them at its root, so that there is one copy to
maintain. The other templates are a pipeline.yaml each; their Lambda sources are the default's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imgpipe.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

PACKAGE = Path(__file__).resolve().parent.parent
DEFAULT = "photo-studio"
PIPELINE_FILE, LAMBDAS = "pipeline.yaml", "lambdas"


@dataclass(frozen=True, slots=True)
class Template:
    """A pipeline to begin with: `folder` holds its pipeline.yaml, and `lambdas/` if it has its own."""

    name: str
    folder: Path

    @property
    def description(self) -> str:
        """The first comment of its pipeline.yaml."""
        return (self.folder / PIPELINE_FILE).read_text().partition("\n")[0].lstrip("# ")

    @property
    def file(self) -> Path:
        return self.folder / PIPELINE_FILE

    def files(self, sources: Sequence[str]) -> list[tuple[Path, Path]]:
        """List what `init` writes: each file with its place in the new project. `sources` are the
        folders of `lambdas/` that its functions are made from.
        """
        found = [(self.file, Path(PIPELINE_FILE))]
        for source in sources:
            folder = source_folder(source, self.folder)
            inside = (path for path in sorted(folder.rglob("*")) if path.is_file())
            found += [
                (path, Path(LAMBDAS, source) / path.relative_to(folder))
                for path in inside
                if "__pycache__" not in path.parts
            ]
        return found


def find(name: str = DEFAULT) -> Template:
    """Return the template `name`. Raises UsageError, listing those there are."""
    known = {template.name: template for template in every()}
    if name not in known:
        raise UsageError(
            f"template {name}",
            f"there is none; known are {', '.join(known)}",
            hint="imgpipe init --list",
        )
    return known[name]


def every() -> list[Template]:
    """List the templates, the default one first."""
    packaged = [path.parent for path in sorted((PACKAGE / "templates").glob(f"*/{PIPELINE_FILE}"))]
    if not any(folder.name == DEFAULT for folder in packaged):
        checkout = PACKAGE.parent
        packaged += (
            [checkout]
            if (checkout / PIPELINE_FILE).is_file() and (checkout / LAMBDAS).is_dir()
            else []
        )
    found = [
        Template(DEFAULT if folder == PACKAGE.parent else folder.name, folder)
        for folder in packaged
    ]
    return sorted(found, key=lambda template: (template.name != DEFAULT, template.name))


def source_folder(name: str, project: Path) -> Path:
    """Return the folder of a Lambda source: the project's own, else the one that comes with
    imgpipe.
    """
    own = project / LAMBDAS / name
    return own if own.is_dir() else find().folder / LAMBDAS / name
