"""What people see: at any width, with any text from outside, and in a pipe."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from imgpipe.cli import images
from imgpipe.cli.views import dlq, logs, metadata, upload, watch, words
from imgpipe.cli.views import status as status_view
from imgpipe.cli.views.fitting import fitted, shares
from imgpipe.cli.views.json_list import JsonList
from imgpipe.operate.dlq import queues
from imgpipe.operate.dlq.choose import Choice
from imgpipe.operate.dlq.groups import grouped
from imgpipe.operate.dlq.letters import decode
from imgpipe.operate.dlq.route import POINTLESS, NoWay
from imgpipe.operate.log_search import Line
from imgpipe.operate.status import AlarmState, QueueState, Status, StepState, Unconfirmed, judge
from imgpipe.operate.upload.send import Sent
from imgpipe.operate.wait import Ended
from imgpipe.runtime.row import merge, view
from tests.studio import result, s3_event, sns_envelope, studio_graph

HOSTILE = "incoming/[red]a[/red] \x1b[31mb\nc\U0001f4f8.jpg"
NOW = datetime(2026, 11, 21, 7, 0, tzinfo=UTC)


def shown(*parts: Any, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=True, color_system=None)
    for part in parts:
        console.print(part)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def widest(text: str) -> int:
    return max(len(line.rstrip()) for line in text.splitlines())


def row(**changes: Any) -> dict[str, Any]:
    exif = {
        "make": "Canon",
        "camera": "Canon EOS 5D",
        "exposure_s": 0.004,
        "f_number": 2.8,
        "iso": 200,
    }
    facts = {
        "width": 4000,
        "height": 3000,
        "format": "jpeg",
        "exif": exif,
        "palette": ["#112233", "#aabbcc"],
    }
    gps = {"gps": {"latitude": 43.2, "longitude": -4.8}}
    return view(merge(None, result(HOSTILE, **{"facts": {**facts, **gps}, **changes}))[0])


def status(**changes: Any) -> Status:
    queue = QueueState(
        name="enhance", full_name="p-enhance", dead_letters=False, visible=1234, oldest_s=3700
    )
    dead = QueueState(name="enhance-dlq", full_name="p-enhance-dlq", dead_letters=True, visible=2)
    step = StepState(
        name="enhance",
        steps=("enhance",),
        function="p-enhance",
        queue="enhance",
        dlq="enhance-dlq",
        state="Active",
        mapping="Enabled",
        errors=3,
    )
    made = Status(
        at=NOW,
        queues=(queue, dead),
        steps=(step,),
        alarms=(AlarmState(name="p-enhance-dlq", state="ALARM"),),
        unconfirmed=(Unconfirmed(topic="notices", protocol="email", address="a@example.com"),),
        images={"done": 10, "failed": 0},
        images_exact=True,
    )
    return judge(made)


def letters() -> list[Any]:
    graph = studio_graph()
    home = next(home for home in queues.homes(graph) if home.name == "enhance-dlq")
    message = {
        "MessageId": "0123456789",
        "Body": json.dumps(sns_envelope(s3_event(HOSTILE))),
        "Attributes": {"SentTimestamp": str(int(NOW.timestamp() * 1000))},
    }
    return [decode(home, message)]


@pytest.mark.parametrize("width", [80, 160])
def test_everything_fits_the_terminal_and_nothing_from_outside_is_obeyed(width: int) -> None:
    done = Ended(key=HOSTILE, status="done", outputs={"thumb": {}}, ms=12)
    failed = Ended(key=HOSTILE, status="failed", reason="[bold]why[/bold]\x07")
    tally = upload.Tally()
    for image in (done, failed):
        tally.add(image)
    text = shown(
        *metadata.show(row(), "incoming/"),
        *metadata.pages([row(), row(status="failed", error={"class": "E", "message": "m"})], width),
        upload.table(tally),
        dlq.table(letters(), width),
        status_view.page(status(), "studio · local"),
        width=width,
    )
    assert widest(text) <= width
    assert "\x1b[31m" not in text
    assert "\x07" not in text
    assert "[red]" in text.replace("\n", "")


def test_an_image_is_described_in_a_photographers_words() -> None:
    text = shown(*metadata.show(row(), "incoming/"), width=160)
    assert "Canon EOS 5D" in text
    assert "Canon Canon" not in text
    assert "1/250 s · f/2.8 · ISO 200" in text
    assert "43.2° N, 4.8° W" in text
    assert "4000 x 3000 · 12.0 MP · jpeg" in text


def test_a_refusal_is_told_in_plain_words_before_what_was_found() -> None:
    detail = "OSError: image file is truncated"
    error = {"class": "Rejected", "message": detail, "reason": "truncated_image"}
    text = shown(*metadata.show(row(status="rejected", error=error), "incoming/"), width=160)
    assert "the file is cut short (truncated_image)" in text
    assert f"the file is cut short: {detail}" in text
    assert "Rejected:" not in text
    letter = replace(letters()[0], error="Rejected", reason="truncated_image", message=detail)
    text = shown(*dlq.page(letter, NoWay(POINTLESS)), width=160)
    assert text.index("the file is cut short (truncated_image)") < text.index(detail)
    letter = replace(letter, message="the file is cut short")
    assert shown(*dlq.page(letter, NoWay(POINTLESS)), width=160).count("cut short") == 1


def test_a_wrong_extension_is_told_on_the_images_page() -> None:
    facts = {"width": 9, "height": 9, "format": "jpeg", "note": "named .png, is jpeg"}
    assert "named .png, is jpeg" in shown(*metadata.show(row(facts=facts), "incoming/"))


def test_status_says_what_is_wrong_and_what_to_run() -> None:
    text = shown(status_view.page(status(), "studio · local"))
    assert "unhealthy" in text
    assert "2 dead letters in enhance-dlq  imgpipe dlq list --queue enhance-dlq" in text
    assert "1h 1m" in text
    assert "a@example.com" in text


def test_a_pipeline_that_is_mostly_missing_is_not_up() -> None:
    from imgpipe.operate.status import judge

    gone = QueueState(name="q", full_name="p-q", dead_letters=False, missing=True)
    down = judge(replace(status(), queues=(gone,) * 9))
    assert (down.up, down.healthy, len(down.as_json()["faults"])) == (False, False, 1)
    assert not judge(replace(status(), table_missing=True)).up
    text = shown(status_view.page(down, "studio · local"))
    assert "the pipeline is not up  imgpipe up" in text
    assert len(text.splitlines()) == 2


def test_a_summary_counts_what_was_sent_and_how_it_ended() -> None:
    tally = upload.Tally()
    tally.add(Sent("a", "incoming/a", "v", "e", 1_000_000))
    tally.add(Ended(key="incoming/a", status="rejected", reason="corrupt_image"))
    assert "1 file uploaded, 1 MB in" in upload.summary(tally)
    assert "1 [yellow]rejected" in upload.summary(tally)
    assert not tally.all_well
    assert upload.next_commands(tally, "incoming/") == ["imgpipe dlq list --key a"]


def test_commands_to_paste_survive_the_shell() -> None:
    for name in (
        "it's a name",
        "it's\na\\name\r\t",
        "$(x) `y` \x1b[31m\u200b7",
        "é 📸.jpg",
        "\udcff",
    ):
        pasted = words.command("printf", "%s", name)
        assert pasted.isprintable()
        printed = subprocess.run(["bash", "-c", pasted], check=True, capture_output=True).stdout
        assert printed == os.fsencode(name)
    assert words.command("bad/new\nline.jpg") == r"$'bad/new\nline.jpg'"


def test_a_narrow_list_notes_only_what_is_not_done() -> None:
    done, failed = row(), row(status="failed", error={"class": "E", "message": "m"})
    assert "notes" not in shown(*metadata.pages([done], 80))
    assert "notes" in shown(*metadata.pages([done, failed], 80))
    assert "picture" in shown(*metadata.pages([done, failed], 80))
    assert "picture" not in shown(*metadata.pages([failed, failed], 80))  # room for why
    assert "picture" in shown(*metadata.pages([failed, failed], 140))
    assert "variants" in shown(*metadata.pages([done], 160), width=160)


def test_a_planned_redrive_says_once_why_letters_stay() -> None:
    [letter] = letters()
    text = shown(*dlq.plan([(letter, NoWay(POINTLESS))] * 3), width=160)
    assert text.count("--force") == 1
    assert text.count("stays") == 4
    assert "--force" not in shown(*dlq.plan([(letter, NoWay("no way"))]))


def test_very_many_images_are_summed_up_rather_than_listed() -> None:
    tally = upload.Tally()
    for number in range(1000):
        tally.add(Ended(key=f"k{number}", status="done"))
    assert len(tally.shown_done) == upload.MOST_DONE
    assert "950 images more" in upload.left_out(tally)


def written(values: Iterator[Any], into: io.StringIO | None = None) -> str:
    out = into or io.StringIO()
    with redirect_stdout(out), JsonList() as listing:
        for value in values:
            listing.add(value)
    return out.getvalue()


def test_a_list_is_valid_json_with_none_some_and_when_cut_short() -> None:
    assert json.loads(written(iter([]))) == []
    assert json.loads(written(iter([{"a": "\U0001f4f8"}, 2]))) == [{"a": "\U0001f4f8"}, 2]

    def interrupted() -> Iterator[int]:
        yield 1
        raise KeyboardInterrupt

    out = io.StringIO()
    with pytest.raises(KeyboardInterrupt):
        written(interrupted(), out)
    assert json.loads(out.getvalue()) == [1]


def test_log_lines_read_well_whatever_they_are() -> None:
    def plain(text: str) -> str:
        return shown(
            logs.line(Line(NOW, "thumbs", text, "1"), logs.Colours(), 6), width=200
        ).rstrip()

    told = plain(json.dumps({"event": "done", "key": "a.jpg", "ms": 41, "message_id": "m"}))
    assert told.endswith("thumbs done      key=a.jpg ms=41 message_id=m")
    assert plain("REPORT RequestId: r\tDuration: 3 ms").endswith(
        "REPORT RequestId: r  Duration: 3 ms"
    )
    assert plain("[ERROR] E: m\rTraceback\r\xa0\xa0File").splitlines()[1:] == [
        "    Traceback",
        "      File",
    ]
    opened = json.loads(logs.line_json(Line(NOW, "thumbs", '{"event": "done"}', "1")))
    assert opened == {"at": "2026-11-21T07:00:00.000Z", "function": "thumbs", "event": "done"}


def test_lines_of_a_chart_are_told_apart_where_there_is_no_colour() -> None:
    colours = {"enhance": "cyan", "thumbs": "magenta"}
    marks = watch.marks(colours)  # of pytest's output, which is no terminal
    assert marks == {"enhance": "*", "thumbs": "o"}
    assert shown(watch.legend(colours, marks)) == "** enhance  oo thumbs\n"
    drawn = watch.plot({"enhance": [0, 9], "thumbs": [9, 0]}, colours, 1.0, 60, 8, marks=marks)
    assert "*" in drawn
    assert "o" in drawn
    assert watch.marks(["enhance"]) == {"enhance": watch.FINE}


def test_a_chart_of_empty_queues_is_a_chart() -> None:
    text = watch.plot({"enhance": [0]}, {"enhance": "cyan"}, 1.0, 60, 8)
    assert "now" in text
    assert len(text.splitlines()) == 8


def test_metadata_of_a_key_means_show() -> None:
    app = typer.Typer()
    images.register(app)
    runner = CliRunner()
    assert "latest upload first" in runner.invoke(app, ["metadata", "list", "--help"]).output
    for words_ in (
        ["metadata", "a.jpg", "--help"],
        ["metadata", "--json", "--help"],
        ["metadata", "show", "--help"],
    ):
        assert "its steps, variants, camera" in runner.invoke(app, words_).output, words_


def test_status_names_a_disk_that_takes_no_more_first() -> None:
    full = replace(status(), trouble="no space left on the disk that holds /data (0 bytes free)")
    first = judge(full).faults[0]
    assert first.what.startswith("the embedded cloud: no space left on the disk that holds /data")
    assert "free some space" in first.hint


def test_no_table_breaks_a_word_where_a_key_can_give_way() -> None:
    told = row(status="rejected", error={"class": "Rejected", "reason": "unsupported_format"})
    told = {**told, "key": "incoming/" + "a-long-name-" * 8, "reason": "unsupported_format"}
    [page] = metadata.pages([told], 80)
    text = shown(fitted(page, 80), width=80)
    assert widest(text) <= 80
    assert "not an image" in text
    assert "rejected" in text


def test_lists_tell_a_refusal_in_a_photographers_words(monkeypatch: pytest.MonkeyPatch) -> None:
    told = row(status="rejected", error={"class": "Rejected", "reason": "truncated_image"})
    letter = replace(letters()[0], error="Rejected", reason="truncated_image", message="")
    for width, code in ((80, False), (160, True)):
        monkeypatch.setattr(words, "width", lambda width=width: width)
        for made in (
            dlq.table([letter], width),
            dlq.groups(grouped([letter])),
            *metadata.pages([{**told, "reason": "truncated_image"}], width),
        ):
            text = " ".join(shown(fitted(made, width), width=width).split())
            assert re.search("the file.* is.* cut", text)  # it may break into lines between them
            assert ("truncated_image" in text) == code


def test_letters_are_chosen_by_the_words_that_lists_show() -> None:
    letter = replace(letters()[0], error="Rejected", reason="truncated_image", message="")
    for asked in ("cut short", "truncated_image", "rejected"):
        assert Choice(error=asked).matches(letter)
    assert not Choice(error="too large").matches(letter)


def test_a_table_that_fits_is_left_alone() -> None:
    made = words.table("key", "why", folds=("key", "why"))
    made.add_row("incoming/a.jpg", "no such thing")
    fitted(made, 80)
    assert [column.width for column in made.columns] == [None, None]


@given(
    columns=st.lists(st.tuples(st.integers(1, 20), st.integers(0, 60)), min_size=1, max_size=8),
    spare=st.integers(0, 100),
)
def test_columns_share_what_room_there_is(columns: list[tuple[int, int]], spare: int) -> None:
    least = [few for few, _ in columns]
    wanted = [few + more for few, more in columns]
    room = sum(least) + spare
    given_ = shares(least, wanted, room)
    assert sum(given_) == min(room, sum(wanted))
    assert all(few <= got <= most for few, got, most in zip(least, given_, wanted, strict=True))


def test_a_narrow_terminal_gets_log_lines_without_ids() -> None:
    def brief(text: str) -> str:
        return shown(logs.block(Line(NOW, "thumbs", text, "1"), logs.Colours(), 6, 110), width=110)

    uuid = "d30afa7b-980a-4412-adb6-f2f3270e13c8"
    report = (
        f"REPORT RequestId: {uuid}\tDuration: 21.33 ms\tBilled Duration: 22 ms\t"
        "Memory Size: 1769 MB\tMax Memory Used: 62 MB\tInit Duration: 147.64 ms\tStatus: timeout"
    )
    assert "REPORT d30afa7b  21 ms, 148 ms to begin, 62 of 1769 MB  Status: timeout" in brief(
        report
    )
    assert brief(f"START RequestId: {uuid} Version: $LATEST").rstrip().endswith("START d30afa7b")
    told = brief(json.dumps({"event": "failed", "message": "broken " * 20, "message_id": uuid}))
    assert uuid not in told
    assert widest(told) <= 110
    assert all(line.startswith(" " * 20) for line in told.splitlines()[1:] if line.strip())


def test_log_lines_of_another_day_have_a_date() -> None:
    long_ago = datetime(2020, 2, 29, 12, 0, tzinfo=UTC)
    text = shown(
        logs.block(Line(long_ago, "thumbs", "hello", "1"), logs.Colours(), 6, 200), width=200
    )
    assert f"{long_ago.astimezone():%Y-%m-%d %H:%M:%S}.000" in text


def test_status_counts_messages_given_back_among_the_errors() -> None:
    found = status()
    step = replace(found.steps[0], errors=3, failed_attempts=40)
    text = shown(status_view.page(replace(found, steps=(step,)), "studio · local"))
    assert " 43 " in text


def test_an_alarm_about_letters_that_are_gone_clears_by_itself() -> None:
    found = status()
    empty = tuple(replace(queue, visible=0) for queue in found.queues)
    [fault] = judge(replace(found, queues=empty, steps=())).faults
    assert "it clears by itself" in fault.what
    assert not any("clears" in fault.what for fault in judge(found).faults)


def test_a_table_in_a_pipe_has_no_spaces_behind_its_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = words.table("key", "why", folds=("why",))
    made.add_row("a.jpg", "a long reason " * 30)
    made.add_row("b.jpg", "short")
    words.put(made, "", "[bold]b.jpg[/]  done")
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line != line.rstrip()] == []
    assert [line.split()[0] for line in lines if line.endswith(("reason", "short", "done"))] == [
        "a.jpg", "b.jpg", "b.jpg",
    ]  # fmt: skip
