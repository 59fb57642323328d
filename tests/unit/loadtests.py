"""Load tests without a wire: a node in memory on a clock that the test moves, and what may go wrong between."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.faults import Chances, FaultRates
from sqslite.adapters.stores.seeded_faults import SeededFaultyStore
from sqslite.adapters.wakeups.local import LocalWakeups
from sqslite.domain.errors import SqsliteError
from sqslite.domain.leases import Receipt
from sqslite.domain.messages import Accepted, NewMessage, Received
from sqslite.entrypoints.loadtest.plan import Plan
from sqslite.entrypoints.loadtest.result import Result
from sqslite.entrypoints.loadtest.run import LoadTest, Moment
from sqslite.entrypoints.loadtest.target import Messages, Target
from tests.unit.node import Node, node

STEP = timedelta(milliseconds=500)
STEPS_MAX = 400


class Between:
    """Stands between a load test and the node, and passes everything on; a test overrides what it spoils."""

    def __init__(self, node: Node) -> None:
        self.node = node

    async def enqueue(self, queue: str, messages: Sequence[NewMessage]) -> list[Accepted | SqsliteError]:
        return await self.node.service.enqueue(queue, messages)

    async def claim(
        self, queue: str, limit: int | None = None, visibility_ms: int | None = None, wait_ms: int | None = None
    ) -> Sequence[Received]:
        return await self.node.service.claim(queue, limit, visibility_ms, wait_ms)

    async def ack(self, receipts: Sequence[Receipt]) -> list[SqsliteError | None]:
        return await self.node.service.ack(receipts)


def plan(**fields: object) -> Plan:
    """A small one: what it does not say is as the command has it, but for a seed."""
    return Plan(**{"queue": "load", "run": "r", "messages": 60, "consumers": 8, "seed": 1, "keep": True, **fields})


def node_with(**rates: float) -> Node:
    """A node whose calls are befallen by faults."""
    chances = Chances()
    chances.set_rates(FaultRates(**rates))
    clock = VirtualClock()
    return node(
        lambda store: SeededFaultyStore(store, clock, chances), clock=clock, wakeups=LocalWakeups(clock)
    )  # fmt: skip


def loading(
    on: Node,
    planned: Plan,
    between: Callable[[Node], Messages] = Between,
    show: Callable[[Moment], None] = lambda _: None,
) -> LoadTest:
    target = Target(between(on), on.administration, on.inspection)
    return LoadTest("http://there", planned, target, on.clock, lambda: 0.0, show)


async def carried_out(
    on: Node,
    planned: Plan,
    between: Callable[[Node], Messages] = Between,
    show: Callable[[Moment], None] = lambda _: None,
) -> Result:
    return await finished(on, loading(on, planned, between, show).run())


async def finished(on: Node, running: Awaitable[Result]) -> Result:
    """What it comes to, with as much time as it takes."""
    task = asyncio.ensure_future(running)
    for _ in range(STEPS_MAX):
        await on.clock.advance(STEP)
        if task.done():
            return task.result()
    task.cancel()
    raise AssertionError("it did not end")
