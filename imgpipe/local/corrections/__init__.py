"""The corrections to ministack, each a module with `install()`."""


def install_all() -> None:
    """Install every correction, in order, before the server serves."""
    from imgpipe.local.journal.install import install as journal

    journal()
    from imgpipe.local.corrections import (
        async_invoke,
        cloudformation,
        cloudwatch,
        cloudwatch_logs,
        dynamodb,
        event_source,
        iam_actions,
        iam_patterns,
        lambda_api,
        lazily,
        metrics_topics,
        s3,
        sns,
        sqs,
        tagging,
        transport,
        wake,
        web_endpoints,
    )

    wake.install()
    lazily.install()
    transport.install()
    iam_actions.install()
    iam_patterns.install()
    async_invoke.install()
    sns.install()
    s3.install()
    dynamodb.install()
    sqs.install()
    lambda_api.install()
    event_source.install()
    metrics_topics.install()
    cloudwatch.install()
    cloudwatch_logs.install()
    tagging.install()
    cloudformation.install()
    web_endpoints.install()
