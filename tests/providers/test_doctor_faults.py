"""Every check of `doctor`: silent before its fault is built into a pipeline, and naming it afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from moto import mock_aws

from imgpipe.operate.doctor import run
from imgpipe.operate.doctor.pages import PAGES
from imgpipe.operate.doctor.registry import CHECKS
from tests.providers.conftest import Clients
from tests.providers.faults import CASES, FAULTS
from tests.providers.pipeline_of_others import BUCKET, Shop

ELSEWHERE = {
    "trigger-notification",  # test_doctor: it cuts off all the rest
    "concurrency",  # these six in tests/unit/test_doctor_checks: moto doesn't keep what they look at
    "unconfirmed-mail",
    "mail-cost",
    "table-missing",
    "drift",
    "existing-bucket",
}


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    """One pipeline, which gets sicker from test to test: each looks at its own check alone."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setattr("moto.awslambda.models.LambdaFunction.invoke", lambda *_, **__: b"{}")
        made = Shop(Clients())
        made.build()
        yield made


@pytest.mark.parametrize(("check", "fault"), CASES, ids=[fault.__name__ for _, fault in CASES])
@pytest.mark.fault("F-37")
def test_a_fault_is_named_with_its_reason_and_a_command(
    shop: Shop, check: str, fault: Callable[[Shop], None]
) -> None:
    before = run.bucket(shop, BUCKET, [check])  # type: ignore[arg-type]
    assert before.findings == () or fault is not FAULTS[check][0]
    fault(shop)
    after = run.bucket(shop, BUCKET, [check])  # type: ignore[arg-type]
    new = set(after.findings) - set(before.findings)
    assert {one.id for one in new} == {check}
    assert all(one.what and one.why and one.command for one in new)
    assert after.unread == ()
    page = f"{PAGES[check].mend}; {PAGES[check].theirs}"
    verbs = {" ".join(one.command.replace(",", "").split()[:3]) for one in new}
    assert all(verb in page for verb in verbs), (verbs, page)


def test_every_check_has_its_fault() -> None:
    assert {*FAULTS, *ELSEWHERE} == {check.id for check in CHECKS}
