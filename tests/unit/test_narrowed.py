"""The command line's short cuts: the same words as the whole, sooner."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from imgpipe.cli import main


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_a_short_cut_to_the_list_of_commands_shows_the_same_list(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    run = CliRunner()
    whole = run.invoke(main.build_app(), ["--help"])
    assert run.invoke(main.narrowed(main.build_app(), words), ["--help"]).output == whole.output
    assert "Put up and take down" in whole.output


def test_a_short_cut_to_one_command_or_group_shows_the_same_help() -> None:
    run = CliRunner()
    for words in (["upload", "--help"], ["dlq", "redrive", "--help"], ["metadata", "-h"]):
        whole = run.invoke(main.build_app(), words)
        assert run.invoke(main.narrowed(main.build_app(), words), words).output == whole.output
        assert whole.exit_code == 0


def test_an_unknown_command_is_looked_for_among_all() -> None:
    app = main.narrowed(main.build_app(), ["uplod"])
    assert len(app.registered_commands) == len(main.build_app().registered_commands)
