"""Counts and peeks in PostgreSQL."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from psycopg.rows import TupleRow

from sqslite.adapters.stores.postgres.claim_cursor import BEGINNING
from sqslite.adapters.stores.postgres.database import Database
from sqslite.adapters.stores.postgres.rows import message_from, queue_from
from sqslite.domain.lifecycle import State
from sqslite.domain.limits import DEPTH_EXACT_MAX, MESSAGE_ID_MAX
from sqslite.domain.messages import Message
from sqslite.domain.ports import Blocker, Depth, Position, Sighting, Totals
from sqslite.domain.queues import Queue

# How many queues one statement counts, so that it ends in time.
COUNTED_MAX = 20
# How many pages of the table an estimate looks at.
PAGES_MAX = 300
_MILLISECOND = timedelta(milliseconds=1)
_PEEKS = {State.READY: "peek_ready", State.DELAYED: "peek_delayed", State.LEASED: "peek_leased"}


class PostgresQueueStats:
    """The statistics port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def depths(self, queues: Sequence[Queue]) -> list[Depth]:
        """Count by state in the indexes, as far as that takes no time, and estimate what is beyond."""
        return [
            depth
            for first in range(0, len(queues), COUNTED_MAX)
            for depth in await self._counted(queues[first : first + COUNTED_MAX])
        ]

    async def _counted(self, queues: Sequence[Queue]) -> list[Depth]:
        partition_ids = [queue.partition_id for queue in queues]
        rows = {row[0]: row[1:] for row in await self._database.read("depths", partition_ids, DEPTH_EXACT_MAX + 1)}
        beyond = [partition_id for partition_id, row in rows.items() if max(row[1:4]) > DEPTH_EXACT_MAX]
        estimates: dict[int, Sequence[int]] = {}
        if beyond:
            estimated = await self._database.read("depths_estimated", beyond, PAGES_MAX)
            estimates = {row[0]: row[1:] for row in estimated}
        return [
            _depth(queue, rows[queue.partition_id], estimates.get(queue.partition_id, (0, 0, 0))) for queue in queues
        ]

    async def totals(self, partition_ids: Sequence[int]) -> list[Totals]:
        """Look totals up."""
        rows = await self._database.read("totals", list(partition_ids))
        found = {
            partition_id: Totals(enqueued=enqueued, received=received, acked=acked, dead_lettered=dead_lettered)
            for partition_id, enqueued, received, acked, dead_lettered in rows
        }
        return [found.get(partition_id) or Totals() for partition_id in partition_ids]

    async def add(self, totals: Mapping[int, Totals]) -> None:
        """Add to totals."""
        if not totals:
            return
        await self._database.write(
            "totals_add",
            list(totals),
            [added.enqueued for added in totals.values()],
            [added.received for added in totals.values()],
            [added.acked for added in totals.values()],
            [added.dead_lettered for added in totals.values()],
        )

    async def peek(self, partition_id: int, state: State, after: Position | None, limit: int) -> list[Message]:
        """Show messages in the order of the state's index."""
        after = after or Position(BEGINNING, 0)
        rows = await self._database.read(_PEEKS[state], partition_id, after.at, after.id, limit)
        return [message_from(row) for row in rows]

    async def sight(self, message_id: int) -> Sighting | None:
        """Look a message up, and in a FIFO queue what it waits for."""
        if not 0 < message_id <= MESSAGE_ID_MAX:
            return None
        rows = await self._database.read("sight", message_id)
        if not rows:
            return None
        now, queue, message = rows[0][0], queue_from(rows[0][1:8]), message_from(rows[0][8:])
        blocked_by = None
        if queue.settings.fifo and message.lease_until is None:
            group_id = message.group_id or ""
            found = await self._database.read("sight_blocker", queue.partition_id, group_id, message.id)
            blocked_by = _blocker(found[0]) if found else None
        return Sighting(now=now, queue=queue, message=message, blocked_by=blocked_by)


def _blocker(row: TupleRow) -> Blocker:
    message_id, not_before, lease_until, expires_at = row
    return Blocker(id=message_id, not_before=not_before, lease_until=lease_until, expires_at=expires_at)


def _depth(queue: Queue, row: tuple[datetime, int, int, int, datetime | None], estimates: Sequence[int]) -> Depth:
    now, *counts, oldest_ready_at = row
    ready, delayed, in_flight = (
        count if count <= DEPTH_EXACT_MAX else max(count, estimate)
        for count, estimate in zip(counts, estimates, strict=True)
    )
    return Depth(
        queue=queue.name,
        ready=ready,
        delayed=delayed,
        in_flight=in_flight,
        oldest_ready_age_ms=None if oldest_ready_at is None else (now - oldest_ready_at) // _MILLISECOND,
        approximate=max(counts) > DEPTH_EXACT_MAX,
    )
