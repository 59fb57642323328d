"""Faults by chance, the same for the same seed: what programs that use a queue must live with."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from sqslite.adapters.faults import Chances
from sqslite.adapters.stores.faulty import Fault, FaultyStore
from sqslite.domain.leases import Refusal
from sqslite.domain.limits import ms
from sqslite.domain.messages import Delivery
from sqslite.domain.ports import Claim, Clock, RequeueAt, Store
from sqslite.domain.queues import Queue

T = TypeVar("T")
# What clients call; the store's own upkeep is left in peace.
CALLS = frozenset({"enqueue", "claim", "ack", "ack_unproven", "extend", "held"})
ACKS = frozenset({"ack", "ack_unproven"})


class SeededFaultyStore(FaultyStore):
    """A store on which faults befall its clients' calls by chance."""

    def __init__(self, inner: Store, clock: Clock, chances: Chances) -> None:
        super().__init__(inner, iter(()))
        self._clock = clock
        self._chances = chances

    def next_fault(self, method: str) -> Fault:
        """A fault by chance; at most one befalls a call."""
        if method not in CALLS:
            return Fault.NONE
        rates = self._chances.rates
        faults = (
            (rates.refused, Fault.REFUSED),
            (rates.lost_request, Fault.UNKNOWN_UNDONE),
            (rates.lost_response, Fault.UNKNOWN_DONE),
        )
        # Each is drawn whatever the others gave, so that changing one rate does not move the others' faults.
        struck = [fault for chance, fault in faults if self._chances.strike(chance)]
        return struck[0] if struck else Fault.NONE

    async def intercept(self, method: str, call: Callable[[], Awaitable[T]]) -> T:
        """Make the call, later where it is an ack that is delayed."""
        if method in ACKS and self._chances.strike(self._chances.rates.delayed_ack):
            await self._clock.sleep_until(self._clock.now() + ms(self._chances.rates.delay_ms))
        return await super().intercept(method, call)

    async def claim(self, queue: Queue, claim: Claim) -> list[Delivery]:
        """See Store; where the delivery is to be duplicated, its messages are claimable again at once."""
        deliveries = await super().claim(queue, claim)
        if deliveries and self._chances.strike(self._chances.rates.duplicate_delivery):
            await self._end_leases(queue, deliveries)
        return deliveries

    async def _end_leases(self, queue: Queue, deliveries: Sequence[Delivery]) -> None:
        held = await self._inner.held(queue.partition_id, [delivery.receipt for delivery in deliveries])
        leases = [lease for lease in held.leases if not isinstance(lease, Refusal)]
        await self._inner.settle(queue.partition_id, [RequeueAt(lease, held.now) for lease in leases])
