"""All that can be wrong with an upload and its name, at once, through a pipeline that is up."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import urllib3

from imgpipe.runtime.errors import Reason
from tests import uploads
from tests.browser.conftest import served
from tests.e2e.pipeline import Pipeline
from tests.e2e.processes import Peaks, watched
from tests.photos import CORPUS
from tests.pictures import corners, encoded
from tests.unit.image.test_corpus import FILES
from tests.uploads import LIMITS, Upload, keys
from tests.uploads.metadata import SCRIPT

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("bad-input")]

DECLARED = f"""\
version: 1
name: bad-input
uploads: {{prefix: incoming/, limits: {LIMITS}}}
steps:
  sizes: {{via: queue, group: images, variants: {{small: {{width: 200}}, large: {{width: 800}}}}}}
  facts: {{via: queue, group: images, exif: true, palette: 5, tags: basic}}
lambda: {{memory: 1769, timeout: 60s, retries: 5}}
environments: {{local: {{lambda: {{backoff: 1s, concurrency: 2}}}}}}
"""
MOST_MB = {"server": 400, "function": 250, "image": 1100}
"""The server keeps bodies on disk; a function holds a file of 50 MB a few times; an image may have `limits.memory`
and what the libraries take besides.
"""
ENDS = {"processed": "done", "rejected": "rejected", "either": "either"}
TROUBLE = re.compile("Task timed out|Runtime exited|Runtime.ExitError|Traceback")


@dataclass(frozen=True)
class Flood:
    """A pipeline that all of it went through: what each key had to become, and what it became."""

    pipeline: Pipeline
    wanted: dict[str, Upload]
    rows: dict[str, dict[str, Any]]
    peaks: Peaks
    server: tuple[int, int]


@pytest.fixture(scope="module")
def flood(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flood]:
    folder = tmp_path_factory.mktemp("flood")
    pipeline = Pipeline.copy_to(folder)
    (folder / "pipeline.yaml").write_text(DECLARED)
    try:
        pipeline.run("up", "--yes")
        yield _flooded(pipeline)
    finally:
        pipeline.run("local", "stop", code=None)


def _flooded(pipeline: Pipeline) -> Flood:
    before = _server(pipeline)
    made, wanted = pipeline.folder / "made", {}
    made.mkdir()
    named = []
    for each in uploads.every():
        if each.data:
            (made / each.name).write_bytes(each.data)
            wanted[f"incoming/made/{each.name}"] = each
        else:  # our own command line doesn't send it
            named.append(replace(each, name=f"incoming/made/{each.name}"))
    for file in FILES:
        wanted[f"incoming/{file['path']}"] = Upload(file["path"], b"", ENDS[file["expected"]])
    named += [
        Upload(key, encoded(corners(48, 36 + at)), "done") for at, key in enumerate(keys.every())
    ]
    folders = sorted({CORPUS / Path(file["path"]).parts[0] for file in FILES})
    with watched(before[0]) as peaks:
        _put(pipeline, named)
        done = pipeline.run(
            "upload", made, *folders, "--all", "--wait", "--json", "--timeout", "15m",
            code=None, timeout_s=1000,
        )  # fmt: skip
        assert len(done.json) == len(wanted), done.err
        wanted |= {each.name: each for each in named}
        rows = pipeline.wait_for("end of all", lambda: _ended(pipeline, len(wanted)), 300)
    return Flood(pipeline, wanted, rows, peaks, before)


def _put(pipeline: Pipeline, named: list[Upload]) -> None:
    """Put objects whose keys are no files' names."""
    bucket = pipeline.run("outputs", "uploads_bucket", "--raw").out.strip()
    s3 = pipeline.client("s3")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda it: s3.put_object(Bucket=bucket, Key=it.name, Body=it.data), named))


def _ended(pipeline: Pipeline, count: int) -> dict[str, dict[str, Any]] | None:
    told = pipeline.run("metadata", "list", "--json").json
    rows = {row["key"]: row for row in told if row["status"] in {"done", "rejected", "failed"}}
    return rows if len(rows) == count else None


def _server(pipeline: Pipeline) -> tuple[int, int]:
    told = json.loads((pipeline.folder / ".imgpipe" / "cloud.json").read_text())
    return told["pid"], told["started"]


def test_every_upload_has_the_end_that_it_must_have(flood: Flood) -> None:
    assert set(flood.rows) == set(flood.wanted)
    wrong = [
        (key, wanted.end, flood.rows[key]["status"], flood.rows[key].get("reason"))
        for key, wanted in flood.wanted.items()
        if not _is_right(wanted, flood.rows[key])
    ]
    assert not wrong


def _is_right(wanted: Upload, row: dict[str, Any]) -> bool:
    if row["status"] == "rejected":
        reason = row.get("reason")
        named = reason in (wanted.reasons or set(Reason))
        return named and wanted.end in {"rejected", "either"}
    return row["status"] == "done" and wanted.end in {"done", "either"}


def test_nothing_is_lost_and_nothing_is_left_over(flood: Flood) -> None:
    told = flood.pipeline.run("audit", "--json").json
    assert told["summary"]["balanced"]
    assert not told["findings"]
    letters = flood.pipeline.run("dlq", "list", "--json").json
    rejected = {key for key, row in flood.rows.items() if row["status"] == "rejected"}
    assert {letter["key"] for letter in letters} == rejected


def test_the_cloud_and_the_functions_stay_up(flood: Flood) -> None:
    assert _server(flood.pipeline) == flood.server
    lines = _log_lines(flood.pipeline)
    assert not [line for line in lines if TROUBLE.search(line)]
    assert len(flood.peaks.seen["function"]) <= 8, "functions were started again and again"


def test_memory_is_bounded(flood: Flood, record_property: Any) -> None:
    record_property("peak_mb", flood.peaks.mb)
    assert set(flood.peaks.mb) == set(MOST_MB)
    over = {name: mb for name, mb in flood.peaks.mb.items() if mb > MOST_MB[name]}
    assert not over, flood.peaks.mb


def _log_lines(pipeline: Pipeline) -> list[str]:
    logs, found = pipeline.client("logs"), []
    pages = logs.get_paginator("filter_log_events")
    for group in ("images", "writer"):
        for page in pages.paginate(logGroupName=f"/aws/lambda/bad-input-local-{group}"):
            found += [event["message"] for event in page["events"]]
    return found


# Names and texts of strangers: as data everywhere, as commands nowhere

STRANGE = "incoming/made/strange-exif.jpg"


def test_logs_hold_one_line_a_record_and_nothing_that_a_terminal_obeys(flood: Flood) -> None:
    lines = [line.rstrip("\n") for line in _log_lines(flood.pipeline)]
    assert not [line for line in lines if not line.replace("\t", "").isprintable()]
    told = [json.loads(line) for line in lines if line.startswith("{")]
    assert {each["key"] for each in told if each.get("event") == "start"} == set(flood.wanted)


def test_a_terminal_is_told_nothing_that_it_obeys(flood: Flood) -> None:
    named = [key for key in flood.wanted if key.startswith(keys.PREFIX) and not key.isprintable()]
    assert len(named) > 8
    reads = [
        ("status",),
        ("metadata", "list"),
        ("dlq", "list"),
        ("dlq", "groups"),
        ("logs", "images"),
        ("logs", "--key", named[0]),
        *(("metadata", "show", key) for key in [*named[:4], STRANGE]),
        ("why", named[0]),
        ("download", named[0], "--variant", "small"),
        ("dlq", "show", flood.pipeline.run("dlq", "list", "--json").json[0]["id"]),
    ]
    for command in reads:
        told = flood.pipeline.run(*command, code=None)
        for text in (told.out, told.err):
            bad = {char for line in text.split("\n") for char in line if not char.isprintable()}
            assert not bad, (command, bad)
        assert told.out + told.err
        assert "Traceback" not in told.err


def test_json_says_exactly_what_the_key_is(flood: Flood) -> None:
    for command in (("metadata", "list", "--json"), ("logs", "images", "--json")):
        out = flood.pipeline.run(*command).out
        assert not {char for char in out if not char.isprintable()} - {"\n"}
    assert set(keys.every()) <= set(flood.rows)


def test_pages_show_text_and_run_none_of_it(flood: Flood) -> None:
    shown = [*keys.every(), STRANGE, "incoming/made/scripts-in-exif.jpg"]
    with served(flood.pipeline) as link:
        base = link.rstrip("/")
        paths = ["/", "/tiles?page=1", "/desk", "/desk/letters", "/desk/state"]
        paths += [f"/image?key={quote(key, safe='')}" for key in shown]
        for path in paths:
            answer = urllib3.request("GET", base + path, retries=False, timeout=60)
            assert answer.status < 500, path
            page = Page(answer.data.decode())
            assert not page.orders, (path, page.orders)
        told = urllib3.request(
            "GET", f"{base}/image?key=incoming/made/scripts-in-exif.jpg", retries=False
        )
        assert SCRIPT[:25] in Page(told.data.decode()).text


class Page(HTMLParser):
    """What a browser would take for an order in a page, and what it would show."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.orders: list[str] = []
        self.text = ""
        self._in_script = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._in_script = tag == "script"
        if tag == "script" and not str(given.get("src", "")).startswith("/static/"):
            self.orders.append(f"<script {given}>")
        for name, value in given.items():
            if name.startswith("on") or str(value).strip().lower().startswith("javascript:"):
                self.orders.append(f"{tag} {name}={value}")

    def handle_data(self, data: str) -> None:
        if not self._in_script:
            self.text += data
