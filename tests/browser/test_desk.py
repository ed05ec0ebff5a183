"""The desk, as an operator uses it."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.pipeline import Pipeline
from tests.photos import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("browser")]
PHOTO = ROOT / "demo" / "photos" / "sunset.jpg"


def upload(studio: Pipeline, name: str) -> None:
    """Upload as the command line does, to its end."""
    photo = studio.folder / name
    photo.write_bytes(PHOTO.read_bytes())
    studio.run("upload", photo, "--wait")


def kill(studio: Pipeline, key: str) -> None:
    """Put a letter about an image into a dead-letter queue, as SQS would after the last attempt."""
    sqs, s3 = studio.client("sqs"), studio.client("s3")
    outputs = studio.run("outputs", "--json").json
    head = s3.head_object(Bucket=outputs["uploads_bucket"], Key=key)
    thing = {"key": key, "size": head["ContentLength"], "eTag": head["ETag"].strip('"')}
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": "2026-11-21T12:00:00.000Z",
        "eventName": "ObjectCreated:Put",
        "s3": {
            "bucket": {"name": outputs["uploads_bucket"]},
            "object": {**thing, "versionId": head["VersionId"], "sequencer": "00"},
        },
    }
    [url] = sqs.list_queues(QueueNamePrefix="photo-studio-local-enhance-dlq")["QueueUrls"]
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"Records": [record]}))


@pytest.mark.capability("S4-4")
def test_a_dead_letter_is_shown_with_its_way_back_and_sent_again(
    page: Page, studio: Pipeline
) -> None:
    upload(studio, "dead.jpg")
    kill(studio, "incoming/dead.jpg")
    page.goto("/desk")
    row = page.locator("#letters [data-group]", has_text="dead.jpg")
    row.get_by_role("button", name="Send again").click()
    expect(page.locator("#ask")).to_contain_text("1 of 1: each goes back to the step that failed")
    page.get_by_role("button", name="Send them again").click()
    expect(page.locator("#ask")).to_contain_text("1 of 1 on its way")
    page.get_by_role("button", name="Done").click()
    expect(row).to_have_count(0)


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
    tile.locator("a").click()
    page.get_by_role("button", name="Erase …").click()
    expect(page.locator("#ask")).to_contain_text("4 outputs")
    page.get_by_role("button", name="Erase for good").click()
    expect(page.locator("#ask")).to_contain_text("none came back")
    expect(page.locator("#ask")).to_contain_text("ops/erase/")
    page.get_by_role("button", name="Done").click()
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
    expect(page.locator("tbody tr")).to_contain_text("a call")
    expect(page.locator("tbody tr")).to_contain_text("0.25 s")
