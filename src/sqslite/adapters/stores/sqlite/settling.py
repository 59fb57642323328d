"""Applying what was decided about leases that ended, in one write transaction."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime

import aiosqlite

from sqslite.adapters.stores.sqlite import groups
from sqslite.adapters.stores.sqlite.rows import optional_instant_of, stored_instant, stored_list
from sqslite.adapters.stores.statements import load_statements
from sqslite.domain.leases import Refusal
from sqslite.domain.ports import Delete, MoveToDlq, RequeueAt, Settlement
from sqslite.domain.queues import Queue

_SQL = load_statements(__package__)


async def settle(
    writer: aiosqlite.Connection,
    partition_id: int,
    settlements: Sequence[Settlement],
    rows: Sequence[sqlite3.Row | Refusal],
    now: datetime,
) -> list[bool]:
    """Apply each settlement whose lease is as its row has it; True where it was applied."""
    live = await live_partitions(writer, {s.dlq.partition_id for s in settlements if isinstance(s, MoveToDlq)})
    applied: list[bool] = []
    row_of: dict[int, sqlite3.Row] = {}
    for settlement, row in zip(settlements, rows, strict=True):
        applies = (
            not isinstance(row, Refusal)
            and row["id"] not in row_of
            and optional_instant_of(row["lease_until"]) == settlement.lease.lease_until
            and (not isinstance(settlement, MoveToDlq) or settlement.dlq.partition_id in live)
        )
        applied.append(applies)
        if applies and not isinstance(row, Refusal):
            row_of[row["id"]] = row
    to_apply = [settlement for settlement, applies in zip(settlements, applied, strict=True) if applies]
    await _requeue(writer, partition_id, [s for s in to_apply if isinstance(s, RequeueAt)], row_of, now)
    await _move(writer, [s for s in to_apply if isinstance(s, MoveToDlq)], row_of, now)
    await _delete(writer, [s for s in to_apply if isinstance(s, Delete)])
    gone = [_id(settlement) for settlement in to_apply if not isinstance(settlement, RequeueAt)]
    await groups.left(writer, [(partition_id, row_of[message_id]["served_group"]) for message_id in gone])
    return applied


async def live_partitions(writer: aiosqlite.Connection, partition_ids: set[int]) -> set[int]:
    """Those of the partitions that were not dropped."""
    if not partition_ids:
        return set()
    rows = await writer.execute_fetchall(_SQL["live"], {"partition_ids": stored_list(partition_ids)})
    return {row["partition_id"] for row in rows}


async def _requeue(
    writer: aiosqlite.Connection,
    partition_id: int,
    requeues: Sequence[RequeueAt],
    row_of: dict[int, sqlite3.Row],
    now: datetime,
) -> None:
    changes = [
        {"id": _id(requeue), "not_before": stored_instant(requeue.not_before), "error": requeue.error}
        for requeue in requeues
    ]
    if changes:
        await writer.executemany(_SQL["settle_requeue"], changes)
    rows = [(requeue, row_of[_id(requeue)]) for requeue in requeues]
    looks = [(row["served_group"], groups.look_at(_blocks_until(requeue, row), now)) for requeue, row in rows]
    await groups.requeued(writer, partition_id, looks)


def _blocks_until(requeue: RequeueAt, row: sqlite3.Row) -> datetime:
    """Until when its group waits for it: once its retention is over, it comes no more."""
    expires_at = optional_instant_of(row["expires_at"])
    return requeue.not_before if expires_at is None else min(requeue.not_before, expires_at)


async def _move(
    writer: aiosqlite.Connection, moves: Sequence[MoveToDlq], row_of: dict[int, sqlite3.Row], now: datetime
) -> None:
    arrivals: list[tuple[Queue, str | None, int]] = []
    changes: list[dict[str, object]] = []
    for move in moves:
        group_id = row_of[_id(move)]["group_id"]
        arrivals.append((move.dlq, group_id, groups.look_at(move.not_before, now)))
        changes.append(
            {
                "id": _id(move),
                "dlq_partition_id": move.dlq.partition_id,
                "dlq_kept": move.dlq_kept,
                **groups.membership(move.dlq, group_id),
                "not_before": stored_instant(move.not_before),
                "retention": move.retention_ms * 1_000,
                "kept_since": move.kept_since and stored_instant(move.kept_since),
                "error": move.error,
                "queue": move.lease.queue,
            }
        )
    if changes:
        await writer.executemany(_SQL["settle_move"], changes)
    await groups.moved_in(writer, arrivals)


async def _delete(writer: aiosqlite.Connection, deletes: Sequence[Delete]) -> None:
    if deletes:
        await writer.execute_fetchall(_SQL["ack"], {"ids": stored_list(_id(delete) for delete in deletes)})


def _id(settlement: Settlement) -> int:
    return settlement.lease.receipt.message_id
