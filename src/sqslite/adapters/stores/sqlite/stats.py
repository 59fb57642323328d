"""Counts and peeks in SQLite."""

from collections.abc import Sequence
from datetime import timedelta

from sqslite.adapters.stores.sqlite.connections import Connections
from sqslite.adapters.stores.sqlite.rows import instant_of, message_of, stored_instant, stored_list
from sqslite.adapters.stores.statements import load_statements
from sqslite.domain.messages import Message
from sqslite.domain.ports import Clock, Depth
from sqslite.domain.queues import Queue

_SQL = load_statements(__package__)


class SqliteQueueStats:
    """The QueueStats port on a SQLite file."""

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections = connections
        self._clock = clock

    async def depths(self, queues: Sequence[Queue]) -> list[Depth]:
        """Count by state, all at one instant."""
        now = self._clock.now()
        partition_ids = stored_list(queue.partition_id for queue in queues)
        rows = await self._connections.read(
            _SQL["depths"], {"partition_ids": partition_ids, "now": stored_instant(now)}
        )
        by_partition = {row["partition_id"]: row for row in rows}
        depths: list[Depth] = []
        for queue in queues:
            row = by_partition[queue.partition_id]
            oldest = row["oldest_ready_at"]
            age_ms = None if oldest is None else (now - instant_of(oldest)) // timedelta(milliseconds=1)
            depths.append(
                Depth(
                    queue=queue.name,
                    ready=row["ready"],
                    delayed=row["delayed"],
                    in_flight=row["in_flight"],
                    oldest_ready_age_ms=age_ms,
                )
            )
        return depths

    async def peek(self, partition_id: int, after_id: int, limit: int) -> list[Message]:
        """Show messages by id."""
        rows = await self._connections.read(
            _SQL["peek"], {"partition_id": partition_id, "after_id": after_id, "limit": limit}
        )
        return [message_of(row) for row in rows]
