"""Work that is sent again goes only where it is lacking, loses to all that is newer, and leaves nothing to do."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgpipe.deploy.graph import Graph
from imgpipe.deploy.resources import Notification
from imgpipe.operate.audit.law import Upload
from imgpipe.operate.audit.remedy import Invoke, Send
from imgpipe.operate.backfill import emit
from imgpipe.operate.backfill.work import Item, Steps, Task, item_of, judge, stale_steps
from imgpipe.operate.branches import creators
from imgpipe.operate.why.facts import Version
from imgpipe.runtime import events
from imgpipe.runtime.row import Row, merge, normal_sequencer, outputs, view
from tests.studio import result, studio_graph

pytestmark = pytest.mark.capability("X7")
TASKS = [
    Task(command="backfill"),
    Task(command="reprocess", stale=True),
    Task(command="reprocess"),
    Task(command="reprocess", step="sizes"),
]
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).map(
    lambda text: f"incoming/{text}"
)
HASHES = st.sampled_from(["former", "now", "missing"])


@cache
def graph() -> Graph:
    return studio_graph()


@cache
def steps() -> Steps:
    return Steps.of(graph())


def upload(key: str, version: str | None) -> Upload:
    at = datetime(2026, 11, 21, tzinfo=UTC)
    return Upload(key=key, latest=Version(id=version, at=at, size=1000, etag="e1", latest=True))


def said(key: str, step: str, step_hash: str, **changes: Any) -> dict[str, Any]:
    made = {"key": f"{step}/{step_hash}", "width": 1, "height": 1, "bytes": 1, "format": "jpeg"}
    told = {"step": step, "step_hash": step_hash, "outputs": {step: made}, "expected": [step]}
    return result(key, **{**told, **changes})


def row_of(key: str, hashes: dict[str, str]) -> Row | None:
    made: Row | None = None
    for step, which in hashes.items():
        if which != "missing":
            made, _ = merge(
                made, said(key, step, steps().hashes[step] if which == "now" else which)
            )
    return made


@settings(deadline=None)
@given(
    key=KEYS,
    version=st.sampled_from(["v1", None]),
    task=st.sampled_from(TASKS),
    hashes=st.fixed_dictionaries(
        dict.fromkeys(["thumbnail", "enhance", "sizes", "metadata"], HASHES)
    ),
)
def test_work_goes_to_the_branches_that_lack_it_and_leaves_nothing_to_do(
    key: str, version: str | None, task: Task, hashes: dict[str, str]
) -> None:
    row = row_of(key, hashes)
    if row is not None:
        row = {**row, "version_id": version}
    shown = view(row) if row else None
    verdict, wanted = judge(task, steps(), upload(key, version), shown, young=False)
    assert bool(wanted) == (verdict == "due")
    if not wanted:
        return
    item = item_of(steps(), upload(key, version), shown, wanted)
    assert Item.loads(item.dumps()) == item

    lacking = [it for it in creators(graph()) if set(it.steps) & set(wanted)]
    calls = list(emit.calls(graph(), steps(), item))
    assert [_target(call) for call in calls] == [_address(branch) for branch in lacking]
    for call in calls:
        [change] = events.changes(json.loads(call.body))
        assert (change.kind, change.key, change.version_id) == ("created", key, version)
        assert normal_sequencer(change.sequencer) == (row["sequencer"] if row else "0" * 64)

    sequencer = item.sequencer
    for branch in lacking:
        for step in branch.steps:
            made = said(key, step, steps().hashes[step], sequencer=sequencer, version_id=version)
            row, effects = merge(row, {**made, "at": "2026-11-21T08:00:00.000Z"})
            assert all(it.endswith("/former") for it in effects.delete)
    assert row is not None
    late = stale_steps(steps(), view(row), key)
    assert not set(late) & set(wanted)
    assert not {it for it in outputs(row) if it in {f"{step}/former" for step in wanted}}


def _target(call: Send | Invoke) -> str:
    return call.url if isinstance(call, Send) else call.function


def _address(branch: Any) -> str:
    return graph().place.queue_url(branch.queue) if branch.queue else str(branch.function)


@given(key=KEYS, sequencer=st.text("0123456789ABCDEF", min_size=1, max_size=20))
def test_a_newer_upload_always_wins_over_work_that_is_sent_again(key: str, sequencer: str) -> None:
    before, _ = merge(None, said(key, "sizes", "former", sequencer=sequencer))
    item = item_of(steps(), upload(key, "v1"), view(before), ("sizes",))
    late = said(key, "sizes", steps().hashes["sizes"], sequencer=item.sequencer)
    newer, _ = merge(before, said(key, "sizes", "x", sequencer=f"{sequencer}1", version_id="v2"))
    after, effects = merge(newer, late)
    assert after == newer
    assert effects.delete == tuple(sorted(outputs(merge(None, late)[0])))


@pytest.mark.fault("F-40")
def test_nothing_that_a_branch_writes_can_start_the_pipeline() -> None:
    announced = {rule.bucket for rule in graph().of(Notification)}
    assert announced == {graph().uploads_bucket}
    for branch in creators(graph()):
        assert graph().variants_bucket != graph().uploads_bucket
        role = next(it for it in graph().resources.values() if it.key.name == branch.role)
        writes = [
            statement["Resource"]
            for statement in json.loads(role.policy)["Statement"]  # type: ignore[attr-defined]
            if "s3:PutObject" in statement["Action"]
        ]
        assert writes
        assert all(graph().uploads_bucket not in str(resource) for resource in writes)
