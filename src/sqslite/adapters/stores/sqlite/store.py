"""Messages and leases in SQLite.

A write reads the rows it is about, decides in Python which of them its caller may change, and changes
those, all in one transaction that nobody else can write beside: that is its guard.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime

import aiosqlite

from sqslite.adapters.stores.sqlite.connections import Connections
from sqslite.adapters.stores.sqlite.rows import (
    instant_of,
    lease_of,
    message_of,
    optional_instant_of,
    receipt_of,
    stored_instant,
    stored_list,
)
from sqslite.adapters.stores.statements import load_statements
from sqslite.domain.leases import SECRET_BYTES, Acked, Receipt, Refusal
from sqslite.domain.limits import VISIBILITY_MS_MAX, ms
from sqslite.domain.messages import Delivery, NewMessage
from sqslite.domain.ports import Clock, Expired, Extension, Held, MoveToDlq, NextDue, Settlement

_SQL = load_statements(__package__)


class SqliteStore:
    """The Store port on a SQLite file."""

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections = connections
        self._clock = clock

    async def enqueue(self, partition_id: int, messages: Sequence[NewMessage]) -> list[int]:
        """Keep the messages in order."""
        if not messages:
            return []

        async def insert(writer: aiosqlite.Connection) -> list[int]:
            now = self._clock.now()
            await writer.executemany(_SQL["enqueue"], [_new_row(partition_id, message, now) for message in messages])
            ((last_id,),) = await writer.execute_fetchall(_SQL["enqueue_last_id"])
            # AUTOINCREMENT counts on by one, and nobody else writes before the commit.
            return list(range(last_id - len(messages) + 1, last_id + 1))

        return await self._connections.write(insert)

    async def claim(self, partition_id: int, limit: int, visibility_ms: int, secrets: bytes) -> list[Delivery]:
        """Lease what has been ready longest."""

        async def lease(writer: aiosqlite.Connection) -> Iterable[sqlite3.Row]:
            now = self._clock.now()
            parameters = {
                "partition_id": partition_id,
                "limit": limit,
                "now": stored_instant(now),
                "lease_until": stored_instant(now + ms(visibility_ms)),
                "secrets": secrets,
                "secret_bytes": SECRET_BYTES,
            }
            return await writer.execute_fetchall(_SQL["claim"], parameters)

        rows = await self._connections.write(lease)
        # RETURNING promises no order.
        oldest_first = sorted(rows, key=lambda row: (row["not_before"], row["id"]))
        return [Delivery(message_of(row), receipt_of(row)) for row in oldest_first]

    async def ack(self, partition_id: int, receipts: Sequence[Receipt]) -> list[Acked | Refusal]:
        """Delete what the receipts prove; one given twice counts twice."""
        if not receipts:
            return []

        async def delete(writer: aiosqlite.Connection) -> list[Acked | Refusal]:
            rows = await _looked_up(writer, receipts)
            proven = {row["id"] for row in rows if isinstance(row, sqlite3.Row)}
            if proven:
                await writer.execute_fetchall(_SQL["ack"], {"ids": stored_list(proven)})
            return [row if isinstance(row, Refusal) else Acked(optional_instant_of(row["claimed_at"])) for row in rows]

        return await self._connections.write(delete)

    async def ack_unproven(self, message_ids: Sequence[int]) -> list[Acked | Refusal]:
        """Delete by bare id."""
        if not message_ids:
            return []

        async def delete(writer: aiosqlite.Connection) -> list[Acked | Refusal]:
            rows = await writer.execute_fetchall(_SQL["ack"], {"ids": stored_list(message_ids)})
            acked = {row["id"]: Acked(optional_instant_of(row["claimed_at"])) for row in rows}
            return [acked.get(message_id, Refusal.MISSING) for message_id in message_ids]

        return await self._connections.write(delete)

    async def extend(self, partition_id: int, extensions: Sequence[Extension]) -> list[datetime | Refusal]:
        """Lease until now + visibility."""
        if not extensions:
            return []

        async def lease(writer: aiosqlite.Connection) -> list[datetime | Refusal]:
            now = self._clock.now()
            rows = await _looked_up(writer, [extension.receipt for extension in extensions])
            outcomes = [
                row if isinstance(row, Refusal) else _lease_end(row, now, extension.visibility_ms)
                for row, extension in zip(rows, extensions, strict=True)
            ]
            changes = [
                {"id": extension.receipt.message_id, "lease_until": stored_instant(outcome)}
                for extension, outcome in zip(extensions, outcomes, strict=True)
                if not isinstance(outcome, Refusal)
            ]
            await writer.executemany(_SQL["extend"], changes)
            return outcomes

        return await self._connections.write(lease)

    async def held(self, partition_id: int, receipts: Sequence[Receipt]) -> Held:
        """Look leases up by receipt."""
        ids = stored_list(receipt.message_id for receipt in receipts)
        rows = _matched(await self._connections.read(_SQL["held"], {"ids": ids}), receipts)
        leases = [
            row if isinstance(row, Refusal) else Refusal.STALE if row["lease_until"] is None else lease_of(row)
            for row in rows
        ]
        return Held(self._clock.now(), leases)

    async def expired(self, limit: int, partition_id: int | None = None) -> Expired:
        """Read leases that ended."""
        now = self._clock.now()
        statement = _SQL["expired" if partition_id is None else "expired_in_partition"]
        parameters = {"now": stored_instant(now), "limit": limit, "partition_id": partition_id}
        return Expired(now, [lease_of(row) for row in await self._connections.read(statement, parameters)])

    async def settle(self, partition_id: int, settlements: Sequence[Settlement]) -> list[bool]:
        """Apply what was decided where the lease is unchanged."""
        if not settlements:
            return []

        async def apply(writer: aiosqlite.Connection) -> list[bool]:
            rows = await _looked_up(writer, [settlement.lease.receipt for settlement in settlements])
            unchanged: dict[int, Settlement] = {}
            applied: list[bool] = []
            for settlement, row in zip(settlements, rows, strict=True):
                applies = not isinstance(row, Refusal) and row["id"] not in unchanged and _is_unchanged(row, settlement)
                applied.append(applies)
                if applies:
                    unchanged[settlement.lease.receipt.message_id] = settlement
            moves = [_move(s) for s in unchanged.values() if isinstance(s, MoveToDlq)]
            requeues = [_requeue(s) for s in unchanged.values() if not isinstance(s, MoveToDlq)]
            await writer.executemany(_SQL["settle_move"], moves)
            await writer.executemany(_SQL["settle_requeue"], requeues)
            return applied

        return await self._connections.write(apply)

    async def next_due(self) -> NextDue:
        """The earliest end of a lease."""
        ((at,),) = await self._connections.read(_SQL["next_due"], {})
        return NextDue(self._clock.now(), optional_instant_of(at))


async def _looked_up(writer: aiosqlite.Connection, receipts: Sequence[Receipt]) -> list[sqlite3.Row | Refusal]:
    ids = stored_list(receipt.message_id for receipt in receipts)
    return _matched(await writer.execute_fetchall(_SQL["held"], {"ids": ids}), receipts)


def _matched(rows: Iterable[sqlite3.Row], receipts: Sequence[Receipt]) -> list[sqlite3.Row | Refusal]:
    """The row that each receipt is current for, in the order of the receipts."""
    by_id = {row["id"]: row for row in rows}
    return [_proven(by_id.get(receipt.message_id), receipt) for receipt in receipts]


def _proven(row: sqlite3.Row | None, receipt: Receipt) -> sqlite3.Row | Refusal:
    if row is None:
        return Refusal.MISSING
    current = row["partition_id"] == receipt.partition_id and row["receipt_secret"] == receipt.secret
    return row if current else Refusal.STALE


def _lease_end(row: sqlite3.Row, now: datetime, visibility_ms: int) -> datetime | Refusal:
    until = now + ms(visibility_ms)
    return Refusal.TOO_LONG if until > instant_of(row["claimed_at"]) + ms(VISIBILITY_MS_MAX) else until


def _is_unchanged(row: sqlite3.Row, settlement: Settlement) -> bool:
    return optional_instant_of(row["lease_until"]) == settlement.lease.lease_until


def _new_row(partition_id: int, message: NewMessage, now: datetime) -> dict[str, object]:
    return {
        "partition_id": partition_id,
        "body": message.body,
        "body_kind": message.body_kind.value,
        "enqueued_at": stored_instant(now),
        "not_before": stored_instant(now + ms(message.delay_ms or 0)),
        "max_retries": message.max_retries,
        "dlq": message.dlq,
        "trace_id": message.trace_id,
    }


def _requeue(settlement: Settlement) -> dict[str, object]:
    return {
        "id": settlement.lease.receipt.message_id,
        "not_before": stored_instant(settlement.not_before),
        "error": settlement.error,
    }


def _move(move: MoveToDlq) -> dict[str, object]:
    return {**_requeue(move), "dlq_partition_id": move.dlq_partition_id, "queue": move.lease.queue}
