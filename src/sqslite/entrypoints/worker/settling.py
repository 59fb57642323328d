"""Messages are acked and given up, those of many handlers in one call, until the server has answered for each."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from sqslite.adapters.gathering import Gathering
from sqslite.domain import retry
from sqslite.domain.errors import InvalidValue, MessageNotFound, SqsliteError, StaleReceipt
from sqslite.domain.leases import Nack, Receipt
from sqslite.domain.limits import SECOND_MS, ms
from sqslite.domain.ports import Clock, Entropy
from sqslite.domain.use_cases import Messaging
from sqslite.entrypoints.worker.observing import WorkerObserver
from sqslite.entrypoints.worker.pauses import Pauses, passes
from sqslite.entrypoints.worker.runs import Hold
from sqslite.entrypoints.worker.verdicts import Outcome, Verdict, told

T = TypeVar("T")
Refusals = list[SqsliteError | None]

# A receipt in JSON; and of an error text, which JSON may write in six bytes for each.
ENTRY_BYTES = 100
JSON_BYTES_PER_BYTE_MAX = 6
# A message that is rejected and has nowhere to go comes again, ever more slowly, for its queue may have no backoff.
NO_DLQ_BACKOFF = retry.Backoff(kind=retry.BackoffKind.EXPONENTIAL, base_ms=SECOND_MS, max_ms=3_600 * SECOND_MS)

log = logging.getLogger("sqslite.worker")


class Settling:
    """Carries verdicts out. A server that is away is asked until it answers: done work is not thrown away."""

    def __init__(self, messaging: Messaging, clock: Clock, entropy: Entropy, observer: WorkerObserver) -> None:
        self._entropy = entropy
        # An ack that finds no message, or a nack no lease, after a try whose answer was lost: that try did it.
        asking = Patience(clock, entropy, observer)
        self._acks: Asking[Receipt] = Asking("ack", messaging.ack, (MessageNotFound,), asking)
        self._nacks: Asking[Nack] = Asking("nack", messaging.nack, (StaleReceipt, MessageNotFound), asking)

    async def settle(self, holds: Sequence[Hold], verdicts: Sequence[Verdict]) -> list[Outcome]:
        """Ack messages or give them up; for each how it ended, LOST where that was no longer this worker's to say."""
        pairs = [*zip(holds, verdicts, strict=True)]
        done = [hold for hold, verdict in pairs if verdict.wish is None and verdict.outcome is not Outcome.LOST]
        failed = [(hold, verdict) for hold, verdict in pairs if verdict.wish is not None]
        acked, given_up = await asyncio.gather(
            self._acks.answered([hold.received.receipt for hold in done], ENTRY_BYTES * len(done)),
            self._give_up(failed),
        )
        refusals = dict(zip((hold.context.id for hold in done), acked, strict=True))
        refusals |= dict(zip((hold.context.id for hold, _ in failed), given_up, strict=True))
        return [self._outcome(hold, verdict, refusals.get(hold.context.id)) for hold, verdict in pairs]

    async def _give_up(self, failed: Sequence[tuple[Hold, Verdict]]) -> Refusals:
        nacks = [Nack(hold.received.receipt, verdict.wish) for hold, verdict in failed if verdict.wish is not None]
        refusals = await self._nacks.answered(nacks, sum(map(_bytes, nacks)))
        homeless = [place for place, nack in enumerate(nacks) if nack.wish.dead_letter and _no_dlq(refusals[place])]
        if homeless:
            again = [self._for_later(*failed[place]) for place in homeless]
            answers = await self._nacks.answered(again, sum(map(_bytes, again)))
            for place, answer in zip(homeless, answers, strict=True):
                refusals[place] = answer
        return refusals

    def _for_later(self, hold: Hold, verdict: Verdict) -> Nack:
        queue, message_id = hold.context.queue, hold.context.id
        log.warning("rejected without a dead-letter queue, so it comes again: queue=%s id=%s", queue, message_id)
        assert verdict.wish is not None
        pause_ms = retry.pause_ms(NO_DLQ_BACKOFF, hold.context.delivery_count, self._entropy.jitter())
        return Nack(hold.received.receipt, replace(verdict.wish, dead_letter=False, delay_ms=pause_ms))

    def _outcome(self, hold: Hold, verdict: Verdict, refusal: SqsliteError | None) -> Outcome:
        if refusal is None:
            return verdict.outcome
        log.warning("not settled: queue=%s id=%s: %s", hold.context.queue, hold.context.id, refusal)
        return Outcome.LOST


class Patience(Struct, frozen=True):
    """What it takes to wait for a server that is away."""

    clock: Clock
    entropy: Entropy
    observer: WorkerObserver


class Asking(Generic[T]):
    """One kind of call, made until each of its entries has an answer.

    `done_before` are refusals that tell a second try that the first one was carried out.
    """

    def __init__(
        self,
        name: str,
        call: Callable[[Sequence[T]], Awaitable[Refusals]],
        done_before: tuple[type[SqsliteError], ...],
        patience: Patience,
    ) -> None:
        self._name = name
        self._done_before = done_before
        self._patience = patience

        async def together(_: Hashable, lists: Sequence[Sequence[T]]) -> list[Refusals]:
            answers = iter(await call([entry for entries in lists for entry in entries]))
            return [[next(answers) for _ in entries] for entries in lists]

        # One call at a time: what ends meanwhile gathers, and calls cost more than the wait.
        self._calls: Gathering[Sequence[T], Refusals] = Gathering(together, lanes=1)

    async def answered(self, entries: Sequence[T], weight: int) -> Refusals:
        """For each entry None, or why it was refused for good."""
        results: dict[int, SqsliteError | None] = {}
        to_do, tried_before = [*range(len(entries))], False
        pauses = Pauses(self._patience.entropy)
        while to_do:
            failures: dict[int, Exception] = {}
            for place, answer in zip(to_do, await self._asked([entries[p] for p in to_do], weight), strict=True):
                if tried_before and isinstance(answer, self._done_before):
                    results[place] = None
                elif answer is not None and passes(answer):
                    failures[place] = answer
                else:
                    assert answer is None or isinstance(answer, SqsliteError)
                    results[place] = answer
            to_do, tried_before = [*failures], True
            if failures:
                await self._pause(pauses.next_ms(), failures[to_do[0]])
        return [results[place] for place in range(len(entries))]

    async def _asked(self, entries: Sequence[T], weight: int) -> Sequence[Exception | None]:
        try:
            return await self._calls.call(self._name, entries, weight)
        except Exception as error:
            return [error] * len(entries)

    async def _pause(self, pause_ms: int, failure: Exception) -> None:
        self._patience.observer.call_failed(self._name)
        log.warning("%s failed, tried again in %d ms: %s", self._name, pause_ms, told(failure))
        await self._patience.clock.sleep_until(self._patience.clock.now() + ms(pause_ms))


def _no_dlq(refusal: SqsliteError | None) -> bool:
    """Whether a message could not be dead-lettered: of a nack's wish, nothing else that a worker says is invalid."""
    return isinstance(refusal, InvalidValue)


def _bytes(nack: Nack) -> int:
    return ENTRY_BYTES + JSON_BYTES_PER_BYTE_MAX * len((nack.wish.error or "").encode())
