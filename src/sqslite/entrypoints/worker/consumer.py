"""One task's messages: claimed as handlers can start, worked on, settled."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from sqslite.domain.limits import CLAIM_MAX, SECOND_MS, ms
from sqslite.domain.messages import Received
from sqslite.domain.ports import Clock, Entropy
from sqslite.domain.use_cases import Messaging
from sqslite.entrypoints.worker.calling import Failure, called
from sqslite.entrypoints.worker.failures import Ending
from sqslite.entrypoints.worker.handlers import Middleware
from sqslite.entrypoints.worker.heartbeats import Heartbeats
from sqslite.entrypoints.worker.observing import WorkerObserver
from sqslite.entrypoints.worker.pauses import Pauses
from sqslite.entrypoints.worker.runs import Hold, Run
from sqslite.entrypoints.worker.settling import Settling
from sqslite.entrypoints.worker.slots import Slots
from sqslite.entrypoints.worker.task import TaskOptions
from sqslite.entrypoints.worker.tracing import Tracing
from sqslite.entrypoints.worker.verdicts import Outcome, Verdict, on_ending, on_failure, on_success, told

WAIT_MS = 20 * SECOND_MS
# How long a handler that was told to end may take to clean up before its message is given up over its head.
CLEAN_UP_MS = 5 * SECOND_MS

log = logging.getLogger("sqslite.worker")


class Surroundings(Struct, frozen=True):
    """What all tasks of a worker share; `slots` None: no limit but the tasks' own."""

    messaging: Messaging
    clock: Clock
    entropy: Entropy
    observer: WorkerObserver
    tracing: Tracing
    heartbeats: Heartbeats
    settling: Settling
    middlewares: tuple[Middleware, ...]
    slots: Slots | None


class Consumer:
    """Works on one queue. It holds no message that no handler works on."""

    def __init__(self, options: TaskOptions, shared: Surroundings) -> None:
        self._options = options
        self._shared = shared
        self._slots = Slots(options.concurrency)
        self._pauses = Pauses(shared.entropy)
        self._runs: dict[asyncio.Task[None], Run] = {}
        self._had_plenty = False
        self._in_order = options.ordered

    async def run(self) -> None:
        """Claim and start handlers until cancelled; what was started goes on."""
        while True:
            spare = await self._take_slots()
            failure: Exception | None = None
            try:
                for part in self._parts(await self._claim(spare)):
                    self._start(part)
                    spare -= 1
            except Exception as error:
                failure = error
            finally:
                self._give_back(spare)
            await self._pause(failure)

    async def finish(self) -> None:
        """Return once the messages of every handler are settled; a thread that nobody waits for may go on."""
        for run in [*self._runs.values()]:
            await run.settled.wait()

    def end(self) -> None:
        """Tell every handler to end now."""
        for run in self._runs.values():
            run.end(Ending.STOPPED)

    async def abandon(self) -> int:
        """Wait for nothing any more; how many messages come back only when their leases end."""
        left = sum(len(run.holds) for run in self._runs.values() if not run.settled.is_set())
        for task, run in self._runs.items():
            task.cancel()
            if run.work is not None:
                run.work.cancel()
        await asyncio.gather(*self._runs, return_exceptions=True)
        return left

    async def _take_slots(self) -> int:
        own = await self._slots.take(self._wanted())
        if self._shared.slots is None:
            return own
        granted = 0
        try:
            granted = await self._shared.slots.take(own)
        finally:
            self._slots.give_back(own - granted)
        return granted

    def _give_back(self, count: int) -> None:
        self._slots.give_back(count)
        if self._shared.slots is not None:
            self._shared.slots.give_back(count)

    def _wanted(self) -> int:
        if self._options.batch or self._in_order:
            # Of a group that is in order only the first can be started, and its failure would cost the others of the
            # same claim a delivery each.
            return 1
        if self._shared.slots is not None and not self._had_plenty:
            # An idle task must not keep the slots that others could use.
            return 1
        return self._options.concurrency

    async def _claim(self, slots: int) -> Sequence[Received]:
        limit = min(self._options.batch or slots, CLAIM_MAX)
        claim = self._shared.messaging.claim(self._options.queue, limit, self._options.visibility_ms, WAIT_MS)
        claiming = asyncio.ensure_future(claim)
        try:
            received = await asyncio.shield(claiming)
        except asyncio.CancelledError:
            await self._release_late(claiming)
            raise
        self._had_plenty = len(received) == limit
        self._in_order = self._options.ordered and (
            any(one.message.group_id is not None for one in received) if received else self._in_order
        )
        return received

    async def _release_late(self, claiming: "asyncio.Future[Sequence[Received]]") -> None:
        """Give back what a claim brought that was under way when the worker stopped."""
        claiming.cancel()
        with contextlib.suppress(Exception, asyncio.CancelledError):
            await self._shared.messaging.release(await claiming)

    def _parts(self, received: Sequence[Received]) -> list[Sequence[Received]]:
        if self._options.batch:
            return [received] if received else []
        return [[one] for one in received]

    async def _pause(self, error: Exception | None) -> None:
        if error is None:
            self._pauses.reset()
            return
        self._shared.observer.call_failed("claim")
        pause_ms = self._pauses.next_ms()
        log.warning("no claim from %s, tried again in %d ms: %s", self._options.queue, pause_ms, told(error))
        await self._sleep(pause_ms)

    def _start(self, received: Sequence[Received]) -> None:
        run = Run(self._options.queue, received, self._options.visibility_ms, self._shared.clock.now())
        self._shared.heartbeats.keep(run)
        self._shared.observer.began(self._options.queue)
        task = asyncio.create_task(self._carry_out(run), name=f"{self._options.queue} {received[0].message.id}")
        self._runs[task] = run
        task.add_done_callback(self._over)

    def _over(self, task: "asyncio.Task[None]") -> None:
        del self._runs[task]
        self._give_back(1)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a defect of the worker; the message comes back when its lease ends", exc_info=error)

    async def _carry_out(self, run: Run) -> None:
        began_at = self._shared.clock.now()
        try:
            verdicts = await self._verdicts(run)
            if any(verdict.wish is not None for verdict in verdicts):
                await self._shared.heartbeats.forget(run)
            outcomes = await self._shared.settling.settle(run.holds, verdicts)
            duration = self._shared.clock.now() - began_at
            self._shared.observer.ended(self._options.queue, duration.total_seconds(), outcomes)
        finally:
            run.settled.set()
            await self._shared.heartbeats.forget(run)
        # Nobody can end a thread, or a handler that will not be cancelled: it keeps its slot for as long as it runs.
        still_going = [work for work in (run.work, run.thread) if work is not None and not work.done()]
        if still_going:
            await asyncio.wait(still_going)

    async def _verdicts(self, run: Run) -> list[Verdict]:
        run.work = asyncio.create_task(self._called(run))
        timer = asyncio.create_task(self._time_out(run)) if self._options.timeout_ms else None
        told = asyncio.create_task(run.told_to_end.wait())
        try:
            await asyncio.wait({run.work, told}, return_when=asyncio.FIRST_COMPLETED)
            if not run.work.done():
                await self._within(CLEAN_UP_MS, run.work)
        finally:
            told.cancel()
            if timer is not None:
                timer.cancel()
        return [self._verdict(run, index, hold) for index, hold in enumerate(run.holds)]

    async def _called(self, run: Run) -> list[Failure]:
        with self._shared.tracing.working_on(self._options.queue, [hold.received.message for hold in run.holds]):
            return await called(self._options.handler, run, self._shared.middlewares)

    async def _time_out(self, run: Run) -> None:
        await self._sleep(self._options.timeout_ms)
        run.end(Ending.TIMED_OUT)

    async def _within(self, limit_ms: int, work: asyncio.Task[Any]) -> None:
        sleep = asyncio.create_task(self._sleep(limit_ms))
        await asyncio.wait({work, sleep}, return_when=asyncio.FIRST_COMPLETED)
        sleep.cancel()

    async def _sleep(self, duration_ms: int) -> None:
        await self._shared.clock.sleep_until(self._shared.clock.now() + ms(duration_ms))

    def _verdict(self, run: Run, index: int, hold: Hold) -> Verdict:
        assert run.work is not None
        if hold.lost:
            return on_ending(Ending.LOST, self._options.timeout_ms)
        if run.ending is not None and (not run.work.done() or run.work.cancelled()):
            return on_ending(run.ending, self._options.timeout_ms)
        error: BaseException | None
        if run.work.cancelled():
            error = asyncio.CancelledError("the handler was cancelled from within")
        else:
            error = run.work.exception() or run.work.result()[index]
        if error is None:
            return on_success()
        verdict = on_failure(error, self._options.on_undecodable)
        self._tell(hold, verdict, error)
        return verdict

    def _tell(self, hold: Hold, verdict: Verdict, error: BaseException) -> None:
        assert verdict.wish is not None
        log.log(
            logging.INFO if verdict.outcome is Outcome.RETRIED else logging.WARNING,
            "%s: queue=%s id=%s delivery=%s: %s",
            verdict.outcome,
            self._options.queue,
            hold.context.id,
            hold.context.delivery_count,
            verdict.wish.error,
            exc_info=error if verdict.outcome is Outcome.FAILED else None,
        )
