"""What the desk says before and after it acts on dead letters."""

from __future__ import annotations

import html as markup
import re
from collections.abc import Sequence

import pytest

from imgpipe.operate.dlq import by_group, canary
from imgpipe.operate.dlq.groups import Group, grouped
from imgpipe.operate.dlq.mover import Outcome
from tests.studio import studio
from tests.unit.test_dlq_groups import letter
from tests.unit.web.visiting import Console

SIX = [letter(number, branch="enhance", steps=("enhance",)) for number in range(6)]


@pytest.fixture
def group() -> Group:
    [made] = grouped(SIX)
    return made


def words(html: str) -> str:
    return " ".join(markup.unescape(re.sub(r"<[^>]+>", " ", html)).split())


def told(monkeypatch: pytest.MonkeyPatch, acted: by_group.Acted, what: str) -> str:
    monkeypatch.setattr(by_group, "act", lambda *_, **__: acted)
    answer = Console(studio()).post("/desk/act", act=what, group="g")
    assert answer.status == 200
    return words(answer.text)


def outcomes(statuses: Sequence[str]) -> tuple[Outcome, ...]:
    pairs = zip(SIX, statuses, strict=True)
    return tuple(
        Outcome(it, status, "", "" if status == "moved" else "the canary of its group did not end")  # type: ignore[arg-type]
        for it, status in pairs
    )


def test_a_canary_is_asked_about_as_one_ahead_of_the_others(
    monkeypatch: pytest.MonkeyPatch, group: Group
) -> None:
    monkeypatch.setattr(by_group, "group", lambda *_: group)
    monkeypatch.setattr(by_group, "routes", lambda *_, **__: [(it, object()) for it in SIX])
    asked = words(Console(studio()).get("/desk/ask", act="canary", group="g").text)
    assert "1 of 6 goes first" in asked
    assert "The other 5 follow if it is done" in asked
    assert "6 of 6" not in asked


@pytest.mark.parametrize(
    ("verdict", "why", "begin"),
    [
        ("failed", "no lens 0", "The one that went ahead failed again; 5 stay no lens 0"),
        (
            "silent",
            "nothing was heard of it in 60 s",
            "The one that went ahead hasn't been heard of; 5 stay nothing was heard of it in 60 s",
        ),
    ],
)
def test_a_canary_that_fared_badly_reads_so(
    monkeypatch: pytest.MonkeyPatch, group: Group, verdict: canary.Verdict, why: str, begin: str
) -> None:
    acted = by_group.Acted(
        outcomes(["moved", *["left"] * 5]), canary.Tried(group, SIX[0], verdict, why)
    )
    said = told(monkeypatch, acted, "canary")
    assert said.startswith(begin)
    assert "on its way" not in said


def test_a_canary_that_worked_is_followed(monkeypatch: pytest.MonkeyPatch, group: Group) -> None:
    ahead = canary.Tried(group, SIX[0], "worked")
    said = told(monkeypatch, by_group.Acted(outcomes(["moved"] * 6), ahead), "canary")
    assert said.startswith("The one that went ahead is done; 5 follow")


def test_what_could_not_be_sent_reads_so(monkeypatch: pytest.MonkeyPatch) -> None:
    said = told(monkeypatch, by_group.Acted(outcomes(["left"] * 6)), "canary")
    assert said.startswith("Nothing was sent; 6 stay")
    assert told(monkeypatch, by_group.Acted(outcomes(["moved"] * 6)), "redrive").startswith(
        "6 of 6 on their way"
    )
