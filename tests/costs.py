"""What a message may cost, by name. Counted, not timed, so that a busy machine changes nothing.

A figure that a change makes lower is lowered here with it; one that must rise is raised with a reason in the commit.
Those of the store are exact unless they say otherwise. Those of Python's calls have about 15 % of slack for other
versions of Python and of the libraries.
"""

from typing import NamedTuple


class Costs(NamedTuple):
    """Of one call of the store port, whatever the number of its messages."""

    statements: int
    round_trips: int
    commits: int


# PostgreSQL, counted on the wire.
POSTGRES_CALLS = {
    "enqueue": Costs(statements=1, round_trips=1, commits=1),
    "claim": Costs(statements=1, round_trips=1, commits=1),
    "ack": Costs(statements=1, round_trips=1, commits=1),
    "extend": Costs(statements=1, round_trips=1, commits=1),
    "claim of an empty queue": Costs(statements=1, round_trips=1, commits=1),
}

# Rows of sqslite.messages that a message's life (enqueue, claim, ack) touches: written exactly, read at most.
POSTGRES_ROWS = {"inserted": 1, "updated": 1, "deleted": 1, "read by index": 2, "read by scan": 0}

# Bytes of WAL of a message's life with a body of 100 bytes: at most.
POSTGRES_WAL_BYTES = {"one a call": 1_150, "batches of 100": 1_130}

# SQLite: statements of a call for one message, and for 100, BEGIN and COMMIT included; all in one commit.
SQLITE_STATEMENTS = {
    "enqueue": (6, 303),
    "claim": (5, 203),
    "extend": (5, 203),
    "ack": (6, 204),
    "claim of an empty queue": (3, 3),
}

# Python functions entered for a message's life over REST on memory, but for asyncio's own: at most.
PYTHON_CALLS = {"one after the other": 515, "64 at once": 415, "batches of 100": 78}
