"""Messages are acked and given up, those of many handlers in one call, until the server has answered for each."""

import logging
from collections.abc import Hashable, Sequence
from typing import Any

from msgspec.structs import replace

from sqslite.adapters.gathering import Gathering
from sqslite.domain import retry
from sqslite.domain.errors import InvalidValue, MessageNotFound, SqsliteError, StaleReceipt
from sqslite.domain.leases import Receipt
from sqslite.domain.limits import SECOND_MS, ms
from sqslite.domain.ports import Clock, Entropy
from sqslite.domain.service import Nack
from sqslite.domain.use_cases import Messaging
from sqslite.entrypoints.worker.observing import WorkerObserver
from sqslite.entrypoints.worker.pauses import Pauses, passes
from sqslite.entrypoints.worker.runs import Hold
from sqslite.entrypoints.worker.verdicts import Outcome, Verdict

# JSON may write a byte of an error text in six.
JSON_BYTES_PER_BYTE_MAX = 6

# A message that is rejected and has nowhere to go comes again, ever more slowly, for its queue may have no backoff.
NO_DLQ_BACKOFF = retry.Backoff(kind=retry.BackoffKind.EXPONENTIAL, base_ms=SECOND_MS, max_ms=3_600 * SECOND_MS)
# How a call is refused where an earlier try did it and its answer was lost.
DONE_BEFORE: dict[str, tuple[type[SqsliteError], ...]] = {
    "ack": (MessageNotFound,),
    "nack": (StaleReceipt, MessageNotFound),
}

log = logging.getLogger("sqslite.worker")


class Settling:
    """Carries verdicts out."""

    def __init__(self, messaging: Messaging, clock: Clock, entropy: Entropy, observer: WorkerObserver) -> None:
        self._clock = clock
        self._entropy = entropy
        self._observer = observer

        async def ack(_: Hashable, receipts: Sequence[Receipt]) -> list[SqsliteError | None]:
            return await messaging.ack(receipts)

        async def nack(_: Hashable, nacks: Sequence[Nack]) -> list[SqsliteError | None]:
            return await messaging.nack(nacks)

        # One call of a kind at a time: what ends meanwhile gathers, and calls cost more than the wait.
        self._acks: Gathering[Receipt, SqsliteError | None] = Gathering(ack, lanes=1)
        self._nacks: Gathering[Nack, SqsliteError | None] = Gathering(nack, lanes=1)

    async def settle(self, hold: Hold, verdict: Verdict) -> Outcome:
        """Ack the message or give it up; LOST where that was no longer this worker's to say.

        A server that is away is asked again until it answers: work that is done is not thrown away.
        """
        receipt = hold.received.receipt
        if verdict.outcome is Outcome.LOST:
            return Outcome.LOST
        if verdict.wish is None:
            refusal = await self._answered("ack", self._acks, receipt, weight=1)
        else:
            weight = 1 + JSON_BYTES_PER_BYTE_MAX * len((verdict.wish.error or "").encode())
            refusal = await self._answered("nack", self._nacks, Nack(receipt, verdict.wish), weight)
            if isinstance(refusal, InvalidValue) and verdict.wish.dead_letter:
                log.warning(
                    "rejected without a dead-letter queue, so it is delivered again: queue=%s id=%s",
                    hold.context.queue,
                    hold.context.id,
                )
                pause_ms = retry.pause_ms(NO_DLQ_BACKOFF, hold.context.delivery_count, self._entropy.jitter())
                wish = replace(verdict.wish, dead_letter=False, delay_ms=pause_ms)
                refusal = await self._answered("nack", self._nacks, Nack(receipt, wish), weight)
        if refusal is None:
            return verdict.outcome
        log.warning("not settled: queue=%s id=%s: %s", hold.context.queue, hold.context.id, refusal)
        return Outcome.LOST

    async def _answered(
        self, name: str, calls: Gathering[Any, SqsliteError | None], asked: object, weight: int
    ) -> SqsliteError | None:
        pauses = Pauses(self._clock, self._entropy)
        tried_before = False
        while True:
            error: Exception | None
            try:
                error = await calls.call(name, asked, weight)
            except Exception as raised:
                error = raised
            if tried_before and isinstance(error, DONE_BEFORE[name]):
                return None
            if error is None or (isinstance(error, SqsliteError) and not passes(error)):
                return error
            tried_before = True
            self._observer.call_failed(name)
            pause_ms = pauses.next_ms()
            log.warning("%s failed, tried again in %d ms: %s", name, pause_ms, error or repr(error))
            await self._clock.sleep_until(self._clock.now() + ms(pause_ms))
