"""S3's corrections: events and notification documents. What becomes of objects is the journal's business."""

from __future__ import annotations

from imgpipe.local.corrections import s3_events, s3_rules


def install() -> None:
    s3_events.install()
    s3_rules.install()
