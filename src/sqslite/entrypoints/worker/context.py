"""What a handler may know of its delivery, where it asks for it."""

import threading
from datetime import datetime

from sqslite.domain.messages import Received, ReceivedMessage


class Context:
    """One delivery as its handler sees it; a handler with a parameter annotated `Context` is given it.

    `lost` is set once the message is no longer this handler's: its lease is lost, the handler timed out, or the worker
    is done waiting for it. A handler in a thread, which nobody can cancel, looks at it and gives up.
    """

    def __init__(self, queue: str, received: Received) -> None:
        self.queue = queue
        self.received = received
        self.lost = threading.Event()
        self.lease_until = received.message.lease_until

    @property
    def message(self) -> ReceivedMessage:
        """The message as it was received."""
        return self.received.message

    @property
    def id(self) -> int:
        """The message's id, the same at every delivery."""
        return self.message.id

    @property
    def fence(self) -> int:
        """A number that grows with every delivery of this message: for the WHERE of one's own SQL."""
        return self.message.fence

    @property
    def delivery_count(self) -> int:
        """How often this queue delivered the message, this time included."""
        return self.message.delivery_count

    @property
    def last_delivery(self) -> bool:
        """Whether a failure now sends the message to its dead-letter queue."""
        return self.message.dlq is not None and self.delivery_count >= self.message.max_retries

    def extended(self, lease_until: datetime) -> None:
        """Note the new end of the lease."""
        self.lease_until = lease_until
