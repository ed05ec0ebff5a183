"""A step breaks, its letters wait in the dead-letter queue, the alarm goes off; mended, redriven, done."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.pipeline import Pipeline
from tests.photos import DEMO

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

LETTERS_S = 150
"""Five receives with backoff, then the dead-letter queue; then the alarm's next evaluation."""


@pytest.mark.capability("S0-8")
@pytest.mark.capability("S4-4")
@pytest.mark.capability("S4-5", "S4-19")
def test_a_broken_step_is_mended_and_redriven(own_studio: Pipeline) -> None:
    """S0-8: the broken branches never keep the others from their work; S4-4, S4-5."""
    own_studio.run("local", "mail", "confirm", "--all")
    enhance = own_studio.folder / "lambdas" / "images" / "handler.py"
    healthy = enhance.read_text()
    enhance.write_text(_break_one_function(healthy, "enhance"))
    own_studio.run("up", "--yes")

    own_studio.run("upload", DEMO / "rocket.jpg")
    [letter] = own_studio.wait_for("dead letter", lambda: _letters(own_studio), LETTERS_S)
    row = own_studio.run("metadata", "show", "rocket.jpg", "--json").json
    assert (letter["key"], letter["step"]) == ("incoming/rocket.jpg", "enhance")
    assert "broken on purpose" in letter["reason"]
    assert row["status"] == "failed"
    assert row["steps"]["thumbnail"]["status"] == row["steps"]["sizes"]["status"] == "done"

    own_studio.wait_for(
        "alarm", lambda: _alarm_states(own_studio).get("enhance-dlq") == "ALARM", LETTERS_S
    )
    assert own_studio.run("status", "--check", code=3)
    told = own_studio.wait_for("a mail about the alarm", lambda: _alarm_mails(own_studio))
    assert told[0]["to"] == "ops@example.com"

    enhance.write_text(healthy)
    own_studio.run("up", "--yes")
    own_studio.run("dlq", "redrive", "--yes")
    own_studio.wait_for(
        "finished image",
        lambda: own_studio.run("metadata", "show", "rocket.jpg", "--json").json["status"] == "done",
    )
    assert _letters(own_studio) == []
    own_studio.wait_for(
        "quiet alarm", lambda: _alarm_states(own_studio).get("enhance-dlq") == "OK", LETTERS_S
    )


def _break_one_function(source: str, name: str) -> str:
    broken = (
        "    import os\n"
        f'    if os.environ["AWS_LAMBDA_FUNCTION_NAME"].endswith("-{name}"):\n'
        '        raise RuntimeError("broken on purpose")\n'
    )
    head, _, rest = source.partition("def handler(")
    signature, _, body = rest.partition(":\n")
    return f"{head}def handler({signature}:\n{broken}{body}"


def _letters(pipeline: Pipeline) -> list[dict[str, str]]:
    letters: list[dict[str, str]] = pipeline.run("dlq", "list", "--json").json
    return letters


def _alarm_mails(pipeline: Pipeline) -> list[dict[str, str]]:
    mails: list[dict[str, str]] = pipeline.run("local", "mail", "--json").json
    return [mail for mail in mails if "enhance-dlq" in mail["subject"]]


def _alarm_states(pipeline: Pipeline) -> dict[str, str]:
    """Map each dead-letter queue's short name to the state of its alarm."""
    alarms = pipeline.run("status", "--json").json["alarms"]
    prefix = "photo-studio-local-"
    return {alarm["name"].removeprefix(prefix): alarm["state"] for alarm in alarms}


@pytest.mark.capability("S4-12")
def test_down_leaves_nothing_and_up_comes_back(own_studio: Pipeline, tmp_path: Path) -> None:
    own_studio.run("upload", DEMO / "chelsea.png", "--wait")
    own_studio.run("down", "--yes", "--delete-data")
    assert own_studio.run("plan", "--check", code=3)
    own_studio.run("up", "--yes")
    own_studio.run("upload", DEMO / "chelsea.png", "--wait")


def test_down_keeps_photographs_and_rows_unless_told_otherwise(own_studio: Pipeline) -> None:
    own_studio.run("upload", DEMO / "chelsea.png", "--wait")
    own_studio.run("down", "--yes")
    own_studio.run("up", "--yes")
    assert own_studio.run("metadata", "show", "chelsea.png", "--json").json["status"] == "done"
