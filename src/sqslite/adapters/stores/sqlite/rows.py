"""How values look in SQLite: instants are whole microseconds since the Unix epoch, lists are JSON."""

import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import msgspec

from sqslite.domain.leases import Lease, Receipt
from sqslite.domain.messages import BodyKind, Message
from sqslite.domain.ports import Position
from sqslite.domain.queues import Queue, QueueSettings
from sqslite.domain.redrive import Redrive, RedriveState

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
BEFORE_ALL = Position(datetime.min.replace(tzinfo=UTC), -1)


def stored_instant(instant: datetime) -> int:
    """The instant as a column holds it."""
    return (instant - _EPOCH) // _MICROSECOND


def instant_of(stored: int) -> datetime:
    """The instant that a column holds, aware, UTC."""
    return _EPOCH + timedelta(microseconds=stored)


def optional_instant_of(stored: int | None) -> datetime | None:
    """The instant that a column holds, None where it holds none."""
    return None if stored is None else instant_of(stored)


def stored_list(items: Iterable[int | str]) -> str:
    """Integers or texts as one parameter for json_each, so that no batch meets SQLite's limit of parameters."""
    return msgspec.json.encode(list(items)).decode()


def stored_position(after: Position) -> dict[str, int]:
    """The parameters of a statement that reads on behind a position."""
    return {"after_at": stored_instant(after.at), "after_id": after.id}


def message_of(row: sqlite3.Row) -> Message:
    """The message of a row."""
    return Message(
        id=row["id"],
        body=row["body"],
        body_kind=BodyKind(row["body_kind"]),
        attributes=msgspec.json.decode(row["attributes"], type=dict[str, str]) if row["attributes"] else {},
        enqueued_at=instant_of(row["enqueued_at"]),
        not_before=instant_of(row["not_before"]),
        first_claimed_at=optional_instant_of(row["first_claimed_at"]),
        lease_until=optional_instant_of(row["lease_until"]),
        expires_at=optional_instant_of(row["expires_at"]),
        delivery_count=row["delivery_count"],
        deliveries_before=row["deliveries_before"],
        max_retries=row["max_retries"],
        dlq=row["dlq"],
        trace_id=row["trace_id"],
        group_id=row["group_id"] or None,
        dedup_id=row["dedup_id"],
        last_error=row["last_error"],
        origin_queue=row["origin_queue"],
        origin_delivery_count=row["origin_delivery_count"],
    )


def receipt_of(row: sqlite3.Row) -> Receipt:
    """The current receipt of a row that was claimed."""
    return Receipt(row["partition_id"], row["id"], row["delivery_count"], row["receipt_secret"])


def lease_of(row: sqlite3.Row) -> Lease:
    """The lease of a row that is leased."""
    return Lease(
        queue=row["queue"],
        receipt=receipt_of(row),
        lease_until=instant_of(row["lease_until"]),
        delivery_count=row["delivery_count"],
        max_retries=row["max_retries"],
        dlq=row["dlq"],
        expires_at=optional_instant_of(row["expires_at"]),
    )


def queue_of(row: sqlite3.Row) -> Queue:
    """The queue of a row."""
    settings = msgspec.json.decode(row["settings"], type=QueueSettings)
    created_at = instant_of(row["created_at"])
    return Queue(
        name=row["name"],
        partition_id=row["partition_id"],
        settings=settings,
        paused=bool(row["paused"]),
        created_at=created_at,
        changed_at=optional_instant_of(row["changed_at"]) or created_at,
        purged_at=optional_instant_of(row["purged_at"]),
    )


def redrive_of(row: sqlite3.Row) -> Redrive:
    """The redrive task of a row."""
    return Redrive(
        id=row["id"],
        queue=row["queue"],
        partition_id=row["partition_id"],
        to=row["destination"],
        max_per_second=row["max_per_second"],
        limit=row["count_max"],
        state=RedriveState(row["state"]),
        moved=row["moved"],
        created_at=instant_of(row["created_at"]),
        ended_at=optional_instant_of(row["ended_at"]),
        position_at=optional_instant_of(row["position_at"]),
        position_id=row["position_id"],
        taken=row["taken"],
        to_move=row["to_move"],
    )
