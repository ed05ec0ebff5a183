"""What pages show of a row and of a timeline."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from imgpipe.operate.why.hop import Hop
from imgpipe.web import show
from imgpipe.web.gallery import in_time
from imgpipe.web.present import mark

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def hop(name: str, second: int | None) -> Hop:
    at = None if second is None else NOON + timedelta(seconds=second)
    return Hop(stage="step", name=name, state="ok", text="", at=at)


def test_a_timeline_is_in_order_of_time_and_what_has_none_stays_behind_its_predecessor() -> None:
    hops = [hop("a", 1), hop("late", 9), hop("lacks", None), hop("b", 3)]
    assert [it.name for it in in_time(hops)] == ["a", "b", "late", "lacks"]


def test_what_an_exception_said_is_not_for_customers() -> None:
    failed = {"status": "failed", "reason": "KeyError: 'arn:aws:s3:::inner'"}
    assert show.reason(failed) == "KeyError: 'arn:aws:s3:::inner'"
    assert show.reason(failed, discreet=True) == "It could not be made"
    rejected = {"status": "rejected", "reason": "empty_file"}
    assert show.reason(rejected, discreet=True) == show.reason(rejected)


def test_an_edit_of_the_declaration_or_of_code_is_seen(tmp_path: Path) -> None:
    source = tmp_path / "lambdas" / "writer" / "handler.py"
    source.parent.mkdir(parents=True)
    source.write_text("a = 1")
    (tmp_path / "pipeline.yaml").write_text("name: a")
    marks = [mark(tmp_path)]
    source.write_text("a = 12")
    marks.append(mark(tmp_path))
    (tmp_path / "pipeline.yaml").write_text("name: other")
    marks.append(mark(tmp_path))
    assert len(set(marks)) == 3
    assert mark(tmp_path) == marks[-1]
