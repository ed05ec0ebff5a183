"""The server process of the embedded cloud."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import urllib.request
from pathlib import Path

ACCOUNT, REGION = "000000000000", "us-east-1"


def serve(folder: Path, port: int) -> None:
    data = folder / ".imgpipe"
    (data / "state").mkdir(parents=True, exist_ok=True)
    os.environ.update(
        GATEWAY_PORT=str(port), BIND_HOST="127.0.0.1", MINISTACK_HOST="127.0.0.1", MINISTACK_ACCOUNT_ID=ACCOUNT,
        PERSIST_STATE="1", S3_PERSIST="0", STATE_DIR=str(data / "state"), AUTH="true",
        IOT_MTLS_ENABLED="0", SFTP_ENABLED="0", LOG_LEVEL="WARNING",
    )
    from imgpipe.local.corrections import install_all

    install_all()
    threading.Thread(target=_announce, args=(data, port), daemon=True).start()
    sys.argv = ["ministack"]
    from ministack import app

    # TLS-only policies hold on AWS; here nothing leaves the machine, so loopback counts as secure.
    pin = app.pin_request_origin
    app.pin_request_origin = lambda source_ip, _secure: pin(source_ip, True)
    app.main()


def _announce(data: Path, port: int) -> None:
    endpoint = f"http://127.0.0.1:{port}"
    while True:
        try:
            with urllib.request.urlopen(endpoint + "/_ministack/health", timeout=5):
                break
        except OSError:
            time.sleep(0.05)
    lock = {"endpoint": endpoint, "region": REGION, "account": ACCOUNT, "access_key": ACCOUNT,
            "secret_key": "test", "pid": os.getpid(), "port": port}
    part = data / "cloud.json.part"
    part.write_text(json.dumps(lock))
    part.replace(data / "cloud.json")
