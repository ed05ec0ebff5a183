"""The corrections to ministack, each a module with `install()`."""


def install_all() -> None:
    """Install every correction, in order, before the server serves."""
    from imgpipe.local.journal.install import install as journal

    journal()
    from imgpipe.local.corrections import async_invoke, iam_actions, iam_patterns, s3, sns, transport

    transport.install()
    iam_actions.install()
    iam_patterns.install()
    async_invoke.install()
    sns.install()
    s3.install()
