"""sqslite: a message queue with the semantics of AWS SQS on storage you already own.

What a program that uses it needs is here by name, and loaded when it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqslite.domain.errors import SqsliteError as SqsliteError
    from sqslite.domain.leases import Nack as Nack
    from sqslite.domain.leases import Receipt as Receipt
    from sqslite.domain.leases import Wish as Wish
    from sqslite.domain.messages import Accepted as Accepted
    from sqslite.domain.messages import BodyKind as BodyKind
    from sqslite.domain.messages import NewMessage as NewMessage
    from sqslite.domain.messages import Received as Received
    from sqslite.domain.ports import Extension as Extension
    from sqslite.domain.queues import QueueSettings as QueueSettings
    from sqslite.domain.retry import Backoff as Backoff
    from sqslite.domain.retry import BackoffKind as BackoffKind
    from sqslite.entrypoints.client import AsyncClient as AsyncClient
    from sqslite.entrypoints.client import Client as Client
    from sqslite.entrypoints.worker import Context as Context
    from sqslite.entrypoints.worker import Reject as Reject
    from sqslite.entrypoints.worker import Retry as Retry
    from sqslite.entrypoints.worker import Worker as Worker

_HOMES = {
    "Accepted": "sqslite.domain.messages",
    "AsyncClient": "sqslite.entrypoints.client",
    "Backoff": "sqslite.domain.retry",
    "BackoffKind": "sqslite.domain.retry",
    "BodyKind": "sqslite.domain.messages",
    "Client": "sqslite.entrypoints.client",
    "Context": "sqslite.entrypoints.worker",
    "Extension": "sqslite.domain.ports",
    "Nack": "sqslite.domain.leases",
    "NewMessage": "sqslite.domain.messages",
    "QueueSettings": "sqslite.domain.queues",
    "Receipt": "sqslite.domain.leases",
    "Received": "sqslite.domain.messages",
    "Reject": "sqslite.entrypoints.worker",
    "Retry": "sqslite.entrypoints.worker",
    "SqsliteError": "sqslite.domain.errors",
    "Wish": "sqslite.domain.leases",
    "Worker": "sqslite.entrypoints.worker",
}


def __getattr__(name: str) -> Any:
    """The thing of that name, from where it lives."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'sqslite' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    """All names, those that are not loaded yet, too."""
    return sorted({*globals(), *_HOMES})
