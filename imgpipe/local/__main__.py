"""`python -m imgpipe.local FOLDER PORT` serves the project in FOLDER until it is stopped."""

import sys
from pathlib import Path

from imgpipe.local.server import serve

if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
