"""Counts and peeks in SQLite."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import aiosqlite
from msgspec.structs import asdict

from sqslite.adapters.stores.sqlite.connections import Connections
from sqslite.adapters.stores.sqlite.rows import (
    BEFORE_ALL,
    instant_of,
    message_of,
    optional_instant_of,
    queue_of,
    stored_instant,
    stored_list,
    stored_position,
)
from sqslite.adapters.stores.statements import load_statements
from sqslite.domain.lifecycle import State
from sqslite.domain.limits import DEPTH_EXACT_MAX
from sqslite.domain.messages import Message
from sqslite.domain.ports import Blocker, Clock, Depth, Position, Sighting, Totals
from sqslite.domain.queues import Discipline, Queue

_SQL = load_statements(__package__)
_INTEGER_MAX = 2**63 - 1


class SqliteQueueStats:
    """The QueueStats port on a SQLite file."""

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections = connections
        self._clock = clock

    async def depths(self, queues: Sequence[Queue]) -> list[Depth]:
        """Count by state, all at one instant."""
        now = self._clock.now()
        asked = {
            "partition_ids": stored_list(queue.partition_id for queue in queues),
            "now": stored_instant(now),
            "counted_max": DEPTH_EXACT_MAX + 1,
        }
        by_partition = {row["partition_id"]: row for row in await self._connections.read(_SQL["depths"], asked)}
        return [_depth(queue.name, by_partition.get(queue.partition_id), now) for queue in queues]

    async def totals(self, partition_ids: Sequence[int]) -> list[Totals]:
        """Read what was added up."""
        rows = await self._connections.read(_SQL["totals"], {"partition_ids": stored_list(partition_ids)})
        by_partition = {row["partition_id"]: _totals(row) for row in rows}
        return [by_partition.get(partition_id, Totals()) for partition_id in partition_ids]

    async def add(self, totals: Mapping[int, Totals]) -> None:
        """Add up."""

        async def increase(writer: aiosqlite.Connection) -> None:
            rows = [{"partition_id": partition_id, **asdict(added)} for partition_id, added in totals.items()]
            await writer.executemany(_SQL["add"], rows)

        if totals:
            await self._connections.write(increase)

    async def peek(self, partition_id: int, state: State, after: Position | None, limit: int) -> list[Message]:
        """Show messages in the order of their state."""
        now = stored_instant(self._clock.now())
        asked = {"partition_id": partition_id, "limit": limit, **stored_position(after or BEFORE_ALL)}
        if state is State.LEASED:
            rows = await self._connections.read(_SQL["peek_leased"], asked)
        elif state is State.READY:
            rows = await self._connections.read(_SQL["peek_unleased"], {**asked, "until": now})
        else:
            if asked["after_at"] <= now:
                asked |= {"after_at": now, "after_id": _INTEGER_MAX}
            rows = await self._connections.read(_SQL["peek_unleased"], {**asked, "until": _INTEGER_MAX})
        return [message_of(row) for row in rows]

    async def sight(self, message_id: int) -> Sighting | None:
        """Look a message up, and what stands before it."""
        now = self._clock.now()
        rows = await self._connections.read(_SQL["sight"], {"id": message_id})
        if not rows:
            return None
        (row,) = rows
        queue = queue_of(row)
        blocked_by = None
        if queue.settings.discipline is Discipline.FIFO and row["lease_until"] is None:
            asked = {
                "partition_id": queue.partition_id,
                "group_id": row["group_id"],
                "id": message_id,
                "now": stored_instant(now),
            }
            found = list(await self._connections.read(_SQL["blocked_by"], asked))
            blocked_by = _blocker(found[0]) if found else None
        return Sighting(now=now, queue=queue, message=message_of(row), blocked_by=blocked_by)


def _blocker(row: sqlite3.Row) -> Blocker:
    return Blocker(
        id=row["id"],
        not_before=instant_of(row["not_before"]),
        lease_until=optional_instant_of(row["lease_until"]),
        expires_at=optional_instant_of(row["expires_at"]),
    )


def _depth(queue: str, row: sqlite3.Row | None, now: datetime) -> Depth:
    """Of ready and delayed messages one is the rest of their sum, so that both are exact where either is low."""
    if row is None:
        return Depth(queue=queue, ready=0, delayed=0, in_flight=0, oldest_ready_age_ms=None)
    unleased, ready, delayed = row["unleased"], row["ready"], row["delayed"]
    if ready <= DEPTH_EXACT_MAX:
        delayed = unleased - ready
    else:
        ready = unleased - delayed
    oldest = row["oldest_ready_at"]
    return Depth(
        queue=queue,
        ready=ready,
        delayed=delayed,
        in_flight=row["leased"],
        oldest_ready_age_ms=None if oldest is None else (now - instant_of(oldest)) // timedelta(milliseconds=1),
        approximate=min(row["ready"], row["delayed"]) > DEPTH_EXACT_MAX,
    )


def _totals(row: sqlite3.Row) -> Totals:
    return Totals(
        enqueued=row["enqueued"], received=row["received"], acked=row["acked"], dead_lettered=row["dead_lettered"]
    )
