"""`python -m imgpipe.local FOLDER` serves the project in FOLDER until it is stopped."""

import sys

from imgpipe.local.server import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
