"""How many messages make an answer that is not too large: foretold from what a queue gave lately."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence

from sqslite.domain.messages import Delivery, size_of

QUEUES_MAX = 1_000
# What was seen counts for less with every claim that saw less.
KEPT_SHARE = 0.75


class BodySizes:
    """The largest bodies that queues gave lately, for the queues that were asked last."""

    def __init__(self) -> None:
        self._largest: OrderedDict[str, int] = OrderedDict()

    def fitting(self, queue: str, bytes_max: int) -> int:
        """How many of the queue's messages have that many bytes together, if they are like those before; at least 1.

        Of a queue that gave none yet, all messages are taken for small.
        """
        return max(1, bytes_max // max(1, self._largest.get(queue, 0)))

    def seen(self, queue: str, deliveries: Sequence[Delivery]) -> None:
        """These came from the queue."""
        if deliveries:
            largest = max(_size(delivery) for delivery in deliveries)
            self._largest[queue] = max(largest, int(self._largest.pop(queue, 0) * KEPT_SHARE))
            if len(self._largest) > QUEUES_MAX:
                self._largest.popitem(last=False)


def parts(deliveries: Sequence[Delivery], bytes_max: int) -> Iterator[list[Delivery]]:
    """The deliveries in parts whose bodies have that many bytes together, but for a larger one alone."""
    part: list[Delivery] = []
    size = 0
    for delivery in deliveries:
        if part and size + _size(delivery) > bytes_max:
            yield part
            part, size = [], 0
        part.append(delivery)
        size += _size(delivery)
    if part:
        yield part


def _size(delivery: Delivery) -> int:
    return size_of(delivery.message.body, delivery.message.attributes)
