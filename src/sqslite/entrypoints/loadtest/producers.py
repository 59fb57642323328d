"""Those who send."""

import asyncio
from collections.abc import Sequence

from sqslite.domain.errors import OutcomeUnknown, SqsliteError
from sqslite.domain.limits import SECOND_MS
from sqslite.domain.messages import Accepted, NewMessage
from sqslite.entrypoints.loadtest.bodies import Bodies
from sqslite.entrypoints.loadtest.latencies import Measures
from sqslite.entrypoints.loadtest.ledger import Ledger
from sqslite.entrypoints.loadtest.pace import Pace, Turn
from sqslite.entrypoints.loadtest.plan import Plan
from sqslite.entrypoints.loadtest.target import Messages
from sqslite.entrypoints.loadtest.timeline import Timeline

# A call that failed as a whole is followed by this pause: the server is down, or has too much to do.
PAUSE_S = 0.1
# Who waits for a turn looks this often whether all is over.
LOOK_S = 0.2


class Producers:
    """Send numbered messages at the given pace, and note what each was answered."""

    def __init__(
        self,
        plan: Plan,
        target: Messages,
        pace: Pace,
        bodies: Bodies,
        ledger: Ledger,
        measures: Measures,
        timeline: Timeline,
    ) -> None:
        self._plan = plan
        self._target = target
        self._pace = pace
        self._bodies = bodies
        self._ledger = ledger
        self._measures = measures
        self._timeline = timeline
        self.last_error: SqsliteError | None = None

    async def run(self) -> None:
        """Send until the pace has no more turns."""
        async with asyncio.TaskGroup() as group:
            for place in range(self._plan.producers):
                group.create_task(self._produce(place))

    async def _produce(self, place: int) -> None:
        groups = [f"g{number}" for number in range(place, self._plan.groups, self._plan.producers)]
        sent = 0
        while (turn := self._pace.next(self._timeline.now_s())) is not None and await self._come(turn):
            of_groups = [groups[(sent + index) % len(groups)] if groups else None for index in range(turn.count)]
            sent += turn.count
            if not await self._send(turn, of_groups):
                await self._timeline.sleep(PAUSE_S)

    async def _come(self, turn: Turn) -> bool:
        """Wait for the turn's time; whether it still counts then."""
        while (now_s := self._timeline.now_s()) < turn.due_s:
            if self._pace.ended:
                return False
            await self._timeline.sleep_until(min(turn.due_s, now_s + LOOK_S))
        return True

    async def _send(self, turn: Turn, of_groups: Sequence[str | None]) -> bool:
        """Whether the call was answered."""
        numbers = [self._ledger.send(turn.due_s) for _ in of_groups]
        messages = [
            NewMessage(body=self._bodies.body(number), group_id=group)
            for number, group in zip(numbers, of_groups, strict=True)
        ]
        outcomes: list[Accepted | SqsliteError]
        try:
            outcomes = await self._target.enqueue(self._plan.queue, messages)
            answered = True
        except SqsliteError as error:
            outcomes, answered = [error] * len(numbers), False
        now_s = self._timeline.now_s()
        accepted = sum(self._note(now_s, *pair) for pair in zip(numbers, outcomes, strict=True))
        if answered:
            self._measures.enqueued(now_s, (now_s - turn.due_s) * SECOND_MS, accepted)
        return answered

    def _note(self, now_s: float, number: int, outcome: Accepted | SqsliteError) -> bool:
        if isinstance(outcome, Accepted):
            self._ledger.accepted(number)
            return True
        if isinstance(outcome, OutcomeUnknown):
            self._ledger.unknown(number)
        else:
            self._ledger.refused(number)
        self.last_error = outcome
        self._measures.failed(now_s, "enqueue", outcome.code)
        return False
