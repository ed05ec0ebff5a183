"""pipeline.yaml -> Spec: what is accepted, what is refused, where and in which words."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from imgpipe.deploy import spec, steps
from imgpipe.deploy.problems import SpecError
from imgpipe.deploy.units import Rate
from imgpipe.errors import UsageError
from tests.photos import ROOT
from tests.unit.deploy.declared import SMALLEST, declare, problem, problems


def test_the_default_pipeline_is_valid_in_every_environment_that_it_declares() -> None:
    made = spec.load(ROOT / "pipeline.yaml", "local")
    assert list(made.steps) == ["thumbnail", "enhance", "sizes", "metadata", "tidy"]
    assert list(made.created) == ["thumbnail", "enhance", "sizes", "metadata"]
    assert set(made.environments) == {"local"}


def test_what_is_left_out_has_the_documented_default() -> None:
    made = declare(SMALLEST)
    assert (made.uploads.prefix, made.uploads.limits.bytes) == ("incoming/", 200_000_000)
    assert (made.lambda_.timeout, made.lambda_.retries, made.lambda_.log_retention) == (60, 5, 30)
    assert made.alarms.rejected == Rate(10, 3600)
    assert not made.notify.failed.addresses


def test_sizes_durations_and_rates_are_read_as_people_write_them() -> None:
    made = declare(
        SMALLEST
        + "uploads: {limits: {bytes: 1.5MB, pixels: 250MP, decode: 1m}}\n"
        + "lambda: {memory: 2GB, tmp: 1GB, timeout: 90s, retention: 4d, visibility: 15m}\n"
        + "alarms: {rejected: 3/m, age: 2h}\n"
    )
    assert (made.uploads.limits.bytes, made.uploads.limits.pixels) == (1_500_000, 250_000_000)
    assert (made.lambda_.memory, made.lambda_.tmp, made.lambda_.timeout) == (2048, 1024, 90)
    assert (made.lambda_.retention, made.lambda_.visibility) == (345_600, 900)
    assert (made.alarms.rejected, made.alarms.age) == (Rate(3, 60), 7200)


def test_everything_wrong_is_told_at_once_in_the_order_of_lines() -> None:
    found = problems(
        """\
        version: 2
        name: Tiny
        steps:
          thumb:
            variants: {thumb: {widht: 200, fit: covr}}
          thumb: {}
        lambda: {memory: 64, batch: 50}
        alarms: {rejected: 10}
        """
    )
    assert [line.partition(": ")[0] for line in found] == [
        "1:10",
        "2:7",
        "5:24",
        "5:41",
        "6:3",
        "7:18",
        "8:20",
    ]
    assert found[2].endswith("unknown key `widht`; did you mean `width`?")
    assert "did you mean `cover`?" in found[3]


def test_a_rule_is_told_next_to_a_value_that_is_refused_elsewhere() -> None:
    found = problems(SMALLEST + "alarms: {dlq: no}\nlambda: {batch: 100}\n")
    assert len(found) == 2
    assert "needs a `window`" in found[1]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("uplods: {}", "5:1: unknown key `uplods`; did you mean `uploads`?"),
        ("uploads: {prefx: a/}", "5:11: unknown key `prefx`; did you mean `prefix`?"),
        ("lambda: {zzz: 1}", "known are `architecture`"),
        ("environments: {prod: {lamda: {}}}", "did you mean `lambda`?"),
        ("environments: {prod: {lambda: {memry: 1}}}", None),
        ("uploads:", "5:9: `uploads` must be settings of its own, as `name: value`, not nothing"),
        ("uploads: {prefix: /incoming/}", "without a slash in front"),
        ("uploads: {prefix: 'in coming/'}", "must be letters"),
        ("uploads: {suffixes: ['*.jpg']}", "must be a file name's ending"),
        ("uploads: {suffixes: [jpg, JPG]}", "5:27: `.jpg` is listed twice"),
        ("environments: 5", "`environments` must be settings of its own"),
        ("environments: {prod: 5}", "`prod` must be settings of its own"),
        ("version: 1", "5:1: `version` is written twice"),
        ("uploads: {suffixes: jpg}", "`suffixes` must be a list, such as [a, b], not 'jpg'"),
        ("uploads: {limits: {bytes: 200XB}}", "`bytes`: write it like 200MB, not '200XB'"),
        ("uploads: {limits: {bytes: 0.5}}", "write it like 200MB"),
        ("uploads: {limits: {bytes: 1.2345678MB}}", "not a whole number"),
        ("lambda: {timeout: 16m}", "1s to 15m"),
        ("lambda: {timeout: true}", "write it like 60s, not true"),
        ("lambda: {memory: 11GB}", "128 to 10240 MB"),
        ("lambda: {tmp: 1MB}", "512 to 10240 MB"),
        ("lambda: {log_retention: 31d}", "the nearest it knows is 30d"),
        ("lambda: {retention: 14d}", "1m to 13d"),
        ("lambda: {architecture: riscv}", "known are `x86_64` and `arm64`"),
        ("alarms: {rejected: 0/h}", "at least 1"),
        ("table: {billing: provisioned}", "it must be `on-demand`"),
        ("table: {recovery: yes}", "`recovery` must be true or false, not 'yes'"),
        ("notify: {uploaded: {email: [nobody]}}", "'nobody' is not an e-mail address"),
        ("notify: {uploaded: {sms: [+447123456000]}}", "write it in quotes"),
        ("notify: {uploaded: {push: [x]}}", "ARN of a push endpoint"),
        ("environments: {prod: {region: Frankfurt}}", "`region` can't be 'Frankfurt'"),
        ("environments: {Prod: {}}", "must be lower-case letters"),
        ("environments: {local: {profile: me}}", "it has no profile"),
        ("environments: {prod: {region: cn-north-1}}", "China"),
    ],
)
def test_a_wrong_value_is_told_in_plain_words(more: str, message: str | None) -> None:
    if message is None:
        assert declare(SMALLEST + more)  # wrong only where it is laid over
        return
    assert message in problem(SMALLEST + more)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("{tags: rekognition}", "{local: {steps: {it: {tags: basic}}}}"),
        ("{tags: clever}", "known are `none`, `basic` and `rekognition`"),
        ("{variants: {v: {width: 9}}, gps: keep}", "add `exif: true`"),
        ("{exif: true, gps: 5}", "0 to 4"),
        ("{exif: true, gps: true}", "is no policy"),
        ("{exif: true, gps: {row: near}}", "is no policy"),
        ("{exif: true, gps: {rows: drop}}", "did you mean `row`?"),
        ("{exif: true, gps: {outputs: keep}}", "give one `metadata: all`"),
        (
            "{variants: {v: {width: 9, metadata: all}}, gps: {row: round}}",
            "comes to the row with `exif: true`",
        ),
        ("{variants: {v: {width: 9, metadata: some}}}", "`strip`, `copyright` and `all`"),
        ("{}", "`it` does nothing"),
        ("", "`it` must be settings of its own"),
        ("{filters: [sepia], exif: true}", "this step makes none"),
        ("{variants: {v: {}}}", "`v` has no size"),
        ("{variants: {v: {width: 9, fit: cover}}}", "`fit: cover` needs `width` and `height`"),
        ("{variants: {v: {width: 0}}}", "1 to 16383 pixels"),
        ("{variants: {v: {width: 20000}}}", "1 to 16383 pixels"),
        ("{variants: {v: {width: 9, gravity: top}}}", "here nothing is cut off"),
        ("{variants: {v: {width: 9, focal: [0.5, 0.5]}}}", "here nothing is cut off"),
        (
            "{variants: {v: {width: 9, height: 9, fit: cover, gravity: top, focal: [0, 1]}}}",
            "write one of them",
        ),
        (
            "{variants: {v: {width: 9, height: 9, fit: contain, gravity: attention}}}",
            "`contain` keeps everything",
        ),
        ("{variants: {v: {width: 9, height: 9, fit: cover, gravity: north}}}", "`bottom-right`"),
        ("{variants: {v: {width: 9, height: 9, fit: cover, focal: [0.5, 2]}}}", "focal"),
        ("{variants: {v: {width: 9, format: png, progressive: true}}}", "can't be progressive"),
        ("{variants: {v: {width: 9, background: clear}}}", "a jpeg can't be clear: write `format"),
        ("{variants: {v: {width: 9, background: none}}}", "or `clear`"),
        ("{variants: {v: {width: 9000, dpr: [2]}}}", "18000 pixels wide or high"),
        ("{variants: {v: {width: 9, dpr: [5]}}}", "dpr"),
        (
            "{variants: {v: {width: 9}}, filters: [{watermark: {image: no.png}}]}",
            "`watermark`: there is no file `no.png`",
        ),
        ("{variants: {v: {width: 9}}, filters: [zzz]}", "is a file lambdas/images/filters/zzz.py"),
        ("{variants: {v: {width: 9}}, filters: [watermark]}", "give it a `text` or an `image`"),
        (
            "{variants: {v: {width: 9}}, filters: [{watermark: 日本語 写真}]}",
            "the font has no 日本語写真",
        ),
        ("{variants: {v: {width: 9}}, filters: [{rotate: left}]}", "`rotate` can't be 'left'"),
        ("{variants: {v: {width: 9}}, filters: [{blur: -3}]}", "(0 to 250)"),
        ("{variants: {v: {width: 9}}, filters: [{blur: 100000}]}", "(0 to 250)"),
        ("{variants: {v: {width: 9}}, filters: [{brightness: -5}]}", "(0 to 10)"),
        ("{variants: {v: {width: 9}}, filters: [{saturation: -40}]}", "(0 to 10)"),
        ("{variants: {v: {width: 9}}, filters: [{gamma: 0}]}", "(0.1 to 10)"),
        ("{variants: {v: {width: 9}}, filters: [{gamma: nan}]}", "(0.1 to 10)"),
        ("{variants: {v: {width: 300}}, filters: [{border: 900}]}", "leaves nothing of 300"),
        ("{variants: {v: {width: 9, dpr: [2, 2]}}}", "listed twice"),
        ("{variants: {ops: {width: 9}}}", "where imgpipe keeps its own notes"),
        ("{variants: {thumb: {width: 9}}}", "`thumb` makes a variant `thumb` already"),
        ("{variants: {v: {width: 9, background: red}}}", "is not a colour"),
        ("{variants: {v: {width: 9}}, filters: [sharpn]}", "did you mean `sharpen`?"),
        ("{variants: {v: {width: 9}}, filters: [{sharpen: lots}]}", "`sharpen` can't be 'lots'"),
        ("{variants: {v: {width: 9}}, filters: [{sharpen: 1, blur: 2}]}", "not a mapping"),
        ("{variants: {v: {width: 9}}, filters: [5]}", "write a filter as its name"),
        ("{exif: 1.5}", "`exif` must be true or false, not 1.5"),
        ("{on: removed, lambda: lambdas/images}", "is not made for this"),
        ("{variants: {v: {width: 9}}, filters: [{sharpen: false}]}", "leave a filter out"),
        ("{palette: 3, gps: keep}", "add `exif: true`"),
        ("{exif: true, gps: maybe}", "known are `drop`, `round` and `keep`"),
        ("{exif: true, group: results}", "a name that the pipeline itself uses"),
        ("{exif: true, group: x-dlq}", "a name that the pipeline itself uses"),
        ("{exif: true, group: x-fifo}", "S3 can't notify FIFO"),
        ("{exif: true, group: x.fifo}", "must be lower-case letters"),
        ("{on: removed, exif: true}", "no picture to work on"),
        ("{on: removed, via: function}", "tidying needs a queue"),
        ("{exif: true, lambda: {visibility: 5m}}", "six timeouts and the window, 6m"),
        ("{exif: true, lambda: {batch: 11}}", "AWS needs a `window`"),
        ("{exif: true, lambda: {concurrency: 1}}", "2 to 1000 at once, not 1"),
        ("{exif: true, lambda: {concurrency: 9, reserved: 3}}", "reserved for 3 at once"),
        ("{exif: true, lambda: {retries: 1000, retention: 1h}}", "they would be lost"),
        ("{via: function, exif: true, lambda: {concurrency: 9, reserved: 3}}", "write one"),
        ("{lambda: lambdas/nowhere}", "no lambdas/nowhere/handler.py"),
        ("{lambda: ../elsewhere}", "must be a folder in `lambdas/`"),
        ("{lambda: lambdas/writer}", "is not made for this"),
    ],
)
def test_a_wrong_step_is_told_in_plain_words(step: str, message: str) -> None:
    assert message in problem(f"{SMALLEST}  it: {step}\n")


def test_steps_of_a_group_must_agree() -> None:
    found = problems(
        """\
        version: 1
        name: tiny
        steps:
          a: {group: g, exif: true, lambda: {memory: 1GB}}
          b: {group: g, palette: 3, via: function, lambda: {memory: 2GB}}
        """
    )
    assert "needs the same `via`" in found[0]
    assert found[1].startswith("5:61: ")
    assert "differ in `memory`" in found[1]


def test_a_group_with_the_name_of_another_step_is_told() -> None:
    text = SMALLEST + "  other: {via: function, group: thumb, exif: true}\n"
    assert "also the name of a step" in problem(text)


def test_a_second_tidy_step_is_told() -> None:
    text = SMALLEST + "  one: {on: removed}\n  two: {on: removed}\n"
    assert "`one` tidies already" in problem(text)


def test_a_pipeline_must_do_something_with_uploads() -> None:
    text = "version: 1\nname: tiny\nsteps: {tidy: {on: removed}}\n"
    assert "no step works on uploads" in problem(text)


@pytest.mark.parametrize("text", ["[1, 2]", "hello", "5"])
def test_a_file_of_another_kind_is_told(text: str) -> None:
    assert "must be settings of its own" in problem(text)


def test_what_must_be_there_is_told_when_it_is_not() -> None:
    assert problems("lambda: {}\n") == [
        "1:1: `name` is missing",
        "1:1: `steps` is missing",
        "1:1: `version` is missing",
    ]


def test_an_environment_may_be_empty() -> None:
    assert (
        declare(SMALLEST + "environments: {prod: }\n", "prod").environments["prod"].region is None
    )


def test_a_pipeline_without_steps_is_told() -> None:
    assert problem("version: 1\nname: tiny\nsteps: {}\n") == "3:8: `steps` is empty"


def test_control_characters_never_reach_the_terminal() -> None:
    with pytest.raises(SpecError) as caught:
        declare(SMALLEST + '"\\e[31mred": 1\n')
    assert "\x1b" not in str(caught.value)


def test_a_users_own_code_may_know_filters_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "lambdas" / "mine"
    folder.mkdir(parents=True)
    (folder / "handler.py").touch()
    step = "  it: {lambda: lambdas/mine, variants: {v: {width: 9}}, filters: [glitter]}\n"
    made = declare(SMALLEST + step, folder=tmp_path)
    assert steps.sources(made) == ("images", "mine", "writer")


def test_a_filter_of_a_projects_own_is_one_file(tmp_path: Path) -> None:
    folder = tmp_path / "lambdas" / "images"
    shutil.copytree(ROOT / "lambdas" / "images", folder)
    step = "  it: {variants: {v: {width: 9}}, filters: [glitter]}\n"
    assert "there is no filter `glitter`" in problem(SMALLEST + step, folder=tmp_path)
    (folder / "filters").mkdir()
    own = folder / "filters" / "glitter.py"
    own.write_text("def glitter(im, value):\n    return im\n")
    assert declare(SMALLEST + step, folder=tmp_path).steps["it"].filters
    own.write_text("def shine(im, value):\n    return im\n")
    assert "no function `glitter`" in problem(SMALLEST + step, folder=tmp_path)


def test_denser_screens_get_variants_of_their_own() -> None:
    text = "{variants: {v: {width: 9, height: 5, dpr: [1, 2, 1.5]}}}"
    step = declare(f"{SMALLEST}  it: {text}\n").steps["it"]
    made = steps.settings(step)["variants"]
    assert {name: (each["width"], each["height"]) for name, each in made.items()} == {
        "v": (9, 5),
        "v@1.5x": (14, 8),
        "v@2x": (18, 10),
    }


SKETCH = """\
version: 1
name: photo-studio
uploads:
  prefix: incoming/
  suffixes: [jpg, png]
  deliver: topic
  limits: {bytes: 200MB, pixels: 250MP, frames: 500}
steps:
  thumbnail: {via: function, group: thumbs, variants: {thumb: {width: 200, height: 200, fit: cover}}}
  enhance:   {via: queue, filters: [autocontrast, {sharpen: 1.2}], variants: {enhanced: {width: 1600}}}
  sizes:     {via: queue, group: images, variants: {medium: {width: 800}, large: {width: 1600}}}
  metadata:  {via: queue, group: images, exif: true, gps: drop, palette: 5}
  tidy:      {on: removed, via: queue}
notify:
  uploaded:  {email: [studio@studio.photo]}
  completed: {email: [studio@studio.photo], sms: ["+447123456000"], push: []}
  failed:    {email: [ops@studio.photo]}
lambda: {memory: 1769, timeout: 60s, tmp: 512MB, concurrency: 50, batch: 10, window: 0s, retries: 5,
         visibility: auto, retention: 4d, log_retention: 30d}
table: {billing: on-demand, recovery: true}
alarms: {dlq: 1, rejected: 10/h, age: 15m, errors: 5}
environments:
  local: {}
  prod:  {profile: studio, region: eu-west-1, lambda: {architecture: arm64, concurrency: 200}}
"""


def test_every_option_there_is_can_be_written_together() -> None:
    made = declare(SKETCH, "prod")
    assert (made.lambda_.architecture, made.lambda_.concurrency) == ("arm64", 200)
    assert made.uploads.suffixes == (".jpg", ".png")
    assert declare(SKETCH).lambda_.architecture == "x86_64"


ENVIRONMENTS = """\
version: 1
name: tiny
steps:
  thumb: {variants: {thumb: {width: 200}}}
  extra: {palette: 3}
lambda: {memory: 1GB, timeout: 30s}
notify: {failed: {email: [ops@example.com]}}
environments:
  prod:
    profile: studio
    region: eu-west-1
    lambda: {memory: 3GB}
    steps: {extra: null, thumb: {variants: {thumb: {width: 300}}}}
    notify: {failed: {email: [ops@studio.photo]}}
  stage:
    lambda: {memory: 64}
"""


def test_an_environment_is_laid_over_key_by_key() -> None:
    prod, local = declare(ENVIRONMENTS, "prod"), declare(ENVIRONMENTS)
    assert (prod.lambda_.memory, prod.lambda_.timeout) == (3072, 30)
    assert list(prod.steps) == ["thumb"]
    assert prod.steps["thumb"].variants["thumb"].width == 300
    assert prod.environments["prod"].profile == "studio"
    assert (local.lambda_.memory, list(local.steps)) == (1024, ["thumb", "extra"])


def test_what_is_laid_over_keeps_its_place() -> None:
    found = problems(ENVIRONMENTS, "stage")
    assert any(line.startswith("16:22: `memory`: it must be 128 to 10240 MB") for line in found)


@pytest.mark.capability("S1-12")
def test_a_placeholder_is_refused_where_somebody_should_hear() -> None:
    text = SMALLEST + "notify: {failed: {email: [ops@example.com]}}\nenvironments: {prod: {}}\n"
    assert declare(text)
    told = problem(text, "prod")
    assert told.startswith("5:27: ops@example.com is a placeholder")
    assert "environments: {prod: {notify: …}}" in told


def test_an_unknown_environment_is_told_with_the_nearest_right_one() -> None:
    with pytest.raises(UsageError, match="did you mean `prod`"):
        declare(ENVIRONMENTS, "prd")


def test_an_address_that_is_listed_twice_is_told() -> None:
    text = SMALLEST + "notify: {failed: {email: [a@b.photo, a@b.photo]}}\n"
    assert "is listed twice" in problem(text)


def test_writing_a_default_out_changes_no_hash() -> None:
    short = declare(SMALLEST)
    long = declare(SMALLEST.replace("width: 200", "width: 200, fit: inside, quality: 80"))
    other = declare(SMALLEST.replace("width: 200", "width: 201"))
    assert steps.settings_hash(short) == steps.settings_hash(long) != steps.settings_hash(other)


def test_how_a_function_is_run_makes_no_picture_stale() -> None:
    more = declare(SMALLEST + "lambda: {memory: 3GB, timeout: 2m}\n")
    assert steps.settings_hash(more) == steps.settings_hash(declare(SMALLEST))


def test_a_step_may_go_back_to_what_is_automatic() -> None:
    text = "  it: {exif: true, lambda: {visibility: auto}}\nlambda: {visibility: 1h}\n"
    running = {group.name: group.running for group in steps.groups(declare(SMALLEST + text))}
    assert (running["it"].visibility_s, running["thumb"].visibility_s) == (360, 3600)


def test_a_filter_without_a_value_is_the_same_as_true() -> None:
    text = SMALLEST.replace("}}}", "}}, filters: [%s]}")
    forms = [
        steps.settings(declare(text % form).steps["thumb"])
        for form in ("sepia", "{sepia: true}", "{sepia: }")
    ]
    assert forms[0]["filters"] == [{"sepia": True}]
    assert forms[0] == forms[1] == forms[2]


def test_a_misspelt_key_hides_nothing_below_it_or_beside_it() -> None:
    text = """
version: 1
name: tiny
uplods:
  limts: {byts: much}
steps:
  enhance:
    vai: queue
    filters: [autocontrst]
    variants: {thumb: {widht: -4}}
tabel: {billing: on-demnd}
"""
    told = [line.partition(" ")[2] for line in problems(text)]
    assert [message for message in told if "did you mean" in message] == [
        "unknown key `uplods`; did you mean `uploads`?",
        "unknown key `limts`; did you mean `limits`?",
        "unknown key `byts`; did you mean `bytes`?",
        "unknown key `vai`; did you mean `via`?",
        "there is no filter `autocontrst`; did you mean `autocontrast`?",
        "unknown key `widht`; did you mean `width`?",
        "unknown key `tabel`; did you mean `table`?",
    ]
    assert any("`billing` can't be" in message for message in told)
    assert any("pixels, not -4" in message for message in told)
    assert {int(line.partition(":")[0]) for line in problems(text)} == {4, 5, 8, 9, 10, 11}


def test_a_misspelt_key_beside_the_right_one_is_only_unknown() -> None:
    text = SMALLEST + "uplods: {prefix: 7}\nuploads: {prefix: a/}"
    assert problem(text).endswith("unknown key `uplods`; did you mean `uploads`?")
