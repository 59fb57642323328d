"""A load test from its queue to its verdict."""

import asyncio
import contextlib
import random
from collections.abc import Callable

from msgspec import Struct

from sqslite.domain.errors import InvalidValue, QueueNotFound, SqsliteError
from sqslite.domain.ports import Clock
from sqslite.domain.queues import QueueSettings
from sqslite.entrypoints.loadtest.bodies import Bodies
from sqslite.entrypoints.loadtest.consumers import Consumers
from sqslite.entrypoints.loadtest.latencies import Measures
from sqslite.entrypoints.loadtest.ledger import Fact, Ledger
from sqslite.entrypoints.loadtest.pace import pace_of
from sqslite.entrypoints.loadtest.plan import Plan
from sqslite.entrypoints.loadtest.producers import Producers
from sqslite.entrypoints.loadtest.result import Result, errors_of, latency_of, points_of, verdict_of
from sqslite.entrypoints.loadtest.target import Target
from sqslite.entrypoints.loadtest.timeline import Timeline

SHOW_EVERY_S = 1.0
LOOK_EVERY_S = 0.25


class Moment(Struct, frozen=True, kw_only=True):
    """How a load test stands: what was counted so far. `draining`: no more is sent."""

    at_s: float
    draining: bool
    accepted: int
    acked: int
    unsettled: int
    errors: int
    enqueue_p99_ms: float | None
    dwell_p99_ms: float | None


class LoadTest:
    """Carries out a plan on a target, and shows each second how it stands.

    `cpu_s`: the seconds of processor time that this process has used.
    """

    def __init__(
        self, url: str, plan: Plan, target: Target, clock: Clock, cpu_s: Callable[[], float], show: "Show"
    ) -> None:
        self._url = url
        self._plan = plan
        self._target = target
        self._clock = clock
        self._cpu_s = cpu_s
        self._show = show
        self._pace = pace_of(plan)
        self._measures = Measures()
        chance = random.Random(plan.seed)
        self._bodies = Bodies(plan, random.Random(chance.random()))
        self._crashes = random.Random(chance.random())
        self._ledger = Ledger(self._bodies.intact)
        self._stopped = False
        self._given_up = False
        self._draining = False

    def stop(self) -> None:
        """Send no more, and end when the queue is empty; told again, end as soon as calls are answered."""
        self._given_up = self._stopped
        self._stopped = True
        self._pace.end()

    async def run(self) -> Result:
        """Load, drain, check. Raises what keeps it from starting: InvalidValue, StoreUnavailable, OutcomeUnknown."""
        created = await self._prepare()
        try:
            return await self._loaded(created and not self._plan.keep)
        finally:
            if created and not self._plan.keep:
                # A queue that cannot be deleted now does not change what was found.
                with contextlib.suppress(SqsliteError):
                    await self._target.queues.delete(self._plan.queue)

    async def _prepare(self) -> bool:
        """Have a queue that is fit for it; whether it was created now."""
        name, fifo = self._plan.queue, self._plan.groups > 0
        try:
            queue = await self._target.queues.get(name)
        except QueueNotFound:
            await self._target.queues.put(name, QueueSettings(fifo=fifo))
            return True
        if queue.settings.fifo != fifo:
            raise InvalidValue(
                "queue", name, f"{'a FIFO' if fifo else 'no FIFO'} queue for --groups {self._plan.groups}"
            )
        if queue.settings.dlq is not None:
            raise InvalidValue("queue", name, "a queue without a dead-letter queue: crashes use deliveries up")
        if await self._left():
            raise InvalidValue("queue", name, "an empty queue")
        return False

    async def _loaded(self, deleted: bool) -> Result:
        plan, ledger, measures, calls = self._plan, self._ledger, self._measures, self._target.messages
        timeline, cpu_s = Timeline(self._clock), self._cpu_s()
        producers = Producers(plan, calls, self._pace, self._bodies, ledger, measures, timeline)
        consumers = Consumers(plan, calls, self._bodies, ledger, measures, timeline, self._crashes)
        async with asyncio.TaskGroup() as group:
            showing = group.create_task(self._keep_showing(timeline))
            consuming = group.create_task(consumers.run())
            await producers.run()
            load_s = timeline.now_s()
            acked_meanwhile = ledger.acked_count
            load_cpu_s = self._cpu_s() - cpu_s
            self._draining = True
            consumers.hurry()
            await self._drain(timeline)
            consumers.end()
            await consuming
            showing.cancel()
        end_s = timeline.now_s()
        check = ledger.check(await self._left())
        accepted = ledger.accepted_count
        seconds = max(load_s, 0.001)
        return Result(
            url=self._url,
            plan=plan,
            stopped_early=self._stopped,
            queue_deleted=deleted,
            load_s=round(load_s, 3),
            drain_s=round(end_s - load_s, 3),
            sent=ledger.sent,
            accepted=accepted,
            refused=ledger.count(Fact.REFUSED),
            unknown=ledger.count(Fact.UNKNOWN),
            unknown_delivered=ledger.count(Fact.UNKNOWN | Fact.DELIVERED),
            deliveries=ledger.deliveries,
            acked=ledger.acked_count,
            ack_unknown=ledger.count(Fact.ACK_UNKNOWN, Fact.ACKED),
            crashes=ledger.crashes,
            redelivered_after_crash=ledger.redelivered_after_crash,
            redelivered_after_lease=ledger.redelivered_after_lease,
            foreign=consumers.foreign,
            missed=self._pace.missed(load_s),
            enqueued_per_second=round(accepted / seconds, 1),
            acked_per_second=round(acked_meanwhile / seconds, 1),
            enqueue_ms=latency_of(measures.enqueue),
            receive_ms=latency_of(measures.receive),
            ack_ms=latency_of(measures.ack),
            dwell_ms=latency_of(measures.dwell),
            errors=errors_of(measures),
            cpu_share=round(load_cpu_s / seconds, 2),
            check=check,
            verdict=verdict_of(check, accepted),
            points=list(points_of(measures, end_s)),
        )

    async def _drain(self, timeline: Timeline) -> None:
        """Return when the queue is empty, the time is up, or nobody wants to wait."""
        until_s = timeline.now_s() + self._plan.drain_s
        while not self._given_up and timeline.now_s() < until_s and await self._left() != 0:
            await timeline.sleep(LOOK_EVERY_S)

    async def _left(self) -> int | None:
        """Messages in the queue, None where nobody can tell."""
        try:
            depth, _ = await self._target.counts.stats(self._plan.queue)
        except SqsliteError:
            return None
        return depth.ready + depth.delayed + depth.in_flight

    async def _keep_showing(self, timeline: Timeline) -> None:
        shown_s = 0.0
        while True:
            shown_s += SHOW_EVERY_S
            await timeline.sleep_until(shown_s)
            self._show(self._moment(timeline.now_s()))

    def _moment(self, at_s: float) -> Moment:
        ledger, measures = self._ledger, self._measures
        latest = measures.latest(at_s - SHOW_EVERY_S)
        return Moment(
            at_s=at_s,
            draining=self._draining,
            accepted=ledger.accepted_count,
            acked=ledger.acked_count,
            unsettled=ledger.unsettled,
            errors=measures.errors.total(),
            enqueue_p99_ms=latest.enqueue.percentile(99),
            dwell_p99_ms=latest.dwell.percentile(99),
        )


Show = Callable[[Moment], None]
