"""What runs a function: its variables, context, limits and errors."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.contract.aws import Aws, Function, Lambda, error_code

MEGABYTE = 1 << 20


def do(functions: Lambda, function: Function, what: str, **more: Any) -> Any:
    """Have the probe do something and return what it returned."""
    answer = functions.invoke(function, {"do": what, **more})
    assert answer.error is None, answer.raw
    return answer.document


@pytest.fixture
def own_probe(functions: Lambda) -> Function:
    """A probe that the check may break."""
    return functions.make("probe", MemorySize=128)


def test_a_function_sees_its_variables_and_its_name(functions: Lambda, probe: Function) -> None:
    variables = do(functions, probe, "variables")
    assert (variables["MINE"], variables["AWS_LAMBDA_FUNCTION_NAME"]) == ("42", probe.name)


def test_a_function_sees_the_variables_of_its_runtime(functions: Lambda, probe: Function) -> None:
    variables = do(functions, probe, "variables")
    assert {"_HANDLER", "AWS_EXECUTION_ENV", "TZ", "AWS_LAMBDA_LOG_GROUP_NAME"} <= set(variables)


def test_the_context_knows_the_invocation(functions: Lambda, probe: Function) -> None:
    context = do(functions, probe, "context")
    assert (context["arn"], int(context["memory"])) == (probe.arn, 128)
    assert context["request"]
    assert 0 < context["left_ms"] <= 3_000


def test_a_function_can_write_temporary_files(functions: Lambda, probe: Function) -> None:
    assert do(functions, probe, "write", name="file") == 1


def test_an_environment_is_kept_warm(functions: Lambda, own_probe: Function) -> None:
    first, second = (do(functions, own_probe, "warmth") for _ in range(2))
    assert first["started"] == second["started"]
    assert second["calls"] == first["calls"] + 1


def test_an_invocation_ends_at_its_timeout(functions: Lambda) -> None:
    function = functions.make("probe", Timeout=1)
    answer = functions.invoke(function, {"do": "sleep", "seconds": 30})
    assert answer.error
    assert "Task timed out after 1.00 seconds" in answer.raw.decode()


def test_an_environment_that_timed_out_is_not_used_again(functions: Lambda) -> None:
    function = functions.make("probe", Timeout=1)
    before = do(functions, function, "warmth")["started"]
    functions.invoke(function, {"do": "sleep", "seconds": 30})
    assert do(functions, function, "warmth")["started"] != before


def test_an_exception_tells_its_class_message_and_trace(functions: Lambda, probe: Function) -> None:
    answer = functions.invoke(probe, {"do": "raise", "word": "boom"})
    error = answer.document
    assert (error["errorType"], error["errorMessage"]) == ("CustomError", "boom")
    assert error["stackTrace"]


def test_an_exception_is_an_unhandled_error(functions: Lambda, probe: Function) -> None:
    assert functions.invoke(probe, {"do": "raise", "word": "boom"}).error == "Unhandled"


def test_an_environment_survives_an_exception(functions: Lambda, own_probe: Function) -> None:
    before = do(functions, own_probe, "warmth")["started"]
    functions.invoke(own_probe, {"do": "raise", "word": "boom"})
    assert do(functions, own_probe, "warmth")["started"] == before


def test_a_process_that_ends_is_an_exit_error(functions: Lambda, own_probe: Function) -> None:
    answer = functions.invoke(own_probe, {"do": "leave", "how": "exit"})
    assert answer.error
    assert answer.document["errorType"] == "Runtime.ExitError"


def test_a_handler_that_calls_exit_is_an_error(functions: Lambda, own_probe: Function) -> None:
    assert functions.invoke(own_probe, {"do": "leave", "how": "sys.exit"}).error


def test_the_next_invocation_after_a_crash_works_in_any_script(
    functions: Lambda, own_probe: Function
) -> None:
    functions.invoke(own_probe, {"do": "leave", "how": "exit"})
    assert do(functions, own_probe, "echo", word="ü日本")["word"] == "ü日本"


def test_a_result_that_is_no_json_is_a_marshal_error(functions: Lambda, probe: Function) -> None:
    answer = functions.invoke(probe, {"do": "set"})
    assert answer.document["errorType"] == "Runtime.MarshalError"


def test_a_function_that_takes_more_than_its_memory_is_ended(
    functions: Lambda, own_probe: Function
) -> None:
    assert functions.invoke(own_probe, {"do": "fill", "megabytes": 400}).error


def test_a_function_does_not_see_packages_of_its_host(functions: Lambda, probe: Function) -> None:
    answer = functions.invoke(probe, {"do": "import", "name": "PIL"})
    assert answer.document["errorType"] == "ModuleNotFoundError"


def test_a_function_has_boto3(functions: Lambda, probe: Function) -> None:
    assert do(functions, probe, "import", name="boto3")["version"]


def test_a_result_over_six_megabytes_is_an_error(functions: Lambda, probe: Function) -> None:
    assert functions.invoke(probe, {"do": "long", "megabytes": 7}).error


@pytest.mark.parametrize(("kind", "size"), [("RequestResponse", 7), ("Event", 2)])
def test_an_event_over_the_limit_is_refused(
    functions: Lambda, probe: Function, kind: str, size: int
) -> None:
    code = error_code(
        functions.client.invoke,
        FunctionName=probe.name,
        InvocationType=kind,
        Payload=json.dumps({"x": "y" * (size * MEGABYTE)}),
    )
    assert code == "RequestTooLargeException"


def test_a_function_does_not_see_the_variables_of_its_host(
    functions: Lambda, probe: Function
) -> None:
    variables = do(functions, probe, "variables")
    assert "NOT_FOR_FUNCTIONS" not in variables
    assert not any(name.startswith(("IMGPIPE_", "VIRTUAL_ENV")) for name in variables)


def test_a_function_runs_the_python_of_its_runtime(functions: Lambda, probe: Function) -> None:
    version = ".".join(map(str, sys.version_info[:2]))
    assert do(functions, probe, "python").startswith(version)


def test_invocations_run_in_parallel_each_in_an_environment_of_its_own(
    functions: Lambda, probe: Function
) -> None:
    with ThreadPoolExecutor(4) as threads:
        pids = list(threads.map(lambda _: do(functions, probe, "sleep", seconds=1), range(4)))
    assert len(set(pids)) == 4


def test_an_invocation_over_the_reserved_concurrency_is_throttled(
    functions: Lambda, own_probe: Function
) -> None:
    functions.client.put_function_concurrency(
        FunctionName=own_probe.name, ReservedConcurrentExecutions=1
    )
    payload = json.dumps({"do": "sleep", "seconds": 1})

    def invoke(_: int) -> str | None:
        return error_code(functions.client.invoke, FunctionName=own_probe.name, Payload=payload)

    with ThreadPoolExecutor(3) as threads:
        codes = list(threads.map(invoke, range(3)))
    assert codes.count(None) == 1
    assert codes.count("TooManyRequestsException") == 2


def test_a_missing_handler_says_so(functions: Lambda) -> None:
    answer = functions.invoke(functions.make("missing"), {})
    assert answer.document["errorType"] == "Runtime.HandlerNotFound"


def test_a_module_that_cannot_be_imported_says_so(functions: Lambda, cloud: Aws) -> None:
    from tests.contract.aws import zipped

    broken = functions.make("probe", zipped("import no_such_module"))
    answer = functions.invoke(broken, {})
    assert answer.document["errorType"] == "Runtime.ImportModuleError"
