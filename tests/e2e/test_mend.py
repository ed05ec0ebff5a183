"""A step breaks, its letters wait in the dead-letter queue, the alarm goes off; mended, redriven, done."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.pipeline import Pipeline
from tests.photos import DEMO

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("mend")]

LETTERS_S = 150
"""Three receives with backoff, then the dead-letter queue; then the alarm's next evaluation."""


@pytest.fixture(scope="module")
def _mended_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    pipeline = Pipeline.copy_to(tmp_path_factory.mktemp("mend"))
    pipeline.give_up_early()
    try:
        yield pipeline
    finally:
        pipeline.run("local", "stop", code=None)


@pytest.fixture
def broken_studio(_mended_studio: Pipeline) -> Pipeline:
    """The studio, up, whatever another test left of it."""
    _mended_studio.run("up", "--yes")
    return _mended_studio


@pytest.mark.capability("S0-8")
@pytest.mark.capability("S4-4")
@pytest.mark.capability("S4-5", "S4-19")
def test_a_broken_step_is_mended_and_redriven(broken_studio: Pipeline) -> None:
    """S0-8: the broken branches never keep the others from their work; S4-4, S4-5."""
    broken_studio.run("local", "mail", "confirm", "--all")
    enhance = broken_studio.folder / "lambdas" / "images" / "handler.py"
    healthy = enhance.read_text()
    enhance.write_text(_break_one_function(healthy, "enhance"))
    broken_studio.run("up", "--yes")

    broken_studio.run("upload", DEMO / "rocket.jpg")
    [letter] = broken_studio.wait_for("dead letter", lambda: _letters(broken_studio), LETTERS_S)
    row = broken_studio.run("metadata", "show", "rocket.jpg", "--json").json
    assert (letter["key"], letter["step"]) == ("incoming/rocket.jpg", "enhance")
    assert "broken on purpose" in letter["reason"]
    assert row["status"] == "failed"
    assert row["steps"]["thumbnail"]["status"] == row["steps"]["sizes"]["status"] == "done"

    broken_studio.wait_for(
        "alarm", lambda: _alarm_states(broken_studio).get("enhance-dlq") == "ALARM", LETTERS_S
    )
    assert broken_studio.run("status", "--check", code=3)
    told = broken_studio.wait_for("a mail about the alarm", lambda: _alarm_mails(broken_studio))
    assert told[0]["to"] == "ops@example.com"

    enhance.write_text(healthy)
    broken_studio.run("up", "--yes")
    broken_studio.run("dlq", "redrive", "--yes")
    broken_studio.wait_for(
        "finished image",
        lambda: (
            broken_studio.run("metadata", "show", "rocket.jpg", "--json").json["status"] == "done"
        ),
    )
    assert _letters(broken_studio) == []
    _look_at_ten_seconds(broken_studio, "enhance-dlq")
    broken_studio.wait_for(
        "quiet alarm", lambda: _alarm_states(broken_studio).get("enhance-dlq") == "OK", LETTERS_S
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


def _look_at_ten_seconds(pipeline: Pipeline, name: str) -> None:
    """Let an alarm look at 10 s in place of a minute, so that it hears sooner of the end of its cause."""
    cloudwatch = pipeline.client("cloudwatch")
    [alarm] = [
        it for it in cloudwatch.describe_alarms()["MetricAlarms"] if it["AlarmName"].endswith(name)
    ]
    told = cloudwatch.meta.service_model.operation_model("PutMetricAlarm").input_shape.members
    cloudwatch.put_metric_alarm(**{it: alarm[it] for it in told if it in alarm} | {"Period": 10})


def _alarm_states(pipeline: Pipeline) -> dict[str, str]:
    """Map each dead-letter queue's short name to the state of its alarm."""
    alarms = pipeline.run("status", "--json").json["alarms"]
    prefix = "photo-studio-local-"
    return {alarm["name"].removeprefix(prefix): alarm["state"] for alarm in alarms}


@pytest.mark.capability("S4-12")
def test_down_leaves_nothing_and_up_comes_back(broken_studio: Pipeline) -> None:
    broken_studio.run("upload", DEMO / "chelsea.png", "--wait")
    broken_studio.run("down", "--yes", "--delete-data")
    assert broken_studio.run("plan", "--check", code=3)
    broken_studio.run("up", "--yes")
    broken_studio.run("upload", DEMO / "chelsea.png", "--wait")


def test_down_keeps_photographs_and_rows_unless_told_otherwise(broken_studio: Pipeline) -> None:
    broken_studio.run("upload", DEMO / "chelsea.png", "--wait")
    broken_studio.run("down", "--yes")
    broken_studio.run("up", "--yes")
    assert broken_studio.run("metadata", "show", "chelsea.png", "--json").json["status"] == "done"
