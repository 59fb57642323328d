"""A message as the memory store keeps it."""

from datetime import datetime

from msgspec import Struct

from sqslite.domain.leases import Lease, Receipt
from sqslite.domain.lifecycle import State
from sqslite.domain.messages import Message, NewMessage
from sqslite.domain.ports import Blocker


class Row(Struct, kw_only=True):
    """A message; `stands_in` is the state it is counted in, `grouped` whether its queue serves it by its group."""

    id: int
    partition_id: int
    content: NewMessage
    enqueued_at: datetime
    not_before: datetime
    expires_at: datetime | None
    dlq: str | None
    lease_until: datetime | None = None
    claimed_at: datetime | None = None
    first_claimed_at: datetime | None = None
    delivery_count: int = 0
    deliveries_before: int = 0
    secret: bytes | None = None
    attempt_id: str | None = None
    last_error: str | None = None
    origin_queue: str | None = None
    origin_delivery_count: int | None = None
    stands_in: State = State.NONE
    grouped: bool = False

    @property
    def group(self) -> str:
        """The group; messages in none are one group."""
        return self.content.group_id or ""

    def current(self, receipt: Receipt) -> bool:
        """Whether the receipt is the one of the latest delivery."""
        return self.partition_id == receipt.partition_id and self.secret == receipt.secret

    def kept(self, now: datetime) -> bool:
        """Whether its retention is not over."""
        return self.expires_at is None or self.expires_at > now

    def receipt(self) -> Receipt:
        """The current receipt."""
        assert self.secret is not None
        return Receipt(self.partition_id, self.id, self.delivery_count, self.secret)

    def lease(self, queue: str) -> Lease:
        """The lease it is under."""
        assert self.lease_until is not None
        return Lease(
            queue=queue,
            receipt=self.receipt(),
            lease_until=self.lease_until,
            delivery_count=self.delivery_count,
            max_retries=self.content.max_retries,
            dlq=self.dlq,
            expires_at=self.expires_at,
        )

    def blocker(self) -> Blocker:
        """As those that wait for it see it."""
        return Blocker(id=self.id, not_before=self.not_before, lease_until=self.lease_until, expires_at=self.expires_at)

    def message(self) -> Message:
        """As the domain sees it."""
        return Message(
            id=self.id,
            body=self.content.body,
            body_kind=self.content.body_kind,
            attributes=self.content.attributes,
            enqueued_at=self.enqueued_at,
            not_before=self.not_before,
            first_claimed_at=self.first_claimed_at,
            lease_until=self.lease_until,
            expires_at=self.expires_at,
            delivery_count=self.delivery_count,
            deliveries_before=self.deliveries_before,
            max_retries=self.content.max_retries,
            dlq=self.dlq,
            trace_id=self.content.trace_id,
            group_id=self.content.group_id,
            dedup_id=self.content.dedup_id,
            last_error=self.last_error,
            origin_queue=self.origin_queue,
            origin_delivery_count=self.origin_delivery_count,
        )
