"""What happens when an upload is removed: its row becomes a tombstone, and its variants are
deleted.

Two kinds of message come here. S3's removal events, which are only hints: when the key holds an
object after all (a newer upload, or an older version that showed again), nothing is done, for that
object has events of its own. And the writer's lists of outputs, which it makes when a row stops
naming them; the row being the only pointer to outputs, this is the only code that deletes any. What
lies under `ops/` is not an output and is never deleted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imgpipe.runtime import batch, events, log, results, row
from imgpipe.runtime.settings import Settings, from_environment
from imgpipe.runtime.store import Outgoing, Store, shared

if TYPE_CHECKING:
    from imgpipe.runtime.events import Change, Message

OURS = "ops/"


def run(
    event: dict[str, Any],
    context: Any,
    *,
    store: Store | None = None,
    settings: Settings | None = None,
) -> batch.Response:
    """Serve one invocation."""
    used, told = store or shared(), settings or from_environment()
    heard = events.messages(event, str(getattr(context, "aws_request_id", "")))
    return batch.run(heard, lambda message: work(message, used, told))


def work(message: Message, store: Store, settings: Settings) -> None:
    document = message.document()
    if document.get("kind") == "outputs":
        keys = kept_apart([str(key) for key in document["keys"]], document, store, settings)
        delete(keys, message, store, settings)
        return
    tombstones = [
        each
        for change in events.changes(document)
        if change.kind == "removed"
        for each in tombstone(change, message, store)
    ]
    if tombstones:
        store.send(
            settings.results_queue_url, [Outgoing(results.dumps(each)) for each in tombstones]
        )


def kept_apart(
    keys: list[str], document: dict[str, Any], store: Store, settings: Settings
) -> list[str]:
    """Return the outputs that may go. An order can be late, by days if it was a dead letter: by now the row may
    name some of them, or the version that they were made of may be the current one, whose results then will.
    """
    key, version_id = document.get("key"), document.get("version_id")
    uploads = [str(each) for each in ([key] if key else document.get("uploads", []))]
    if not uploads or not settings.table:
        return keys
    if key in keys:
        log.line("skipped", key=key, why="an order that doesn't tell whose outputs these are")
        return []
    if version_id and store.version(settings.uploads_bucket, uploads[0]) == version_id:
        log.line("skipped", key=key, version_id=version_id, why="it is the current version")
        return []
    named = {each for upload in uploads for each in _named(upload, store, settings)}
    return [each for each in keys if each not in named]


def _named(upload: str, store: Store, settings: Settings) -> set[str]:
    item = store.get_item(settings.table, upload, row.SK_IMAGE)
    return row.outputs(row.load(item)[0]) if item else set()


def delete(keys: list[str], message: Message, store: Store, settings: Settings) -> None:
    """Delete outputs. Deleting what is gone already is no error, so this may run twice."""
    log.line(
        "start", message_id=message.id, key=keys[0] if keys else "", step="tidy", outputs=len(keys)
    )
    outputs = [key for key in keys if not key.startswith(OURS)]
    if outputs:
        store.delete(settings.variants_bucket, outputs)


def tombstone(change: Change, message: Message, store: Store) -> list[dict[str, Any]]:
    """Return the message that tells the writer of a removal; none when the key holds an object."""
    log.line(
        "start", message_id=message.id, key=change.key, step="tidy", version_id=change.version_id
    )
    if store.exists(change.bucket, change.key):
        log.line("skipped", key=change.key, why="the key holds an object")
        return []
    return [
        results.removed(change.key, change.version_id, change.sequencer, change.at or log.now())
    ]
