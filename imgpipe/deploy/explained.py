"""What each setting of pipeline.yaml is for, in a sentence: shown by editors, through the schema.

Kept apart from the models, which every command loads, while these words are for `imgpipe schema`
alone. A test sees to it that none is missing and none is left over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_RUNNING: Mapping[str, str] = {
    "memory": "Memory in MB; the processor's share grows with it, and 1769 is one whole processor.",
    "timeout": "How long one invocation may take.",
    "tmp": "Room in /tmp.",
    "concurrency": "How many at once: from a queue at most so many, directly reserved so many.",
    "reserved": "Concurrency kept free for this function, and its limit.",
    "batch": "Messages an invocation takes from the queue; more than 10 need a window.",
    "window": "How long a batch may wait to become full.",
    "retries": "How often a message is tried before it becomes a dead letter.",
    "backoff": "The pause before the second attempt; each further one is three times as long.",
    "visibility": "How long a message stays hidden while it is worked on; auto is six timeouts.",
    "retention": "How long a message may wait in the queue.",
    "log_retention": "How long log lines are kept; CloudWatch knows certain periods only.",
}

WORDS: Mapping[str, Mapping[str, str]] = {
    "Spec": {
        "version": "The version of this file's format.",
        "name": "The pipeline's name, which every resource's name begins with.",
        "uploads": "The bucket that publishes.",
        "steps": "What is done with each upload; every step has a name of your choice.",
        "notify": "Which people hear of what, in words.",
        "lambda": "How functions are run and queues are kept, unless a step says otherwise.",
        "table": "The table with a row for each image.",
        "alarms": "When somebody is told.",
        "environments": "Where copies of the pipeline live, and what is different there.",
    },
    "Uploads": {
        "bucket": "A bucket that is there already: it is told to announce uploads, and otherwise left "
        "as it is. Without, the pipeline has a bucket of its own.",
        "prefix": "Keys that begin with this are uploads.",
        "kms_key": "The ARN of the KMS key that `bucket` is encrypted with: the functions may then use it, for objects "
        "in S3 alone.",
        "outputs": "A folder of the same bucket that the variants go to, beside `prefix`; without, they "
        "have a bucket of their own.",
        "suffixes": "Only these endings, in any case; without, content decides what is an image.",
        "deliver": "Where S3 sends its events: a topic for all, straight to each step's queue or function, "
        "or EventBridge.",
        "events": "Which ways an object can come are uploads; all, if none is named.",
        "limits": "What is refused, before it is decoded or while it is.",
        "origins": "Whose web pages may upload, with leave that was signed; if not told, those on this machine.",
        "direct": "Uploads over HTTP, by whoever gets leave from a function of the pipeline; `{}` for the defaults.",
    },
    "Direct": {
        "auth": "Who may ask for leave: those whom IAM allows to call the function's URL, or everybody.",
        "bytes": "The largest file; what `limits` says, if not told.",
        "types": "Which types of file, such as `image/png`; all images, if none is named.",
        "expires": "How long leave to upload one file holds.",
    },
    "UploadLimits": {
        "bytes": "The largest file.",
        "pixels": "The largest picture, width times height.",
        "frames": "The most frames of an animation or pages of a document.",
        "decode": "The most processor time that the work on one image may take, at most three fifths of its function's "
        "timeout.",
        "memory": "The most memory that the work on one image may take, at most three quarters of its function's.",
        "isolate": "Work on images in a process of its own: one that hangs, crashes or takes too much memory "
        "is rejected, and costs no other.",
    },
    "Step": {
        "on": "What starts it: an upload, a removal (or expiry), a restored archive, changed tags.",
        "only": "Work on some of the uploads alone.",
        "lane": "Where uploads go that are too much for this step's function.",
        "via": "How events come: through a queue, directly, or through a queue to workers (`imgpipe worker`).",
        "group": "Steps with the same group share a function: one read, one decode.",
        "variants": "The pictures that are made; a variant's name is its folder.",
        "filters": "What is done to them, in order: a name, or a name with its value.",
        "exif": "Keep the camera's notes in the row.",
        "gps": "What becomes of the place: `drop`, `round` to a kilometre, 0 to 4 decimals of a "
        "degree, or `keep`; for row and outputs together or apart.",
        "palette": "How many main colours are kept in the row, with their average and a BlurHash.",
        "tags": "Words for the picture: basic computes them from measures, which are kept too; "
        "rekognition has AWS add what it recognises.",
        "lambda": "A folder in lambdas/ with code of your own, or settings for this step alone.",
    },
    "Lane": {
        "over": "More pixels (`40MP`) or bytes (`50MB`) than this go there; told by size and first bytes.",
        "to": "A function with more memory, or the workers (`imgpipe worker`).",
        "memory": "The memory in MB of that function.",
    },
    "Only": {
        "prefix": "A folder below the uploads' prefix.",
        "suffixes": "Only these endings, in any case.",
    },
    "Variant": {
        "width": "Pixels; nothing is enlarged unless asked.",
        "height": "Pixels; nothing is enlarged unless asked.",
        "fit": "inside: all of it within the size; cover: fills it, edges cut off; "
        "contain: all of it on a canvas of that size; fill: stretched.",
        "format": "The file format.",
        "quality": "Of the encoder, for jpeg, webp and avif.",
        "background": "What shows where the original is transparent, or beside it: a colour, or clear.",
        "metadata": "What is kept of the original's EXIF: nothing, artist and copyright, or the "
        "camera's notes too; the place as `gps` says.",
        "enlarge": "Make small pictures larger to reach the size.",
        "gravity": "What cover keeps, and where contain lays the picture: the centre, an edge, a "
        "corner, or attention, the part with most detail.",
        "focal": "The point that matters, in shares of width and height from the top left, such as "
        "[0.3, 0.6]: cover keeps it as near its middle as it can.",
        "dpr": "Pixel ratios of denser screens: [2, 3] also makes NAME@2x and NAME@3x.",
        "progressive": "Of a jpeg: a coarse picture first, then finer ones, in fewer bytes.",
        "animated": "Keep all frames, where the original moves and webp, gif, png or avif is made.",
        "profile": "srgb: colours are converted for every screen; keep: they stay as they are, with "
        "their profile.",
    },
    "Gps": {
        "row": "In the table.",
        "outputs": "In the variants that have `metadata: all`.",
    },
    "StepLambda": {
        "source": "The folder in lambdas/ with the handler.",
        "on_success": "The ARN of a queue, topic, function or event bus that Lambda tells of each success "
        "(`via: function` alone).",
        **_RUNNING,
    },
    "LambdaDefaults": {**_RUNNING, "architecture": "The processor that functions run on in AWS."},
    "Notify": {
        "uploaded": "An upload was received.",
        "completed": "Everything is made of it.",
        "failed": "It was refused, or failed for good; these people also hear the alarms.",
        "uploaders": "Who hears of their own uploads alone: those that carry the metadata `notify: ADDRESS`.",
        "window": "How long notices may wait for others, to be told together.",
        "digest": "More notices of a kind than this, at once, become one that lists them.",
        "link": "How long the link to a finished picture works; 0s for none.",
    },
    "Notice": {
        "email": "Addresses; each must confirm first.",
        "sms": "Phone numbers with their country, in quotes.",
        "push": "ARNs of push endpoints.",
    },
    "TableSection": {
        "billing": "How it is paid for.",
        "recovery": "Keep what is needed to go back to any second of the last 35 days.",
    },
    "Alarms": {
        "dlq": "Dead letters in a queue.",
        "rejected": "Refused uploads in a time.",
        "age": "How long the oldest message of a queue has waited.",
        "errors": "A function's errors in five minutes.",
    },
    "Environment": {
        "profile": "The AWS profile; without, the usual ways to credentials are tried.",
        "region": "The AWS Region; without, the profile's.",
    },
}
