"""How the worker processes of one server share their counts: a directory of memory-mapped files.

The parent makes it before its workers start. This module does not import prometheus_client, which looks for
the directory when it is imported.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SHARED_DIR_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


@contextmanager
def prepare_multiprocess_dir() -> Iterator[Path]:
    """An empty directory that processes started meanwhile share their counts in; gone at the end."""
    before = os.environ.get(SHARED_DIR_VARIABLE)
    directory = Path(tempfile.mkdtemp(prefix="sqslite-metrics-"))
    os.environ[SHARED_DIR_VARIABLE] = str(directory)
    try:
        yield directory
    finally:
        if before is None:
            del os.environ[SHARED_DIR_VARIABLE]
        else:
            os.environ[SHARED_DIR_VARIABLE] = before
        shutil.rmtree(directory, ignore_errors=True)


def shared_dir() -> Path | None:
    """The directory that this process shares its counts in; None: it keeps them to itself."""
    name = os.environ.get(SHARED_DIR_VARIABLE)
    return Path(name) if name else None
