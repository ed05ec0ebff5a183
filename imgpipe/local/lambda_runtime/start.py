"""The first script in an execution environment: `python -S -P start.py SERVER_PID CLIENT HANDLER`.

It sees to it that the process dies with the server, then becomes AWS's runtime client (CLIENT is
`awslambdaric`) or ours (the path of `portable.py`). It must import nothing of imgpipe.
"""

import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with(server: int) -> None:
    """Ask the kernel to kill this process when the server ends, however it ends. Linux only.

    Elsewhere the process ends when it next speaks to the server and finds it gone.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != server:  # it ended before we asked
        os._exit(1)


def main() -> None:
    server, client, handler = sys.argv[1:]
    die_with(int(server))
    sys.argv = ["bootstrap", handler]
    if client == "awslambdaric":
        from awslambdaric.__main__ import main as serve

        serve(sys.argv)
    else:
        import runpy

        runpy.run_path(client, run_name="__main__")


if __name__ == "__main__":
    main()
