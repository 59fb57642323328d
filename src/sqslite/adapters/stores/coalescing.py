"""A store that merges concurrent calls of the same kind into one: many callers share a commit."""

from collections.abc import Hashable, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import chain, islice
from typing import TypeVar

from sqslite.adapters.gathering import LANES, Gathering
from sqslite.adapters.stores.intercepted import InterceptedStore
from sqslite.domain.errors import SqsliteError
from sqslite.domain.leases import SECRET_BYTES, Acked, Lease, Receipt, Refusal
from sqslite.domain.limits import CLAIM_MAX
from sqslite.domain.messages import Accepted, Delivery, NewMessage
from sqslite.domain.ports import Claim, Expired, Extension, RequeueAt, Settlement, Store
from sqslite.domain.queues import Queue

T = TypeVar("T")
R = TypeVar("R")

# What a receipt, an extension or a settlement weighs beside the bodies of messages.
RECEIPT_WEIGHT = 100
Asked = tuple[Queue, Claim]


class CoalescingStore(InterceptedStore):
    """The Store port over another one; calls on the same queue that come while its like is under way go together.

    Claims of a FIFO queue go alone, since messages of one group must not be dealt out to several receivers, and so
    do those that may be repeated. Merged claims deal out what they got one message at a time, in the order of calls.
    """

    def __init__(self, inner: Store, lanes: int = LANES) -> None:
        super().__init__(inner)
        self._enqueues: Gathering[tuple[Queue, Sequence[NewMessage]], list[Accepted]] = Gathering(
            self._enqueue_together, lanes=lanes
        )
        self._claims: Gathering[Asked, list[Delivery]] = Gathering(
            self._claim_together, lanes=lanes, unclaimed=self._give_back
        )
        self._acks: Gathering[Sequence[Receipt], list[Acked | Refusal]] = Gathering(self._ack_together, lanes=lanes)
        self._extends: Gathering[Sequence[Extension], list[datetime | Refusal]] = Gathering(
            self._extend_together, lanes=lanes
        )
        self._settles: Gathering[Sequence[Settlement], list[bool]] = Gathering(self._settle_together, lanes=lanes)
        self._looks: Gathering[tuple[int, int | None], Expired] = Gathering(self._look_together, lanes=1)

    async def enqueue(self, queue: Queue, messages: Sequence[NewMessage]) -> list[Accepted]:
        """See Store."""
        weight = sum([len(message.body) for message in messages]) + RECEIPT_WEIGHT * len(messages)
        return await self._enqueues.call(queue.partition_id, (queue, messages), weight)

    async def claim(self, queue: Queue, claim: Claim) -> list[Delivery]:
        """See Store."""
        if queue.settings.fifo or claim.attempt_id is not None:
            return await self._inner.claim(queue, claim)
        key = (queue.partition_id, queue.settings.fair, claim.visibility_ms)
        return await self._claims.call(key, (queue, claim), RECEIPT_WEIGHT)

    async def ack(self, partition_id: int, receipts: Sequence[Receipt]) -> list[Acked | Refusal]:
        """See Store."""
        return await self._acks.call(partition_id, receipts, RECEIPT_WEIGHT * len(receipts))

    async def extend(self, partition_id: int, extensions: Sequence[Extension]) -> list[datetime | Refusal]:
        """See Store."""
        return await self._extends.call(partition_id, extensions, RECEIPT_WEIGHT * len(extensions))

    async def expired(self, limit: int, partition_id: int | None = None) -> Expired:
        """See Store; those who look at the same leases at the same time share one look."""
        return await self._looks.call((limit, partition_id), (limit, partition_id), 0)

    async def settle(self, partition_id: int, settlements: Sequence[Settlement]) -> list[bool]:
        """See Store."""
        return await self._settles.call(partition_id, settlements, RECEIPT_WEIGHT * len(settlements))

    async def _enqueue_together(
        self, _: Hashable, calls: Sequence[tuple[Queue, Sequence[NewMessage]]]
    ) -> Sequence[list[Accepted]]:
        # The latest call knows the queue's settings best.
        queue = calls[-1][0]
        return _dealt(
            [messages for _, messages in calls],
            await self._inner.enqueue(queue, _all([messages for _, messages in calls])),
        )

    async def _claim_together(self, _: Hashable, calls: Sequence[Asked]) -> Sequence[list[Delivery]]:
        queue, first = calls[-1]
        if len(calls) == 1:
            return [await self._inner.claim(queue, first)]
        limits = [claim.limit for _, claim in calls]
        limit = min(sum(limits), CLAIM_MAX)
        secrets = b"".join([claim.secrets for _, claim in calls])[: limit * SECRET_BYTES]
        claim = Claim(limit=limit, visibility_ms=first.visibility_ms, secrets=secrets)
        return _dealt_in_turn(limits, await self._inner.claim(queue, claim))

    async def _ack_together(self, key: Hashable, calls: Sequence[Sequence[Receipt]]) -> Sequence[list[Acked | Refusal]]:
        outcomes = _dealt(calls, await self._inner.ack(_partition(key), _all(calls)))
        if len(calls) == 1:
            return outcomes
        # Within one call a receipt may come twice; of several calls only the first one finds the message.
        given: set[Receipt] = set()
        for receipts, own in zip(calls, outcomes, strict=True):
            own[:] = [
                Refusal.MISSING if receipt in given else outcome for receipt, outcome in zip(receipts, own, strict=True)
            ]
            given.update(receipts)
        return outcomes

    async def _extend_together(
        self, key: Hashable, calls: Sequence[Sequence[Extension]]
    ) -> Sequence[list[datetime | Refusal]]:
        return _dealt(calls, await self._inner.extend(_partition(key), _all(calls)))

    async def _settle_together(self, key: Hashable, calls: Sequence[Sequence[Settlement]]) -> Sequence[list[bool]]:
        return _dealt(calls, await self._inner.settle(_partition(key), _all(calls)))

    async def _look_together(self, _: Hashable, calls: Sequence[tuple[int, int | None]]) -> Sequence[Expired]:
        limit, partition_id = calls[0]
        return [await self._inner.expired(limit, partition_id)] * len(calls)

    async def _give_back(self, deliveries: list[Delivery]) -> None:
        """Let others have what was leased for a caller that is gone; failing that, its lease ends by itself."""
        if deliveries:
            with suppress(SqsliteError):
                await self.settle(deliveries[0].receipt.partition_id, [_given_back(one) for one in deliveries])


def _given_back(delivery: Delivery) -> RequeueAt:
    message = delivery.message
    assert message.lease_until is not None
    lease = Lease(
        # The guard is the receipt and the end; who settles by them needs no queue.
        queue="",
        receipt=delivery.receipt,
        lease_until=message.lease_until,
        delivery_count=message.delivery_count,
        max_retries=message.max_retries,
        dlq=message.dlq,
    )
    return RequeueAt(lease, message.not_before)


def _partition(key: Hashable) -> int:
    assert isinstance(key, int)
    return key


def _all(parts: Sequence[Sequence[T]]) -> list[T]:
    return list(chain.from_iterable(parts))


def _dealt(calls: Sequence[Sequence[T]], results: Sequence[R]) -> list[list[R]]:
    """To each call its own: as many results as it has items."""
    rest = iter(results)
    return [list(islice(rest, len(items))) for items in calls]


def _dealt_in_turn(limits: Sequence[int], deliveries: Sequence[Delivery]) -> list[list[Delivery]]:
    """One to each call in turn, to none more than it asked for."""
    hands: list[list[Delivery]] = [[] for _ in limits]
    hungry = [place for place, limit in enumerate(limits) if limit]
    dealt = 0
    while hungry and dealt < len(deliveries):
        # As many rounds as the one who wants least takes part in.
        rounds = min([limits[place] - len(hands[place]) for place in hungry])
        end = dealt + rounds * len(hungry)
        for turn, place in enumerate(hungry):
            hands[place] += deliveries[dealt + turn : end : len(hungry)]
        dealt = end
        hungry = [place for place in hungry if len(hands[place]) < limits[place]]
    return hands
