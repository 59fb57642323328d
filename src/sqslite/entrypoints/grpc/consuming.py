"""Streams of deliveries: leased as credits allow, settled on the same stream, given back when it ends."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from sqslite.domain import limits
from sqslite.domain.asker import Asker
from sqslite.domain.errors import InvalidValue, SqsliteError
from sqslite.domain.leases import Nack, Receipt, Wish
from sqslite.domain.messages import Delivery
from sqslite.entrypoints.grpc import calls, shapes
from sqslite.entrypoints.grpc.errors import Stopping, passing
from sqslite.entrypoints.grpc.sizes import parts
from sqslite.entrypoints.grpc.v1 import sqslite_pb2 as pb

CREDITS_MAX = 10_000
# Messages that a stream may hold, delivered and not settled: beyond it nothing is leased, whatever the credits.
HELD_MAX = 10_000
CLAIM_MAX = 100
# Of bodies in one claim, as far as what the queue gave lately foretells it.
CLAIM_BYTES_MAX = 4 * 1024 * 1024
# Of bodies in one answer, but for a larger one alone: clients take 4 MiB unless they say otherwise.
ANSWER_BYTES_MAX = 1024 * 1024
UNSETTLED_MAX = limits.BATCH_MAX
RETRY_MS = limits.SECOND_MS
# A consumer may finish so long, once the server is to end, before what it holds is given back.
FAREWELL_MS = 3 * limits.SECOND_MS

Settling = pb.AckRequest | pb.NackRequest | pb.ExtendRequest
Requests = AsyncIterator[pb.ConsumeRequest]
Write = Callable[[pb.ConsumeResponse], Awaitable[None]]

_SETTLE: dict[type, Callable[[calls.Ports, Sequence[Any]], Coroutine[Any, Any, list[calls.Outcome]]]] = {
    pb.AckRequest: calls.acked,
    pb.NackRequest: calls.nacked,
    pb.ExtendRequest: calls.extended,
}


class Hold(Struct):
    """A delivery that the stream's client has not settled."""

    receipt: Receipt
    lease_until: datetime


async def consume(
    ports: calls.Ports, stopping: asyncio.Event, first: pb.ConsumeRequest, further: Requests, write: Write
) -> None:
    """Serve one stream until its client has no more to say, or the server is to end."""
    if not first.HasField("start"):
        raise InvalidValue("start", None, "given in the first request of a stream")
    limits.check_queue_name("queue", first.start.queue)
    limits.check_range("visibility_ms", first.start.visibility_ms, 0, limits.VISIBILITY_MS_MAX)
    consumer = Consumer(ports, first.start, stopping, write)
    try:
        await consumer.serve(first, further)
    except BaseExceptionGroup as faults:
        # Of those that the tasks of a stream end with, the first is the reason for the others.
        raise faults.exceptions[0] from None
    finally:
        # Before the stream is over for its client, who may look for the messages then.
        await asyncio.shield(ports.underway.later(consumer.give_back()))


class Consumer:
    """One stream: how many more messages it may be leased, which ones it holds, and what it has yet to settle."""

    def __init__(self, ports: calls.Ports, start: pb.ConsumeStart, stopping: asyncio.Event, write: Write) -> None:
        self._ports = ports
        self._start = start
        self._stopping = stopping
        self._write_one = write
        self._writing = asyncio.Lock()
        self._credits = 0
        self._held: dict[int, Hold] = {}
        self._unsettled: asyncio.Queue[Settling | None] = asyncio.Queue(UNSETTLED_MAX)
        # Set whenever there may be room for more, or nothing held any more.
        self._changed = asyncio.Event()

    async def serve(self, first: pb.ConsumeRequest, requests: Requests) -> None:
        """Lease and settle; returns once all that the client said is settled and it says no more."""
        async with asyncio.TaskGroup() as tasks:
            others = [
                tasks.create_task(self._read(first, requests)),
                tasks.create_task(self._lease()),
                tasks.create_task(self._end_in_time()),
            ]
            await self._settle()
            for task in others:
                task.cancel()

    async def give_back(self) -> None:
        """Give back what the client has not settled, so that others need not wait for the leases to end."""
        receipts = [hold.receipt for hold in self._standing()]
        for start in range(0, len(receipts), limits.BATCH_MAX):
            part = receipts[start : start + limits.BATCH_MAX]
            await self._ports.service.nack([Nack(receipt, Wish(delay_ms=0)) for receipt in part])

    async def _read(self, first: pb.ConsumeRequest, requests: Requests) -> None:
        await self._take(first)
        async for request in requests:
            if request.HasField("start"):
                raise InvalidValue("start", request.start.queue, "given in the first request of a stream only")
            await self._take(request)
        await self._unsettled.put(None)

    async def _take(self, request: pb.ConsumeRequest) -> None:
        if not 0 <= request.credits <= CREDITS_MAX - self._credits:
            allowed = f"0 to {CREDITS_MAX}, those included that are open ({self._credits})"
            raise InvalidValue("credits", request.credits, allowed)
        self._credits += request.credits
        self._changed.set()
        # Where too much waits to be settled, the client waits, too.
        said: Iterator[Settling] = itertools.chain(request.acks, request.nacks, request.extends)
        for settling in said:
            await self._unsettled.put(settling)

    async def _lease(self) -> None:
        while not self._stopping.is_set():
            if room := self._room():
                fitting = self._ports.sizes.fitting(self._start.queue, CLAIM_BYTES_MAX)
                await self._lease_up_to(min(room, fitting, CLAIM_MAX))
            else:
                self._changed.clear()
                await self._changed.wait()

    async def _lease_up_to(self, limit: int) -> None:
        def claim(asker: Asker) -> Coroutine[Any, Any, list[Delivery]]:
            return self._ports.service.claim(
                self._start.queue, limit, self._start.visibility_ms, limits.WAIT_MS_MAX, asker
            )

        try:
            deliveries = await self._ports.underway.claimed(self._ports.service, claim)
        except SqsliteError as refusal:
            if not passing(refusal):
                raise
            clock = self._ports.clock
            await clock.sleep_until(clock.now() + limits.ms(RETRY_MS))
            return
        self._credits -= len(deliveries)
        self._hold(deliveries)
        self._ports.sizes.seen(self._start.queue, deliveries)
        for part in parts(deliveries, ANSWER_BYTES_MAX):
            await self._write(pb.ConsumeResponse(deliveries=map(shapes.delivery_shown, part)))
            if self._start.keep_leases:
                for delivery in part:
                    self._held.pop(delivery.message.id, None)

    async def _settle(self) -> None:
        over = False
        while not over:
            gathered = [await self._unsettled.get()]
            while not self._unsettled.empty():
                gathered.append(self._unsettled.get_nowait())
            over = gathered[-1] is None
            # In the order in which they came, for one may be about the same message as another.
            for kind, run in itertools.groupby((said for said in gathered if said is not None), type):
                await self._settle_run(kind, list(run))

    async def _settle_run(self, kind: type[Settling], run: Sequence[Settling]) -> None:
        outcomes = await self._ports.underway.carried(_SETTLE[kind](self._ports, run))
        for said, outcome in zip(run, outcomes, strict=True):
            self._settled(said, outcome)
        self._changed.set()
        settled = [
            pb.Settled(receipt=said.receipt, result=shapes.result_shown(outcome))
            for said, outcome in zip(run, outcomes, strict=True)
        ]
        await self._write(pb.ConsumeResponse(settled=settled))

    def _settled(self, said: Settling, outcome: calls.Outcome) -> None:
        if isinstance(outcome, InvalidValue) or (isinstance(outcome, SqsliteError) and passing(outcome)):
            return
        receipt = Receipt.parse(said.receipt)
        hold = self._held.get(receipt.message_id)
        if hold is None or hold.receipt != receipt:
            return
        if isinstance(said, pb.ExtendRequest) and said.visibility_ms and isinstance(outcome, datetime):
            hold.lease_until = outcome
        else:
            del self._held[receipt.message_id]

    async def _end_in_time(self) -> None:
        """End the stream once the server is to end and the client holds nothing more, or took too long over it."""
        await self._stopping.wait()
        self._changed.set()
        clock = self._ports.clock
        until = asyncio.ensure_future(clock.sleep_until(clock.now() + limits.ms(FAREWELL_MS)))
        try:
            while self._standing() and not until.done():
                self._changed.clear()
                changed = asyncio.ensure_future(self._changed.wait())
                await asyncio.wait((until, changed), return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
        finally:
            until.cancel()
        raise Stopping("the server is stopping; consume from another node, or from this one after its restart")

    def _hold(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            assert delivery.message.lease_until is not None
            self._held[delivery.message.id] = Hold(delivery.receipt, delivery.message.lease_until)

    def _room(self) -> int:
        if len(self._held) >= HELD_MAX:
            self._standing()
        return min(self._credits, HELD_MAX - len(self._held))

    def _standing(self) -> list[Hold]:
        """What the client holds; leases that have ended are forgotten."""
        now = self._ports.clock.now()
        self._held = {number: hold for number, hold in self._held.items() if hold.lease_until > now}
        return list(self._held.values())

    async def _write(self, answer: pb.ConsumeResponse) -> None:
        # The library writes one message at a time.
        async with self._writing:
            await self._write_one(answer)
