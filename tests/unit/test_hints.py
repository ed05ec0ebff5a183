"""Hints name the environment that was asked about, in the commands that take one; so do those in JSON."""

from __future__ import annotations

import json

import pytest

from imgpipe.cli import render
from imgpipe.cli.hints import here, told
from imgpipe.cli.views.json_list import JsonList


@pytest.mark.parametrize(
    ("hint", "shown"),
    [
        ("imgpipe up", "imgpipe up --env prod"),
        ("imgpipe up, if it is not up", "imgpipe up --env prod, if it is not up"),
        ("imgpipe dlq list --queue a", "imgpipe dlq list --env prod --queue a"),
        ("imgpipe status; imgpipe plan", "imgpipe status --env prod; imgpipe plan --env prod"),
        ("imgpipe upload PHOTO --wait --env dev", "imgpipe upload PHOTO --wait --env dev"),
        ("imgpipe local start", "imgpipe local start"),
        ("imgpipe init", "imgpipe init"),
        ("imgpipe --help", "imgpipe --help"),
        ("run again with --yes", "run again with --yes"),
        ("write `via: worker`, then imgpipe up", "write `via: worker`, then imgpipe up --env prod"),
    ],
)
def test_a_command_in_a_hint_is_for_the_environment_of_the_call(hint: str, shown: str) -> None:
    assert here(hint, ["status", "--env", "prod"]) == shown
    assert here(hint, ["status", "-e", "prod"]) == shown
    assert here(hint, ["status", "--env=prod"]) == shown
    assert here(hint, ["status"]) == hint
    assert here(hint, ["status", "--env", "local"]) == hint
    assert here(hint, []) == hint


def test_a_command_in_json_is_for_the_environment_of_the_call() -> None:
    document = {
        "key": "imgpipe up",
        "next": [["imgpipe", "dlq", "show", "7"], ["imgpipe", "why", "a.jpg", "--env", "dev"]],
        "timeline": [{"text": "imgpipe up", "next": []}],
        "findings": [{"command": "imgpipe up", "advice": None}, {"command": "aws s3 mb s3://a"}],
        "faults": ({"hint": "imgpipe dlq list --queue a", "what": "a"},),
    }
    assert told(document, ["why", "a.jpg"]) is document
    assert told(document, ["why", "a.jpg", "--env", "prod"]) == {
        "key": "imgpipe up",
        "next": [
            ["imgpipe", "dlq", "show", "--env", "prod", "7"],
            ["imgpipe", "why", "a.jpg", "--env", "dev"],
        ],
        "timeline": [{"text": "imgpipe up", "next": []}],
        "findings": [
            {"command": "imgpipe up --env prod", "advice": None},
            {"command": "aws s3 mb s3://a"},
        ],
        "faults": [{"hint": "imgpipe dlq list --env prod --queue a", "what": "a"}],
    }


@pytest.mark.parametrize(
    ("call", "runs"), [(["--env", "prod"], "imgpipe up --env prod"), ([], "imgpipe up")]
)
def test_what_is_printed_goes_through_it(
    call: list[str], runs: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["imgpipe", "status", *call])
    render.print_json({"hint": "imgpipe up"})
    assert json.loads(capsys.readouterr().out) == {"hint": runs}
    with JsonList() as listed:
        listed.add({"hint": "imgpipe up"})
    assert json.loads(capsys.readouterr().out) == [{"hint": runs}]
    assert render.step("imgpipe up") == f"[cyan]next:[/] {runs}"
