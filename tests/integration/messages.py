"""Messages for tests that speak to a store by themselves."""

from typing import Any

from sqslite.domain.messages import NewMessage


def new_message(body: bytes = b'{"n":1}', **fields: Any) -> NewMessage:
    """A message as a store is given it: with nothing left to the queue."""
    return NewMessage(body=body, **{"max_retries": 5, "delay_ms": 0, "retention_ms": 0, **fields})
