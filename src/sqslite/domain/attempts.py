"""Claims that are tried again, by the attempt_id of one whose answer was lost."""

from collections.abc import Sequence

from msgspec.structs import replace

from sqslite.domain.leases import Refusal
from sqslite.domain.messages import Delivery
from sqslite.domain.ports import Claim, Extension, Store
from sqslite.domain.queues import Queue


def repeated(claim: Claim, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
    """Those of the claim's deliveries that an earlier claim with its attempt_id leased: all of them, or none."""
    if claim.attempt_id is None:
        return ()
    # Those of an earlier claim have other secrets than this one offered.
    return [delivery for delivery in deliveries if delivery.receipt.secret not in claim.secrets]


async def held_anew(store: Store, queue: Queue, claim: Claim, deliveries: Sequence[Delivery]) -> list[Delivery]:
    """Those of them that stand still, leased for the claim's visibility from now.

    So whoever lost the first answer has the whole time for its work. Source: SQS API reference, ReceiveMessage: a retry
    resets the visibility timeout. A lease that would end over 12 hours after its claim stays as it is.
    """
    extensions = [Extension(delivery.receipt, claim.visibility_ms) for delivery in deliveries]
    outcomes = await store.extend(queue.partition_id, extensions)
    return [
        delivery
        if isinstance(outcome, Refusal)
        else Delivery(replace(delivery.message, lease_until=outcome), delivery.receipt)
        for delivery, outcome in zip(deliveries, outcomes, strict=True)
        if outcome not in (Refusal.MISSING, Refusal.STALE)
    ]
