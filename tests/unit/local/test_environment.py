"""Functions in their own processes: what they get, what they see, and how each limit ends them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from imgpipe.local.lambda_runtime import lines, process
from tests.unit.local.functions import Workshop, call, is_running, until


def test_an_event_comes_back_as_it_went(either: Workshop) -> None:
    event = {"text": "Grüße 📸", "numbers": [1, 2.5, None, True]}
    assert json.loads(either.run("echo", event).payload) == event


def test_a_handler_knows_its_invocation(either: Workshop) -> None:
    environment = either.environment(either.function("about"))
    outcome = environment.invoke(call(request_id="the-id"))
    said = json.loads(outcome.payload)

    assert (said["request_id"], said["name"], said["memory"]) == ("the-id", "probe", "512")
    assert said["arn"].endswith(":probe:live")
    assert 0 < said["left_ms"] <= 30_000
    assert said["stream"] == environment.log_stream
    assert said["trace"] == "Root=1-0-0"


def test_an_environment_serves_one_invocation_after_the_other(either: Workshop) -> None:
    environment = either.environment(either.function("about"))
    pids = {json.loads(environment.invoke(call()).payload)["pid"] for _ in range(3)}

    assert len(pids) == 1
    assert either.logged().count("loading") == 1
    assert {stream for stream, _ in either.events} == {environment.log_stream}


def test_a_handler_sees_nothing_of_ours(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_PRIVATE_TOKEN", "secret")
    modules = ["imgpipe", "typer", "ministack", "PIL", "boto3"]
    outcome = workshop.run(
        "surroundings",
        {"modules": modules},
        variables=(("MINE", "1"), ("AWS_REGION", "mars-1")),
    )
    seen = json.loads(outcome.payload)

    assert seen["modules"] == {name: name == "boto3" for name in modules}
    assert "MY_PRIVATE_TOKEN" not in seen["variables"]
    assert seen["variables"]["MINE"] == "1"
    assert seen["variables"]["AWS_REGION"] == "us-east-1"
    assert seen["variables"]["AWS_ACCESS_KEY_ID"] == "ASIA"
    assert seen["variables"]["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"


def test_a_layer_is_found(workshop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "layer" / "python").mkdir(parents=True)
    (tmp_path / "layer" / "python" / "layered.py").touch()
    outcome = workshop.run("surroundings", {"modules": ["layered"]}, layers=(tmp_path / "layer",))
    assert json.loads(outcome.payload)["modules"] == {"layered": True}


def test_everything_written_is_logged_between_start_and_end(either: Workshop) -> None:
    outcome = either.run("speak")
    logged = either.logged()

    assert logged[0].startswith("INIT_START Runtime Version: python:3.")
    assert logged[1] == "loading"
    assert logged[2].startswith("START RequestId: ")
    assert logged[3:5] == ["to stdout", "to stderr"]
    assert logged[5].startswith("[INFO]\t")
    assert logged[5].endswith("\tby logging")
    assert logged[6].startswith("END RequestId: ")
    assert "Init Duration: " in logged[7]
    assert outcome.log == "\n".join(logged)


def test_an_exception_is_told_with_its_trace_and_the_environment_lives(either: Workshop) -> None:
    environment = either.environment(either.function("fail"))
    outcome = environment.invoke(call(request_id="id"))
    said = json.loads(outcome.payload)

    assert (said["errorType"], said["errorMessage"]) == ("ValueError", "boom")
    assert said["requestId"] == "id"
    assert "handlers.py" in said["stackTrace"][0]
    assert len([line for line in either.logged() if "[ERROR] ValueError: boom" in line]) == 1
    assert environment.is_alive()


def test_an_answer_that_is_no_json_is_an_error(either: Workshop) -> None:
    outcome = either.run("unserialisable")
    assert outcome.error_type
    assert "errorMessage" in json.loads(outcome.payload)


def test_a_timeout_kills_and_keeps_what_was_logged(workshop: Workshop) -> None:
    environment = workshop.environment(workshop.function("sleep", timeout_s=1))
    outcome = environment.invoke(call(60, request_id="id"))

    assert outcome.error_type == lines.TIMED_OUT
    assert outcome.payload == lines.timed_out("id", 1)
    assert "before" in workshop.logged()
    assert any(line.endswith("id Task timed out after 1.00 seconds") for line in workshop.logged())
    assert workshop.logged()[-1].endswith("Status: timeout")
    assert not environment.is_alive()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process's memory")
@pytest.mark.parametrize("seconds", [0, 20])
def test_more_memory_than_the_function_has_kills(workshop: Workshop, seconds: int) -> None:
    environment = workshop.environment(workshop.function("hold", memory_mb=128))
    outcome = environment.invoke(call({"mb": 300, "s": seconds}, request_id="id"))

    assert outcome.error_type == lines.EXIT_ERROR
    assert outcome.payload == lines.exited("id", -9)
    assert "Max Memory Used: 128 MB" in workshop.logged()[-1]
    assert not environment.is_alive()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process's memory")
def test_the_memory_of_children_counts(workshop: Workshop) -> None:
    environment = workshop.environment(workshop.function("hold_in_child", memory_mb=512))
    outcome = environment.invoke(call({"mb": 100}))

    assert not outcome.error_type
    assert 100 < outcome.memory_mb < 300


@pytest.mark.parametrize("status", [0, 3])
def test_an_exit_is_an_error_that_names_its_status(workshop: Workshop, status: int) -> None:
    environment = workshop.environment(workshop.function("leave"))
    outcome = environment.invoke(call(status, request_id="id"))

    assert outcome.payload == lines.exited("id", status)
    assert not environment.is_alive()


@pytest.mark.parametrize(
    ("handler", "error_type", "message"),
    [
        ("no.module", "Runtime.ImportModuleError", "Unable to import module 'handlers.no'"),
        ("missing", "Runtime.HandlerNotFound", "Handler 'missing' missing on module"),
    ],
)
def test_a_failed_start_says_why(
    either: Workshop, handler: str, error_type: str, message: str
) -> None:
    outcome = either.run(handler)
    said = json.loads(outcome.payload)

    assert said["errorType"] == outcome.error_type == error_type
    assert message in said["errorMessage"]
    assert any("Phase: init\tStatus: error" in line for line in either.logged())
    assert either.logged()[-1].startswith("REPORT")


def test_what_a_function_started_ends_with_it(workshop: Workshop) -> None:
    environment = workshop.environment(workshop.function("spawn", timeout_s=2))
    environment.invoke(call(60))
    [child] = [json.loads(line)["child"] for line in workshop.logged() if '"child"' in line]

    until(lambda: not is_running(child))


@pytest.mark.skipif(sys.platform != "linux", reason="found by /proc")
def test_what_outlived_a_killed_server_is_ended_at_the_next_start(workshop: Workshop) -> None:
    environment = workshop.environment(workshop.function("spawn"))
    child = json.loads(environment.invoke(call(0)).payload)
    assert is_running(child)
    process.end_orphans(workshop.folder / "elsewhere")
    assert is_running(child)
    process.end_orphans(workshop.folder / "tmp")

    until(lambda: not is_running(child))


def test_an_answer_larger_than_lambda_takes_is_refused(workshop: Workshop) -> None:
    environment = workshop.environment(workshop.function("large"))

    assert environment.invoke(call(7_000_000)).error_type == lines.TOO_LARGE
    assert environment.invoke(call(5_000_000)).error_type == ""


def test_a_closed_environment_leaves_nothing(workshop: Workshop) -> None:
    environment = workshop.environment(workshop.function("about"))
    pid = json.loads(environment.invoke(call()).payload)["pid"]
    environment.close()

    assert not is_running(pid)
    assert list((workshop.folder / "tmp").iterdir()) == []
    assert not environment.is_alive()
