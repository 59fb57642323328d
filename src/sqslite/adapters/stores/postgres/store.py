"""Messages and leases in PostgreSQL: each call is one statement, which is a transaction of its own."""

import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TypeVar

from psycopg.rows import TupleRow

from sqslite.adapters.stores.postgres.claim_cursor import BEGINNING, Cursor
from sqslite.adapters.stores.postgres.database import Database
from sqslite.adapters.stores.postgres.rows import message_from
from sqslite.domain.errors import OutcomeUnknown, Overloaded, SqsliteError, StoreUnavailable
from sqslite.domain.leases import SECRET_BYTES, Acked, Lease, Receipt, Refusal
from sqslite.domain.limits import MESSAGE_ID_MAX, VISIBILITY_MS_MAX
from sqslite.domain.messages import Delivery, NewMessage
from sqslite.domain.ports import Expired, Extension, Held, MoveToDlq, NextDue, RequeueAt, Settlement

Key = tuple[int, bytes]
S = TypeVar("S", RequeueAt, MoveToDlq)


class PostgresStore:
    """The store port. Calls that meet on the same messages wait for one another, or one of them is tried again."""

    def __init__(self, database: Database, cursor: Cursor) -> None:
        self._database = database
        self._cursor = cursor

    async def enqueue(self, partition_id: int, messages: Sequence[NewMessage]) -> list[int]:
        """Insert the messages in order."""
        if not messages:
            return []
        rows = await self._database.write(
            "enqueue",
            partition_id,
            [message.body for message in messages],
            [message.body_kind.value for message in messages],
            [message.delay_ms or 0 for message in messages],
            [message.max_retries for message in messages],
            [message.dlq for message in messages],
            [message.trace_id for message in messages],
        )
        return sorted(message_id for (message_id,) in rows)

    async def claim(self, partition_id: int, limit: int, visibility_ms: int, secrets: bytes) -> list[Delivery]:
        """Lease what has been ready longest, from where the last claim ended; looks again where that was too little."""
        start = self._cursor.start(partition_id)
        deliveries = await self._scan(start, partition_id, limit, visibility_ms, secrets)
        missing = limit - len(deliveries)
        if missing and start != BEGINNING and self._cursor.may_look_again(partition_id):
            rest = secrets[len(deliveries) * SECRET_BYTES :]
            try:
                deliveries += await self._scan(BEGINNING, partition_id, missing, visibility_ms, rest)
            except SqsliteError:
                # What the first look has leased is the caller's; a claim may come back short.
                if not deliveries:
                    raise
            deliveries.sort(key=_first_in_line)
        return deliveries

    async def ack(self, partition_id: int, receipts: Sequence[Receipt]) -> list[Acked | Refusal]:
        """Delete what the receipts prove; one given twice counts twice."""
        if not receipts:
            return []
        keys = sorted({_key(receipt) for receipt in receipts})
        rows = await self._database.write("ack", partition_id, *_columns(keys))
        acked = {(message_id, secret): Acked(claimed_at) for message_id, secret, claimed_at in rows}
        refused = [receipt for receipt in receipts if _key(receipt) not in acked]
        there = await self._ids_there(refused, after_change=bool(acked)) | {message_id for message_id, _ in acked}
        return [acked.get(_key(receipt)) or _refusal(receipt, there) for receipt in receipts]

    async def ack_unproven(self, message_ids: Sequence[int]) -> list[Acked | Refusal]:
        """Delete by bare id."""
        possible = sorted({message_id for message_id in message_ids if 0 < message_id <= MESSAGE_ID_MAX})
        if not possible:
            return [Refusal.MISSING for _ in message_ids]
        rows = await self._database.write("ack_unproven", possible)
        acked = {message_id: Acked(claimed_at) for message_id, claimed_at in rows}
        return [acked.get(message_id, Refusal.MISSING) for message_id in message_ids]

    async def extend(self, partition_id: int, extensions: Sequence[Extension]) -> list[datetime | Refusal]:
        """Lease until now + visibility."""
        if not extensions:
            return []
        wishes = {_key(extension.receipt): extension.visibility_ms for extension in extensions}
        keys = sorted(wishes)
        durations_ms = [wishes[key] for key in keys]
        rows = await self._database.write("extend", partition_id, *_columns(keys), durations_ms, VISIBILITY_MS_MAX)
        extended = {(message_id, secret): lease_until for message_id, secret, lease_until in rows}
        refused = [extension.receipt for extension in extensions if _key(extension.receipt) not in extended]
        where = await self._whereabouts(refused, after_change=bool(extended))
        current = {(row[1], row[3]) for row in where if row[2] == partition_id}
        there = {row[1] for row in where}
        return [
            extended.get(key) or (Refusal.TOO_LONG if key in current else _refusal(extension.receipt, there))
            for extension in extensions
            for key in [_key(extension.receipt)]
        ]

    async def held(self, partition_id: int, receipts: Sequence[Receipt]) -> Held:
        """Look leases up by receipt."""
        rows = await self._database.read("held", partition_id, sorted({receipt.message_id for receipt in receipts}))
        leases = {(lease.receipt.message_id, lease.receipt.secret): lease for lease in map(_lease_from, rows)}
        refused = [receipt for receipt in receipts if _key(receipt) not in leases]
        where = await self._database.read("whereabouts", sorted({receipt.message_id for receipt in refused}))
        there = {row[1] for row in where}
        return Held(where[0][0], [leases.get(_key(receipt)) or _refusal(receipt, there) for receipt in receipts])

    async def expired(self, limit: int, partition_id: int | None = None) -> Expired:
        """Read leases that ended."""
        if partition_id is None:
            rows = await self._database.read("expired_anywhere", limit)
        else:
            rows = await self._database.read("expired", partition_id, limit)
        leases = [_lease_from(row[1:]) for row in rows if row[1] is not None]
        leases.sort(key=lambda lease: (lease.receipt.partition_id, lease.lease_until))
        return Expired(rows[0][0], leases)

    async def settle(self, partition_id: int, settlements: Sequence[Settlement]) -> list[bool]:
        """Apply what was decided where the lease is unchanged: requeues in one statement, moves in another."""
        firsts = {_guard(settlement): settlement for settlement in reversed(settlements)}
        requeues = [settlement for settlement in firsts.values() if isinstance(settlement, RequeueAt)]
        moves = [settlement for settlement in firsts.values() if isinstance(settlement, MoveToDlq)]
        done: set[Key] = set()
        if requeues:
            rows = await self._database.write("settle_requeue", partition_id, *_settled(requeues))
            done.update((message_id, secret) for message_id, secret in rows)
        if moves:
            destinations = [move.dlq_partition_id for move in moves], [move.lease.queue for move in moves]
            try:
                rows = await self._database.write("settle_dead_letter", partition_id, *_settled(moves), *destinations)
            except (StoreUnavailable, Overloaded) as error:
                raise _in_part(error) if done else error from error
            done.update((message_id, secret) for message_id, secret in rows)
        return [
            _key(settlement.lease.receipt) in done and firsts[_guard(settlement)] is settlement
            for settlement in settlements
        ]

    async def next_due(self) -> NextDue:
        """The earliest end of a lease."""
        ((now, at),) = await self._database.read("next_due")
        return NextDue(now, at)

    async def _scan(
        self, start: datetime, partition_id: int, limit: int, visibility_ms: int, secrets: bytes
    ) -> list[Delivery]:
        started_s = time.monotonic()
        rows = await self._database.write("claim", partition_id, limit, visibility_ms, secrets, start)
        deliveries = [_delivery_from(partition_id, row) for row in rows]
        deliveries.sort(key=_first_in_line)
        last = deliveries[-1].message.not_before if deliveries else None
        self._cursor.scanned(partition_id, start, last, time.monotonic() - started_s)
        return deliveries

    async def _ids_there(self, refused: Sequence[Receipt], *, after_change: bool) -> set[int]:
        return {row[1] for row in await self._whereabouts(refused, after_change=after_change)}

    async def _whereabouts(self, refused: Sequence[Receipt], *, after_change: bool) -> list[TupleRow]:
        """Where the messages are that a write has not found; `after_change` says that it changed others."""
        if not refused:
            return []
        try:
            return await self._database.read("whereabouts", sorted({receipt.message_id for receipt in refused}))
        except (StoreUnavailable, Overloaded) as error:
            raise _in_part(error) if after_change else error from error


def _in_part(error: SqsliteError) -> OutcomeUnknown:
    """These errors say that nothing was done; here something was."""
    return OutcomeUnknown(f"the call was carried out in part only: {error}")


def _first_in_line(delivery: Delivery) -> tuple[datetime, int]:
    return delivery.message.not_before, delivery.message.id


def _key(receipt: Receipt) -> Key:
    return receipt.message_id, receipt.secret


def _columns(keys: Iterable[Key]) -> tuple[list[int], list[bytes]]:
    pairs = list(keys)
    return [message_id for message_id, _ in pairs], [secret for _, secret in pairs]


def _refusal(receipt: Receipt, there: set[int]) -> Refusal:
    return Refusal.STALE if receipt.message_id in there else Refusal.MISSING


def _guard(settlement: Settlement) -> tuple[Key, datetime]:
    return _key(settlement.lease.receipt), settlement.lease.lease_until


def _settled(settlements: Sequence[RequeueAt] | Sequence[MoveToDlq]) -> tuple[list[object], ...]:
    """The columns that both kinds of settlement have."""
    return (
        [settlement.lease.receipt.message_id for settlement in settlements],
        [settlement.lease.receipt.secret for settlement in settlements],
        [settlement.lease.lease_until for settlement in settlements],
        [settlement.not_before for settlement in settlements],
        # PostgreSQL keeps no NUL in a text.
        [
            settlement.error and settlement.error.replace("\0", "\N{REPLACEMENT CHARACTER}")
            for settlement in settlements
        ],
    )


def _delivery_from(partition_id: int, row: TupleRow) -> Delivery:
    message = message_from(row[1:])
    return Delivery(message, Receipt(partition_id, message.id, message.delivery_count, row[0]))


def _lease_from(row: TupleRow) -> Lease:
    partition_id, queue, message_id, secret, lease_until, delivery_count, max_retries, dlq = row
    return Lease(
        queue=queue,
        receipt=Receipt(partition_id, message_id, delivery_count, secret),
        lease_until=lease_until,
        delivery_count=delivery_count,
        max_retries=max_retries,
        dlq=dlq,
    )
