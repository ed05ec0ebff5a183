"""Errors in the columns of a table: what AWS says around them is left out, and they end at a word."""

from __future__ import annotations

import pytest

from imgpipe.cli.views.words import BRIEF, brief

WHO = "User: arn:aws:sts::000000000000:assumed-role/studio-images/studio-images"
GET = "An error occurred (AccessDenied) when calling the GetObject operation"
BY_POLICY = " with an explicit deny in an identity-based policy"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("corrupt_image", "corrupt_image"),
        (f"AccessDenied: {GET}: {WHO}", "AccessDenied: GetObject: not authorized"),
        (
            f"{GET}: {WHO} is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::a/b{BY_POLICY}",
            "GetObject: not authorized, denied in an identity-based policy",
        ),
        (
            "An error occurred (ThrottlingException) when calling the PutItem operation (reached max retries: 4): slow",
            "PutItem: slow",
        ),
        (
            "FilterFailed: the filter `lens` raised KeyError: 641",
            "the filter `lens` raised KeyError: 641",
        ),
    ],
)
def test_what_is_around_an_error_is_left_out(text: str, shown: str) -> None:
    assert brief(text, 80) == shown


def test_a_long_one_ends_at_a_word() -> None:
    shown = brief("word " * 50)
    assert shown.endswith("word…")
    assert len(shown) <= BRIEF
    assert len(brief("w" * 500)) == BRIEF
