"""Counts and peeks in PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqslite.adapters.stores.postgres.database import Database
from sqslite.adapters.stores.postgres.rows import message_from
from sqslite.domain.messages import Message
from sqslite.domain.ports import Depth
from sqslite.domain.queues import Queue

_MILLISECOND = timedelta(milliseconds=1)


class PostgresQueueStats:
    """The statistics port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def depths(self, queues: Sequence[Queue]) -> list[Depth]:
        """Count by state, in the indexes alone."""
        if not queues:
            return []
        rows = await self._database.read("depths", [queue.partition_id for queue in queues])
        counts = {row[0]: row[1:] for row in rows}
        return [_depth(queue, *counts[queue.partition_id]) for queue in queues]

    async def peek(self, partition_id: int, after_id: int, limit: int) -> list[Message]:
        """Show messages by id."""
        return [message_from(row) for row in await self._database.read("peek", partition_id, after_id, limit)]


def _depth(
    queue: Queue, now: datetime, ready: int, delayed: int, in_flight: int, oldest_ready_at: datetime | None
) -> Depth:
    return Depth(
        queue=queue.name,
        ready=ready,
        delayed=delayed,
        in_flight=in_flight,
        oldest_ready_age_ms=None if oldest_ready_at is None else (now - oldest_ready_at) // _MILLISECOND,
    )
