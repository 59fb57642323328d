"""Follows the orders: of one customer in their order, of different customers at the same time."""

import os
import random
import time
from pathlib import Path
from typing import TypedDict

from sqslite import Worker

BOOK = Path(os.environ.get("BOOK", "orders.txt"))

worker = Worker(os.environ.get("SQSLITE_URL", "http://localhost:8080"))


class Event(TypedDict):
    """What happened to the order of a customer."""

    customer: str
    step: str


@worker.task(queue="order-events")
def follow(event: Event) -> None:
    """Write the event down."""
    # However long it takes, the customer's next event is not given out before this one is done with.
    time.sleep(random.uniform(0, 0.05))
    with BOOK.open("a") as book:
        book.write(f"{event['customer']} {event['step']}\n")


if __name__ == "__main__":
    worker.run()
