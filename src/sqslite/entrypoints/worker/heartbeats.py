"""Leases are extended while handlers work, all of them by one timer."""

import asyncio
import logging
from collections.abc import Iterable, Sequence

from sqslite.domain.errors import InvalidValue, MessageNotFound, SqsliteError, StaleReceipt
from sqslite.domain.limits import BATCH_MAX, ms
from sqslite.domain.ports import Clock, Extension
from sqslite.domain.use_cases import Messaging
from sqslite.entrypoints.worker.observing import WorkerObserver
from sqslite.entrypoints.worker.runs import Hold, Run
from sqslite.entrypoints.worker.verdicts import told

# A lease is extended once a third of it has passed, by a timer that looks twice as often: so what is done within a
# sixth costs no extension, and a beat that fails has three or four more before the lease ends.
BEATS_PER_LEASE = 6
PART_BEFORE_EXTENSION = 3

log = logging.getLogger("sqslite.worker")


class Heartbeats:
    """Keeps the leases of runs from ending, and ends the runs whose leases are gone.

    While the server does not answer nothing is known, and handlers go on.
    """

    def __init__(self, messaging: Messaging, clock: Clock, observer: WorkerObserver, beat_ms: int) -> None:
        self._messaging = messaging
        self._clock = clock
        self._observer = observer
        self._beat_ms = beat_ms
        self._runs: set[Run] = set()
        self._beating: set[Run] = set()
        self._beaten = asyncio.Condition()

    def keep(self, run: Run) -> None:
        """Extend the run's leases from now on."""
        self._runs.add(run)

    async def forget(self, run: Run) -> None:
        """Extend the run's leases no more; an extension that is under way has ended when this returns.

        After a nack it would lease the message anew, and nobody would work on it.
        """
        self._runs.discard(run)
        async with self._beaten:
            await self._beaten.wait_for(lambda: run not in self._beating)

    async def run(self) -> None:
        """Beat for ever."""
        while True:
            await self._clock.sleep_until(self._clock.now() + ms(self._beat_ms))
            due = [(run, hold) for run in self._runs for hold in run.holds if self._is_due(hold)]
            for start in range(0, len(due), BATCH_MAX):
                await self._beat(due[start : start + BATCH_MAX])

    def _is_due(self, hold: Hold) -> bool:
        if hold.extended_at is None:
            return False
        at_next_beat = self._clock.now() + ms(self._beat_ms)
        return at_next_beat - hold.extended_at > ms(hold.visibility_ms) / PART_BEFORE_EXTENSION

    async def _beat(self, due: Sequence[tuple[Run, Hold]]) -> None:
        # A run may have been forgotten while an earlier part of this beat was under way.
        due = [(run, hold) for run, hold in due if run in self._runs]
        self._beating = {run for run, _ in due}
        began_at = self._clock.now()
        try:
            results = await self._messaging.extend(
                [Extension(hold.received.receipt, hold.visibility_ms) for _, hold in due]
            )
        except Exception as error:
            self._failed(error, len(due))
            return
        finally:
            self._beating = set()
            async with self._beaten:
                self._beaten.notify_all()
        for (run, hold), result in zip(due, results, strict=True):
            if isinstance(result, SqsliteError):
                self._refused(run, hold, result)
            else:
                hold.extended_at = began_at
                hold.context.extended(result)
        self._observer.extended(_extended(results))

    def _refused(self, run: Run, hold: Hold, refusal: SqsliteError) -> None:
        message = hold.context.message
        if isinstance(refusal, StaleReceipt | MessageNotFound):
            if run in self._runs:
                log.warning("lease lost: queue=%s id=%s fence=%s", hold.context.queue, message.id, message.fence)
            run.lose(hold)
        elif isinstance(refusal, InvalidValue):
            # 12 hours are the longest that anybody may hold a message.
            log.warning(
                "lease cannot be extended any more: queue=%s id=%s: %s", hold.context.queue, message.id, refusal
            )
            hold.extended_at = None
        else:
            self._failed(refusal, 1)

    def _failed(self, error: Exception, count: int) -> None:
        self._observer.call_failed("extend")
        log.warning("%d leases not extended, tried again in %d ms: %s", count, self._beat_ms, told(error))


def _extended(results: Iterable[object]) -> int:
    return sum(not isinstance(result, SqsliteError) for result in results)
