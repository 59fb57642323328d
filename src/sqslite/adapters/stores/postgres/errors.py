"""What psycopg raises, said in the domain's words: the one place where this driver's exceptions are translated."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from sqslite.domain.errors import OutcomeUnknown, Overloaded, SqsliteError, StoreUnavailable

UNDEFINED_TABLE = "42P01"
INVALID_SCHEMA = "3F000"
READ_ONLY_TRANSACTION = "25006"
SYNCHRONOUS_REPLICATION_CANCELLED = ("01000", "57P01")

# SQLSTATE classes that are the server's trouble and not the statement's fault: it ran out of something (53, 54),
# would not wait (25, 40, 55), was told to stop (57), or broke (58, XX). A statement that failed was rolled back.
_TROUBLE = ("25", "40", "53", "54", "55", "57", "58", "XX")
# The server itself never ends a statement this way; a pooler does, when it has lost the server under it.
_CONNECTION_EXCEPTION = "08"


def translated(error: psycopg.Error, *, writing: bool) -> SqsliteError | None:
    """What a failed statement means to the caller; None where it can only be a defect of sqslite."""
    state = error.sqlstate
    if state in (UNDEFINED_TABLE, INVALID_SCHEMA):
        return StoreUnavailable("the database has no sqslite schema yet: run `sqslite migrate`")
    if state == READ_ONLY_TRANSACTION:
        return StoreUnavailable("the database takes no writes: it is read-only or a standby")
    if state is not None and state.startswith(_TROUBLE):
        return StoreUnavailable(f"the database refused the statement: {first_line(error)}")
    if state is None and not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return None
    if state is None or state.startswith(_CONNECTION_EXCEPTION):
        return lost(writing=writing)
    return None


def lost(*, writing: bool) -> SqsliteError:
    """What it means that a statement got no answer."""
    if writing:
        return OutcomeUnknown("the database did not answer: the change may or may not have happened")
    return StoreUnavailable("the database did not answer")


def not_replicated() -> SqsliteError:
    """What it means that the server gave up waiting for its standby, although it reports success."""
    return OutcomeUnknown("the change was committed on one server, but no standby has confirmed it: it may be lost")


def no_connection(error: PoolTimeout | TooManyRequests | PoolClosed, *, reachable: bool) -> SqsliteError:
    """What it means that there was no connection to be had."""
    if isinstance(error, PoolClosed):
        return StoreUnavailable("the store is not open")
    if reachable:
        return Overloaded("all database connections are busy")
    return StoreUnavailable("the database cannot be reached")


@contextmanager
def further(*, after_change: bool) -> Iterator[None]:
    """A further step of a call; `after_change` says that an earlier one was committed, so that something was done."""
    try:
        yield
    except (StoreUnavailable, Overloaded) as error:
        if after_change:
            raise OutcomeUnknown(f"the call was carried out in part only: {error}") from error
        raise


def first_line(error: psycopg.Error) -> str:
    """What went wrong, without the server's hints."""
    return (error.diag.message_primary or str(error)).partition("\n")[0]
