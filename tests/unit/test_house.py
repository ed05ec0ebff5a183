"""The house itself: quick to open, documented as it is, and free of what must not be in it."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest

from tests.photos import ROOT
from tests.scripts import script

HEAVY = (
    "boto3",
    "botocore",
    "PIL",
    "pydantic",
    "yaml",
    "ministack",
    "plotext",
    "textual",
    "imgpipe.deploy",
    "imgpipe.operate",
)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "sys.argv = ['imgpipe', '--help']\n"
        "from imgpipe.cli.main import main\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        "print(sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(re.findall(r"'([^']+)'", done.stderr))

    assert "typer" in loaded
    assert not loaded & set(HEAVY)


def test_every_command_explains_itself() -> None:
    import typer

    from imgpipe.cli.main import build_app

    root = typer.main.get_command(build_app())
    silent = [name for name, command in root.commands.items() if not (command.help or "").strip()]  # type: ignore[attr-defined]
    assert silent == []


def test_help_leaves_breaking_lines_to_the_terminal() -> None:
    import typer

    from imgpipe.cli.main import build_app

    def broken(command: Any) -> list[str]:
        below = getattr(command, "commands", {}).values()
        own = [str(command.name)] if "\n" in (command.help or "").replace("\n\n", "") else []
        return own + [name for each in below for name in broken(each)]

    assert broken(typer.main.get_command(build_app())) == []


def test_every_command_has_a_panel_of_its_kind() -> None:
    import typer

    from imgpipe.cli.main import build_app

    root: Any = typer.main.get_command(build_app())
    assert [name for name, it in root.commands.items() if not it.rich_help_panel] == []


def test_module_and_script_are_the_same_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "imgpipe", "--version"], capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"imgpipe \d+\.\d+\.\d+\n", done.stdout)


def test_the_generated_documentation_is_up_to_date() -> None:
    generate = script("generate")
    stale = [
        path.name
        for path, text in generate.documents()
        if not path.exists() or path.read_text() != text
    ]
    assert stale == [], "run: python docs/generate.py"


@pytest.mark.parametrize(
    "name", ["requirements.lock", "requirements-dev.lock", "requirements-security.lock"]
)
def test_every_locked_requirement_has_a_hash(name: str) -> None:
    text = (ROOT / name).read_text()
    pinned = re.findall(r"^[a-z0-9_.\[\]-]+==[^\n]+", text, re.MULTILINE)
    assert len(pinned) > 10
    assert all(line.endswith("\\") for line in pinned)
    assert "://" not in text
