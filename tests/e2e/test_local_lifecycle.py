"""Start, find, stop, reset: one server a project, whatever happens to it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from imgpipe.errors import ImgpipeError, UnreachableError
from imgpipe.local import layout, lifecycle
from tests.cloud_fixture import EmbeddedCloud
from tests.unit.local.functions import is_running

pytestmark = pytest.mark.e2e


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    lifecycle.stop(tmp_path)


def _s3(folder: Path, running: lifecycle.Running) -> Any:
    return EmbeddedCloud(folder, running).client("s3")


def test_a_start_finds_what_runs_already(folder: Path) -> None:
    first = lifecycle.ensure(folder)
    second = lifecycle.ensure(folder)

    assert (first.started, second.started) == (True, False)
    assert (first.pid, first.endpoint) == (second.pid, second.endpoint)
    assert lifecycle.status(folder) == second
    assert _s3(folder, second).list_buckets()["Buckets"] == []


def test_its_announcement_holds_what_others_read_and_is_private(folder: Path) -> None:
    running = lifecycle.ensure(folder)
    path = folder / ".imgpipe" / "cloud.json"
    said = json.loads(path.read_text())

    assert {"endpoint", "region", "account", "access_key", "secret_key", "pid", "port"} <= set(said)
    assert said["endpoint"] == f"http://127.0.0.1:{running.port}"
    assert path.stat().st_mode & 0o077 == 0
    assert lifecycle.stop(folder)
    assert not path.exists()


def test_four_starts_at_once_make_one_server(folder: Path) -> None:
    start = (
        "import sys; from pathlib import Path; from imgpipe.local import lifecycle;"
        "r = lifecycle.ensure(Path(sys.argv[1])); print(r.pid, r.started)"
    )
    with ThreadPoolExecutor(4) as pool:
        runs = list(
            pool.map(
                lambda _: subprocess.run(
                    [sys.executable, "-c", start, str(folder)],
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout.split(),
                range(4),
            )
        )

    assert len({pid for pid, _ in runs}) == 1
    assert sorted(started for _, started in runs) == ["False", "False", "False", "True"]


def test_stopping_keeps_data_port_and_keys(folder: Path) -> None:
    first = lifecycle.ensure(folder)
    _s3(folder, first).create_bucket(Bucket="kept")
    assert lifecycle.stop(folder)
    assert not lifecycle.stop(folder)
    second = lifecycle.ensure(folder)

    assert second.pid != first.pid
    assert (second.port, second.access_key) == (first.port, first.access_key)
    buckets = _s3(folder, second).list_buckets()["Buckets"]
    assert [bucket["Name"] for bucket in buckets] == ["kept"]


def test_resetting_empties_it_and_keeps_port_and_keys(folder: Path) -> None:
    first = lifecycle.ensure(folder)
    _s3(folder, first).create_bucket(Bucket="gone")
    lifecycle.reset(folder)
    assert lifecycle.status(folder) is None
    second = lifecycle.ensure(folder)

    assert (second.port, second.access_key) == (first.port, first.access_key)
    assert _s3(folder, second).list_buckets()["Buckets"] == []


def test_what_a_killed_server_left_is_no_obstacle(folder: Path) -> None:
    first = lifecycle.ensure(folder)
    os.kill(first.pid, signal.SIGKILL)
    _wait(lambda: not layout.is_taken(layout.Layout(folder).serving))

    assert (folder / ".imgpipe" / "cloud.json").exists()
    assert lifecycle.status(folder) is None
    second = lifecycle.ensure(folder)
    assert (second.started, second.port) == (True, first.port)


def test_a_process_that_got_a_dead_servers_number_is_left_alone(folder: Path) -> None:
    first = lifecycle.ensure(folder)
    os.kill(first.pid, signal.SIGKILL)
    _wait(lambda: not layout.is_taken(layout.Layout(folder).serving))
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        announcement = folder / ".imgpipe" / "cloud.json"
        said = json.loads(announcement.read_text()) | {"pid": bystander.pid}
        announcement.write_text(json.dumps(said))

        assert not lifecycle.stop(folder)
        assert bystander.poll() is None
        bystander.communicate(b"\n")


def test_a_server_whose_folder_is_deleted_ends(folder: Path) -> None:
    running = lifecycle.ensure(folder)
    shutil.rmtree(folder / ".imgpipe", ignore_errors=True)

    _wait(lambda: not is_running(running.pid))


def test_those_who_look_do_not_keep_a_server_from_starting(folder: Path) -> None:
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            lifecycle.status(folder)

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for looker in lookers:
        looker.start()
    try:
        assert lifecycle.ensure(folder).started
    finally:
        done.set()
        for looker in lookers:
            looker.join()


def test_two_projects_live_side_by_side(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    try:
        running = []
        for each in folders:
            each.mkdir()
            running.append(lifecycle.ensure(each))
        _s3(folders[0], running[0]).create_bucket(Bucket="mine")

        assert running[0].port != running[1].port
        assert running[0].access_key != running[1].access_key
        assert _s3(folders[1], running[1]).list_buckets()["Buckets"] == []
    finally:
        for each in folders:
            lifecycle.stop(each)


def test_a_port_that_was_taken_meanwhile_is_told_and_another_used(folder: Path) -> None:
    first = lifecycle.ensure(folder)
    lifecycle.stop(folder)
    with socket.create_server(("127.0.0.1", first.port)):
        second = lifecycle.ensure(folder)

    assert second.port != first.port
    assert second.moved_from == first.port


def test_a_wanted_port_that_is_taken_fails_with_the_reason(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ImgpipeError, match=f"port {port}: another program listens there"):
            lifecycle.ensure(folder, port)


def test_a_start_that_fails_says_why_from_its_log(folder: Path) -> None:
    place = layout.Layout(folder)
    place.make()
    place.state.mkdir()
    (place.state / "journal.db").write_text("this is no database at all, not even nearly" * 100)
    with pytest.raises(ImgpipeError, match=r"did not start: .*database"):
        lifecycle.ensure(folder)
    assert lifecycle.status(folder) is None
    (place.state / "journal.db").unlink()


def test_a_server_that_no_longer_answers_is_told_apart(folder: Path) -> None:
    running = lifecycle.ensure(folder)
    os.kill(running.pid, signal.SIGSTOP)
    try:
        with pytest.raises(UnreachableError, match="doesn't answer"):
            lifecycle.report(running, patience_s=0.5)
    finally:
        os.kill(running.pid, signal.SIGCONT)
    assert lifecycle.report(running)["functions"] == {}


def test_the_shells_own_settings_do_not_reach_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAMINE")
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    monkeypatch.setenv("SERVICES", "sqs")
    monkeypatch.setenv("MINISTACK_ACCOUNT_ID", "999999999999")
    running = lifecycle.ensure(folder)
    monkeypatch.undo()
    identity = EmbeddedCloud(folder, running).client("sts").get_caller_identity()

    assert identity["Account"] == "000000000000"
    assert _s3(folder, running).list_buckets()["Buckets"] == []


def _wait(condition: object) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if condition():  # type: ignore[operator]
            return
        time.sleep(0.02)
    raise AssertionError("the condition didn't come true")
