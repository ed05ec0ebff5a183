"""`imgpipe why`: each hop of an image's way is broken in turn, and named with its reason and the command to run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imgpipe.local import lifecycle
from tests.cloud_fixture import EmbeddedCloud
from tests.e2e.pipeline import Pipeline
from tests.photos import DEMO

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.capability("X5"),
    pytest.mark.xdist_group("why"),
]
PREFIX = "photo-studio-local"
PHOTO = DEMO / "rocket.jpg"


class Studio:
    """A pipeline to break, and clients to break it with."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        running = lifecycle.status(pipeline.folder)
        assert running is not None
        self.cloud = EmbeddedCloud(pipeline.folder, running)
        self.outputs = pipeline.run("outputs", "--json").json
        self.account = self.cloud.client("sts").get_caller_identity()["Account"]

    def client(self, service: str) -> Any:
        return self.cloud.client(service)

    def queue(self, name: str) -> str:
        return str(self.outputs[f"{name.replace('-', '_')}_queue_url"])

    def put(self, key: str, body: bytes | None = None) -> None:
        """Upload without the checks that `imgpipe upload` makes first."""
        data = PHOTO.read_bytes() if body is None else body
        bucket = self.outputs["uploads_bucket"]
        self.client("s3").put_object(Bucket=bucket, Key=f"incoming/{key}", Body=data)

    def why(self, key: str, *args: str) -> dict[str, Any]:
        story: dict[str, Any] = self.pipeline.run("why", key, *args, "--json", code=None).json
        return story

    def until(
        self,
        key: str,
        stage: str,
        name: str | None = None,
        deadline_s: float = 120,
        *,
        saying: str = "",
    ) -> Any:
        """Ask until the story ends in this hop, with a reason that says this."""
        last: list[dict[str, Any]] = [{}]

        def ended() -> dict[str, Any] | None:
            last[0] = self.why(key)
            broken = last[0]["broken"] or {}
            there = (broken.get("stage"), broken.get("name")) == (stage, name)
            return last[0] if there and saying in (last[0]["reason"] or "") else None

        try:
            return self.pipeline.wait_for(f"break at {stage} {name}", ended, deadline_s)
        except AssertionError as error:
            raise AssertionError(
                f"{error}; the story was {json.dumps(last[0], indent=1)}"
            ) from None

    def mapping(self, function: str) -> str:
        found = self.client("lambda").list_event_source_mappings(
            FunctionName=f"{PREFIX}-{function}"
        )
        return str(found["EventSourceMappings"][0]["UUID"])

    def pause(self, function: str, *, enabled: bool = False) -> None:
        client, uuid = self.client("lambda"), self.mapping(function)
        client.update_event_source_mapping(UUID=uuid, Enabled=enabled)
        wanted = "Enabled" if enabled else "Disabled"
        self.pipeline.wait_for(
            wanted, lambda: client.get_event_source_mapping(UUID=uuid)["State"] == wanted
        )


@pytest.fixture(scope="module")
def broken_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    pipeline = Pipeline.copy_to(tmp_path_factory.mktemp("why"))
    try:
        pipeline.run("up", "--yes")
        yield Studio(pipeline)
    finally:
        pipeline.run("local", "stop", code=None)


@pytest.fixture
def studio(broken_studio: Studio) -> Iterator[Studio]:
    """The studio, mended again after the test: by `up`, which is what `why` tells people to run."""
    handler = broken_studio.pipeline.folder / "lambdas" / "images" / "handler.py"
    healthy = handler.read_text()
    yield broken_studio
    handler.write_text(healthy)
    broken_studio.pipeline.run("up", "--yes")


def commands(story: dict[str, Any]) -> list[str]:
    return [" ".join(command[:2]) for command in story["next"]]


def test_a_finished_image_has_every_hop_and_the_log_lines_of_each_attempt(studio: Studio) -> None:
    studio.pipeline.run("upload", PHOTO, "--prefix", "fine", "--wait")
    story = studio.why("fine/rocket.jpg")

    assert (story["status"], story["well"], story["broken"]) == ("done", True, None)
    stages = {(hop["stage"], hop["name"]) for hop in story["timeline"]}
    attempts = {("attempt", name) for name in ("thumbs", "enhance", "images", "writer")}
    assert stages >= attempts | {("object", "S3"), ("row", "table"), ("outputs", "S3")}
    assert all(hop["state"] == "ok" for hop in story["timeline"])
    assert all(hop["log"] for hop in story["timeline"] if hop["stage"] == "attempt")
    text = studio.pipeline.run("why", "fine/rocket.jpg").out
    assert "thumbnail done in" in text
    assert "imgpipe download fine/rocket.jpg" in text


def test_what_was_never_uploaded_is_told_with_what_is_much_alike(studio: Studio) -> None:
    studio.put("near/photo.jpg")
    story = studio.why("near/Photo.jpeg")
    assert (story["status"], story["broken"]["stage"]) == ("never", "object")
    assert "incoming/near/photo.jpg" in story["reason"]
    assert studio.pipeline.run("why", "nothing/alike.jpg", code=3)


def test_an_upload_in_parts_that_was_never_finished_is_told(studio: Studio) -> None:
    bucket = studio.outputs["uploads_bucket"]
    studio.client("s3").create_multipart_upload(Bucket=bucket, Key="incoming/parts.jpg")
    assert "never finished" in studio.why("parts.jpg")["reason"]


def test_a_removed_notification(studio: Studio) -> None:
    bucket = studio.outputs["uploads_bucket"]
    studio.client("s3").put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={}
    )
    studio.put("unheard.jpg")
    story = studio.until("unheard.jpg", "event", "S3")
    assert "notification" in story["reason"]
    assert commands(story)[0] == "imgpipe up"


def test_a_key_that_no_rule_matches(studio: Studio) -> None:
    bucket = studio.outputs["uploads_bucket"]
    studio.client("s3").put_object(Bucket=bucket, Key="elsewhere/a.jpg", Body=b"x")
    story = studio.why("elsewhere/a.jpg")
    assert story["status"] in {"never", "lost"}


def test_a_removed_subscription(studio: Studio) -> None:
    sns, topic = studio.client("sns"), studio.outputs["uploaded_topic_arn"]
    for it in sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]:
        if it["Endpoint"].endswith("-enhance"):
            sns.unsubscribe(SubscriptionArn=it["SubscriptionArn"])
    studio.put("unsubscribed.jpg")
    story = studio.until("unsubscribed.jpg", "delivery", "enhance")
    assert "subscription" in story["reason"]
    assert commands(story)[0] == "imgpipe up"


def test_a_queue_that_lets_the_topic_in_no_more(studio: Studio) -> None:
    studio.client("sqs").set_queue_attributes(
        QueueUrl=studio.queue("enhance"), Attributes={"Policy": ""}
    )
    studio.put("shut-out.jpg")
    story = studio.until("shut-out.jpg", "dead letter", "enhance")
    assert story["status"] == "failed"
    assert "imgpipe dlq" in commands(story)


def test_a_disabled_mapping_which_up_enables_again(studio: Studio) -> None:
    studio.pause("enhance")
    studio.put("paused.jpg")
    story = studio.until("paused.jpg", "queue", "enhance")
    assert "enabled off -> on" in story["reason"]
    assert commands(story) == ["imgpipe up"]

    studio.pipeline.run("up", "--yes")
    studio.pipeline.wait_for("end", lambda: studio.why("paused.jpg")["status"] == "done")


def test_a_function_that_may_not_run(studio: Studio) -> None:
    client, name = studio.client("lambda"), f"{PREFIX}-enhance"
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    studio.put("choked.jpg")
    story = studio.until("choked.jpg", "queue", "enhance")
    assert "reserved_concurrency 0" in story["reason"]


def test_a_function_that_the_topic_may_not_invoke(studio: Studio) -> None:
    studio.client("lambda").remove_permission(
        FunctionName=f"{PREFIX}-thumbs", StatementId="sns-uploaded"
    )
    studio.put("uninvited.jpg")
    story = studio.until("uninvited.jpg", "dead letter", "thumbs")
    assert story["reason"]


def test_a_handler_that_raises_and_then_its_dead_letter(studio: Studio) -> None:
    handler = studio.pipeline.folder / "lambdas" / "images" / "handler.py"
    broken = (
        "    import os\n"
        '    if os.environ["AWS_LAMBDA_FUNCTION_NAME"].endswith("-enhance"):\n'
        '        raise RuntimeError("broken on purpose")\n'
    )
    place = "    return image.make("
    handler.write_text(handler.read_text().replace(place, f"{broken}{place}"))
    studio.pipeline.run("up", "--yes")
    studio.put("raising.jpg")
    story = studio.until("raising.jpg", "attempt", "enhance", saying="on purpose")
    assert story["reason"] == "RuntimeError: broken on purpose"
    assert commands(story) == ["imgpipe logs"]

    story = studio.until("raising.jpg", "dead letter", "enhance", 150)
    assert "broken on purpose" in story["reason"]
    assert story["status"] == "failed"


def test_a_table_that_the_writer_may_not_write(studio: Studio) -> None:
    iam = studio.client("iam")
    role = next(
        role["RoleName"]
        for role in iam.list_roles(PathPrefix="/imgpipe/")["Roles"]
        if "-writer-" in role["RoleName"]
    )
    [policy] = iam.list_role_policies(RoleName=role)["PolicyNames"]
    before = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
    less = [it for it in before["Statement"] if "dynamodb" not in json.dumps(it)]
    document = json.dumps({**before, "Statement": less})
    iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=document)
    studio.put("denied.jpg")
    story = studio.until("denied.jpg", "attempt", "writer", saying="AccessDenied")
    assert "AccessDenied" in story["reason"]


def test_results_that_were_purged(studio: Studio) -> None:
    studio.pause("writer")
    studio.put("purged.jpg")
    story = studio.until("purged.jpg", "results", "writer")
    assert "mapping" in story["reason"]

    sqs, results = studio.client("sqs"), studio.queue("results")
    name = "ApproximateNumberOfMessages"

    def all_said() -> bool:
        found = sqs.get_queue_attributes(QueueUrl=results, AttributeNames=[name])
        return int(found["Attributes"][name]) >= 4

    studio.pipeline.wait_for("four results", all_said)
    sqs.purge_queue(QueueUrl=results)
    studio.pipeline.run("up", "--yes")
    story = studio.pipeline.wait_for(
        "the loss", lambda: _if(studio.why("purged.jpg"), lambda it: it["status"] == "lost")
    )
    assert story["broken"] == {"stage": "results", "name": "writer"}
    assert story["next"] == [["imgpipe", "audit", "purged.jpg", "--heal"]]


def test_an_output_that_somebody_deleted(studio: Studio) -> None:
    studio.pipeline.run("upload", PHOTO, "--prefix", "cut", "--wait")
    row = studio.pipeline.run("metadata", "show", "cut/rocket.jpg", "--json").json
    bucket = studio.outputs["variants_bucket"]
    studio.client("s3").delete_object(Bucket=bucket, Key=row["outputs"]["thumb"]["key"])
    story = studio.why("cut/rocket.jpg")
    assert story["broken"] == {"stage": "outputs", "name": "S3"}
    assert "thumb" in studio.pipeline.run("why", "cut/rocket.jpg", code=3).out


def test_what_is_no_image_is_rejected_with_its_reason(studio: Studio) -> None:
    studio.put("text.jpg", b"no image at all")
    story = studio.pipeline.wait_for(
        "end", lambda: _if(studio.why("text.jpg"), lambda it: it["status"] == "rejected")
    )
    assert "unsupported_format" in story["reason"]


def test_versions_that_were_replaced_or_removed(studio: Studio) -> None:
    for _ in range(2):
        studio.pipeline.run("upload", PHOTO, "--prefix", "twice", "--wait")
    bucket = studio.outputs["uploads_bucket"]
    listed = studio.client("s3").list_object_versions(Bucket=bucket, Prefix="incoming/twice/")
    first = next(it["VersionId"] for it in listed["Versions"] if not it["IsLatest"])
    assert studio.why("twice/rocket.jpg", "--version-id", first)["status"] == "superseded"

    studio.client("s3").delete_object(Bucket=bucket, Key="incoming/twice/rocket.jpg")
    studio.pipeline.wait_for(
        "tombstone", lambda: studio.why("twice/rocket.jpg")["status"] == "removed"
    )
    texts = [hop["text"] for hop in studio.why("twice/rocket.jpg")["timeline"]]
    assert not [text for text in texts if "ended silently" in text]  # each of them is well
    assert studio.pipeline.run("why", "twice/rocket.jpg", "--version-id", "nope", code=2)


def _if(story: dict[str, Any], condition: Any) -> dict[str, Any] | None:
    return story if condition(story) else None


def test_the_page_fits_a_narrow_terminal_and_obeys_no_key(studio: Studio, tmp_path: Path) -> None:
    name = "strange [red]\x1b[31m.jpg"
    studio.put(name, b"no image")
    story = studio.pipeline.run("why", name, code=3)
    assert "\x1b" not in story.out
    assert "[red]" in story.out
