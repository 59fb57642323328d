"""Rows of the database as the domain's objects."""

import msgspec
from psycopg.rows import TupleRow

from sqslite.domain.leases import Lease, Receipt
from sqslite.domain.messages import BodyKind, Delivery, Message
from sqslite.domain.queues import Queue, QueueSettings
from sqslite.domain.redrive import Redrive, RedriveState

MESSAGE_COLUMNS = (
    "id, body, body_kind, attributes, enqueued_at, not_before, lease_until, expires_at, delivery_count, "
    "deliveries_before, max_retries, dlq, trace_id, group_id, last_error, origin_queue, origin_delivery_count, "
    "group_label, dedup_id, first_claimed_at, claimed_at"
)
QUEUE_COLUMNS = "name, partition_id, settings::text, paused, created_at, changed_at, purged_at"
REDRIVE_COLUMNS = (
    "id, queue, partition_id, destination, max_per_second, count_max, state, moved, created_at, ended_at, "
    "position_at, position_id, taken, to_move"
)

_KINDS = {kind.value: kind for kind in BodyKind}
_attributes = msgspec.json.Decoder(dict[str, str]).decode
_settings = msgspec.json.Decoder(QueueSettings).decode


def message_from(row: TupleRow) -> Message:
    """The message in a row of MESSAGE_COLUMNS."""
    return Message(
        id=row[0],
        body=row[1],
        body_kind=_KINDS[row[2]],
        attributes=_attributes(row[3]) if row[3] else {},
        enqueued_at=row[4],
        not_before=row[5],
        first_claimed_at=row[19] or row[20],
        lease_until=row[6],
        expires_at=row[7],
        delivery_count=row[8],
        deliveries_before=row[9],
        max_retries=row[10],
        dlq=row[11],
        trace_id=row[12],
        group_id=row[13] or row[17],
        dedup_id=row[18],
        last_error=row[14],
        origin_queue=row[15],
        origin_delivery_count=row[16],
    )


def delivery_from(partition_id: int, row: TupleRow) -> Delivery:
    """The delivery in a row of MESSAGE_COLUMNS and the receipt's secret."""
    return Delivery(message_from(row), Receipt(partition_id, row[0], row[8], row[-1]))


def lease_from(row: TupleRow) -> Lease:
    """The lease in a row, whose columns stand in the order that the statements give them."""
    partition_id, queue, message_id, secret, lease_until, delivery_count, max_retries, dlq, expires_at = row
    return Lease(
        queue=queue,
        receipt=Receipt(partition_id, message_id, delivery_count, secret),
        lease_until=lease_until,
        delivery_count=delivery_count,
        max_retries=max_retries,
        dlq=dlq,
        expires_at=expires_at,
    )


def queue_from(row: TupleRow) -> Queue:
    """The queue in a row of QUEUE_COLUMNS."""
    name, partition_id, settings, paused, created_at, changed_at, purged_at = row
    return Queue(
        name=name,
        partition_id=partition_id,
        settings=_settings(settings),
        paused=paused,
        created_at=created_at,
        changed_at=changed_at or created_at,
        purged_at=purged_at,
    )


def redrive_from(row: TupleRow) -> Redrive:
    """The redrive task in a row of REDRIVE_COLUMNS."""
    return Redrive(
        id=row[0],
        queue=row[1],
        partition_id=row[2],
        to=row[3],
        max_per_second=row[4],
        limit=row[5],
        state=RedriveState(row[6]),
        moved=row[7],
        created_at=row[8],
        ended_at=row[9],
        position_at=row[10],
        position_id=row[11],
        taken=row[12],
        to_move=row[13],
    )
