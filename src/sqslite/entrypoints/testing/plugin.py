"""Fixtures for pytest: queues in memory whose time and faults a test decides.

pytest loads this wherever sqslite is installed, so all that is large is imported by the fixtures that need it.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sqslite.entrypoints.testing.local_server import ServedTestbed
    from sqslite.entrypoints.testing.queue import TestQueue
    from sqslite.entrypoints.testing.testbed import Testbed

QUEUE_NAME_CHARS_MAX = 80


@pytest.fixture(scope="session")
def _sqslite_testbed() -> Iterator["Testbed"]:
    from sqslite.entrypoints.testing.testbed import testbed

    with testbed() as bed:
        yield bed


@pytest.fixture(scope="session")
def _sqslite_served() -> Iterator["ServedTestbed"]:
    from sqslite.entrypoints.testing.local_server import served_testbed

    with served_testbed() as bed:
        yield bed


@pytest.fixture
def sqslite_memory(_sqslite_testbed: "Testbed") -> Iterator["Testbed"]:
    """Sqslite in memory, in this process, without a server: `client`, `clock`, `assert_enqueued`, `drain`."""
    _sqslite_testbed.reset()
    yield _sqslite_testbed
    _sqslite_testbed.reset()


@pytest.fixture
def sqslite_server(_sqslite_served: "ServedTestbed") -> Iterator["ServedTestbed"]:
    """A sqslite server in memory, on a port of its own: `url`, and all that `sqslite_memory` has."""
    _sqslite_served.reset()
    yield _sqslite_served
    _sqslite_served.reset()


@pytest.fixture
def sqs_queue(sqslite_memory: "Testbed", request: pytest.FixtureRequest) -> "TestQueue":
    """One queue, named for the test: `send`, `receive`, `clock`, `assert_enqueued`, `drain`."""
    from sqslite.entrypoints.testing.queue import TestQueue

    name = re.sub(r"[^A-Za-z0-9_-]", "-", request.node.name)[:QUEUE_NAME_CHARS_MAX]
    return TestQueue(sqslite_memory, name)
