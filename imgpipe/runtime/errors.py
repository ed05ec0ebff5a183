"""What can go wrong inside a function, as a tree. Ships in the zips, so it stands apart from
`imgpipe.errors`.

    Exception
    ├── Rejected      for good: the upload itself is at fault. It goes to the `rejected` queue
    ├── FilterFailed  a filter of the project's own broke: dead letters, until it is mended
    ├── Transient     for now: try again, then the dead-letter queue
    └── Malformed     the message is none of ours. Tried again, so that it ends in the dead letters

Anything else that is raised counts as Transient: a fault of ours or of the cloud must never cost a
customer's upload.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why an upload was refused.

    A closed list: alarms, tests and the words that people read are made from it.
    """

    EMPTY_FILE = "empty_file"
    UNSUPPORTED_FORMAT = "unsupported_format"
    TRUNCATED_IMAGE = "truncated_image"
    CORRUPT_IMAGE = "corrupt_image"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_LARGE = "too_large"
    TOO_MANY_FRAMES = "too_many_frames"
    TIME_LIMIT = "time_limit"
    MEMORY_LIMIT = "memory_limit"
    WORKER_CRASH = "worker_crash"
    METADATA_TOO_LARGE = "metadata_too_large"
    OBJECT_GONE = "object_gone"


WORDS: dict[Reason, str] = {
    Reason.EMPTY_FILE: "the file is empty",
    Reason.UNSUPPORTED_FORMAT: "it is not an image of a kind we can read",
    Reason.TRUNCATED_IMAGE: "the file is cut short",
    Reason.CORRUPT_IMAGE: "the file is damaged",
    Reason.TOO_MANY_PIXELS: "the picture has too many pixels",
    Reason.TOO_LARGE: "the file is too large",
    Reason.TOO_MANY_FRAMES: "the animation has too many frames",
    Reason.TIME_LIMIT: "it takes too long to work on",
    Reason.MEMORY_LIMIT: "it needs too much memory to work on",
    Reason.WORKER_CRASH: "working on it crashed",
    Reason.METADATA_TOO_LARGE: "its metadata is too large",
    Reason.OBJECT_GONE: "it was removed before it could be read",
}
"""Each reason in words that a person reads."""


def megapixels(pixels: int) -> str:
    """Return a number of pixels as people say it."""
    return (
        f"{pixels / 1e6:,.1f} MP".replace(".0 ", " ") if pixels >= 100_000 else f"{pixels} pixels"
    )


def megabytes(count: int) -> str:
    """Return a number of bytes as people say it."""
    return f"{count / 1e6:,.1f} MB".replace(".0 ", " ") if count >= 100_000 else f"{count} bytes"


class Rejected(Exception):  # noqa: N818 - an outcome, not a fault
    """The upload can't be processed, now or later. `message` says what was found, with numbers;
    `detail`, for the log, is a decoder's own words.
    """

    def __init__(self, reason: Reason, message: str = "", detail: str = "") -> None:
        super().__init__(f"{reason}: {message}" if message else str(reason))
        self.reason = reason
        self.message = message or WORDS[reason]
        self.detail = detail


class FilterFailed(Exception):  # noqa: N818 - an outcome, not a fault
    """A filter of the project's own broke: its code is to be mended, the upload may be fine.

    It is tried again and ends in the dead letters, from where it is sent again once that is done.
    """

    def __init__(self, name: str, what: str, where: str = "") -> None:
        told = f"the filter `{name}` {what}"
        super().__init__(f"{told} ({where})" if where else told)


class Transient(Exception):  # noqa: N818 - an outcome, not a fault
    """It didn't work this time: the message goes back to its queue."""


class Malformed(Exception):  # noqa: N818 - an outcome, not a fault
    """A message that no envelope we know explains."""
