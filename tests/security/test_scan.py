"""What `make scan` makes of findings, waivers, and a judge that isn't there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.photos import ROOT
from tests.security.audit import LOCKS
from tests.security.scan import __main__ as scan

WAIVERS: list[dict[str, Any]] = yaml.safe_load((scan.HERE / "waivers.yaml").read_text())


def finding(waiver: dict[str, Any]) -> dict[str, str]:
    """Return a finding that a waiver without patterns covers."""
    told = {"judge": waiver["judge"], "rule": waiver["rules"][0]}
    return {**told, "file": "f", "resource": "r", "finding": "x"}


def scanned(
    monkeypatch: pytest.MonkeyPatch, found: dict[str, list[dict[str, str]]], node: Path
) -> int:
    """Return the exit code of a scan in which the judges find this."""
    monkeypatch.setattr(scan, "NODE", node)
    monkeypatch.setattr(scan, "checkov", lambda _: found.get("checkov", []))
    monkeypatch.setattr(scan, "policies", lambda: found.get("policies", []))
    monkeypatch.setattr(scan, "nag", lambda _: found.get("nag", []))
    return scan.main()


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A waiver for a judge of each kind."""
    some = [{"judge": judge, "rules": ["R1"]} for judge in ("checkov", "cdk-nag")]
    monkeypatch.setattr("yaml.safe_load", lambda _: some)
    return some


def test_without_npm_what_cdk_nag_needs_waived_fails_no_scan(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    plain: list[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert scanned(monkeypatch, {"checkov": [finding(plain[0])]}, tmp_path) == 0
    assert "without cdk-nag" in capsys.readouterr().err


def test_a_waiver_that_nothing_needs_fails_the_scan_of_a_judge_that_was_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, plain: list[dict[str, Any]]
) -> None:
    assert scanned(monkeypatch, {}, tmp_path) == 1
    (tmp_path / "installed").touch()
    found = {"checkov": [finding(plain[0])]}
    assert scanned(monkeypatch, found, tmp_path) == 1
    assert scanned(monkeypatch, {**found, "nag": [finding(plain[1])]}, tmp_path) == 0


def test_what_no_waiver_covers_fails_the_scan(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, plain: list[dict[str, Any]]
) -> None:
    found = {"checkov": [finding(plain[0]), {**finding(plain[0]), "rule": "R2"}]}
    assert scanned(monkeypatch, found, tmp_path) == 1


def test_every_waiver_is_of_a_judge_there_is_and_has_a_reason() -> None:
    assert {one["judge"] for one in WAIVERS} <= scan.ASKED | {"cdk-nag"}
    assert all(one["reason"].strip() for one in WAIVERS)


def test_the_vulnerability_service_is_asked_about_every_lock() -> None:
    assert {"requirements.lock", "requirements-dev.lock"} <= set(LOCKS)
    assert {file.name for file in ROOT.glob("*.lock")} <= set(LOCKS)
    assert all((ROOT / lock).exists() for lock in LOCKS)
