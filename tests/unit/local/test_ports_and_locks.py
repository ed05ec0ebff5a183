"""The port of last time, if it is free; locks that die with their holder."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgpipe.errors import ImgpipeError
from imgpipe.local import keys, layout, ports
from imgpipe.local.layout import Layout


@pytest.fixture
def project(tmp_path: Path) -> Layout:
    place = Layout(tmp_path)
    place.make()
    return place


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def test_a_project_keeps_its_port(project: Layout) -> None:
    with ports.listen(project) as first:
        port = first.getsockname()[1]
    with ports.listen(project) as second:
        assert second.getsockname()[1] == port == ports.last(project)


def test_a_taken_port_is_left_for_another(project: Layout, taken: int) -> None:
    layout.write_whole(project.port, taken)
    with ports.listen(project) as found:
        assert found.getsockname()[1] != taken


def test_a_wanted_port_that_is_taken_is_an_error_with_a_way_out(
    project: Layout, taken: int
) -> None:
    with pytest.raises(ImgpipeError, match=f"port {taken}: another program") as caught:
        ports.listen(project, taken)
    assert caught.value.hint


def test_nobody_but_this_machine_can_connect(project: Layout) -> None:
    with ports.listen(project) as found:
        assert found.getsockname()[0] == "127.0.0.1"


def test_keys_are_made_once_and_for_their_owner_only(project: Layout) -> None:
    first = keys.of_project(project)

    assert keys.of_project(project) == first
    assert project.keys.stat().st_mode & 0o777 == 0o600
    assert len(first.access_key) == 20
    assert first.secret_key not in repr(first.access_key)


def test_two_projects_have_different_keys(tmp_path: Path) -> None:
    places = [Layout(tmp_path / name) for name in "ab"]
    for place in places:
        place.make()
    assert keys.of_project(places[0]) != keys.of_project(places[1])


def test_broken_keys_are_replaced(project: Layout) -> None:
    project.keys.write_text("{")
    assert keys.of_project(project).access_key.startswith("AKIA")


def test_a_lock_is_held_by_one_and_free_when_its_holder_is_killed(project: Layout) -> None:
    hold = (
        "import sys; from pathlib import Path; from imgpipe.local import layout;"
        "held = layout.take(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(project.serving)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert layout.is_taken(project.serving)
        assert layout.take(project.serving) is None
        os.kill(holder.pid, signal.SIGKILL)
    assert not layout.is_taken(project.serving)


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "cloud.json"
    layout.write_whole(path, {"port": 1})
    layout.write_whole(path, {"port": 2})

    assert json.loads(path.read_text()) == {"port": 2}
    assert [each.name for each in tmp_path.iterdir()] == ["cloud.json"]


def test_the_data_folder_is_hidden_from_git(project: Layout) -> None:
    assert (project.data / ".gitignore").read_text() == "*\n"
