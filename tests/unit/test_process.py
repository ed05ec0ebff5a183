"""`process` and `package`: the functions' work without a cloud."""

import json
import shutil
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from imgpipe.cli import build
from imgpipe.deploy import spec
from imgpipe.errors import ImgpipeError, UsageError
from imgpipe.operate import process
from tests.photos import ROOT
from tests.pictures import corners, encoded, is_upright, opened


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "pipeline.yaml", tmp_path)
    shutil.copytree(
        ROOT / "lambdas", tmp_path / "lambdas", ignore=shutil.ignore_patterns("__pycache__")
    )
    (tmp_path / "good.png").write_bytes(encoded(corners(), "PNG"))
    (tmp_path / "text.jpg").write_bytes(b"hello")
    (tmp_path / "empty.jpg").write_bytes(b"")
    return tmp_path


@pytest.fixture
def run(project: Path, monkeypatch: pytest.MonkeyPatch) -> "Run":
    monkeypatch.chdir(project)
    return Run()


class Run:
    def __init__(self) -> None:
        self.app = Typer()
        build.register(self.app)

    def __call__(self, *arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(self.app, arguments)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.stdout


def test_variants_are_written_where_asked(run: Run, project: Path) -> None:
    code, said = run("process", "good.png", "--out", "out", "--json")
    (end,) = json.loads(said)
    assert code == 0
    assert end["status"] == "done"
    assert set(end["variants"]) == {"thumb", "enhanced", "medium", "large"}
    assert end["variants"]["medium"]["path"] == str(Path("out/medium/good.jpg"))
    assert is_upright(opened((project / "out/medium/good.jpg").read_bytes()))
    assert set(end["ms"]) == {"thumbs", "enhance", "images"}
    assert end["facts"]["width"] == 400


def test_one_step_alone_can_be_tried(run: Run) -> None:
    _, said = run("process", "good.png", "--step", "thumbnail", "--json")
    (end,) = json.loads(said)
    assert set(end["variants"]) == {"thumb"}
    assert set(end["ms"]) == {"thumbs"}


def test_each_file_has_its_own_end_and_the_exit_code_tells(run: Run) -> None:
    code, said = run("process", "good.png", "text.jpg", "empty.jpg", "none.jpg", ".", "--json")
    ends = [(end["status"], end["reason"]) for end in json.loads(said)]
    assert code == 1
    assert ends == [
        ("done", ""),
        ("rejected", "unsupported_format"),
        ("rejected", "empty_file"),
        ("failed", "unreadable"),
        ("failed", "unreadable"),
    ]


def test_people_read_a_line_a_file(run: Run) -> None:
    code, said = run("process", "good.png", "text.jpg")
    assert code == 1
    assert "done good.png" in said
    assert "thumb  200 x 200" in said
    assert "rejected text.jpg unsupported_format" in said


def test_the_projects_own_handler_is_what_runs(run: Run, project: Path) -> None:
    handler = project / "lambdas" / "images" / "handler.py"
    handler.write_text(
        handler.read_text() + "\n\ndef make(data, wanted, limits):\n    return 1 / 0\n"
    )
    _, said = run("process", "good.png", "--json")
    (end,) = json.loads(said)
    assert (end["status"], end["reason"]) == ("failed", "ZeroDivisionError")


@pytest.mark.parametrize("text", ["raise ValueError('no')", "import nowhere", "def f(:"])
def test_a_handler_that_cannot_be_loaded_is_named(project: Path, text: str) -> None:
    handler = project / "lambdas" / "images" / "handler.py"
    handler.write_text(text)
    with pytest.raises(ImgpipeError, match=r"handler\.py"):
        process.load_make("images", project)


def test_a_handler_without_make_is_told(project: Path) -> None:
    with pytest.raises(UsageError, match="no function `make`"):
        process.load_make("writer", project)


def test_an_unknown_step_is_told_with_the_known_ones(project: Path) -> None:
    declared = spec.load(project / "pipeline.yaml", "local")
    with pytest.raises(UsageError, match="thumbnail, enhance"):
        process.functions(declared, project, ["nothing"])


def test_two_files_of_one_name_are_refused_before_any_work() -> None:
    with pytest.raises(UsageError, match="overwrite each other"):
        process.refuse_same_names([Path("a/x.jpg"), Path("b/x.png")])


def test_the_zips_are_listed_with_their_hashes(run: Run, project: Path) -> None:
    code, said = run("package", "--json")
    listed = json.loads(said)
    assert code == 0
    assert [each["source"] for each in listed] == ["images", "notifier", "tidy", "writer"]
    for each in listed:
        assert each["target"] == "host"
        assert Path(each["path"]).stat().st_size == each["size"]
        assert Path(each["path"]).is_relative_to(project / ".imgpipe" / "build")
    assert run("package", "--json")[1] == said


def test_the_zips_are_listed_for_people(run: Run) -> None:
    code, said = run("package", "--target", "host")
    assert code == 0
    assert "writer" in said
