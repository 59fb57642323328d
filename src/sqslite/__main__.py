"""`python -m sqslite` is the `sqslite` command."""

from sqslite.entrypoints.cli import main

if __name__ == "__main__":
    main(prog_name="sqslite")
