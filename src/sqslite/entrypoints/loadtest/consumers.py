"""Those who receive, work, and ack, or crash instead."""

import asyncio
import random
from collections.abc import Sequence

from sqslite.domain.errors import OutcomeUnknown, SqsliteError
from sqslite.domain.limits import SECOND_MS
from sqslite.domain.messages import Received
from sqslite.entrypoints.loadtest.bodies import Bodies
from sqslite.entrypoints.loadtest.latencies import Measures
from sqslite.entrypoints.loadtest.ledger import Ledger
from sqslite.entrypoints.loadtest.plan import Plan
from sqslite.entrypoints.loadtest.producers import PAUSE_S
from sqslite.entrypoints.loadtest.target import Messages
from sqslite.entrypoints.loadtest.timeline import Timeline

# While the queue is emptied nobody waits longer, so that the end is seen.
WAIT_MS_AT_THE_END = 200


class Consumers:
    """Receive until they are told to end, and note what they got and what became of it."""

    def __init__(
        self,
        plan: Plan,
        target: Messages,
        bodies: Bodies,
        ledger: Ledger,
        measures: Measures,
        timeline: Timeline,
        chance: random.Random,
    ) -> None:
        self._plan = plan
        self._target = target
        self._bodies = bodies
        self._ledger = ledger
        self._measures = measures
        self._timeline = timeline
        self._chance = chance
        self._wait_ms = plan.wait_ms
        self._ended = False
        self.foreign = 0

    def hurry(self) -> None:
        """No more messages will be sent: what is there is all."""
        self._wait_ms = min(self._wait_ms, WAIT_MS_AT_THE_END)

    def end(self) -> None:
        """Finish what is under way, and receive no more."""
        self._ended = True

    async def run(self) -> None:
        """Receive, work and ack until told to end."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._plan.consumers):
                group.create_task(self._consume())

    async def _consume(self) -> None:
        while not self._ended:
            deliveries = await self._receive()
            if deliveries is None:
                await self._timeline.sleep(PAUSE_S)
            elif alive := [pair for pair in self._noted(deliveries) if not self._crashed(pair[0])]:
                await self._ack(alive)

    async def _receive(self) -> Sequence[Received] | None:
        """What was received; None where the call failed."""
        plan, began_s = self._plan, self._timeline.now_s()
        try:
            deliveries = await self._target.claim(plan.queue, plan.batch, plan.visibility_ms, self._wait_ms)
        except SqsliteError as error:
            self._measures.failed(self._timeline.now_s(), "receive", error.code)
            return None
        if deliveries:
            self._measures.receive.record((self._timeline.now_s() - began_s) * SECOND_MS)
        return deliveries

    def _noted(self, deliveries: Sequence[Received]) -> list[tuple[int, Received]]:
        """The messages of this run by number; those of others are left alone."""
        now_s = self._timeline.now_s()
        ours = []
        for delivery in deliveries:
            number = self._bodies.number(delivery.message.body)
            if number is None or number >= self._ledger.sent:
                self.foreign += 1
                continue
            sent_at_s = self._ledger.delivered(number, delivery, self._plan.visibility_ms)
            if sent_at_s is not None:
                self._measures.delivered(now_s, (now_s - sent_at_s) * SECOND_MS)
            ours.append((number, delivery))
        return ours

    def _crashed(self, number: int) -> bool:
        if self._chance.random() >= self._plan.crash_rate:
            return False
        self._ledger.dropped(number)
        return True

    async def _ack(self, worked_on: Sequence[tuple[int, Received]]) -> None:
        if self._plan.work_ms:
            await self._timeline.sleep(self._plan.work_ms / SECOND_MS)
        began_s = self._timeline.now_s()
        outcomes: list[SqsliteError | None]
        try:
            outcomes = await self._target.ack([delivery.receipt for _, delivery in worked_on])
            answered = True
        except SqsliteError as error:
            outcomes, answered = [error] * len(worked_on), False
        now_s = self._timeline.now_s()
        done = sum(self._settled(now_s, pair[0], outcome) for pair, outcome in zip(worked_on, outcomes, strict=True))
        if answered:
            self._measures.acked(now_s, (now_s - began_s) * SECOND_MS, done)

    def _settled(self, now_s: float, number: int, outcome: SqsliteError | None) -> bool:
        if outcome is None:
            self._ledger.acked(number)
            return True
        if isinstance(outcome, OutcomeUnknown):
            self._ledger.ack_unknown(number)
        self._measures.failed(now_s, "ack", outcome.code)
        return False
