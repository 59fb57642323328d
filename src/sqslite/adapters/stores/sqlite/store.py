"""Messages and leases in SQLite.

A write reads the rows it is about, decides in Python which of them its caller may change, and changes
those, all in one transaction that nobody else can write beside: that is its guard.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime

import aiosqlite

from sqslite.adapters.stores.sqlite import groups
from sqslite.adapters.stores.sqlite.accepting import accept
from sqslite.adapters.stores.sqlite.claiming import Claiming
from sqslite.adapters.stores.sqlite.clearing import expire, retain, tidy
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
from sqslite.adapters.stores.sqlite.settling import settle
from sqslite.adapters.stores.statements import load_statements
from sqslite.domain.leases import Acked, Receipt, Refusal
from sqslite.domain.limits import RETENTION_CHANGE_MS, VISIBILITY_MS_MAX, ms
from sqslite.domain.messages import Accepted, Delivery, NewMessage
from sqslite.domain.ports import Claim, Clock, Expired, Extension, Held, NextDue, Settlement
from sqslite.domain.queues import Queue

_SQL = load_statements(__package__)


class SqliteStore:
    """The Store port on a SQLite file."""

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections = connections
        self._clock = clock

    async def enqueue(self, queue: Queue, messages: Sequence[NewMessage]) -> list[Accepted]:
        """Keep the messages in order."""
        if not messages:
            return []

        async def insert(writer: aiosqlite.Connection) -> list[Accepted]:
            return await accept(writer, queue, messages, self._clock.now())

        return await self._connections.write(insert)

    async def claim(self, queue: Queue, claim: Claim) -> list[Delivery]:
        """Lease what the queue's discipline has next."""

        async def lease(writer: aiosqlite.Connection) -> list[sqlite3.Row]:
            return await Claiming(writer, queue, claim, self._clock.now()).rows()

        return [Delivery(message_of(row), receipt_of(row)) for row in await self._connections.write(lease)]

    async def ack(self, partition_id: int, receipts: Sequence[Receipt]) -> list[Acked | Refusal]:
        """Delete what the receipts prove; one given twice counts twice."""
        if not receipts:
            return []

        async def delete(writer: aiosqlite.Connection) -> list[Acked | Refusal]:
            rows = await _looked_up(writer, receipts)
            proven = {row["id"]: row for row in rows if isinstance(row, sqlite3.Row)}
            if proven:
                await writer.execute_fetchall(_SQL["ack"], {"ids": stored_list(proven)})
                await groups.left(writer, [(partition_id, row["served_group"]) for row in proven.values()])
            return [row if isinstance(row, Refusal) else _acked(row) for row in rows]

        return await self._connections.write(delete)

    async def ack_unproven(self, message_ids: Sequence[int]) -> list[Acked | Refusal]:
        """Delete by bare id."""
        if not message_ids:
            return []

        async def delete(writer: aiosqlite.Connection) -> list[Acked | Refusal]:
            rows = list(await writer.execute_fetchall(_SQL["ack_unproven"], {"ids": stored_list(message_ids)}))
            await groups.left(writer, [(row["partition_id"], row["served_group"]) for row in rows])
            acked = {row["id"]: _acked(row) for row in rows}
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

    async def expire(self, limit: int) -> int:
        """Delete messages whose retention is over."""

        async def delete(writer: aiosqlite.Connection) -> int:
            return await expire(writer, stored_instant(self._clock.now()), limit)

        return await self._connections.write(delete)

    async def retain(self, limit: int) -> bool:
        """Keep messages for as long as their queue says now."""
        changed_by = stored_instant(self._clock.now() - ms(RETENTION_CHANGE_MS))
        # Nearly always there is no change, and a look tells, without the one connection that writes.
        if not await self._connections.read(_SQL["retain_due"], {"changed_by": changed_by}):
            return False

        async def go_on(writer: aiosqlite.Connection) -> bool:
            return await retain(writer, changed_by, limit)

        return await self._connections.write(go_on)

    async def tidy(self, limit: int) -> int:
        """Delete rows that mean nothing any more."""

        async def delete(writer: aiosqlite.Connection) -> int:
            return await tidy(writer, stored_instant(self._clock.now()), limit)

        return await self._connections.write(delete)

    async def settle(self, partition_id: int, settlements: Sequence[Settlement]) -> list[bool]:
        """Apply what was decided where the lease is unchanged."""
        if not settlements:
            return []

        async def apply(writer: aiosqlite.Connection) -> list[bool]:
            rows = await _looked_up(writer, [settlement.lease.receipt for settlement in settlements])
            return await settle(writer, partition_id, settlements, rows, self._clock.now())

        return await self._connections.write(apply)

    async def next_due(self) -> NextDue:
        """The earliest end of a lease."""
        ((at,),) = await self._connections.read(_SQL["next_due"], {})
        return NextDue(self._clock.now(), optional_instant_of(at))

    async def claimable(self, queues: Sequence[str]) -> list[str]:
        """Look at the first in line of each."""
        parameters = {"queues": stored_list(queues), "now": stored_instant(self._clock.now())}
        return [row["name"] for row in await self._connections.read(_SQL["claimable"], parameters)]


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


def _acked(row: sqlite3.Row) -> Acked:
    return Acked(optional_instant_of(row["claimed_at"]), row["partition_id"])
