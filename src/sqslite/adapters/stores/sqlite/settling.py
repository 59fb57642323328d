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
    group_of: dict[int, str | None] = {}
    for settlement, row in zip(settlements, rows, strict=True):
        applies = (
            not isinstance(row, Refusal)
            and row["id"] not in group_of
            and optional_instant_of(row["lease_until"]) == settlement.lease.lease_until
            and (not isinstance(settlement, MoveToDlq) or settlement.dlq.partition_id in live)
        )
        applied.append(applies)
        if applies and not isinstance(row, Refusal):
            group_of[row["id"]] = row["group_id"]
    to_apply = [settlement for settlement, applies in zip(settlements, applied, strict=True) if applies]
    await _requeue(writer, partition_id, [s for s in to_apply if isinstance(s, RequeueAt)], group_of, now)
    await _move(writer, [s for s in to_apply if isinstance(s, MoveToDlq)], group_of, now)
    await _delete(writer, [s for s in to_apply if isinstance(s, Delete)])
    gone = [_id(settlement) for settlement in to_apply if not isinstance(settlement, RequeueAt)]
    await groups.left(writer, [(partition_id, group_of[message_id]) for message_id in gone])
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
    group_of: dict[int, str | None],
    now: datetime,
) -> None:
    changes = [
        {"id": _id(requeue), "not_before": stored_instant(requeue.not_before), "error": requeue.error}
        for requeue in requeues
    ]
    if changes:
        await writer.executemany(_SQL["settle_requeue"], changes)
    looks = [(group_of[_id(requeue)], groups.look_at(requeue.not_before, now)) for requeue in requeues]
    await groups.requeued(writer, partition_id, looks)


async def _move(
    writer: aiosqlite.Connection, moves: Sequence[MoveToDlq], group_of: dict[int, str | None], now: datetime
) -> None:
    arrivals: dict[int, tuple[Queue, list[tuple[str | None, int]]]] = {}
    changes: list[dict[str, object]] = []
    for move in moves:
        group_id = groups.stored_group(move.dlq, group_of[_id(move)])
        _, arrived = arrivals.setdefault(move.dlq.partition_id, (move.dlq, []))
        arrived.append((group_id, groups.look_at(move.not_before, now)))
        changes.append(
            {
                "id": _id(move),
                "dlq_partition_id": move.dlq.partition_id,
                "group_id": group_id,
                "not_before": stored_instant(move.not_before),
                "retention": move.retention_ms * 1_000,
                "error": move.error,
                "queue": move.lease.queue,
            }
        )
    if changes:
        await writer.executemany(_SQL["settle_move"], changes)
    for dlq, arrived in arrivals.values():
        await groups.joined(writer, dlq, arrived)


async def _delete(writer: aiosqlite.Connection, deletes: Sequence[Delete]) -> None:
    if deletes:
        await writer.execute_fetchall(_SQL["ack"], {"ids": stored_list(_id(delete) for delete in deletes)})


def _id(settlement: Settlement) -> int:
    return settlement.lease.receipt.message_id
