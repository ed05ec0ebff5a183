"""What the functions of the contract tests run. It travels in their zips and imports nothing of
ours.
"""

import io
import json
import logging
import os
import subprocess
import sys
import time
import urllib.parse
import uuid
from pathlib import Path

STARTED = uuid.uuid4().hex
CALLS = {"count": 0}
_clients = {}


def _client(service):
    import boto3
    from botocore.config import Config

    if service not in _clients:
        _clients[service] = boto3.client(service, config=Config(s3={"addressing_style": "path"}))
    return _clients[service]


def _source(event):
    """Return a name for where the event came from, under which the tests look for it."""
    if event.get("source"):
        return "events/" + event["source"]
    records = event.get("Records") or [{}]
    first = records[0]
    if "Sns" in first:
        return first["Sns"]["TopicArn"].split(":")[-1]
    if "s3" in first:
        return first["s3"]["bucket"]["name"]
    if "eventSourceARN" in first:
        return first["eventSourceARN"].split(":")[-1].replace("/", "-")
    return "direct/" + str(event.get("id", ""))


def record(event, context):
    """Keep the event in the bucket, then do what its first message says."""
    began = time.time()
    order = _order(event)
    if order.startswith("sleep:"):
        time.sleep(float(order.partition(":")[2]))
    kept = {"event": event, "began": began, "ended": time.time(), "request": context.aws_request_id}
    key = f"{_source(event)}/{time.time_ns()}-{context.aws_request_id}"
    _client("s3").put_object(Bucket=os.environ["BUCKET"], Key=key, Body=json.dumps(kept).encode())
    return _answer(order, event)


def _order(event):
    records = event.get("Records") or [{}]
    return str(records[0].get("body") or event.get("order") or "")


def _answer(order, event):
    if order == "fail":
        raise ValueError("as ordered")
    if order == "unknown":
        return {"batchItemFailures": [{"itemIdentifier": "no-such-message"}]}
    if order == "empty":
        return {"batchItemFailures": [{"itemIdentifier": ""}]}
    bad = [each["messageId"] for each in event.get("Records") or [] if each.get("body") == "bad"]
    return {"batchItemFailures": [{"itemIdentifier": each} for each in bad]}


def _uploads(event):
    """Yield (bucket, key) of each upload in an S3 event, bare or in SNS or SQS."""
    for outer in event["Records"]:
        document = outer
        if "body" in document:
            document = json.loads(document["body"])
        if "Sns" in document:
            document = document["Sns"]
        if "Message" in document:
            document = json.loads(document["Message"])
        for inner in document.get("Records") or [document]:
            place = inner["s3"]
            yield place["bucket"]["name"], urllib.parse.unquote_plus(place["object"]["key"])


def thumbnail(event, context):
    from PIL import Image

    for bucket, key in _uploads(event):
        body = _client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        image = Image.open(io.BytesIO(body))
        width = image.width
        image.thumbnail((128, 128))
        made = io.BytesIO()
        image.convert("RGB").save(made, "JPEG")
        _client("s3").put_object(
            Bucket=os.environ["BUCKET"], Key=os.environ["PREFIX"] + key, Body=made.getvalue()
        )
        _client("dynamodb").update_item(
            TableName=os.environ["TABLE"],
            Key={"pk": {"S": key}},
            UpdateExpression="SET width = :w",
            ExpressionAttributeValues={":w": {"N": str(width)}},
        )


class CustomError(Exception):
    pass


def _context(context):
    return {
        "request": context.aws_request_id,
        "arn": context.invoked_function_arn,
        "memory": context.memory_limit_in_mb,
        "group": context.log_group_name,
        "stream": context.log_stream_name,
        "left_ms": context.get_remaining_time_in_millis(),
    }


def _print():
    print("said on stdout")
    print("said on stderr", file=sys.stderr)
    logging.getLogger().setLevel("INFO")
    logging.getLogger().info("said in the log")
    subprocess.run(["echo", "said by a child"], check=True)


def _import(name):
    module = __import__(name)
    return {"version": getattr(module, "__version__", None)}


def _leave(how):
    if how == "exit":
        os._exit(3)
    sys.exit(4)


def _write(name):
    return Path(os.environ.get("TMPDIR", "/tmp"), name).write_text("x")


def _raise(word):
    raise CustomError(word)


PROBES = {
    "echo": lambda event, _context: event,
    "variables": lambda _event, _context: dict(os.environ),
    "context": lambda _event, context: _context(context),
    "sleep": lambda event, _context: time.sleep(event["seconds"]) or os.getpid(),
    "fill": lambda event, _context: len(bytearray(event["megabytes"] << 20)),
    "raise": lambda event, _context: _raise(event["word"]),
    "leave": lambda event, _context: _leave(event["how"]),
    "print": lambda _event, _context: _print(),
    "warmth": lambda _event, _context: {"started": STARTED, "calls": CALLS["count"]},
    "import": lambda event, _context: _import(event["name"]),
    "set": lambda _event, _context: {1, 2, 3},
    "python": lambda _event, _context: sys.version,
    "long": lambda event, _context: "x" * (event["megabytes"] << 20),
    "write": lambda event, _context: _write(event["name"]),
}


def probe(event, context):
    CALLS["count"] += 1
    return PROBES[event["do"]](event, context)


def web(event, context):
    seen = {"method": event["requestContext"]["http"]["method"], "path": event["rawPath"]}
    return {"statusCode": 201, "headers": {"x-seen": "1"}, "body": json.dumps(seen)}
