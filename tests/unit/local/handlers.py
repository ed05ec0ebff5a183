"""Handlers that behave well and badly; the tests of execution environments run them as code."""

import json
import logging
import os
import subprocess
import sys
import time

print("loading")


def echo(event, context):
    return event


def about(event, context):
    return {
        "request_id": context.aws_request_id,
        "arn": context.invoked_function_arn,
        "name": context.function_name,
        "memory": context.memory_limit_in_mb,
        "left_ms": context.get_remaining_time_in_millis(),
        "stream": context.log_stream_name,
        "trace": os.environ["_X_AMZN_TRACE_ID"],
        "pid": os.getpid(),
    }


def surroundings(event, context):
    found = {}
    for name in event["modules"]:
        try:
            __import__(name)
            found[name] = True
        except ImportError:
            found[name] = False
    return {"modules": found, "variables": dict(os.environ), "argv": sys.argv}


def speak(event, context):
    print("to stdout")
    print("to stderr", file=sys.stderr)
    logging.getLogger().setLevel(logging.INFO)
    logging.getLogger("probe").info("by logging")


def fail(event, context):
    raise ValueError("boom")


def unserialisable(event, context):
    return {1, 2}


def sleep(event, context):
    print("before")
    time.sleep(event)


def hold(event, context):
    """Take `mb` megabytes, then wait `s` seconds."""
    kept = bytearray(event["mb"] << 20)
    kept[::4096] = b"x" * len(kept[::4096])
    time.sleep(event.get("s", 0))
    return len(kept)


def hold_in_child(event, context):
    """Have a child take `mb` megabytes for a moment, and go on living."""
    mine, its = os.pipe()
    if not os.fork():
        os.close(mine)
        hold(event, context)
        os.write(its, b"x")
        time.sleep(600)
    os.read(mine, 1)


def leave(event, context):
    os._exit(event)


def spawn(event, context):
    """Start a child that outlives the invocation, and wait with it."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print(json.dumps({"child": child.pid}))
    time.sleep(event)
    return child.pid


def large(event, context):
    return "x" * event
