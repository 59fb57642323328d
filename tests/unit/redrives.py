"""What tests of redriving stand on: dead letters, and nodes that carry tasks out until they are killed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from sqslite.domain.leases import Nack, Wish
from sqslite.domain.redrive import Redrive, RedriveState
from tests.unit.node import Node, message

RUNNING, COMPLETED, CANCELLED, FAILED = RedriveState


async def dead_letters(
    on: Node, count: int = 1, source: str = "orders", dlq: str = "dead", **fields: object
) -> list[int]:
    """Ids of messages that are dead letters in the queue `dlq`."""
    ids = await on.enqueue(*[message(max_retries=1, dlq=dlq, **fields) for _ in range(count)], queue=source)
    receipts = [delivery.receipt for _ in range(0, count, 1_000) for delivery in await on.service.claim(source, 1_000)]
    assert await on.service.nack([Nack(receipt, Wish(error="boom")) for receipt in receipts]) == [None] * count
    return ids


@contextlib.asynccontextmanager
async def carrying(*nodes: Node) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Each node carries redrives out; a task that is cancelled is a node that was killed."""
    tasks = [asyncio.create_task(each.redriving.run()) for each in nodes]
    await nodes[0].advance(0)
    yield tasks
    ended = [task for task in tasks if task.done() and not task.cancelled()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not ended, "a redriver ended before it was told to"


async def latest(on: Node, queue: str = "dead") -> Redrive:
    return (await on.redriving.page(queue))[0]


async def ids_in(on: Node, queue: str) -> list[int]:
    return [kept.id for kept in await on.messages(queue)]
