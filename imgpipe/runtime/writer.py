"""The only code that writes an image's row: results from the queue -> `row.merge` -> the table.

A batch is grouped by key, so that the results of one image cost one read and one write. The write
is optimistic (`rev`): when another writer was faster, the row is read and merged again, which
`merge` makes safe.

Outputs that no row will name again are sent to the tidy queue before the write: should we die in
between, the retry sends them again, and no output is ever forgotten. Those that the row named until
then are sent once more after it: tidy may have been quicker than the write, and spared them.
`completed` is published last, at least once.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from imgpipe.runtime import batch, events, expected, log, results, row
from imgpipe.runtime.errors import Malformed, Transient
from imgpipe.runtime.settings import Settings, from_environment
from imgpipe.runtime.store import Outgoing, Store, shared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgpipe.runtime.events import Message
    from imgpipe.runtime.row import Row

WRITE_ATTEMPTS = 8
Doomed = defaultdict[str | None, set[str]]
"""Outputs to be deleted, by the version that they were made of where all of it is to go."""
_KNOWN: dict[str, expected.Lists] = {}
_NEEDED = {
    "step": ("key", "step", "status", "attempt_id", "max_attempts", "at", "sequencer"),
    "removed": ("key", "at", "sequencer"),
    "orphans": ("key", "keys"),
}


def run(
    event: dict[str, Any],
    context: Any,
    *,
    store: Store | None = None,
    settings: Settings | None = None,
) -> batch.Response:
    """Serve one invocation: write what its messages say, key by key."""
    lists_of = _lists if store else _remembered
    store, settings = store or shared(), settings or from_environment()
    request_id = str(getattr(context, "aws_request_id", ""))
    heard = events.messages(event, request_id)
    failed: dict[str, Exception] = {}
    keys: dict[str, str] = {}
    groups: dict[str, list[tuple[Message, dict[str, Any]]]] = {}
    for message in heard:
        try:
            result = read(message)
        except Malformed as error:
            failed[message.id] = error
        else:
            keys[message.id] = str(result["key"])
            groups.setdefault(result["key"], []).append((message, result))
    known: expected.Lists = []
    for key, group in groups.items():
        try:
            told = [result for _, result in group]
            known = known or lists_of(told, store, settings)
            write(key, [complete(result, known, settings) for result in told], store, settings)
        except Exception as error:  # noqa: BLE001 - one image's trouble must not keep the others from their rows
            failed.update({message.id: error for message, _ in group})
    for message in heard:
        if message.id in failed:
            about = {"key": keys[message.id]} if message.id in keys else {}
            batch.log_failure(message, failed[message.id], **about)
    return batch.answer(heard, failed)


def read(message: Message) -> dict[str, Any]:
    """Return the result in `message`. Raises Malformed for anything else."""
    document = message.document()
    needed = _NEEDED.get(str(document.get("kind")))
    if needed is None:
        raise Malformed(f"a result of the kind {document.get('kind')!r}")
    missing = [name for name in needed if name not in document]
    if missing:
        raise Malformed(f"a result without {', '.join(missing)}")
    return document


def _lists(heard: Sequence[dict[str, Any]], store: Store, settings: Settings) -> expected.Lists:
    """Return the lists of what is expected if some result needs them."""
    return expected.lists(store, settings) if any(_open(result) for result in heard) else []


def _remembered(
    heard: Sequence[dict[str, Any]], store: Store, settings: Settings
) -> expected.Lists:
    """Return the same, read once in a process's life: only a deployment changes them, and it begins new processes."""
    key = settings.dumps()
    if key not in _KNOWN and (found := _lists(heard, store, settings)):
        _KNOWN[key] = found
    return _KNOWN.get(key, [])


def _open(result: dict[str, Any]) -> bool:
    """Whether a result doesn't say what is expected; those of an older function may."""
    return result["kind"] == "step" and "expected" not in result


def complete(result: dict[str, Any], known: expected.Lists, settings: Settings) -> dict[str, Any]:
    """Return a step's result with the steps that its upload goes through, which only the writer knows."""
    if not _open(result):
        return result
    uploaded_at = str(result.get("uploaded_at") or result["at"])
    steps = expected.steps(known, result["key"], uploaded_at)
    return {**result, "expected": steps, "pipeline_hash": settings.settings_hash}


def write(key: str, heard: Sequence[dict[str, Any]], store: Store, settings: Settings) -> None:
    """Merge the results of one key into its row and do what follows.

    Raises Transient when others keep writing.
    """
    orphans = {each for report in heard if report["kind"] == "orphans" for each in report["keys"]}
    heard = [result for result in heard if result["kind"] != "orphans"]
    for result in heard:
        step = result.get("step", result["kind"])
        version = result.get("version_id")
        log.line("start", key=key, step=step, status=result.get("status"), version_id=version)
    for _ in range(WRITE_ATTEMPTS):
        stored = store.get_item(settings.table, key, row.SK_IMAGE)
        before, rev = row.load(stored) if stored else (None, None)
        after, delete, announce = _merge(before, [_placed(each, before) for each in heard])
        delete[None] |= orphans
        named = row.outputs(after) if after else set()
        _tidy(key, delete, named, store, settings)
        if after is None or after == before or _put(after, rev, store, settings):
            _tidy(key, _named_before(before, delete), named, store, settings)
            if after and announce:
                _announce(after, store, settings)
            return
    raise Transient(f"the row of {key!r} kept changing during {WRITE_ATTEMPTS} attempts")


def _placed(result: dict[str, Any], before: Row | None) -> dict[str, Any]:
    """Give a result without a place in the order, such as one of changed tags, that of its version."""
    if before is None or result["kind"] != "step" or result["sequencer"]:
        return result
    version = (result.get("version_id"), result.get("etag", ""))
    same = version == (before["version_id"], before["etag"])
    head = {name: before[name] for name in ("sequencer", "uploaded_at")}
    return {**result, **head} if same else result


def _merge(before: Row | None, heard: Sequence[dict[str, Any]]) -> tuple[Row | None, Doomed, bool]:
    after, announce, delete = before, False, defaultdict[str | None, set[str]](set)
    for result in heard:
        after, effects = row.merge(after, result)
        delete[effects.of].update(effects.delete)
        announce = announce or effects.announce
    return after, delete, announce and after is not None and row.status(after) in row.FINAL


def _named_before(before: Row | None, doomed: Doomed) -> Doomed:
    known = row.outputs(before) if before else set()
    return Doomed(None, {version_id: keys & known for version_id, keys in doomed.items()})


def _put(after: Row, rev: int | None, store: Store, settings: Settings) -> bool:
    item = row.to_item(after, 0 if rev is None else rev + 1)
    return store.put_item(settings.table, item, rev=rev)


def _tidy(key: str, doomed: Doomed, named: set[str], store: Store, settings: Settings) -> None:
    """Hand outputs of `key` to tidy, but what the row names; a pipeline without that step keeps them."""
    bodies = [
        results.outputs(key, some, version_id)
        for version_id, keys in doomed.items()
        for some in results.chunks(sorted(keys - named))
    ]
    if bodies and settings.tidy_queue_url:
        store.send(settings.tidy_queue_url, [Outgoing(results.dumps(body)) for body in bodies])


def _announce(after: Row, store: Store, settings: Settings) -> None:
    if settings.completed_topic_arn:
        document = completion(after)
        store.publish(
            settings.completed_topic_arn, results.dumps(document), {"status": document["status"]}
        )


def completion(after: Row) -> dict[str, Any]:
    """Return the message on the `completed` topic.

    Its id is the same whenever the same end is told again.
    """
    shown = row.view(after)
    seed = f"{shown['key']}\n{row.generation(shown)}\n{shown['status']}"
    facts = {
        name: shown["facts"][name]
        for name in ("width", "height", "format")
        if name in shown["facts"]
    }
    return {
        "v": 1,
        "id": hashlib.sha256(seed.encode()).hexdigest()[:24],
        "key": shown["key"],
        "status": shown["status"],
        "version_id": shown["version_id"],
        "sequencer": shown["sequencer"],
        "size": shown["size"],
        "outputs": shown["outputs"],
        "reason": shown.get("reason"),
        "facts": facts,
    }
