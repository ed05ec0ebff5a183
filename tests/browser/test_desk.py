"""The desk, as an operator uses it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import outputs, photograph, shifted
from tests.e2e.pipeline import Pipeline

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("browser")]


def upload(studio: Pipeline, name: str) -> None:
    """Upload as the command line does, to its end."""
    photo = studio.folder / name
    photo.write_bytes(photograph())
    studio.run("upload", photo, "--wait")


@pytest.fixture(autouse=True)
def no_letters_of_others(studio: Pipeline) -> None:
    """What other tests left would stand in one group with a test's own."""
    sqs = studio.client("sqs")
    for url in dead(sqs):
        ask = sqs.receive_message
        while found := ask(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0).get("Messages"):
            for message in found:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def dead(sqs: Any, step: str = "") -> list[str]:
    """Return the addresses of the queues of dead letters, of what was rejected too; or of one step's."""
    found = sqs.list_queues(QueueNamePrefix=f"photo-studio-local-{step}")["QueueUrls"]
    return [url for url in found if url.endswith((f"{step}-dlq", "-local-rejected"))]


def kill(studio: Pipeline, key: str) -> None:
    """Put a letter about an image into a dead-letter queue, as SQS would after the last attempt."""
    sqs, s3 = studio.client("sqs"), studio.client("s3")
    head = s3.head_object(Bucket=outputs(studio)["uploads_bucket"], Key=key)
    sequencer = studio.run("metadata", "show", key, "--json").json["sequencer"]
    thing = {"key": key, "size": head["ContentLength"], "eTag": head["ETag"].strip('"')}
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": "2026-11-21T12:00:00.000Z",
        "eventName": "ObjectCreated:Put",
        "s3": {
            "bucket": {"name": outputs(studio)["uploads_bucket"]},
            "object": {**thing, "versionId": head["VersionId"], "sequencer": sequencer},
        },
    }
    sqs.send_message(
        QueueUrl=dead(sqs, "enhance")[0], MessageBody=json.dumps({"Records": [record]})
    )


@pytest.mark.capability("S4-4")
def test_a_dead_letter_is_shown_with_its_way_back_and_sent_again(
    page: Page, studio: Pipeline
) -> None:
    upload(studio, "dead.jpg")
    kill(studio, "incoming/dead.jpg")
    page.goto("/desk")
    row = page.locator("#letters [data-group]", has_text="dead.jpg")
    expect(page.locator("#diagram .dlqname.full", has_text="enhance-dlq · 1")).to_be_visible()
    row.get_by_role("button", name="Send again").click()
    expect(page.locator("#ask")).to_contain_text("1 of 1: each goes back to the step that failed")
    page.get_by_role("button", name="Send them again").click()
    expect(page.locator("#ask")).to_contain_text("1 of 1 on its way")
    page.get_by_role("button", name="Done").click()
    expect(row).to_have_count(0)


def test_what_would_be_refused_again_is_not_offered_to_be_sent(
    page: Page, studio: Pipeline
) -> None:
    (studio.folder / "words.jpg").write_text("no picture at all")
    studio.run("upload", studio.folder / "words.jpg", "--wait", code=None)
    page.goto("/desk")
    row = page.locator("#letters [data-group]", has_text="words.jpg")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("1 image")
    expect(row).to_contain_text("Not to be sent again: the code and the settings that rejected it")
    expect(row.get_by_role("button")).to_have_text(["Keep"])


def test_one_goes_ahead_and_the_others_follow_when_it_is_done(page: Page, studio: Pipeline) -> None:
    for name in ("ahead.jpg", "behind.jpg"):
        upload(studio, name)
        kill(studio, f"incoming/{name}")
    page.goto("/desk")
    row = page.locator("#letters [data-group]", has_text="ahead.jpg")
    expect(row.locator(".pictures img")).to_have_count(2)
    row.get_by_role("button", name="One ahead").click()
    expect(page.locator("#ask")).to_contain_text("1 of 2 goes first")
    page.get_by_role("button", name="Send one ahead").click()
    expect(page.locator("#ask")).to_contain_text("The one that went ahead is done; 1 follows")
    page.get_by_role("button", name="Done").click()
    expect(row).to_have_count(0)


def test_a_dead_letter_is_kept_out_of_the_queue_that_would_drop_it(
    page: Page, studio: Pipeline
) -> None:
    upload(studio, "keepsake.jpg")
    kill(studio, "incoming/keepsake.jpg")
    page.goto("/desk")
    row = page.locator("#letters [data-group]", has_text="keepsake.jpg")
    row.get_by_role("button", name="Keep").click()
    expect(page.locator("#ask")).to_contain_text("1 of 1: each is archived")
    page.get_by_role("button", name="Keep them").click()
    expect(page.locator("#ask")).to_contain_text("1 of 1 is kept")
    page.get_by_role("button", name="Done").click()
    expect(row).to_have_count(0)
    bucket = outputs(studio)["variants_bucket"]
    kept = studio.client("s3").list_objects_v2(Bucket=bucket, Prefix="ops/")
    assert any("rescue" in it["Key"] for it in kept["Contents"])


def test_an_image_is_made_again(page: Page, studio: Pipeline) -> None:
    upload(studio, "again.jpg")
    before = studio.run("metadata", "show", "again.jpg", "--json").json
    page.goto("/image?key=incoming/again.jpg")
    page.get_by_role("button", name="Make again …").click()
    expect(page.locator("#ask")).to_contain_text("These steps run once more")
    page.get_by_role("button", name="Make it again").click()
    expect(page.locator("#ask")).to_contain_text("1 of 1 on its way")

    def made_again() -> bool:
        row = studio.run("metadata", "show", "again.jpg", "--json").json
        return bool(row["status"] == "done" and row["updated_at"] > before["updated_at"])

    studio.wait_for("second making", made_again)


def test_the_last_hour_is_there_when_the_page_is_opened(page: Page, studio: Pipeline) -> None:
    upload(studio, "hourly.jpg")
    page.goto("/desk")
    expect(page.locator("#through .bar").first).to_be_visible()
    expect(page.locator("#latency .point").first).to_be_visible()
    expect(page.locator("#diagram .detail", has_text="a minute").first).to_be_visible()
    expect(page.locator("#diagram .dots.moving").first).to_have_css("animation-name", "flow")
    assert shifted(page) == []


def test_the_pipeline_is_drawn_with_its_queues_depths(page: Page) -> None:
    page.goto("/desk")
    expect(page.locator("#diagram .badge text").first).to_have_text("0")
    expect(page.locator("#state")).to_contain_text("functions and workers")
    expect(page.locator("#alarms")).to_contain_text("well")
    expect(page.locator("#mail")).to_contain_text("Subscription Confirmation")
    page.get_by_role("button", name="Examine").click()
    expect(page.locator("#doctor")).to_contain_text("imgpipe local mail confirm")


@pytest.mark.capability("X13")
def test_an_image_is_erased_with_its_receipt(page: Page, studio: Pipeline) -> None:
    upload(studio, "secret.jpg")
    page.goto("/")
    tile = page.locator('#chunks .tile[data-key="incoming/secret.jpg"]')
    other = page.context.new_page()
    other.goto("/?q=secret")
    expect(other.locator(".tile.done")).to_have_count(1)
    tile.locator("a").click()
    page.get_by_role("button", name="Erase …").click()
    expect(page.locator("#ask")).to_contain_text("4 outputs")
    page.get_by_role("button", name="Erase for good").click()
    for _ in range(3):
        page.keyboard.press("Escape")
    expect(page.locator("#ask")).to_contain_text("none came back")
    expect(page.locator("#ask")).to_be_visible()
    expect(other.locator(".tile.done")).to_have_count(0)
    expect(page.locator("#ask")).to_contain_text("ops/erase/")
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)
    expect(tile).to_have_count(0)
    studio.run("metadata", "show", "secret.jpg", code=1)


def test_a_saved_comparison_is_shown(page: Page, studio: Pipeline) -> None:
    page.goto("/compare")
    expect(page.locator("main")).to_contain_text("imgpipe load --compare --save compare.json")
    phase = {"mode": "coupled", "weather": "down", "uploads": 12, "refused": 11, "unprocessed": 12}
    times = {"p50": 0.25, "p95": None, "p99": None}
    told = {"kind": "compare", "phases": [{**phase, "upload_s": times}]}
    (studio.folder / "compare.json").write_text(json.dumps(told))
    page.goto("/compare")
    expect(page.get_by_role("rowheader")).to_have_text(["The application tier is down"])
    row = page.locator("tbody tr", has_text="a call")
    for words in ("0.25 s", "no answer", "11 of 12", "12 of 12"):
        expect(row).to_contain_text(words)
