"""What tests of long polls stand on: a node with its wake-ups, and polls that wait."""

import asyncio
from collections.abc import Callable

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.wakeups.local import LocalWakeups
from sqslite.domain.asker import Asker
from sqslite.domain.messages import Delivery
from sqslite.domain.ports import Store
from tests.unit.node import Node, node
from tests.unit.test_wakeups import settled

Poll = asyncio.Task[list[Delivery]]


def waited(decorate: Callable[[Store], Store] = lambda store: store) -> tuple[Node, LocalWakeups]:
    clock = VirtualClock()
    wakeups = LocalWakeups(clock)
    return node(decorate, clock=clock, wakeups=wakeups), wakeups


async def parked(
    on: Node,
    limit: int = 1,
    wait_ms: int | None = 20_000,
    queue: str = "orders",
    asker: Asker | None = None,
) -> Poll:
    """A poll that has found nothing and waits."""
    poll = asyncio.ensure_future(on.service.claim(queue, limit, None, wait_ms, asker))
    await settled()
    assert not poll.done()
    return poll


def ids(poll: Poll) -> list[int]:
    return [delivery.message.id for delivery in poll.result()]
