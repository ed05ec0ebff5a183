"""The zips: the same sources make the same bytes, and each function carries what it needs and no more."""

import base64
import hashlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from imgpipe.deploy import bytecode, lambda_lock, package, wheels
from imgpipe.errors import ImgpipeError, UsageError
from imgpipe.operate import provision
from tests.photos import ROOT

SOURCES = ("images", "notifier", "tidy", "writer")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project's folder with the Lambda sources laid out."""
    made = tmp_path / "project"
    shutil.copytree(
        ROOT / "lambdas", made / "lambdas", ignore=shutil.ignore_patterns("__pycache__")
    )
    return made


def names(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as made:
        return made.namelist()


def test_the_same_sources_make_the_same_zip(project: Path, tmp_path: Path) -> None:
    one = package.build(SOURCES, project, tmp_path / "one", target="host")
    for handler in project.rglob("handler.py"):
        handler.touch()
        handler.chmod(0o600)
    other = package.build(SOURCES, project, tmp_path / "other", target="host")
    for source in SOURCES:
        assert one[source].sha256_base64 == other[source].sha256_base64
        assert one[source].path.read_bytes() == other[source].path.read_bytes()


HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def test_modules_are_compiled_to_the_same_bytes_for_a_python_that_is_here(tmp_path: Path) -> None:
    sources = {
        "a/b.py": b"KNOWN = {'x', 'y', 'z'}\ndef f(v): return v in {'one', 'two', 'three'}\n",
        "handler.py": b"from a.b import f\n",
        "broken.py": b"def (:\n",
        "notes.txt": b"none",
    }
    made = bytecode.files(sources, HERE)
    tag = sys.implementation.cache_tag
    assert set(made) == {f"a/__pycache__/b.{tag}.pyc", f"__pycache__/handler.{tag}.pyc"}
    assert made == bytecode.files(dict(reversed(sources.items())), HERE)
    for name, data in {**sources, **made, "a/b.py": b"raise SystemExit('compiled again')"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", "import handler; print(handler.f('two'))"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "True\n", done.stderr


def test_without_a_python_of_that_version_nothing_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bytecode.files({"a.py": b""}, "3.99") == {}
    shim = tmp_path / "python3.99"
    shim.write_text("#!/bin/sh\necho 'python3.99: command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert bytecode.files({"a.py": b""}, "3.99") == {}
    assert bytecode.files({"a.txt": b""}, HERE) == {}


def unbuilt(monkeypatch: pytest.MonkeyPatch, python: str) -> None:
    """Let Lambda's Python be `python`, and pip fetch nothing."""
    monkeypatch.setattr(wheels, "LAMBDA_PYTHON", python)
    monkeypatch.setattr(wheels, "files", lambda *_: {})


def test_a_zip_that_could_not_be_compiled_says_so_and_is_made_anew_when_it_can_be(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbuilt(monkeypatch, "3.99")
    one = package.build(["writer"], project, tmp_path, target="arm64")["writer"]
    assert not one.compiled
    assert "there is no python3.99 here" in package.slow_starts("arm64", [one])
    written = one.path.stat().st_mtime_ns
    again = package.build(["writer"], project, tmp_path, target="arm64")["writer"]
    assert again.path.stat().st_mtime_ns == written
    # a Python of that version comes
    monkeypatch.setattr(bytecode, "compiler", lambda _: sys.executable)
    other = package.build(["writer"], project, tmp_path, target="arm64")["writer"]
    assert other.path == one.path
    assert other.compiled
    assert package.slow_starts("arm64", [other]) == ""


@pytest.mark.parametrize(("environment", "told"), [("prod", True), ("local", False)])
def test_up_has_a_remark_on_zips_that_could_not_be_compiled(
    project: Path, monkeypatch: pytest.MonkeyPatch, environment: str, told: bool
) -> None:
    unbuilt(monkeypatch, "3.99")
    function: Any = SimpleNamespace(source="writer", architecture="arm64")
    graph = SimpleNamespace(environment=environment, of=lambda _: [function])
    of_a_project: Any = SimpleNamespace(graph=graph, folder=project)
    with provision.Builds(of_a_project, []) as builds:
        assert builds.remark() == ""
        builds.archive_of(function)
        assert ("there is no python3.99 here" in builds.remark()) == told


def test_a_zip_for_this_machine_need_not_be_compiled(project: Path, tmp_path: Path) -> None:
    made = package.build(["writer"], project, tmp_path, target="host")["writer"]
    assert not made.compiled
    assert package.slow_starts("host", [made]) == ""


def test_a_zip_says_what_lambda_will_say_of_it(project: Path, tmp_path: Path) -> None:
    made = package.build(["writer"], project, tmp_path, target="host")["writer"]
    data = made.path.read_bytes()
    assert made.sha256_base64 == base64.b64encode(hashlib.sha256(data).digest()).decode()
    assert made.size == len(data)
    assert made.code_hash == package.code_hash("writer", project)


def test_what_did_not_change_is_not_built_again(project: Path, tmp_path: Path) -> None:
    first = package.build(["writer"], project, tmp_path, target="host")["writer"].path
    written = first.stat().st_mtime_ns
    again = package.build(["writer"], project, tmp_path, target="host")["writer"].path
    assert (again, again.stat().st_mtime_ns) == (first, written)


def test_a_change_of_a_handler_changes_its_hash_alone(project: Path, tmp_path: Path) -> None:
    before = {source: package.code_hash(source, project) for source in SOURCES}
    old = package.build(["tidy"], project, tmp_path, target="host")["tidy"].path
    handler = project / "lambdas" / "tidy" / "handler.py"
    handler.write_text(handler.read_text() + "\n# changed\n")
    after = {source: package.code_hash(source, project) for source in SOURCES}
    assert {source for source in SOURCES if before[source] != after[source]} == {"tidy"}
    new = package.build(["tidy"], project, tmp_path, target="host")["tidy"].path
    assert new.is_file()
    assert not old.exists()


def test_only_functions_that_ask_for_them_carry_image_libraries(
    project: Path, tmp_path: Path
) -> None:
    built = package.build(SOURCES, project, tmp_path, target="host")
    carried = {
        source: {name.split("/")[0] for name in names(zip_.path)} for source, zip_ in built.items()
    }
    assert "PIL" in carried["images"]
    for source in ("notifier", "tidy", "writer"):
        assert carried[source] == {"handler.py", "imgpipe"}
        assert not any("runtime/image" in name for name in names(built[source].path))
        assert built[source].size < 100_000


def test_no_zip_holds_caches_or_traces_of_an_installation(project: Path, tmp_path: Path) -> None:
    cache = project / "lambdas" / "images" / "__pycache__"
    cache.mkdir()
    (cache / "handler.cpython-311.pyc").write_bytes(b"x")
    (project / "lambdas" / "images" / ".DS_Store").write_bytes(b"x")
    found = names(package.build(["images"], project, tmp_path, target="host")["images"].path)
    assert found == sorted(found)
    for name in found:
        assert "__pycache__" not in name
        assert not name.endswith((".pyc", ".DS_Store", "/RECORD", "/INSTALLER", "direct_url.json"))
    assert any(name.endswith("/licenses/LICENSE") for name in found)


@pytest.mark.parametrize("source", SOURCES)
def test_a_zip_runs_on_its_own(project: Path, tmp_path: Path, source: str) -> None:
    """With nothing but the standard library and botocore on the path, as in Lambda."""
    zip_ = package.build([source], project, tmp_path, target="host")[source]
    task = tmp_path / "task"
    with zipfile.ZipFile(zip_.path) as made:
        made.extractall(task)
    check = "import handler, imgpipe, sys; print(imgpipe.__file__); print('PIL' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", check],
        cwd=task,
        env={"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    where, with_images = done.stdout.split()
    assert where.startswith(str(task))
    assert with_images == str(source == "images")


def test_the_projects_own_source_comes_before_ours(project: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    ours = package.code_hash("writer", bare)
    assert ours == package.code_hash("writer", project)
    (project / "lambdas" / "writer" / "extra.py").write_text("X = 1\n")
    assert package.code_hash("writer", project) != ours
    built = package.build(["writer"], project, tmp_path / "out", target="host")["writer"]
    assert "extra.py" in names(built.path)


def test_a_source_that_is_not_there_is_told_with_a_hint(project: Path) -> None:
    with pytest.raises(UsageError, match=r"handler\.py") as caught:
        package.code_hash("mine", project)
    assert "lambdas/mine/handler.py" in caught.value.hint


def test_a_zip_that_lambda_would_refuse_is_refused(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package, "MAX_ZIP_BYTES", 10_000)
    with pytest.raises(ImgpipeError, match="Lambda takes 10000"):
        package.build(["writer"], project, tmp_path, target="host")
    assert not list(tmp_path.glob("*.zip"))


class TestLock:
    def test_the_lock_names_no_index_and_pins_all_by_hash(self) -> None:
        text = lambda_lock.LOCK.read_text()
        assert "http" not in text
        for pin in lambda_lock.lock().values():
            assert pin.hashes
            assert all(each.startswith("--hash=sha256:") for each in pin.hashes)

    def test_the_locked_versions_are_those_of_the_project(self) -> None:
        project = (ROOT / "requirements-dev.lock").read_text()
        for pin in lambda_lock.lock().values():
            assert f"{pin.name}=={pin.version}" in project

    def test_the_fast_resampler_is_for_x86_64_alone(self) -> None:
        chosen = lambda_lock.pins(ROOT / "lambdas" / "images")
        assert [pin.name for pin in chosen] == ["cykooz-resizer", "isal", "pi-heif", "pillow"]
        assert [pin.name for pin in lambda_lock.for_machine(chosen, "aarch64")] == [
            "isal",
            "pi-heif",
            "pillow",
        ]

    def test_a_users_own_package_needs_a_version_and_hashes(self, tmp_path: Path) -> None:
        file = tmp_path / "requirements.txt"
        file.write_text("Pillow  # ours\nBlur.Hash==1.1.4 \\\n    --hash=sha256:00\n")
        assert [(pin.name, pin.version) for pin in lambda_lock.pins(tmp_path)] == [
            ("blur-hash", "1.1.4"),
            ("pillow", lambda_lock.lock()["pillow"].version),
        ]
        for loose in ("blurhash", "blurhash==1.1.4", "blurhash>=1 --hash=sha256:00"):
            file.write_text(loose)
            with pytest.raises(UsageError, match="blurhash"):
                lambda_lock.pins(tmp_path)


def test_a_projects_own_filters_and_pictures_travel_in_the_zip(tmp_path: Path) -> None:
    folder = tmp_path / "lambdas" / "images"
    (folder / "filters").mkdir(parents=True)
    (folder / "handler.py").write_text((ROOT / "lambdas" / "images" / "handler.py").read_text())
    before = package.code_hash("images", tmp_path)
    (folder / "filters" / "negative.py").write_text("def negative(im, value):\n    return im\n")
    (folder / "logo.png").write_bytes(b"picture")
    assert package.code_hash("images", tmp_path) != before
    made = package.build(["images"], tmp_path, tmp_path / "out", target="host")
    with zipfile.ZipFile(made["images"].path) as built:
        assert {"filters/negative.py", "logo.png"} <= set(built.namelist())


class TestWheels:
    def test_pip_is_asked_for_lambdas_python_and_every_tag_it_loads(self) -> None:
        wanted = wheels.abi("arm64")
        arguments = wheels.arguments(Path("r.txt"), Path("into"), wanted)
        assert (wanted.python, wanted.machine) == ("3.13", "aarch64")
        assert arguments.count("--platform") == 4
        assert "manylinux_2_28_aarch64" in arguments
        assert "--require-hashes" in arguments

    def test_lambdas_python_is_the_one_that_functions_are_declared_with(self) -> None:
        from imgpipe.deploy import graph

        assert f"python{wheels.LAMBDA_PYTHON}" == graph.LAMBDA_RUNTIME

    def test_a_package_that_cannot_be_had_is_told_with_a_hint(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        pin = lambda_lock.Pin(
            name="no-such-package", version="9", machine=None, hashes=("--hash=sha256:" + "0" * 64,)
        )
        with pytest.raises(ImgpipeError, match="no-such-package 9") as caught:
            wheels.fetch([pin], wheels.abi("x86_64"))
        assert "network" in caught.value.hint
