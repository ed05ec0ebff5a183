"""`process` and `package`: the functions' work without a cloud."""

import dataclasses
import io
import itertools
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest
from rich.console import Console
from typer import Typer
from typer.testing import CliRunner

from imgpipe.cli import build
from imgpipe.cli.views import process as view
from imgpipe.cli.views.fitting import fitted
from imgpipe.deploy import spec, trial, wheels
from imgpipe.deploy.problems import SpecError
from imgpipe.errors import ImgpipeError, UsageError
from imgpipe.operate.process import files as named
from imgpipe.operate.process import functions, many, work
from imgpipe.runtime import settings
from imgpipe.runtime.settings import Limits
from tests.photos import ROOT
from tests.pictures import corners, encoded, is_upright, opened
from tests.unit.image.test_facts import photo

MANY = ", ".join(f"size-{width}: {{width: {width}}}" for width in range(100, 160))
TOO_MUCH = f"version: 1\nname: tiny\nsteps:\n  many: {{variants: {{{MANY}}}}}\n"
"""More settings than Lambda's 4,096 bytes."""


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
    assert set(end["functions"]) == {"thumbs", "enhance", "images"}
    assert end["ms"] == pytest.approx(sum(end["functions"].values()))
    assert end["facts"]["width"] == 400


def test_one_step_alone_can_be_tried(run: Run) -> None:
    _, said = run("process", "good.png", "--step", "thumbnail", "--json")
    (end,) = json.loads(said)
    assert set(end["variants"]) == {"thumb"}
    assert set(end["functions"]) == {"thumbs"}


def test_each_file_has_its_own_end_and_the_exit_code_tells(run: Run) -> None:
    code, said = run(
        "process", "good.png", "text.jpg", "empty.jpg", "none.jpg", "lambdas/*", "--all", "--json"
    )
    ends = [(end["status"], end["reason"]) for end in json.loads(said)]
    assert code == 1
    assert ends[:4] == [
        ("done", ""),
        ("rejected", "unsupported_format"),
        ("rejected", "empty_file"),
        ("failed", "unreadable"),
    ]
    assert {end[0] for end in ends[4:]} == {"rejected"}


def test_one_file_is_shown_as_a_page(run: Run) -> None:
    code, said = run("process", "good.png")
    assert code == 0
    assert "good.png  done" in said
    assert "400 x 300 · 0.1 MP · png · RGB · 8 bit" in said
    assert "landscape" in said
    assert "200 x 200" in said


def test_many_are_shown_as_a_table_with_reasons_in_words(run: Run) -> None:
    code, said = run("process", "good.png", "text.jpg", "none.jpg")
    lines = {line.split()[0]: line for line in said.splitlines()}
    assert code == 1
    assert "done" in lines["good.png"]
    assert "thumb" in lines["good.png"]
    assert "kB" in lines["good.png"]
    assert "it is not an image of a kind we can read: it is none of" in lines["text.jpg"]
    assert "there is no such file" in lines["none.jpg"]


def test_folders_and_globs_are_expanded_and_keep_their_structure(run: Run, project: Path) -> None:
    for name in ("album/a.png", "album/day/a.png", "more/b.png"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_bytes(encoded(corners(), "PNG"))
    code, said = run("process", "album", "mo*/*.png", "-s", "sizes", "--out", "out", "--json")
    paths = [end["variants"]["medium"]["path"] for end in json.loads(said)]
    assert code == 0
    assert paths == [f"out/medium/{name}.jpg" for name in ("album/a", "album/day/a", "b")]
    assert all((project / path).is_file() for path in paths)


def test_what_all_files_have_in_common_is_said_once(run: Run, project: Path) -> None:
    folder = project / "a-folder" / "of-its-own"
    folder.mkdir(parents=True)
    for name in ("one.png", "two.png"):
        (folder / name).write_bytes(encoded(corners(), "PNG"))
    _, said = run("process", "a-folder", "-s", "sizes")
    assert "in a-folder/of-its-own/:" in said
    assert said.count("of-its-own") == 1
    assert "one.png" in said
    (project / "a-folder" / "three.png").write_bytes(encoded(corners(), "PNG"))
    _, said = run("process", "a-folder", "good.png", "-s", "sizes")
    assert "a-folder/of-its-own/one.png" in said


def test_a_number_of_variants_and_their_size_are_on_one_line() -> None:
    made = {
        str(n): work.Variant(width=1, height=1, bytes=142_500, format="jpeg") for n in range(12)
    }
    ends = [
        work.Processed(
            file=f"{'n' * 40}.jpg", status="done", size=9_990_000, ms=9_999, variants=made
        ),
        work.Processed(
            file="b.jpg", status="rejected", why="it is not an image of a kind we can read"
        ),
    ]
    out = io.StringIO()
    table = view.table(ends, 80)
    Console(file=out, width=80).print(fitted(table, 80))
    assert "12 variants, 1.71 MB" in out.getvalue()
    assert max(map(len, out.getvalue().splitlines())) <= 80


def test_a_folder_that_cannot_be_written_to_is_named_before_any_work(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "one", lambda *_: pytest.fail("work was done"))
    with pytest.raises(UsageError, match=r"--out good\.png/x: nothing can be written"):
        run("process", "text.jpg", "--out", "good.png/x")


def test_a_step_for_removals_is_not_said_to_be_missing(run: Run) -> None:
    with pytest.raises(UsageError, match="step tidy: it works on removals"):
        run("process", "good.png", "--step", "tidy")
    with pytest.raises(UsageError, match="step none: there is none"):
        run("process", "good.png", "--step", "none")


def test_sizes_in_reasons_are_as_people_say_them(project: Path) -> None:
    large = project / "large.jpg"
    large.write_bytes(bytes(3_200_000))
    asked = dataclasses.replace(task(project), limits=Limits(max_bytes=1_000_000))
    end = work.one(named.File(str(large), "large"), asked, asked.makes())
    assert end.message == "3.2 MB; the limit is 1 MB"


def test_what_in_a_folder_is_hidden_or_no_image_is_left_out_with_a_line(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, str]] = []
    monkeypatch.setattr(view, "left_out", lambda item: told.append((item.path, item.why)))
    (project / "album").mkdir()
    (project / "album" / "a.png").write_bytes(encoded(corners(), "PNG"))
    for name in (".DS_Store", "manifest.json"):
        (project / "album" / name).write_bytes(b"{}")
    code, said = run("process", "album", "--json")
    assert code == 0
    assert [end["file"] for end in json.loads(said)] == ["album/a.png"]
    assert told == [("album/.DS_Store", "hidden"), ("album/manifest.json", "not an image")]
    code, said = run("process", "album", "--all", "--json")
    assert code == 1
    assert len(json.loads(said)) == 3
    assert run("process", "album/manifest.json", "--json")[0] == 1
    assert len(told) == 2


def test_files_of_one_name_never_overwrite_each_other(run: Run, project: Path) -> None:
    given = ["a/x.png", "b/x.png", "c/X.png", "a/x.webp", "d/x.png.png"]
    for name in given:
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_bytes(encoded(corners(), "PNG"))
    _, said = run("process", *given, "-s", "sizes", "--out", "out", "--json")
    paths = [end["variants"]["medium"]["path"] for end in json.loads(said)]
    assert paths[0] == "out/medium/x.jpg"
    assert len({path.lower() for path in paths}) == len(given)


@pytest.mark.parametrize(
    ("given", "out"), [(".", "."), (".", "out"), ("medium/a.png", "."), ("album", "album/new")]
)
def test_variants_are_never_written_among_the_files(
    run: Run, project: Path, given: str, out: str
) -> None:
    (project / "medium").mkdir()
    (project / "album").mkdir()
    (project / "medium" / "a.png").write_bytes(encoded(corners(), "PNG"))
    with pytest.raises(UsageError, match="among the files"):
        run("process", given, "--out", out)


def test_settings_that_lambda_has_no_room_for_are_told_and_work_here(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = project / "pipeline.yaml"
    file.write_text(TOO_MUCH)
    with pytest.raises(SpecError, match="Lambda allows 4,096"):
        spec.load(file, "local")
    view.tell_limits(file, spec.load_off_cloud(file, "local")[1])
    told = capsys.readouterr().err
    assert told.startswith("works here, not in a cloud: ")
    assert "pipeline.yaml:4:3: the settings of `tiny-local-many` take" in told


def test_a_pipeline_too_large_for_lambda_makes_its_variants_here(run: Run, project: Path) -> None:
    (project / "pipeline.yaml").write_text(TOO_MUCH)
    code, said = run("process", "good.png", "--json")
    assert code == 0
    (end,) = json.loads(said)
    assert len(end["variants"]) == 60
    (project / "pipeline.yaml").write_text(TOO_MUCH + "  wrong: {variant: {}}\n")
    with pytest.raises(SpecError, match="did you mean `variants`"):
        run("process", "good.png")


def task(project: Path, out: Path | None = None, *, isolate: bool = True) -> work.Task:
    declared = spec.load(project / "pipeline.yaml", "local")
    wanted = functions.functions(declared, project, ["thumbnail"])
    return work.Task(functions=wanted, limits=Limits(), out=out, isolate=isolate)


def test_several_processes_give_the_same_ends_in_the_same_order(project: Path) -> None:
    for number in range(9):
        (project / f"{number}.png").write_bytes(encoded(corners(100 + number, 90), "PNG"))
    given = [str(project / name) for name in ("text.jpg", "[0-9].png", "none.jpg")]
    plain, spread = (
        [
            (end.file, end.status, end.reason, end.variants.get("thumb"))
            for end in many.process(named.find(given), task(project), processes=processes)
        ]
        for processes in (1, 2)
    )
    assert plain == spread
    assert len(plain) == 11


def test_a_file_that_kills_its_process_costs_no_other_file(project: Path) -> None:
    handler = project / "lambdas" / "images" / "handler.py"
    handler.write_text(
        "import os\n"
        "def make(data, wanted, limits):\n"
        "    if data == b'hello':\n"
        "        os.kill(os.getpid(), 9)\n"
        "    return {}\n"
    )
    given = [str(project / name) for name in ("good.png", "text.jpg", "empty.jpg", "good.png")]
    ends = many.process(named.find(given), task(project, isolate=False), processes=2)
    assert [(end.status, end.reason) for end in ends] == [
        ("done", ""),
        ("rejected", "worker_crash"),
        ("done", ""),
        ("done", ""),
    ]


@pytest.mark.parametrize("processes", ["1", "2"])
def test_an_isolated_file_that_crashes_is_refused_for_it(
    run: Run, project: Path, processes: str
) -> None:
    handler = project / "lambdas" / "images" / "handler.py"
    own = "def make(data, wanted, limits):\n    return image.make(data, wanted, limits)"
    crash = "    if data == b'hello':\n        import os; os._exit(3)\n"
    handler.write_text(
        f"from imgpipe.runtime import image\n{own}".replace("limits):\n", f"limits):\n{crash}")
    )
    given = ("process", "good.png", "text.jpg", "good.png", "-p", processes, "--json")
    _, said = run(*given)
    ends = [(end["status"], end["reason"]) for end in json.loads(said)]
    assert ends == [("done", ""), ("rejected", "worker_crash"), ("done", "")]


def test_files_are_taken_as_they_are_worked_on(project: Path) -> None:
    """However many there are, no more than a few are held."""
    taken = []

    def endless() -> Iterator[named.File]:
        for number in itertools.count():
            taken.append(number)
            yield named.File(str(project / "text.jpg"), str(number))

    for processes in (1, 2):
        taken.clear()
        ends = many.process(endless(), task(project), processes=processes)
        for _ in range(20):
            assert next(ends).status == "rejected"
        ends.close()
        assert len(taken) <= 20 + many.AHEAD * processes


def test_the_projects_own_handler_is_what_runs(run: Run, project: Path) -> None:
    handler = project / "lambdas" / "images" / "handler.py"
    handler.write_text(
        handler.read_text() + "\n\ndef make(data, wanted, limits):\n    return 1 / 0\n"
    )
    _, said = run("process", "good.png", "--json")
    (end,) = json.loads(said)
    assert (end["status"], end["reason"]) == ("failed", "ZeroDivisionError")
    assert end["why"] == "the project's own handler raised ZeroDivisionError: division by zero"
    last = len(handler.read_text().splitlines())
    assert end["message"] == f"lambdas/images/handler.py, line {last}"


@pytest.mark.parametrize("isolate", [True, False])
@pytest.mark.parametrize("refuses", [True, False])
def test_the_time_until_a_file_was_refused_is_told(
    project: Path, isolate: bool, refuses: bool
) -> None:
    error = "Rejected(Reason.CORRUPT_IMAGE)" if refuses else "ValueError()"
    (project / "lambdas" / "images" / "handler.py").write_text(
        "from imgpipe.runtime.errors import Reason, Rejected\n"
        f"def make(data, wanted, limits):\n    raise {error}\n"
    )
    clock = map(float, itertools.count())
    wanted = dataclasses.replace(task(project, isolate=isolate), clock=lambda: next(clock))
    (end,) = many.process(named.find([str(project / "good.png")]), wanted)
    assert end.status == ("rejected" if refuses else "failed")
    assert end.ms == 1000.0
    assert end.functions == {"thumbs": 1000.0}


def test_a_wrong_extension_is_told_to_people(run: Run, project: Path) -> None:
    shutil.copy(project / "good.png", project / "good.jpg")
    told = "named .jpg, is png"
    assert told in run("process", "good.jpg")[1]
    assert told in run("process", "good.jpg", "good.png")[1]


def test_a_table_fits_however_many_variants_there_are() -> None:
    made = work.Variant(width=9, height=9, bytes=1_000_000, format="jpeg")
    variants = {f"a-name-of-a-variant-{number}": made for number in range(22)}
    end = work.Processed(
        file="a/b.jpg", status="done", variants=variants, facts={"note": "no jpeg"}
    )
    few = dataclasses.replace(end, variants=dict(list(variants.items())[:5]))
    for width in (80, 160):
        console = Console(width=width, file=io.StringIO())
        console.print(fitted(view.table([end, few], width), width))
        text = console.file.getvalue()
        assert max(map(len, text.splitlines())) <= width
        assert "22 variants, 22 MB; no jpeg" in " ".join(text.split())
        assert ("a-name-of-a-variant-4" in text) == (width == 160)


def test_a_small_picture_has_pixels_rather_than_no_megapixels(run: Run, project: Path) -> None:
    (project / "small.png").write_bytes(encoded(corners(40, 30), "PNG"))
    said = run("process", "small.png")[1]
    assert "40 x 30 · 1,200 pixels · png" in said


SMALL = "im.width < 90"
"""What a filter is tried on before anything is run."""
ENDS = {
    "return im.mode / 2": "raised TypeError: unsupported operand type(s) for /: 'str' and 'int'",
    "raise ValueError": "raised ValueError",
    "return None": "returned nothing, not a picture",
    "return 'im'": "returned a str, not a picture",
    "return im.crop((0, 0, 9, 9))": "returned 9 x 9 pixels for 100 x 75",
    "import sys; sys.exit(4)": "raised SystemExit: 4",
}
DEADLY = {
    "while True: pass": "took more than 1 s of processor time",
    "import time; time.sleep(60)": "wasn't done in 2.0 s: it waits for something, it hangs, or",
    "import os; os.kill(os.getpid(), 9)": "was killed (SIGKILL), by its own hand or because",
    "import os; os._exit(3)": "ended its process (exit code 3)",
    "import faulthandler, os; faulthandler.disable(); os.abort()": "crashed its process (SIGABRT)",
}


def own_filter(project: Path, body: str, *, when: str = f"not {SMALL}", head: str = "") -> None:
    """Write a filter `too-much` that does `body` when `when` is so, and a pipeline that has it."""
    own = project / "lambdas" / "images" / "filters"
    own.mkdir(exist_ok=True)
    text = f"{head}\ndef too_much(im, value):\n    if {when}:\n        {body}\n    return im\n"
    (own / "too_much.py").write_text(text)
    (project / "pipeline.yaml").write_text(
        "version: 1\nname: art\nuploads: {limits: {decode: 1s}}\nsteps:\n  art:\n    via: queue\n"
        "    filters: [sepia, too-much]\n    variants: {art: {width: 100}}\n"
    )


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a busy machine take its time: a second of the processor's may last minutes by the clock."""
    monkeypatch.setattr(settings, "CLOCK_TIMES", 600)


def wall_s(body: str) -> float:
    return 2 if "sleep" in body else 0


@pytest.mark.parametrize("isolate", ["--isolate", "--no-isolate"])
@pytest.mark.parametrize(("body", "did"), ENDS.items())
def test_an_own_filter_that_goes_wrong_is_named_with_its_line(
    run: Run, project: Path, body: str, did: str, isolate: str
) -> None:
    own_filter(project, body)
    _, said = run("process", "good.png", "--json", isolate)
    (end,) = json.loads(said)
    assert (end["status"], end["reason"]) == ("failed", "FilterFailed")
    assert end["why"].startswith(f"the filter `too-much` {did}")
    assert end["message"].startswith("lambdas/images/filters/too_much.py")
    assert end["message"].endswith(", line 4") == ("raised" in did)
    page = run("process", "good.png", isolate)[1]
    assert f"next: mend {end['message']}, and run the same again" in " ".join(page.split())
    tally = view.Tally()
    tally.add(work.Processed(**end))
    assert tally.broken == end["message"]


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(("body", "did"), DEADLY.items())
def test_an_own_filter_that_takes_its_process_along_is_named(
    project: Path, body: str, did: str
) -> None:
    own_filter(project, body)
    declared = spec.load(project / "pipeline.yaml", "local")
    limits = Limits(decode_s=1, wall_s=wall_s(body))
    wanted = work.Task(functions=functions.functions(declared, project), limits=limits)
    (end,) = many.process(named.find([str(project / "good.png")]), wanted)
    assert (end.status, end.reason) == ("failed", "FilterFailed")
    assert end.why.startswith(f"the filter `too-much` {did}")
    assert end.message == "lambdas/images/filters/too_much.py"


@contextmanager
def another_thread() -> Iterator[None]:
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("threads", [nullcontext, another_thread], ids=["alone", "threads"])
@pytest.mark.parametrize(("body", "did"), [*ENDS.items(), *DEADLY.items()])
def test_an_own_filter_that_goes_wrong_is_told_before_anything_is_run(
    run: Run,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    body: str,
    did: str,
    threads: Callable[[], AbstractContextManager[None]],
) -> None:
    monkeypatch.setattr(trial, "LIMITS", Limits(decode_s=1, wall_s=wall_s(body)))
    own_filter(project, body.replace("9, 9", "8, 8"), when=SMALL)
    told = did.replace("9 x 9 pixels for 100 x 75", "8 x 8 pixels for 64 x 48")
    with pytest.raises(UsageError) as refused, threads():
        run("process", "good.png")
    assert f"pipeline.yaml:7:22: the filter `too-much` {told}" in str(refused.value)
    assert "mend lambdas/images/filters/too_much.py" in str(refused.value)


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (
            "import nothing_like_it",
            "raised ModuleNotFoundError: No module named 'nothing_like_it' ",
        ),
        ("def broken(:", "raised SyntaxError: "),
        ("PHASE = 'turn'", 'has a PHASE that is neither "tone" nor "finish"'),
        ("import os; os._exit(0)", "ended its process (exit code 0)"),
    ],
)
def test_an_own_filter_that_is_none_is_told_before_anything_is_run(
    run: Run, project: Path, head: str, told: str
) -> None:
    own_filter(project, "pass", head=head)
    with pytest.raises(UsageError) as refused:
        run("process", "good.png")
    assert f"the filter `too-much` {told}" in str(refused.value)
    assert ("too_much.py, line 1)" in str(refused.value)) == told.startswith("raised")


def test_an_own_finish_must_work_on_grey_and_on_alpha(run: Run, project: Path) -> None:
    own_filter(
        project, "return im.convert('CMYK')", when="im.mode == 'RGB'", head="PHASE = 'finish'"
    )
    assert run("process", "good.png")[0] == 0
    own_filter(project, "1 / 0", when="im.mode == 'L'", head="PHASE = 'finish'")
    with pytest.raises(UsageError, match=r"line 4\), on a grey picture"):
        run("process", "good.png")


def test_what_an_own_filter_prints_is_no_data(
    run: Run, project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    own_filter(project, "print('hello')", when="True")
    code, said = run("process", "good.png", "--json")
    assert code == 0
    assert json.loads(said)[0]["status"] == "done"
    assert "hello" not in capfd.readouterr().out


def test_of_steps_that_tell_one_fact_the_last_by_name_wins_as_in_the_row(
    run: Run, project: Path
) -> None:
    (project / "pipeline.yaml").write_text(
        "version: 1\nname: art\nsteps:\n"
        "  b: {via: queue, exif: true, gps: 1}\n"
        "  c: {via: queue, exif: true, gps: drop}\n"
        "  a: {via: queue, exif: true, gps: keep}\n"
    )
    (project / "there.jpg").write_bytes(photo())
    _, said = run("process", "there.jpg", "--json")
    (end,) = json.loads(said)
    place = end["facts"]["gps"].values()
    assert list(place) == [round(degrees, 1) for degrees in place]


@pytest.mark.parametrize("text", ["raise ValueError('no')", "import nowhere", "def f(:"])
def test_a_handler_that_cannot_be_loaded_is_named(project: Path, text: str) -> None:
    handler = project / "lambdas" / "images" / "handler.py"
    handler.write_text(text)
    with pytest.raises(ImgpipeError, match=r"handler\.py"):
        functions.load_make("images", project)


def test_a_handler_without_make_is_told(project: Path) -> None:
    with pytest.raises(UsageError, match="no function `make`"):
        functions.load_make("writer", project)


def test_an_unknown_step_is_told_with_the_known_ones(project: Path) -> None:
    declared = spec.load(project / "pipeline.yaml", "local")
    with pytest.raises(UsageError, match="thumbnail, enhance"):
        functions.functions(declared, project, ["nothing"])


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


def test_what_could_not_be_compiled_is_told(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    monkeypatch.setattr(wheels, "LAMBDA_PYTHON", "3.99")
    monkeypatch.setattr(wheels, "files", lambda *_: {})
    done = CliRunner().invoke(run.app, ["package", "--target", "arm64", "--json"])
    assert done.exit_code == 0
    assert not any(each["compiled"] for each in json.loads(done.stdout))
    told = " ".join(done.stderr.split())
    assert told.startswith("arm64: modules could not be compiled")
    assert "there is no python3.99 here" in told


def test_the_zips_are_listed_for_people(run: Run) -> None:
    code, said = run("package", "--target", "host")
    assert code == 0
    assert "writer" in said
