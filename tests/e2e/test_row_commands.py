"""What the commands print that a person would run to see a capability for herself."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.pipeline import Pipeline
from tests.photos import DEMO, ROOT

NAMED = r'"(?:Topic|Queue|Table|Function|LogGroup|Alarm)Name": "([^"]+)"'
X86_64, AARCH64 = 62, 183
"""What an ELF file's header calls the two machines."""

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("studio")]


@pytest.fixture
def apart(tmp_path: Path) -> Pipeline:
    """A project without a cloud, for commands that call none."""
    return Pipeline.copy_to(tmp_path)


def declared(pipeline: Pipeline, text: str) -> Path:
    file = pipeline.folder / "declared.yaml"
    file.write_text(f"version: 1\nname: declared\n{text}")
    return file


def refused(pipeline: Pipeline, text: str) -> str:
    return pipeline.run("validate", "--file", declared(pipeline, text), code=2).err


def planned(pipeline: Pipeline, file: Path) -> dict[str, str]:
    """Return what `imgpipe plan` says would change, with the reason."""
    told = pipeline.run("plan", "--file", file, "--json").json
    return {
        it["name"].removeprefix("photo-studio-local-"): f"{it['verb']}: {it['reason']}"
        for it in told["actions"]
        if it["verb"] != "keep"
    }


@pytest.mark.capability("S0-2", "S0-3", "S0-13", "S2-11")
def test_the_drawing_shows_one_topic_and_every_subscriber(apart: Pipeline) -> None:
    lines = apart.run("export", "graph").out.splitlines()
    topic = next(at for at, line in enumerate(lines) if "created → topic uploaded" in line)
    subscribers = [line for line in lines[topic + 1 :] if line.startswith("│  ")]
    assert [line.split("  ")[1].strip("├└─ ") for line in subscribers] == [
        "function thumbs (thumbnail)",
        "queue enhance → function enhance",
        "queue images → function images (sizes, metadata)",
        "queue notifier → function notifier",
    ]
    assert all(line.endswith("-dlq") for line in subscribers)
    assert sum("bucket uploads" in line for line in lines) == 1
    picture = apart.run("export", "graph", "--format", "svg").out
    assert picture.startswith("<svg")
    assert ">enhance<" in picture


@pytest.mark.capability("S2-3", "S3-1", "S4-1")
@pytest.mark.parametrize(
    ("deliver", "via", "way"),
    [
        ("topic", "queue", "created → topic uploaded"),
        ("queue", "queue", "created → queue resize → function resize"),
        ("queue", "worker", "created → queue resize → workers resize"),
        ("function", "function", "created → function resize"),
        ("eventbridge", "queue", "created by EventBridge → queue resize → function resize"),
    ],
)
def test_the_drawing_shows_whom_s3_speaks_to(
    apart: Pipeline, deliver: str, via: str, way: str
) -> None:
    file = declared(
        apart,
        f"uploads: {{deliver: {deliver}}}\n"
        f"steps: {{resize: {{via: {via}, variants: {{small: {{width: 9}}}}}}}}\n",
    )
    assert f"└─ {way}" in apart.run("export", "graph", "--file", file).out


@pytest.mark.capability("S0-9", "S3-9", "S4-9")
def test_a_plan_names_the_one_limit_that_was_changed(studio: Pipeline) -> None:
    text, filters = (studio.folder / "pipeline.yaml").read_text(), "filters: [autocontrast"
    file, limits = (
        studio.folder / "limits.yaml",
        "{concurrency: 7, reserved: 9, memory: 3008, tmp: 2GB}",
    )
    assert filters in text
    file.write_text(text.replace(filters, f"lambda: {limits}\n    {filters}"))
    changes = planned(studio, file)
    assert set(changes) == {"enhance", "enhance->photo-studio-local-enhance"}
    assert "max_concurrency none -> 7" in changes["enhance->photo-studio-local-enhance"]
    for said in ("memory_mb 1769 -> 3008", "tmp_mb 512 -> 2048", "reserved_concurrency none -> 9"):
        assert said in changes["enhance"]


@pytest.mark.capability("S0-11")
def test_a_plan_with_another_subscriber_touches_no_other_branch(studio: Pipeline) -> None:
    text = (studio.folder / "pipeline.yaml").read_text()
    file = studio.folder / "more.yaml"
    file.write_text(text.replace("steps:\n", "steps:\n  extra: {variants: {extra: {width: 99}}}\n"))
    changes = planned(studio, file)
    others = {name for name in changes if "extra" not in name}
    created = [name for name, what in changes.items() if what.startswith("create")]
    assert created
    assert all("extra" in name for name in created)
    for branch in ("thumbs", "enhance", "images", "tidy", "notifier"):
        assert branch not in others
        assert f"{branch}-dlq" not in others


@pytest.mark.capability("S1-3", "S1-12", "S4-11")
def test_whoever_starts_a_worker_is_told_all_it_needs(studio: Pipeline) -> None:
    told = studio.run("outputs", "--json").json
    assert told["enhance_queue_url"].endswith("/photo-studio-local-enhance")
    template = studio.folder / "worker.yaml"
    text = (studio.folder / "pipeline.yaml").read_text()
    template.write_text(text.replace("    via: queue\n    filters", "    via: worker\n    filters"))
    worker = studio.run("outputs", "--file", template, "--json").json
    settings = json.loads(worker["enhance_worker_settings"])
    queue, written = worker["enhance_queue_url"], settings["queue_url"]
    assert queue.rpartition("/")[2] == written.rpartition("/")[2]  # a worker copies nothing by hand


@pytest.mark.capability("S1-8", "X8")
def test_validate_refuses_results_that_would_be_uploads(apart: Pipeline) -> None:
    steps = "steps: {small: {variants: {small: {width: 9}}}}\n"
    for uploads in ("{prefix: '', outputs: done/}", "{prefix: in/, outputs: in/done/}"):
        assert "an endless loop" in refused(apart, f"uploads: {uploads}\n{steps}")
    fine = declared(apart, f"uploads: {{prefix: in/, outputs: done/}}\n{steps}")
    assert "is valid" in apart.run("validate", "--file", fine).out
    assert "is valid" in apart.run("validate").out


@pytest.mark.capability("S1-12")
def test_validate_refuses_a_placeholder(apart: Pipeline) -> None:
    told = refused(
        apart,
        "steps: {small: {variants: {small: {width: 9}}}}\n"
        "notify: {failed: {push: ['arn:aws:sns:eu-west-1:210987654321:endpoint/GCM/your-app/x']}}\n",
    )
    assert "is a placeholder: write what it stands for" in told
    text = (apart.folder / "pipeline.yaml").read_text() + "  prod: {region: eu-west-1}\n"
    (apart.folder / "pipeline.yaml").write_text(text)
    assert (
        "studio@example.com is a placeholder" in apart.run("validate", "--env", "prod", code=2).err
    )


@pytest.mark.capability("S2-2")
def test_validate_refuses_two_steps_that_could_have_the_same_upload(apart: Pipeline) -> None:
    steps = (
        "uploads: {deliver: queue}\nsteps:\n"
        "  scans: {only: {prefix: PLACE, suffixes: [tif]}, variants: {scan: {width: 9}}}\n"
        "  phones: {only: {prefix: phones/}, variants: {small: {width: 9}}}\n"
    )
    assert "overlap" in refused(apart, steps.replace("PLACE", "phones/scans/"))
    fine = declared(apart, steps.replace("PLACE", "scans/"))
    drawn = apart.run("export", "graph", "--file", fine).out
    assert "created scans/ → queue scans" in drawn
    assert "created phones/ → queue phones" in drawn


@pytest.mark.capability("S2-9")
def test_validate_refuses_what_s3_cannot_notify(apart: Pipeline) -> None:
    told = refused(apart, "steps: {resize-fifo: {variants: {small: {width: 9}}}}\n")
    assert "S3 can't notify FIFO queues or topics" in told


@pytest.mark.capability("S1-4", "S1-6", "S3-4", "S3-10")
def test_the_exported_policies_let_in_whom_they_must_and_nobody_else(apart: Pipeline) -> None:
    text = apart.run("export", "cloudformation").out
    made = json.loads(text)["Resources"]
    [topic] = _policies(made, "AWS::SNS::TopicPolicy", "-uploaded")
    publisher = next(it for it in topic if it["Effect"] == "Allow")
    assert publisher["Principal"] == {"Service": "s3.amazonaws.com"}
    assert publisher["Action"] == "sns:Publish"
    assert "uploads" in json.dumps(publisher["Condition"]["ArnLike"]["aws:SourceArn"])
    assert sum(it["Effect"] == "Allow" for it in topic) == 1
    [queue] = _policies(made, "AWS::SQS::QueuePolicy", "-enhance")
    sender = next(it for it in queue if it["Effect"] == "Allow")
    assert sender["Principal"] == {"Service": "sns.amazonaws.com"}
    assert "-uploaded" in json.dumps(sender["Condition"]["ArnEquals"]["aws:SourceArn"])
    roles = [one for one in made.values() if one["Type"] == "AWS::IAM::Role"]
    actions = {
        action
        for role in roles
        for policy in role["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        for action in _listed(statement["Action"])
    }
    assert actions
    assert not [action for action in actions if "*" in action]


def _policies(made: dict[str, Any], kind: str, ending: str) -> list[list[dict[str, Any]]]:
    """Return the statements of each policy whose own resource ends so."""
    found = []
    for one in made.values():
        if one["Type"] == kind:
            statements = one["Properties"]["PolicyDocument"]["Statement"]
            resource = json.dumps(statements[0]["Resource"])
            if resource.strip('"}]').endswith(ending):
                found.append(statements)
    return found


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@pytest.mark.capability("S3-5")
def test_environments_of_one_account_share_no_name(apart: Pipeline) -> None:
    file = apart.folder / "pipeline.yaml"
    environments = "  stage: {region: eu-west-1}\n  prod: {region: eu-west-1}\n"
    file.write_text(file.read_text().replace("example.com", "studio.photo") + environments)
    names = [
        set(re.findall(NAMED, _exported(apart, environment))) for environment in ("stage", "prod")
    ]
    assert len(names[0]) == len(names[1]) > 20
    assert sorted(names[0] & names[1]) == []


def _exported(pipeline: Pipeline, environment: str) -> str:
    return pipeline.run("export", "cloudformation", "--env", environment).out


@pytest.mark.capability("S3-6", "S4-20", "S3-7")
@pytest.mark.parametrize("vendor", ["azure", "github"])
def test_the_ci_pipeline_tests_plans_packages_and_deploys(apart: Pipeline, vendor: str) -> None:
    file = apart.folder / "pipeline.yaml"
    file.write_text(
        file.read_text().replace("example.com", "studio.photo") + "  prod: {region: eu-west-1}\n"
    )
    text = apart.run("export", "ci", "--for", vendor, "--env", "prod").out
    for command in ("imgpipe validate", "imgpipe plan", "imgpipe package", "imgpipe up"):
        assert command in text
    assert re.search(r"(?i)commit|Build\.SourceVersion|ref", text)


@pytest.mark.capability("S4-10")
def test_packages_carry_native_code_for_lambda_of_both_processors(apart: Pipeline) -> None:
    """Fetched as wheels: nothing is compiled, and no container runs."""
    run = apart.run("package", "--target", "all", "--json", code=None)
    if "check the network" in run.err and not os.environ.get("CI"):
        pytest.skip("no package index")
    assert run.code == 0, run.err
    built = {(it["source"], it["target"]): it for it in run.json}
    for target, machine in (("x86_64", X86_64), ("arm64", AARCH64)):
        with zipfile.ZipFile(built["images", target]["path"]) as made:
            native = [made.read(name) for name in made.namelist() if ".so" in name]
            names = made.namelist()
        assert len(native) > 5
        assert {struct.unpack_from("<H", code, 18)[0] for code in native} == {machine}
        assert any(name.startswith("PIL/_imaging.cpython-313-") for name in names)
    with zipfile.ZipFile(built["writer", "arm64"]["path"]) as made:
        assert not [name for name in made.namelist() if ".so" in name]


@pytest.mark.capability("X12")
def test_uploads_and_removals_in_quick_succession_leave_the_last_word(studio: Pipeline) -> None:
    names, s3 = studio.run("outputs", "--json").json, studio.client("s3")
    where = {"Bucket": names["uploads_bucket"], "Key": "incoming/order.jpg"}
    for photo in ("rocket.jpg", "picos.jpg"):
        s3.put_object(**where, Body=(DEMO / photo).read_bytes())
    s3.delete_object(**where)
    studio.wait_for("tombstone", lambda: _status(studio, "order.jpg") == "removed")
    s3.put_object(**where, Body=(DEMO / "rocket.jpg").read_bytes())
    studio.wait_for("a new row", lambda: _status(studio, "order.jpg") == "done")
    row = studio.run("metadata", "order.jpg", "--json").json
    listed = s3.list_objects_v2(Bucket=names["variants_bucket"], Prefix="thumb/order.")
    assert [it["Key"] for it in listed["Contents"]] == [row["outputs"]["thumb"]["key"]]


def _status(pipeline: Pipeline, key: str) -> str:
    told = pipeline.run("metadata", "show", key, "--json", code=None)
    return str(told.json["status"]) if told.code == 0 else ""


@pytest.mark.capability("S4-13")
def test_the_plain_aws_tools_upload_list_read_logs_and_scan(studio: Pipeline) -> None:
    """With what `eval "$(imgpipe local env)"` sets and nothing else; the AWS CLI reads the same variables."""
    script = studio.folder / "plain.py"
    script.write_text(PLAIN)
    shutil.copy(DEMO / "rocket.jpg", studio.folder / "plain.jpg")
    names = studio.run("outputs", "--json").json
    command = (
        f'eval "$({sys.executable} -m imgpipe local env)"; {sys.executable} plain.py '
        f"{names['uploads_bucket']} {names['variants_bucket']} {names['table']} "
        f"{names['enhance_log_group']}"
    )
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=studio.folder,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["thumbnails"][0].startswith("thumb/plain.")
    assert told["status"] == "done"
    assert any("incoming/plain.jpg" in line for line in told["log"])
    shown = studio.run("metadata", "plain.jpg", "--json").json
    assert shown["outputs"]["thumb"]["key"] == told["thumbnails"][0]
    assert "plain.jpg" in studio.run("logs", "--key", "plain.jpg").out


PLAIN = """\
import json, sys, time
import boto3

uploads, variants, table, group = sys.argv[1:]
s3, rows, logs = boto3.client("s3"), boto3.client("dynamodb"), boto3.client("logs")
s3.upload_file("plain.jpg", uploads, "incoming/plain.jpg")
deadline, status = time.monotonic() + 120, ""
while status != "done" and time.monotonic() < deadline:
    time.sleep(0.5)
    found = rows.scan(TableName=table)["Items"]
    rows_of = [it for it in found if it["pk"]["S"] == "incoming/plain.jpg"]
    status = next((it["status"]["S"] for it in rows_of if it["sk"]["S"] == "image"), "")
made = s3.list_objects_v2(Bucket=variants, Prefix="thumb/plain.").get("Contents", [])
said = logs.filter_log_events(logGroupName=group)["events"]
print(json.dumps({
    "status": status,
    "thumbnails": [it["Key"] for it in made],
    "log": [it["message"] for it in said],
}))
"""


@pytest.mark.capability("S0-4", "S2-15")
def test_people_read_words_about_uploads_and_results(studio: Pipeline) -> None:
    studio.run("local", "mail", "confirm", "--all", code=None)
    shutil.copy(DEMO / "chelsea.png", studio.folder / "told.png")
    studio.run("upload", "told.png", "--wait")
    mails = studio.wait_for("two mails", lambda: _about(studio, "told.png", 2))
    by_subject = {mail["subject"]: mail for mail in mails}
    assert set(by_subject) == {"Received: told.png", "Ready: told.png"}
    text = studio.run("local", "mail", "show", str(by_subject["Ready: told.png"]["number"])).out
    assert "told.png is ready." in text
    assert "  thumb " in text
    assert "{" not in text.partition("X-Amz")[0]
    assert studio.run("status", "--json").json["unconfirmed"] == []


def _about(pipeline: Pipeline, name: str, count: int) -> list[dict[str, Any]]:
    mails = pipeline.run("local", "mail", "--json").json
    found = [mail for mail in mails if name in mail["subject"]]
    return found if len(found) >= count else []


@pytest.mark.capability("S0-6", "S4-4")
def test_each_branch_has_dead_letters_of_its_own_to_list(studio: Pipeline) -> None:
    words = studio.folder / "words-of-its-own.jpg"
    words.write_text("no picture")
    studio.run("upload", words, "--wait", code=1)
    for step in ("thumbnail", "enhance"):
        listed = studio.run("dlq", "list", "--step", step, "--key", words.name, "--json").json
        assert [letter["step"] for letter in listed] == [step]
    names = {it["name"] for it in studio.run("status", "--json").json["queues"]}
    assert {"thumbs-dlq", "enhance-dlq", "images-dlq", "results-dlq"} <= names


@pytest.mark.capability("X11")
def test_a_simulated_load_is_the_same_for_a_seed_and_ends_every_image(apart: Pipeline) -> None:
    """On a virtual clock: minutes of a load with failures and an outage take no cloud and no waiting."""
    load = ("simulate", "--rate", "20", "--burst", "200", "--failures", "0.02", "--json", "--seed")
    first, again, other = (apart.run(*load, seed).json["outcome"] for seed in ("1", "1", "2"))
    assert first == again
    assert first != other
    assert first["images"] == first["done"] + sum(first["dead_letters"].values())
    assert first["retries"] > 0
    assert 0 < first["to_done_s"]["p50"] <= first["to_done_s"]["p99"]
    assert first["lambda_dollars"] > 0


@pytest.mark.capability("S4-12")
def test_every_template_is_listed_with_a_line_and_its_drawing(apart: Pipeline) -> None:
    listed = apart.run("init", "--list", "--json").json
    assert {it["name"] for it in listed} == {
        "photo-studio",
        "image-tinter",
        *("point-to-point", "queued", "fan-out", "fan-out-delete", "notify"),
        "resizer",
        "thumbnail-metadata",
    }
    for it in listed:
        assert 0 < len(it["description"]) <= 79
        assert it["diagram"].startswith("bucket uploads (")
        assert "created" in it["diagram"]
        assert max(map(len, it["diagram"].splitlines())) <= 78
    assert (ROOT / "pipeline.yaml").read_text().startswith(f"# {listed[0]['description']}")
