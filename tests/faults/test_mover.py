"""The mover of dead letters, killed between every two calls: nothing is lost, and running again finishes the work."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

import pytest

from imgpipe.operate.dlq import find, mover, queues, route
from tests.sqs_fake import FakeSqs
from tests.studio import s3_event, sns_envelope, studio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgpipe.operate.dlq.mover import Outcome
    from imgpipe.operate.project import Project

MOVING = {
    "send_message",
    "delete_message",
    "receive_message",
    "invoke",
    "change_message_visibility_batch",
}


class Killed(BaseException):
    """kill -9: whatever the process would still have done, it doesn't."""


@dataclass
class Executioner:
    """Lets `lives` calls through, over all clients, and then none."""

    lives: int
    after: bool = False
    dead: bool = False

    def __post_init__(self) -> None:
        self._lock = Lock()

    def guard(self, client: Any) -> Any:
        return Guarded(client, self)

    def call(self, do: Any, request: dict[str, Any]) -> Any:
        with self._lock:
            if self.dead:
                raise Killed
            if self.lives == 0:
                self.dead = True
                if self.after:
                    do(**request)
                raise Killed
            self.lives -= 1
            return do(**request)


class Guarded:
    def __init__(self, client: Any, executioner: Executioner) -> None:
        self._client, self._executioner = client, executioner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if name not in MOVING:
            return found
        return lambda **request: self._executioner.call(found, request)


class Functions:
    """Lambda, as far as it takes events."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def invoke(self, *, FunctionName: str, InvocationType: str, Payload: bytes) -> Any:  # noqa: N803
        assert InvocationType == "Event"
        self.events.append(f"{FunctionName}:{Payload.decode()}")
        return {"StatusCode": 202}


class World:
    """Dead letters of two kinds, and what becomes of them."""

    def __init__(self, count: int) -> None:
        self.sqs, self.functions = FakeSqs(), Functions()
        graph = studio().graph
        place = graph.place
        self.dead = {
            name: place.queue_url(graph.queues[name]) for name in ("enhance-dlq", "thumbs-dlq")
        }
        self.queue = place.queue_url(graph.queues["enhance"])
        for number in range(count):
            self.sqs.put(
                self.dead["enhance-dlq"],
                json.dumps(sns_envelope(s3_event(f"incoming/{number}.jpg"))),
            )
            event = {
                "Records": [
                    {
                        "EventSource": "aws:sns",
                        "Sns": sns_envelope(s3_event(f"incoming/{number}.jpg")),
                    }
                ]
            }
            record = {"requestContext": {"condition": "RetriesExhausted"}, "requestPayload": event}
            self.sqs.put(self.dead["thumbs-dlq"], json.dumps(record))
        self.count = 2 * count

    def project(self, executioner: Executioner | None = None) -> Project:
        guard = executioner.guard if executioner else lambda client: client
        return studio(**{"sqs": guard(self.sqs), "lambda": guard(self.functions)})

    @property
    def left(self) -> int:
        return sum(len(self.sqs.bodies(url)) for url in self.dead.values())

    def moved(self) -> Counter[str]:
        return Counter([*self.sqs.bodies(self.queue), *self.functions.events])

    def hidden_come_back(self) -> None:
        self.sqs.now += 10_000


def redrive(project: Project) -> list[Outcome]:
    homes = queues.homes(project.graph)
    letters = find.letters(project, homes)
    return list(
        mover.redrive(
            project, homes, [(letter, route.route(project.graph, letter)) for letter in letters]
        )
    )


def statuses(outcomes: Sequence[Outcome]) -> Counter[str]:
    return Counter(outcome.status for outcome in outcomes)


@pytest.mark.capability("S4-4", "X4")
def test_every_letter_goes_to_the_branch_that_failed_and_leaves_its_queue() -> None:
    world = World(25)
    assert statuses(redrive(world.project())) == {"moved": 50}
    assert (len(world.sqs.bodies(world.queue)), len(world.functions.events), world.left) == (
        25,
        25,
        0,
    )


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
@pytest.mark.fault("F-34")
def test_killed_at_any_call_nothing_is_lost_and_running_again_finishes(after: bool) -> None:
    """FAULTS 34: moved + left >= start, at whichever call the process dies."""
    lives, finished = 0, False
    while not finished:
        world = World(4)
        executioner = Executioner(lives, after)
        try:
            redrive(world.project(executioner))
            finished = True
        except Killed:
            pass
        assert sum(world.moved().values()) + world.left >= world.count, lives
        world.hidden_come_back()
        redrive(world.project())
        assert world.left == 0, lives
        assert len(world.moved()) == world.count, lives
        lives += 1
    assert lives > 2 * 2 * 4  # a send and a delete a letter


@pytest.mark.fault("F-35")
def test_what_fails_again_at_once_is_moved_once_a_run() -> None:
    """FAULTS 35: it comes back as a new letter, which this run leaves alone."""
    world = World(3)

    class Hopeless(FakeSqs):
        def send_message(self, **request: Any) -> Any:
            world.sqs.put(world.dead["enhance-dlq"], request["MessageBody"])
            return {}

    world.sqs.send_message = Hopeless.send_message.__get__(world.sqs)  # type: ignore[method-assign]
    assert statuses(redrive(world.project())) == {"moved": 6}
    assert len(world.sqs.bodies(world.dead["enhance-dlq"])) == 3


def test_a_letter_that_can_not_be_sent_stays_and_is_told() -> None:
    from botocore.exceptions import ClientError

    world = World(2)

    def refuse(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "Invoke")

    world.functions.invoke = refuse  # type: ignore[method-assign]
    outcomes = redrive(world.project())
    assert statuses(outcomes) == {"moved": 2, "failed": 2}
    assert world.left == 2
    assert any("AccessDenied" in outcome.why for outcome in outcomes)
    assert statuses(redrive(world.project())) == {"failed": 2}, "they were shown again at once"


def test_letters_that_somebody_else_took_meanwhile_are_told() -> None:
    world = World(2)
    project = world.project()
    homes = queues.homes(project.graph)
    letters = find.letters(project, homes)
    world.sqs.queues[world.dead["thumbs-dlq"]].clear()
    routes = [(letter, route.route(project.graph, letter)) for letter in letters]
    assert statuses(list(mover.redrive(project, homes, routes))) == {"moved": 2, "gone": 2}


def test_looking_hides_nothing_from_others_afterwards() -> None:
    world = World(30)
    project = world.project()
    homes = queues.homes(project.graph)
    assert len(find.letters(project, homes)) == 60
    assert len(find.letters(project, homes)) == 60


def test_a_queue_that_claims_more_than_it_shows_is_not_waited_for_for_ever() -> None:
    world = World(1)
    world.sqs.claims[world.dead["enhance-dlq"]] = 500
    assert len(find.letters(world.project(), queues.homes(world.project().graph))) == 2


def test_a_queue_that_is_not_there_holds_no_letters() -> None:
    from botocore.exceptions import ClientError

    world = World(2)
    receive = world.sqs.receive_message

    def gone(*, QueueUrl: str, **request: Any) -> Any:  # noqa: N803 - boto3's name
        if QueueUrl == world.dead["thumbs-dlq"]:
            error = {"Error": {"Code": "AWS.SimpleQueueService.NonExistentQueue", "Message": "no"}}
            raise ClientError(error, "ReceiveMessage")  # type: ignore[arg-type]
        return receive(QueueUrl=QueueUrl, **request)

    world.sqs.receive_message = gone  # type: ignore[method-assign]
    assert len(find.letters(world.project(), queues.homes(world.project().graph))) == 2


@pytest.mark.capability("S4-4")
def test_only_chosen_letters_are_moved_or_purged() -> None:
    world = World(12)
    project = world.project()
    homes = queues.homes(project.graph)
    some = [letter for letter in find.letters(project, homes) if letter.key == "incoming/7.jpg"]
    assert statuses(list(mover.purge(project, homes, some))) == {"deleted": 2}
    assert world.left == 22
    assert not world.moved()
    assert len(find.letters(project, homes)) == 22
