"""Redrive tasks in PostgreSQL."""

from collections.abc import Sequence

from sqslite.adapters.stores.postgres.claim_cursor import BEGINNING
from sqslite.adapters.stores.postgres.database import Database, Statements
from sqslite.adapters.stores.postgres.rows import message_from, redrive_from
from sqslite.domain.errors import RedriveConflict
from sqslite.domain.limits import MESSAGE_ID_MAX
from sqslite.domain.messages import Message
from sqslite.domain.ports import Move, Position
from sqslite.domain.redrive import Redrive, RedriveState


class PostgresRedrives:
    """The port of redrive tasks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, redrive: Redrive) -> Redrive:
        """Insert the task; an index knows whether one of the queue runs."""
        rows = await self._database.write(
            "redrive_create",
            redrive.partition_id,
            redrive.queue,
            redrive.to,
            redrive.max_per_second,
            redrive.limit,
            redrive.to_move,
        )
        if not rows:
            raise RedriveConflict(f"a redrive of queue {redrive.queue} is running already")
        return redrive_from(rows[0])

    async def page(self, partition_id: int, limit: int) -> list[Redrive]:
        """Tasks by id, backwards."""
        return [redrive_from(row) for row in await self._database.read("redrive_page", partition_id, limit)]

    async def cancel(self, partition_id: int, redrive_id: int) -> Redrive | None:
        """End the task where it runs."""
        if not 0 < redrive_id <= MESSAGE_ID_MAX:
            return None
        rows = await self._database.write("redrive_cancel", partition_id, redrive_id)
        rows = rows or await self._database.read("redrive_find", partition_id, redrive_id)
        return redrive_from(rows[0]) if rows else None

    async def take(self, hold_ms: int) -> Redrive | None:
        """Take the task that nobody has held for longest."""
        rows = await self._database.write("redrive_take", hold_ms)
        return redrive_from(rows[0]) if rows else None

    async def candidates(self, redrive: Redrive, limit: int) -> list[Message]:
        """Ready messages in the order of their index."""
        rows = await self._database.read(
            "redrive_candidates",
            redrive.partition_id,
            redrive.position_at or BEGINNING,
            redrive.position_id,
            redrive.created_at,
            limit,
        )
        return [message_from(row) for row in rows]

    async def advance(self, redrive: Redrive, moves: Sequence[Move], position: Position, hold_ms: int) -> int | None:
        """Move messages under the lock of the task."""

        async def moved(statements: Statements) -> int | None:
            if not await statements.write("redrive_lock", redrive.id, redrive.partition_id, redrive.taken):
                return None
            # A statement of its own: it sees what another one has moved while the one before waited.
            rows = await statements.write("redrive_move", redrive.partition_id, *_columns(moves)) if moves else []
            await statements.write("redrive_advance", redrive.id, len(rows), position.at, position.id, hold_ms)
            return len(rows)

        return await self._database.transact(moved)

    async def finish(self, redrive: Redrive, state: RedriveState) -> None:
        """End the task where it runs."""
        await self._database.write("redrive_finish", redrive.id, state.value)


def _columns(moves: Sequence[Move]) -> tuple[list[object], ...]:
    return (
        [move.message_id for move in moves],
        [move.target.partition_id for move in moves],
        [move.target.settings.discipline.grouped for move in moves],
        [move.dlq for move in moves],
        [move.retention_ms for move in moves],
    )
