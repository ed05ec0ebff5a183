"""The two tiers of `imgpipe load --compare`: a web tier that takes uploads and an application tier that works on them.

    coupled     web --HTTP--> app          the web tier answers when the application tier has answered
    decoupled   web --SQS--> app           the web tier answers when the queue has taken the message

Each is a process of its own: `python -m imgpipe.operate.load.tiers web|app`, with `Setup` as JSON in IMGPIPE_TIERS.
They share a bucket, and both ways the same image work is done, one image at a time. Only here to measure what
decoupling buys: nothing else runs them.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgpipe.runtime.settings import Limits
from imgpipe.runtime.store import AwsStore, Outgoing
from imgpipe.runtime.worker import SqsQueue

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

VARIABLE = "IMGPIPE_TIERS"
ANSWER_S = 10.0
"""How long the web tier waits for the application tier, as a load balancer would."""
HOLD_S = 10
"""How long a message is hidden that the application tier took, also as the last thing before it was killed. One image
takes less; what takes longer is worked on twice, with the same result.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What both tiers are told. Without `queue_url` they are coupled."""

    bucket: str
    prefix: str
    web_port: int
    app_port: int
    queue_url: str = ""
    slow_file: str = ""  # holds how many seconds each image takes longer
    steps: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def dumps(self) -> str:
        return json.dumps(asdict(self))

    def original(self, name: str) -> str:
        return f"{self.prefix}original/{name}"

    def made(self, name: str) -> str:
        return f"{self.prefix}made/{name}/"


@dataclass(slots=True)
class Application:
    """The application tier's work: one image at a time, whoever asks."""

    setup: Setup
    store: AwsStore
    one: threading.Lock = field(default_factory=threading.Lock)

    def work(self, name: str) -> None:
        """Read the upload, make its variants, store them."""
        from imgpipe.runtime import image

        with self.one:
            slow = Path(self.setup.slow_file)
            time.sleep(float(slow.read_text() or 0) if slow.is_file() else 0.0)
            source = self.store.open(self.setup.bucket, self.setup.original(name))
            if source is None:
                return
            made = image.make(source.read(), self.setup.steps, Limits())
            for product in made.values():
                for variant, picture in product.variants.items():
                    key = self.setup.made(name) + variant
                    self.store.put(self.setup.bucket, key, picture.data, picture.content_type)

    def poll(self) -> None:
        """Work on what the queue holds, for ever. What fails comes back by itself."""
        queue = SqsQueue(self.setup.queue_url, self.store.client("sqs"), HOLD_S)
        while True:
            for record in queue.receive(1):
                self.work(record["body"])
                queue.acknowledge(record)


def web(setup: Setup) -> Any:
    """Return the web tier."""
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    store = AwsStore()

    def take(name: str, data: bytes) -> None:
        store.put(setup.bucket, setup.original(name), data, "image/jpeg")
        if setup.queue_url:
            store.send(setup.queue_url, [Outgoing(name)])
            return
        url = f"http://127.0.0.1:{setup.app_port}/{name}"
        with urllib.request.urlopen(url, data=b"", timeout=ANSWER_S) as answer:
            answer.read()

    async def upload(request: Request) -> Response:
        try:
            await run_in_threadpool(take, request.path_params["name"], await request.body())
        except OSError as error:
            return PlainTextResponse(f"the application tier: {error}", 502)
        return PlainTextResponse("taken")

    return Starlette(routes=[Route("/{name}", upload, methods=["POST"]), _alive()])


def app(setup: Setup) -> Any:
    """Return the application tier. Decoupled it only polls; its port then says that it is there."""
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    tier = Application(setup, AwsStore())
    if setup.queue_url:
        threading.Thread(target=tier.poll, daemon=True).start()

    async def process(request: Request) -> Response:
        await run_in_threadpool(tier.work, request.path_params["name"])
        return PlainTextResponse("done")

    return Starlette(routes=[Route("/{name}", process, methods=["POST"]), _alive()])


def _alive() -> Any:
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def alive(_: Request) -> Response:
        return PlainTextResponse("alive")

    return Route("/", alive)


def main(tier: str) -> None:
    import uvicorn

    setup = Setup(**json.loads(os.environ[VARIABLE]))
    made, port = (web(setup), setup.web_port) if tier == "web" else (app(setup), setup.app_port)
    uvicorn.run(made, host="127.0.0.1", port=port, log_level="error", lifespan="off")


if __name__ == "__main__":
    main(sys.argv[1])
