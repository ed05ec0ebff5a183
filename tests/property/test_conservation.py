"""The law of the house, on a small cloud with faults: every upload ends once, and no output is left
over.

One function, the writer and tidy run over the cloud in memory. Hypothesis writes the script:
uploads, overwrites and removals; messages in any order and any number of times; calls that fail at
any moment, as if the function had died. Then the faults stop, what is left in the queues is
delivered, and the state must be what an undisturbed run leaves.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgpipe.runtime import row, steps, tidy, writer
from imgpipe.runtime.errors import Reason, Rejected
from imgpipe.runtime.made import Made, Picture
from tests.fakes import (
    SETTINGS,
    TABLE,
    UPLOADS,
    VARIANTS,
    FakeContext,
    FakeStore,
    s3_event,
    sqs_event,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgpipe.runtime.settings import Limits

KEYS = ("incoming/a.jpg", "incoming/b.jpg")
CALLS = (
    "open",
    "put",
    "send:results",
    "send:rejected",
    "send:tidy",
    "put_item",
    "get_item",
    "delete",
    "publish:completed",
)
MAX_RECEIVES = 1_000_000  # nothing dies here: dead letters are the queue's business
STUDIO = replace(SETTINGS, max_receives=MAX_RECEIVES)


def make(data: bytes, wanted: Mapping[str, Any], limits: Limits) -> dict[str, Made]:
    if data.startswith(b"bad"):
        raise Rejected(Reason.CORRUPT_IMAGE)
    picture = Picture(data=data, width=1, height=1, format="jpeg")
    return {step: Made(variants={"medium": picture}) for step in wanted}


@dataclass
class Studio:
    """The pipeline: a store, and for each function the messages that wait for it."""

    store: FakeStore = field(default_factory=FakeStore)
    uploads: list[dict[str, Any]] = field(default_factory=list)
    removals: list[dict[str, Any]] = field(default_factory=list)

    def work(self, function: str, message: dict[str, Any], receives: int) -> bool:
        """Deliver `message`; say whether it was acknowledged."""
        event = sqs_event(message, receives=receives)
        told: dict[str, Any] = {"store": self.store, "settings": STUDIO}
        match function:
            case "images":
                done = steps.run(event, FakeContext(), make, **told)
            case "writer":
                done = writer.run(event, FakeContext(), **told)
            case _:
                done = tidy.run(event, FakeContext(), **told)
        return not done["batchItemFailures"]

    def waiting(self) -> list[tuple[str, dict[str, Any]]]:
        for queue, function in (("results", "writer"), ("tidy", "tidy")):
            self.pending[function] += self.store.take(queue)
        return [(function, message) for function, some in self.pending.items() for message in some]

    pending: dict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: {"images": [], "writer": [], "tidy": []}
    )

    def step(self, draw: Any) -> None:
        choice = draw(st.sampled_from(["put", "remove", "deliver", "deliver", "deliver", "break"]))
        if choice == "put":
            data = draw(st.sampled_from([b"good", b"good too", b"bad"]))
            record = self.store.upload(UPLOADS, draw(st.sampled_from(KEYS)), data)
            self.pending["images"].append(s3_event(record))
        elif choice == "remove":
            record = self.store.remove(UPLOADS, draw(st.sampled_from(KEYS)))
            self.pending["tidy"].append(s3_event(record))
        elif choice == "break":
            self.store.break_on(draw(st.sampled_from(CALLS)))
        elif waiting := self.waiting():
            function, message = draw(st.sampled_from(waiting))
            acknowledged = self.work(function, message, draw(st.integers(1, 3)))
            if acknowledged and not draw(st.booleans()):  # else it is delivered again
                self.pending[function].remove(message)

    def drain(self) -> None:
        """Let the faults stop and deliver all that waits, until nothing does."""
        self.store._breaks.clear()
        while waiting := self.waiting():
            for function, message in waiting:
                assert self.work(function, message, 2)
                self.pending[function].remove(message)


@settings(deadline=None, max_examples=300)
@given(st.data(), st.integers(1, 40))
def test_every_upload_ends_once_and_no_output_is_left_over(
    data: st.DataObject, length: int
) -> None:
    studio = Studio()
    for _ in range(length):
        studio.step(data.draw)
    studio.drain()
    named: set[str] = set()
    for key in KEYS:
        item = studio.store.items.get((TABLE, key, "image"))
        current = studio.store.objects.get((UPLOADS, key))
        if item is None:
            assert current is None
            continue
        shown = row.from_item(item)
        if current is None:
            assert shown["status"] == "removed"
        else:
            expected = "rejected" if current.data == b"bad" else "done"
            assert (shown["status"], shown["version_id"]) == (expected, current.version_id)
            letters = [
                letter
                for letter in studio.store.queues["rejected"]
                if (letter.attributes["key"], letter.attributes["version_id"])
                == (key, current.version_id)
            ]
            assert bool(letters) == (expected == "rejected")
            assert _announced(studio.store, key, shown["sequencer"], expected)
        named |= {made["key"] for made in shown["outputs"].values()}
    assert studio.store.keys(VARIANTS) == named


def _announced(store: FakeStore, key: str, sequencer: str, status: str) -> bool:
    told = [json.loads(each.message) for each in store.published]
    return any(
        (end["key"], end["sequencer"], end["status"]) == (key, sequencer, status) for end in told
    )


@pytest.mark.capability("S1-14")
def test_what_waited_while_nobody_worked_is_done_afterwards() -> None:
    studio = Studio()
    for number in range(20):
        record = studio.store.upload(UPLOADS, f"incoming/{number}.jpg", b"good")
        studio.pending["images"].append(s3_event(record))
    studio.drain()
    images = [item for item in studio.store.items.values() if item["sk"]["S"] == row.SK_IMAGE]
    rows = [row.from_item(item) for item in images]
    assert [shown["status"] for shown in rows] == ["done"] * 20
