"""Rows of the database as the domain's objects."""

from psycopg.rows import TupleRow

from sqslite.domain.messages import BodyKind, Message

_KINDS = {kind.value: kind for kind in BodyKind}


def message_from(row: TupleRow) -> Message:
    """The message in a row whose columns stand in the order that the statements give them."""
    return Message(
        id=row[0],
        body=row[1],
        body_kind=_KINDS[row[2]],
        enqueued_at=row[3],
        not_before=row[4],
        lease_until=row[5],
        delivery_count=row[6],
        max_retries=row[7],
        dlq=row[8],
        trace_id=row[9],
        last_error=row[10],
        origin_queue=row[11],
        origin_delivery_count=row[12],
    )
