"""Settle: what was decided about leases that ended, in one statement for each kind of decision."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from psycopg.rows import TupleRow

from sqslite.adapters.stores.postgres import errors
from sqslite.adapters.stores.postgres.database import Database
from sqslite.domain.ports import Delete, MoveToDlq, RequeueAt, Settlement

Guard = tuple[int, bytes, datetime]


async def settle(database: Database, partition_id: int, settlements: Sequence[Settlement]) -> list[bool]:
    """Apply each settlement whose lease is unchanged; of several for one lease the first."""
    firsts = {_guard(settlement): settlement for settlement in reversed(settlements)}
    requeues = [settlement for settlement in firsts.values() if isinstance(settlement, RequeueAt)]
    moves = [settlement for settlement in firsts.values() if isinstance(settlement, MoveToDlq)]
    deletes = [settlement for settlement in firsts.values() if isinstance(settlement, Delete)]
    steps: list[Callable[[], Awaitable[list[TupleRow]]]] = []
    if requeues:
        steps.append(lambda: database.write("settle_requeue", partition_id, *_guards(requeues), *_requeued(requeues)))
    if moves:
        steps.append(lambda: database.write("settle_dead_letter", partition_id, *_guards(moves), *_moved(moves)))
    if deletes:
        steps.append(lambda: database.write("settle_delete", partition_id, *_guards(deletes)))
    done: set[tuple[int, bytes]] = set()
    for step in steps:
        with errors.further(after_change=bool(done)):
            rows = await step()
        done.update((message_id, secret) for message_id, secret in rows)
    return [
        (settlement.lease.receipt.message_id, settlement.lease.receipt.secret) in done
        and firsts[_guard(settlement)] is settlement
        for settlement in settlements
    ]


def _guard(settlement: Settlement) -> Guard:
    receipt = settlement.lease.receipt
    return receipt.message_id, receipt.secret, settlement.lease.lease_until


def _guards(settlements: Sequence[Settlement]) -> tuple[list[object], ...]:
    return (
        [settlement.lease.receipt.message_id for settlement in settlements],
        [settlement.lease.receipt.secret for settlement in settlements],
        [settlement.lease.lease_until for settlement in settlements],
    )


def _requeued(settlements: Sequence[RequeueAt | MoveToDlq]) -> tuple[list[object], ...]:
    return (
        [settlement.not_before for settlement in settlements],
        # PostgreSQL keeps no NUL in a text.
        [
            settlement.error and settlement.error.replace("\0", "\N{REPLACEMENT CHARACTER}")
            for settlement in settlements
        ],
    )


def _moved(moves: Sequence[MoveToDlq]) -> tuple[list[object], ...]:
    return (
        *_requeued(moves),
        [move.dlq.partition_id for move in moves],
        [move.dlq.settings.discipline.grouped for move in moves],
        [move.lease.queue for move in moves],
        [move.retention_ms for move in moves],
        [move.dlq_kept for move in moves],
        [move.kept_since for move in moves],
    )
