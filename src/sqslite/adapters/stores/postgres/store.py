"""Messages and leases in PostgreSQL: a call on the hot path is one statement, which is a transaction of its own."""

from collections.abc import Sequence, Set
from datetime import datetime

from psycopg.rows import TupleRow

from sqslite.adapters.stores.postgres import errors
from sqslite.adapters.stores.postgres.claim_cursor import Cursor
from sqslite.adapters.stores.postgres.claiming import Claiming
from sqslite.adapters.stores.postgres.database import Database, Statements
from sqslite.adapters.stores.postgres.enqueuing import enqueue
from sqslite.adapters.stores.postgres.retaining import retain
from sqslite.adapters.stores.postgres.rows import lease_from
from sqslite.adapters.stores.postgres.settling import settle
from sqslite.adapters.stores.postgres.tidying import tidy
from sqslite.domain.leases import SECRET_BYTES, Acked, Receipt, Refusal
from sqslite.domain.limits import MESSAGE_ID_MAX, VISIBILITY_MS_MAX
from sqslite.domain.messages import Accepted, Delivery, NewMessage
from sqslite.domain.ports import Claim, Expired, Extension, Held, NextDue, Settlement
from sqslite.domain.queues import Queue

PARTITIONS_MAX = 10_000
Key = tuple[int, bytes]


class PostgresStore:
    """The store port. Calls that meet on the same messages wait for one another, or one of them is tried again."""

    def __init__(self, database: Database, cursor: Cursor) -> None:
        self._database = database
        self._claiming = Claiming(database, cursor)
        self._partitions_in_groups: set[int] = set()

    async def enqueue(self, queue: Queue, messages: Sequence[NewMessage]) -> list[Accepted]:
        """Insert the messages in order."""
        self._note_groups(queue)
        return await enqueue(self._database, queue, messages)

    async def claim(self, queue: Queue, claim: Claim) -> list[Delivery]:
        """Lease what comes next."""
        self._note_groups(queue)
        return await self._claiming.claim(queue, claim)

    async def ack(self, partition_id: int, receipts: Sequence[Receipt]) -> list[Acked | Refusal]:
        """Delete what the receipts prove; one given twice counts twice."""
        if not receipts:
            return []
        keys = [(receipt.message_id, receipt.secret) for receipt in receipts]
        wanted = set(keys)
        in_groups = partition_id in self._partitions_in_groups
        acked = await self._acked(partition_id, await self._uncontested(wanted), in_groups=in_groups)
        where = await self._whereabouts(_ids(wanted - acked.keys()), after_change=bool(acked))
        left = {(row[1], row[3]) for row in where if row[4] and row[2] == partition_id} & wanted
        if left and not in_groups:
            self._partitions_in_groups.add(partition_id)
            with errors.further(after_change=bool(acked)):
                acked |= await self._acked(partition_id, dict(left), in_groups=True)
        there = {row[1] for row in where} | _ids(acked.keys())
        return [acked.get(key) or _refusal(receipt, there) for key, receipt in zip(keys, receipts, strict=True)]

    async def ack_unproven(self, message_ids: Sequence[int]) -> list[Acked | Refusal]:
        """Delete by bare id."""
        possible = sorted({message_id for message_id in message_ids if 0 < message_id <= MESSAGE_ID_MAX})
        if not possible:
            return [Refusal.MISSING for _ in message_ids]
        rows = await self._database.write("ack_unproven", possible)
        acked = {message_id: Acked(claimed_at, partition_id) for message_id, claimed_at, partition_id in rows}
        return [acked.get(message_id, Refusal.MISSING) for message_id in message_ids]

    async def extend(self, partition_id: int, extensions: Sequence[Extension]) -> list[datetime | Refusal]:
        """Lease until now + visibility."""
        if not extensions:
            return []
        wishes = {_key(extension.receipt): extension.visibility_ms for extension in extensions}
        secrets = await self._uncontested(wishes.keys())
        proven = {key: wishes[key] for key in secrets.items()}
        extended = await self._extended(self._database, partition_id, proven, in_groups=False)
        where = await self._whereabouts(_ids(wishes.keys() - extended.keys()), after_change=bool(extended))
        in_groups = {(row[1], row[3]) for row in where if row[4] and row[2] == partition_id} & wishes.keys()
        if in_groups:
            extended |= await self._extended_in_groups(
                partition_id, {key: wishes[key] for key in in_groups}, after_change=bool(extended)
            )
            where = await self._whereabouts(_ids(wishes.keys() - extended.keys()), after_change=bool(extended))
        current = {(row[1], row[3]) for row in where if row[2] == partition_id}
        there = {row[1] for row in where} | _ids(extended.keys())
        return [
            extended.get(key) or (Refusal.TOO_LONG if key in current else _refusal(extension.receipt, there))
            for extension in extensions
            for key in [_key(extension.receipt)]
        ]

    async def held(self, partition_id: int, receipts: Sequence[Receipt]) -> Held:
        """Look leases up by receipt."""
        rows = await self._database.read("held", partition_id, sorted({receipt.message_id for receipt in receipts}))
        leases = {(lease.receipt.message_id, lease.receipt.secret): lease for lease in map(lease_from, rows)}
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
        leases = [lease_from(row[1:]) for row in rows if row[1] is not None]
        leases.sort(key=lambda lease: (lease.receipt.partition_id, lease.lease_until))
        return Expired(rows[0][0], leases)

    async def expire(self, limit: int) -> int:
        """Delete those whose retention ended first."""
        ((count,),) = await self._database.write("expire", limit)
        return int(count)

    async def retain(self, limit: int) -> bool:
        """Keep messages for as long as their queue says now."""
        return await retain(self._database, limit)

    async def tidy(self, limit: int) -> int:
        """Delete what dropped partitions have left, and what deduplication need not remember."""
        return await tidy(self._database, limit)

    async def settle(self, partition_id: int, settlements: Sequence[Settlement]) -> list[bool]:
        """Apply what was decided where the lease is unchanged."""
        return await settle(self._database, partition_id, settlements)

    async def next_due(self) -> NextDue:
        """The earliest end of a lease."""
        ((now, at),) = await self._database.read("next_due")
        return NextDue(now, at)

    async def claimable(self, queues: Sequence[str]) -> list[str]:
        """Look at the first in line of each."""
        return [name for (name,) in await self._database.read("claimable", list(queues))]

    async def _extended(
        self, statements: Statements, partition_id: int, wishes: dict[Key, int], *, in_groups: bool
    ) -> dict[Key, datetime]:
        ids, secrets = _proofs(dict(wishes.keys()))
        durations_ms = [wishes[key] for key in zip(ids, secrets, strict=True)]
        rows = await statements.write(
            "extend", partition_id, ids, b"".join(secrets), durations_ms, VISIBILITY_MS_MAX, in_groups
        )
        return {(message_id, secret): lease_until for message_id, secret, lease_until in rows}

    async def _extended_in_groups(
        self, partition_id: int, wishes: dict[Key, int], *, after_change: bool
    ) -> dict[Key, datetime]:
        """Lease anew what was settled, under the locks of the groups: no claim of theirs runs meanwhile."""

        async def under_locks(statements: Statements) -> dict[Key, datetime]:
            await statements.write("extend_groups", partition_id, [message_id for message_id, _ in wishes])
            return await self._extended(statements, partition_id, wishes, in_groups=True)

        with errors.further(after_change=after_change):
            return await self._database.transact(under_locks)

    async def _uncontested(self, wanted: Set[Key]) -> dict[int, bytes]:
        """One secret for each message: of several, the one that is current, if any is."""
        secrets = dict(wanted)
        if len(secrets) < len(wanted):
            several = {message_id for message_id, secret in wanted if secrets[message_id] != secret}
            where = await self._whereabouts(several, after_change=False)
            secrets.update({(row[1], row[3]) for row in where} & wanted)
        return secrets

    async def _acked(self, partition_id: int, secrets: dict[int, bytes], *, in_groups: bool) -> dict[Key, Acked]:
        statement = "ack_in_groups" if in_groups else "ack"
        ids, proofs = _proofs(secrets)
        rows = await self._database.write(statement, partition_id, ids, b"".join(proofs))
        return {(message_id, secrets[message_id]): Acked(claimed_at, partition_id) for message_id, claimed_at in rows}

    def _note_groups(self, queue: Queue) -> None:
        """Remember that acks in this partition have groups to wake, so that the first statement does."""
        if queue.settings.discipline.grouped:
            if len(self._partitions_in_groups) >= PARTITIONS_MAX:
                self._partitions_in_groups.clear()
            self._partitions_in_groups.add(queue.partition_id)

    async def _whereabouts(self, message_ids: set[int], *, after_change: bool) -> list[TupleRow]:
        """Where the messages are that a write has not found; `after_change` says that it changed others."""
        if not message_ids:
            return []
        with errors.further(after_change=after_change):
            return await self._database.read("whereabouts", sorted(message_ids))


def _ids(keys: Set[Key]) -> set[int]:
    return {message_id for message_id, _ in keys}


def _key(receipt: Receipt) -> Key:
    return receipt.message_id, receipt.secret


def _proofs(secrets: dict[int, bytes]) -> tuple[list[int], list[bytes]]:
    """The ids as statements want them, ascending, and the secret of each."""
    # One of another length would shift those behind it, and proves nothing.
    ids = sorted([message_id for message_id, secret in secrets.items() if len(secret) == SECRET_BYTES])
    return ids, [secrets[message_id] for message_id in ids]


def _refusal(receipt: Receipt, there: set[int]) -> Refusal:
    return Refusal.STALE if receipt.message_id in there else Refusal.MISSING
