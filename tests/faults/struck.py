"""`python -m tests.faults.struck KIND CALL LOG -- up --yes`: imgpipe, in a process of its own, which meets a fault.

The line lies below botocore, not in our code: every client that is made here takes it over. LOG is a file to which
each changing call is written as it begins; `-` as CALL strikes none.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from botocore import handlers
from botocore.httpsession import URLLib3Session

from tests.faults.strikes import Line, Strike


def lay(line: Line) -> None:
    """Lay the line to every client of this process."""
    network = URLLib3Session()

    def send(request: Any, **_: Any) -> Any:
        """Answer in the network's place; None lets the SDK send the request itself."""
        return line.send(request, network.send, lambda _: None)

    handlers.BUILTIN_HANDLERS.append(("before-parameter-build", line.begin))
    handlers.BUILTIN_HANDLERS.append(("before-send", send))


def main() -> None:
    kind, call, log, _, *command = sys.argv[1:]
    strike = None if call == "-" else Strike(kind, call)  # type: ignore[arg-type]
    with Path(log).open("w", buffering=1) as file:
        lay(Line(strike=strike, told=lambda call: file.write(f"{call}\n")))
        sys.argv = ["imgpipe", *command]
        from imgpipe.cli.main import main as imgpipe

        imgpipe()


if __name__ == "__main__":
    main()
