"""`imgpipe dashboard` on the embedded cloud, which has no console: the figures that the page draws."""

from __future__ import annotations

import pytest

from tests.e2e.pipeline import Pipeline
from tests.photos import ROOT

pytestmark = pytest.mark.e2e


@pytest.mark.capability("S4-6")
@pytest.mark.xdist_group("studio")
def test_the_dashboard_that_up_made_shows_what_an_upload_did(studio: Pipeline) -> None:
    studio.run("upload", ROOT / "demo" / "photos" / "rocket.jpg", "--prefix", "dashboard", "--wait")

    def counted() -> bool:
        page = studio.run("dashboard", "--json").json
        assert page["url"] is None
        figures = {(one["chart"], one["series"]): one["highest"] for one in page["figures"]}
        uploads = figures["Uploads and images ended, a minute", "uploads"] or 0
        return uploads >= 1 and bool(figures["Invocations, a minute", "images"])

    studio.wait_for("figures of the upload", counted)
    shown = studio.run("dashboard", "--open")
    assert "Uploads and images ended" in shown.out
    assert "no console" in shown.err


def test_a_dashboard_that_somebody_deleted_is_missed_and_made_again(own_studio: Pipeline) -> None:
    from imgpipe.cloud import Cloud, local_target

    name = own_studio.run("outputs", "dashboard", "--raw").out.strip()
    cloud = Cloud(local_target(own_studio.folder)).client("cloudwatch")
    cloud.delete_dashboards(DashboardNames=[name])
    gone = own_studio.run("dashboard", code=3)
    assert "it is not there" in gone.err
    assert "1 to create" in own_studio.run("plan", "--check", code=3).out
    own_studio.run("up", "--yes")
    changed = {"DashboardName": name, "DashboardBody": '{"widgets": []}'}
    cloud.put_dashboard(**changed)
    assert "dashboard" in own_studio.run("plan", "--check", code=3).out
    own_studio.run("up", "--yes")
    own_studio.run("plan", "--check")
    own_studio.run("down", "--yes", "--delete-data")
    assert cloud.list_dashboards()["DashboardEntries"] == []
