"""`python -m imgpipe` is `imgpipe`."""

from imgpipe.cli.main import main

if __name__ == "__main__":
    main()
