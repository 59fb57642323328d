"""Redrive tasks in SQLite."""

import sqlite3
from collections.abc import Sequence

import aiosqlite

from sqslite.adapters.stores.sqlite import groups
from sqslite.adapters.stores.sqlite.connections import Connections
from sqslite.adapters.stores.sqlite.rows import (
    BEFORE_ALL,
    message_of,
    redrive_of,
    stored_instant,
    stored_list,
    stored_position,
)
from sqslite.adapters.stores.sqlite.settling import live_partitions
from sqslite.adapters.stores.statements import load_statements
from sqslite.domain.errors import RedriveConflict
from sqslite.domain.limits import ms
from sqslite.domain.messages import Message
from sqslite.domain.ports import Clock, Move, Position
from sqslite.domain.redrive import Redrive, RedriveState

_SQL = load_statements(__package__)


class SqliteRedrives:
    """The Redrives port on a SQLite file."""

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections = connections
        self._clock = clock

    async def create(self, redrive: Redrive) -> Redrive:
        """Keep a new task."""

        async def insert(writer: aiosqlite.Connection) -> Redrive:
            asked = {
                "partition_id": redrive.partition_id,
                "queue": redrive.queue,
                "destination": redrive.to,
                "max_per_second": redrive.max_per_second,
                "count_max": redrive.limit,
                "to_move": redrive.to_move,
                "created_at": self._now(),
            }
            for running in await writer.execute_fetchall(_SQL["redrive_running"], asked):
                raise RedriveConflict(f"redrive {running['id']} of queue {redrive.queue} runs already")
            (row,) = await writer.execute_fetchall(_SQL["redrive_create"], asked)
            return redrive_of(row)

        return await self._connections.write(insert)

    async def page(self, partition_id: int, limit: int) -> list[Redrive]:
        """The latest tasks."""
        rows = await self._connections.read(_SQL["redrive_page"], {"partition_id": partition_id, "limit": limit})
        return [redrive_of(row) for row in rows]

    async def cancel(self, partition_id: int, redrive_id: int) -> Redrive | None:
        """End a running task."""

        async def end(writer: aiosqlite.Connection) -> Redrive | None:
            return await self._ended(writer, partition_id, redrive_id, RedriveState.CANCELLED)

        return await self._connections.write(end)

    async def take(self, hold_ms: int) -> Redrive | None:
        """Hold a running task that nobody holds."""

        async def hold(writer: aiosqlite.Connection) -> Redrive | None:
            asked = {"now": self._now(), "held_until": self._now(hold_ms)}
            rows = list(await writer.execute_fetchall(_SQL["redrive_take"], asked))
            return redrive_of(rows[0]) if rows else None

        return await self._connections.write(hold)

    async def candidates(self, redrive: Redrive, limit: int) -> list[Message]:
        """The next messages to be moved on."""
        now = self._now()
        after = BEFORE_ALL if redrive.position_at is None else Position(redrive.position_at, redrive.position_id)
        asked = {
            "partition_id": redrive.partition_id,
            "now": now,
            "until": min(now, stored_instant(redrive.created_at)),
            "limit": limit,
            **stored_position(after),
        }
        return [message_of(row) for row in await self._connections.read(_SQL["redrive_candidates"], asked)]

    async def advance(self, redrive: Redrive, moves: Sequence[Move], position: Position, hold_ms: int) -> int | None:
        """Move messages on and keep how far the task has come."""

        async def step(writer: aiosqlite.Connection) -> int | None:
            if not list(
                await writer.execute_fetchall(_SQL["redrive_held"], {"id": redrive.id, "taken": redrive.taken})
            ):
                return None
            moved = await self._moved(writer, redrive, moves)
            progress = {
                "id": redrive.id,
                "moved": moved,
                "position_at": stored_instant(position.at),
                "position_id": position.id,
                "held_until": self._now(hold_ms),
            }
            await writer.execute_fetchall(_SQL["redrive_advance"], progress)
            return moved

        return await self._connections.write(step)

    async def finish(self, redrive: Redrive, state: RedriveState) -> None:
        """End the task."""

        async def end(writer: aiosqlite.Connection) -> None:
            await self._ended(writer, redrive.partition_id, redrive.id, state)

        await self._connections.write(end)

    def _now(self, after_ms: int = 0) -> int:
        return stored_instant(self._clock.now() + ms(after_ms))

    async def _ended(
        self, writer: aiosqlite.Connection, partition_id: int, redrive_id: int, state: RedriveState
    ) -> Redrive | None:
        asked = {"id": redrive_id, "partition_id": partition_id, "state": state.value, "now": self._now()}
        await writer.execute_fetchall(_SQL["redrive_end"], asked)
        rows = list(await writer.execute_fetchall(_SQL["redrive_find"], asked))
        return redrive_of(rows[0]) if rows else None

    async def _moved(self, writer: aiosqlite.Connection, redrive: Redrive, moves: Sequence[Move]) -> int:
        source = redrive.partition_id
        live = await live_partitions(writer, {source, *(move.target.partition_id for move in moves)})
        if source not in live:
            return 0
        asked = {
            "ids": stored_list(move.message_id for move in moves),
            "partition_id": source,
            "now": self._now(),
        }
        movable = {row["id"]: row for row in await writer.execute_fetchall(_SQL["redrive_movable"], asked)}
        going = [
            (move, movable.pop(move.message_id))
            for move in moves
            if move.message_id in movable and move.target.partition_id in live
        ]
        await writer.executemany(_SQL["redrive_move"], [self._change(move, row) for move, row in going])
        await groups.left(writer, [(source, row["served_group"]) for _, row in going])
        await groups.moved_in(writer, [(move.target, row["group_id"], groups.AT_ONCE) for move, row in going])
        return len(going)

    def _change(self, move: Move, row: sqlite3.Row) -> dict[str, object]:
        return {
            "id": move.message_id,
            "target_partition_id": move.target.partition_id,
            **groups.membership(move.target, row["group_id"]),
            "now": self._now(),
            "expires_at": self._now(move.retention_ms) if move.retention_ms else None,
            "dlq": move.dlq,
        }
