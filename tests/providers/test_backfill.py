"""Runs of `backfill` and `reprocess` on moto: frozen, budgeted, noted, and resumed after a kill at any call."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.client import BaseClient

from imgpipe.errors import ImgpipeError, PendingError
from imgpipe.operate import ops, rows
from imgpipe.operate.backfill import choose, emit, manifest, send, stale
from imgpipe.operate.backfill.choose import Asked
from imgpipe.operate.backfill.manifest import Run
from imgpipe.operate.backfill.work import Item, Steps, Task
from imgpipe.operate.project import Project
from imgpipe.runtime import events
from imgpipe.runtime.row import merge, to_item
from tests.studio import create_buckets, create_queues, create_table, put_row, result, studio

pytestmark = pytest.mark.capability("X7")
KEYS = [f"incoming/{number:02}.jpg" for number in range(7)]
ALL = Asked(task=Task(command="backfill"), grace=timedelta(0))


class Killed(BaseException):
    """What a SIGKILL would do: nothing after it runs but what Python itself unwinds."""


@pytest.fixture
def project(clients: object, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The studio on moto, with uploads that have no row; every function is up with the declared settings."""
    made = studio()
    create_buckets(made)
    create_queues(made)
    create_table(made)
    for key in KEYS:
        _put(made, key)
    monkeypatch.setattr(send, "refuse_not_up", lambda *_: None)
    monkeypatch.setattr(send, "BATCH", 2)
    monkeypatch.setattr(manifest, "PART_ITEMS", 3)
    return made


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Item]:
    """Everything that is handed to the emitter, in place of sending it."""
    found: list[Item] = []
    monkeypatch.setattr(emit, "send", lambda _project, _steps, items: found.extend(items))
    return found


def _put(project: Project, key: str) -> None:
    bucket = project.graph.uploads_bucket
    project.cloud.client("s3").put_object(Bucket=bucket, Key=key, Body=b"x" * 5000)


def _all(project: Project, run: Run, rate: float = 0) -> Run:
    return list(send.send(project, run, send.Pace(rate)))[-1]


def _names(items: list[Item]) -> list[str]:
    return [item.key for item in items]


def test_a_run_is_frozen_sent_once_and_found_done_by_the_next(
    project: Project, sent: list[Item]
) -> None:
    choice, run = send.freeze(project, ALL, 0)
    assert (choice.found.images, run.images) == (7, 7)
    assert sum(name.endswith(".jsonl") for name in ops.names(project, "backfill/")) == 3
    _put(project, "incoming/later.jpg")
    ended = _all(project, run)
    assert (ended.sent, ended.left) == (7, 0)
    assert ended.ended
    assert _names(sent) == KEYS
    assert {tuple(item.steps) for item in sent} == {("thumbnail", "enhance", "sizes", "metadata")}

    again = send.count(project, ALL)
    assert again.found.images == 1
    assert again.others["sent_before"] == 7
    assert send.count(project, replace(ALL, again=True)).found.images == 8


def test_what_has_a_row_and_what_may_be_on_its_way_is_left_alone(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "began", lambda _: datetime(2020, 1, 1, tzinfo=UTC))
    put_row(project, result(KEYS[0]))
    assert send.count(project, ALL).found.images == 6
    patient = replace(ALL, grace=timedelta(hours=1))
    choice = send.count(project, patient)
    assert (choice.found.images, choice.others["young"]) == (0, 6)


@pytest.mark.parametrize("images", [1, 4, 6])
def test_a_budget_of_images_is_kept(project: Project, sent: list[Item], images: int) -> None:
    asked = replace(ALL, images=images)
    counted = send.count(project, asked)
    assert (counted.found.images, counted.within.images) == (7, images)
    _, run = send.freeze(project, asked, 0)
    _all(project, run)
    assert len(sent) == images
    _, rest = send.freeze(project, ALL, 0)
    _all(project, rest)
    assert sorted(_names(sent)) == KEYS


def test_a_budget_of_dollars_is_kept_to_the_last_image(project: Project, sent: list[Item]) -> None:
    each = send.count(project, ALL).found.nanodollars // 7
    for budget, images in ((each - 1, 0), (each, 1), (3 * each, 3), (4 * each - 1, 3)):
        choice = send.count(project, replace(ALL, budget=budget))
        assert choice.within.images == images
        assert choice.within.nanodollars <= budget
    _, run = send.freeze(project, replace(ALL, budget=3 * each), 0)
    ended = _all(project, run)
    assert (len(sent), ended.charged) == (3, 3 * each)


def test_a_run_resumed_with_no_room_for_repeats_stops_and_says_so(
    project: Project, sent: list[Item]
) -> None:
    budget = send.count(project, ALL).found.nanodollars
    _, run = send.freeze(project, replace(ALL, budget=budget), 0)
    sending = send.send(project, run, send.Pace(0))
    next(sending)
    next(sending)  # two batches are sent, the second isn't noted
    sending.close()  # type: ignore[attr-defined]
    assert [it.id for it in choose.unfinished(project)] == [run.id]
    ended = _all(project, send.resumed(project, run.id))
    assert len(sent) == 7
    assert ended.charged <= budget
    assert (ended.sent, ended.left) == (5, 2)
    assert choose.unfinished(project) == []
    _, rest = send.freeze(project, ALL, 0)
    _all(project, rest)
    assert set(_names(sent)) == set(KEYS)


def test_the_rate_is_kept_by_waiting(project: Project, sent: list[Item]) -> None:
    now, slept = [0.0], list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    _, run = send.freeze(project, ALL, 2)
    pace = send.Pace(2, clock=lambda: now[0], sleep=sleep)
    list(send.send(project, run, pace))
    assert slept == [1.0, 1.0, 1.0]
    assert send.Pace(0.5).batch == 1


def test_only_one_process_sends_a_run(project: Project, sent: list[Item]) -> None:
    _, run = send.freeze(project, ALL, 0)
    one, other = (send.send(project, run, send.Pace(0)) for _ in range(2))
    next(one)
    next(one)
    with pytest.raises(ImgpipeError, match="another process is sending it"):
        list(other)


def test_a_run_is_refused_when_the_settings_are_others_by_now(project: Project) -> None:
    _, run = send.freeze(project, ALL, 0)
    with pytest.raises(PendingError, match="has other settings"):
        _all(project, replace(run, hashes={**run.hashes, "enhance": "former"}))


def test_what_is_up_with_other_settings_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    steps = Steps.of(project.graph)
    with pytest.raises(PendingError, match="what is up has other settings") as caught:
        send.refuse_not_up(project, steps, frozenset({"enhance"}))
    assert caught.value.hint.startswith("imgpipe up")


class Axe:
    """Stands between boto3 and moto: kills at the call of a number, before or after it.

    It hears what is sent to which branch. With `works` a row is told at once, as by a quick pipeline.
    """

    def __init__(self, project: Project, monkeypatch: pytest.MonkeyPatch, *, works: bool) -> None:
        self._real, self._project, self._works = BaseClient._make_api_call, project, works
        self.after = not works
        self.calls, self.at = 0, 0
        self.heard: Counter[tuple[str, str]] = Counter()
        self.rows: dict[str, Any] = {}
        axe = self

        def call(client: Any, operation: str, arguments: Any) -> Any:
            return axe.call(client, operation, arguments)

        monkeypatch.setattr(BaseClient, "_make_api_call", call)

    def call(self, client: Any, operation: str, arguments: Any) -> Any:
        self.calls += 1
        last = self.calls == self.at
        if last and not self.after:
            raise Killed
        answer: Any = {}
        if operation == "Invoke":
            self._hear(arguments["FunctionName"], arguments["Payload"])
        else:
            answer = self._real(client, operation, arguments)
        if operation == "SendMessageBatch":
            for entry in arguments["Entries"]:
                self._hear(arguments["QueueUrl"], entry["MessageBody"])
        if last:
            raise Killed
        return answer

    def lift(self, at: int) -> None:
        self.calls, self.at = 0, at
        self.heard.clear()

    def _hear(self, target: str, body: bytes | str) -> None:
        name = target.rpartition("photo-studio-local-")[2]
        branch = next(it for it in self._project.graph.branches if it.name == name)
        [change] = events.changes(json.loads(body))
        self.heard[name, change.key] += 1
        if self._works:
            self._tell(change, branch.steps)

    def _tell(self, change: events.Change, steps: tuple[str, ...]) -> None:
        for step in steps:
            told = result(change.key, step=step, version_id=change.version_id, sequencer="")
            self.rows[change.key], _ = merge(self.rows.get(change.key), told)
        item = to_item(self.rows[change.key], 1)
        table = {"TableName": self._project.graph.table}
        self._real(self._project.cloud.client("dynamodb"), "PutItem", {**table, "Item": item})

    def forget(self) -> None:
        """Forget the rows and the runs, without being heard."""
        table = {"TableName": self._project.graph.table}
        for key in self.rows:
            pair = {"pk": {"S": key}, "sk": {"S": "image"}}
            dynamodb = self._project.cloud.client("dynamodb")
            self._real(dynamodb, "DeleteItem", {**table, "Key": pair})
        self.rows.clear()
        for name in list(ops.names(self._project, "backfill/")):
            ops.remove(self._project, name)


@pytest.mark.parametrize("works", [False, True])
def test_a_kill_at_any_call_loses_nothing_and_repeats_one_batch_at_most(
    project: Project, monkeypatch: pytest.MonkeyPatch, works: bool
) -> None:
    """Each call of a whole run is the last of one try; the run, or a new one, then goes on to the end."""
    monkeypatch.setattr(emit, "WORKERS", 1)
    axe = Axe(project, monkeypatch, works=works)
    _undisturbed(project)
    total = axe.calls
    wanted = Counter((branch, key) for branch in ("thumbs", "enhance", "images") for key in KEYS)
    assert axe.heard == wanted
    assert total > 15
    for at in range(1, total + 1):
        axe.forget()
        axe.lift(at)
        with pytest.raises(Killed):
            _undisturbed(project)
        axe.at = 0
        for run in filter(lambda run: not run.ended, _runs(project)):
            _all(project, run)
        _undisturbed(project)
        assert set(axe.heard) == set(wanted), f"call {at}"
        repeated = axe.heard.total() - wanted.total()
        assert repeated <= (0 if works else 3 * send.BATCH), f"call {at}"
        assert all(run.charged <= (run.budget or 0) for run in _runs(project))


def _runs(project: Project) -> list[Run]:
    return [manifest.load(project, run_id) for run_id in manifest.ids(project)]


def _undisturbed(project: Project) -> None:
    _, run = send.freeze(project, replace(ALL, budget=10**12), 0)
    if run.images:
        _all(project, run)


@pytest.mark.capability("X6")
def test_stale_outputs_are_counted_priced_and_sent_to_their_branch_alone(
    project: Project, sent: list[Item]
) -> None:
    hashes = Steps.of(project.graph).hashes
    versions = project.cloud.client("s3").list_object_versions(Bucket=project.graph.uploads_bucket)
    ids = {it["Key"]: it["VersionId"] for it in versions["Versions"]}
    for key in KEYS:
        told = [
            result(
                key,
                version_id=ids[key],
                step=step,
                step_hash="former" if step == "thumbnail" and key != KEYS[3] else wanted,
                expected=sorted(hashes),
                outputs={},
            )
            for step, wanted in hashes.items()
        ]
        put_row(project, *told)
    found = stale.of(project)
    assert found is not None
    assert (found.estimate.images, found.looked_at, found.exact) == (6, 7, True)
    assert found.estimate.steps == {"thumbnail": 6}
    assert found.estimate.nanodollars > 0
    glance = stale.of(project, each=1)
    assert glance is not None
    assert (glance.looked_at < 7, glance.images, glance.exact) == (True, 7, False)
    assert glance.estimate.images in {5, 6, 7}

    asked = Asked(task=Task(command="reprocess", stale=True))
    choice, run = send.freeze(project, asked, 0)
    assert choice.others["fresh"] == 1
    _all(project, run)
    assert _names(sent) == [key for key in KEYS if key != KEYS[3]]
    assert all(item.steps == {"thumbnail": hashes["thumbnail"]} for item in sent)
    assert all(item.sequencer.startswith("01") for item in sent)

    assert send.count(project, asked).found.images == 0
    one = Asked(task=Task(command="reprocess", step="enhance"), below="03.jpg")
    assert send.count(project, one).found.steps == {"enhance": 1}
