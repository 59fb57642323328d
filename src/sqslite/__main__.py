"""The `sqslite` command, and `python -m sqslite`."""

import sys


def run() -> None:
    """Load the command and run it. Ctrl-C may come while it loads."""
    try:
        from sqslite.entrypoints.cli import main

        main(prog_name="sqslite")
    except KeyboardInterrupt:
        # As a shell says of what SIGINT ended.
        sys.exit(130)


if __name__ == "__main__":
    run()
