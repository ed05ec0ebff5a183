"""What can go wrong, as a tree. Each error says `what: why` and may hint at the next command.

    ImgpipeError                exit 1
    ├── UsageError              exit 2   bad arguments, bad pipeline.yaml
    ├── PendingError            exit 3   not healthy, or changes are pending
    └── CloudError              exit 1   the cloud refused or could not be reached
        ├── CredentialsError             none, expired or not accepted
        ├── DeniedError                  a permission is missing: names the action and the resource
        ├── UnreachableError             no answer from the endpoint
        ├── ThrottledError               asked too often, also after retries
        ├── FullDiskError                the embedded cloud's disk takes no more
        └── MissingError                 the resource is not there

Exit 2 is for what is wrong with the command itself or with pipeline.yaml, such as a name that isn't in it. What was
asked for and isn't there (an image, a letter, a mail, a file to upload) is exit 1.

What the code inside a Lambda raises is in `imgpipe.runtime.errors`: it ships without this module.
"""

DONE, FAILED, USAGE, PENDING, INTERRUPTED = 0, 1, 2, 3, 130


NEXT_LINE = "\n       "
"""Where an error has several lines of its own, each begins below the first one's text."""


def printable(text: str) -> str:
    """Return `text` with what can't be printed spelled out: `\\x1b`."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)


class ImgpipeError(Exception):
    """An error that a person can act on.

    `what` names the thing, `why` the reason, `hint` the command to run next.
    """

    exit_code = FAILED

    def __init__(self, what: str, why: str = "", *, hint: str = "") -> None:
        super().__init__(f"{what}: {why}" if why else what)
        self.what, self.why, self.hint = what, why, hint


class UsageError(ImgpipeError):
    exit_code = USAGE


class PendingError(ImgpipeError):
    exit_code = PENDING


class CloudError(ImgpipeError):
    """The cloud's answer, or the lack of one. The SDK's own exception is the cause."""


class CredentialsError(CloudError):
    pass


class DeniedError(CloudError):
    pass


class UnreachableError(CloudError):
    pass


class ThrottledError(CloudError):
    pass


class FullDiskError(CloudError):
    pass


class MissingError(CloudError):
    pass
