"""Functions in the embedded cloud: invoked by its API, held to their role, logged, limited."""

from __future__ import annotations

import io
import json
import os
import signal
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from imgpipe.local import lifecycle
from tests.cloud_fixture import EmbeddedCloud
from tests.e2e.deployed import LOGS, Deployed, deploy, fetch, until
from tests.unit.local.functions import is_running

pytestmark = pytest.mark.e2e

WHO = "import os\ndef handler(event, context):\n    return os.getpid()\n"
ECHO = "def handler(event, context):\n    print('got', event)\n    return event\n"
SLOW = (
    "import time\ndef handler(event, context):\n    time.sleep(event)\n"
    "    return context.aws_request_id\n"
)


def test_a_function_answers_and_its_log_tells(embedded_cloud: EmbeddedCloud) -> None:
    echo = deploy(embedded_cloud, ECHO, LOGS)
    calls = [echo({"n": number}) for number in range(2)]

    assert [call.value for call in calls] == [{"n": 0}, {"n": 1}]
    assert "got {'n': 1}" in calls[1].log
    [(stream, lines)] = echo.streams().items()
    assert "[$LATEST]" in stream
    kinds = [line.split(" ")[0] for line in lines]
    assert kinds == ["INIT_START", "START", "got", "END", "REPORT", "START", "got", "END", "REPORT"]


def test_a_role_without_permission_for_logs_has_none(embedded_cloud: EmbeddedCloud) -> None:
    echo = deploy(embedded_cloud, ECHO)

    assert echo("x").value == "x"
    assert echo.streams() == {}


def test_a_role_that_may_not_make_groups_logs_into_one_that_exists(
    embedded_cloud: EmbeddedCloud,
) -> None:
    write = {
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": "*",
    }
    echo = deploy(embedded_cloud, ECHO, write)
    echo("before")
    assert echo.streams() == {}
    embedded_cloud.client("logs").create_log_group(logGroupName=f"/aws/lambda/{echo.name}")
    echo("after")

    assert [line for lines in echo.streams().values() for line in lines if "got" in line] == [
        "got after"
    ]


def test_a_handler_may_do_what_its_role_may_and_no_more(embedded_cloud: EmbeddedCloud) -> None:
    source = (
        "import boto3\ns3 = boto3.client('s3')\ndef handler(event, context):\n"
        "    return s3.get_object(Bucket='roles', Key=event)['Body'].read().decode()\n"
    )
    s3 = embedded_cloud.client("s3")
    s3.create_bucket(Bucket="roles")
    for key in ("open/a", "closed/a"):
        s3.put_object(Bucket="roles", Key=key, Body=key.encode())
    read = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::roles/open/*"}
    reader = deploy(embedded_cloud, source, read)

    assert reader("open/a").value == "open/a"
    refused = reader("closed/a")
    assert refused.error == "Unhandled"
    assert "AccessDenied" in refused.value["errorMessage"]
    assert f"assumed-role/{reader.role}/{reader.name}" in refused.value["errorMessage"]


def test_new_code_and_new_settings_serve_the_very_next_call(
    embedded_cloud: EmbeddedCloud,
) -> None:
    function = deploy(embedded_cloud, "def handler(e, c):\n    return 1\n")
    assert function().value == 1
    function.replace("import os\ndef handler(e, c):\n    return os.environ.get('X', 'none')\n")
    assert function().value == "none"
    function.configure(Environment={"Variables": {"X": "set"}})
    assert function().value == "set"


def test_a_burst_queues_and_starts_few_processes(embedded_cloud: EmbeddedCloud) -> None:
    slow = deploy(embedded_cloud, WHO.replace("return", "import time; time.sleep(0.05); return"))
    client = embedded_cloud.client("lambda", config=Config(max_pool_connections=60))
    with ThreadPoolExecutor(60) as pool:
        pids = list(
            pool.map(
                lambda _: client.invoke(FunctionName=slow.name, Payload=b"1")["Payload"].read(),
                range(60),
            )
        )

    assert len(pids) == 60
    assert len(set(pids)) <= max(2, os.cpu_count() or 2)


def test_reserved_concurrency_throttles_as_on_aws(embedded_cloud: EmbeddedCloud) -> None:
    slow = deploy(embedded_cloud, SLOW)
    client = embedded_cloud.client("lambda")
    client.put_function_concurrency(FunctionName=slow.name, ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError) as caught:
        slow(0)

    assert caught.value.response["Error"]["Code"] == "TooManyRequestsException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    client.delete_function_concurrency(FunctionName=slow.name)
    assert slow(0).error is None


def test_functions_that_call_themselves_do_not_wait_for_each_other_for_ever(
    embedded_cloud: EmbeddedCloud,
) -> None:
    source = (
        "import boto3, json\nclient = boto3.client('lambda')\n"
        "def handler(n, context):\n    if n == 0:\n        return 0\n"
        "    got = client.invoke(FunctionName=context.function_name, Payload=json.dumps(n - 1))\n"
        "    return 1 + json.loads(got['Payload'].read())\n"
    )
    invoke = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "*"}
    caller = deploy(embedded_cloud, source, invoke, Timeout=60)
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda _: caller(3).value, range(3)))

    assert results == [3, 3, 3]


def test_an_event_keeps_its_request_id_when_it_is_tried_again(
    embedded_cloud: EmbeddedCloud,
) -> None:
    source = "def handler(e, c):\n    print('try', c.aws_request_id)\n    raise ValueError('no')\n"
    failing = deploy(embedded_cloud, source, LOGS)
    failing.send({"n": 1})

    def tries() -> list[str]:
        return [line for line in _logged(failing) if line.startswith("try ")]

    until(lambda: len(tries()) == 3)
    assert len(set(tries())) == 1


def test_a_killed_function_leaves_its_log(embedded_cloud: EmbeddedCloud) -> None:
    source = "import time\ndef handler(e, c):\n    print('working on', e)\n    time.sleep(60)\n"
    stuck = deploy(embedded_cloud, source, LOGS, Timeout=1)
    call = stuck("photo")
    [lines] = stuck.streams().values()

    assert call.error == "Unhandled"
    assert call.value["errorType"] == "Sandbox.Timedout"
    assert "working on photo" in lines
    assert any(line.endswith("Task timed out after 1.00 seconds") for line in lines)


def test_a_long_invocation_can_be_followed(embedded_cloud: EmbeddedCloud) -> None:
    source = (
        "import time\ndef handler(e, c):\n    print('begun')\n    time.sleep(8)\n    print('end')\n"
    )
    long = deploy(embedded_cloud, source, LOGS)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(long)
        until(lambda: "begun" in _logged(long))
        assert "end" not in _logged(long)
        assert not running.done()


def _logged(function: Deployed) -> list[str]:
    return [line for stream in function.streams().values() for line in stream]


def test_the_code_can_be_fetched_by_its_link_only(embedded_cloud: EmbeddedCloud) -> None:
    function = deploy(embedded_cloud, ECHO)
    client = embedded_cloud.client("lambda")
    link = client.get_function(FunctionName=function.name)["Code"]["Location"]
    status, body = fetch(link)

    assert status == 200
    assert zipfile.ZipFile(io.BytesIO(body)).read("code.py").decode() == ECHO
    assert fetch(link.partition("?")[0])[0] == 403


@pytest.fixture
def own_cloud(tmp_path: Path) -> Iterator[EmbeddedCloud]:
    """An embedded cloud that the test may kill."""
    try:
        yield EmbeddedCloud(tmp_path, lifecycle.ensure(tmp_path))
    finally:
        lifecycle.stop(tmp_path)


@pytest.mark.parametrize("busy", [False, True])
def test_processes_of_a_killed_server_die_with_it(own_cloud: EmbeddedCloud, busy: bool) -> None:
    if not Path("/proc/self").exists():
        pytest.skip("only Linux tells a process that its parent ended")
    source = (
        "import os, time\ndef handler(event, context):\n"
        "    if event: open(event, 'w').write(str(os.getpid())); time.sleep(25)\n"
        "    return os.getpid()\n"
    )
    function = deploy(own_cloud, source)
    note = own_cloud.folder / "pid"
    if busy:
        function.send(str(note))
        pid = int(until(lambda: note.exists() and note.read_text()))
    else:
        pid = int(function().value)
    assert is_running(pid)
    os.kill(own_cloud.running.pid, signal.SIGKILL)

    until(lambda: not is_running(pid))


def test_a_clean_stop_leaves_no_process(own_cloud: EmbeddedCloud) -> None:
    pid = int(deploy(own_cloud, WHO)().value)
    lifecycle.stop(own_cloud.folder)

    assert not is_running(pid)
    assert list((own_cloud.data / "run" / "tmp").iterdir()) == []


def test_the_server_tells_its_warm_functions(embedded_cloud: EmbeddedCloud) -> None:
    echo = deploy(embedded_cloud, ECHO)
    echo(1)
    report = lifecycle.report(embedded_cloud.running)

    assert report["functions"][echo.name] == 1
    assert report["memory_bytes"] > 10_000_000
    assert json.dumps(report)
