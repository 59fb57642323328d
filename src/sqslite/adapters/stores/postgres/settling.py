"""Settle: what was decided about leases that ended, in one statement for each kind of decision."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TypeVar

from sqslite.adapters.stores.postgres import errors
from sqslite.adapters.stores.postgres.database import Database
from sqslite.domain.ports import Delete, MoveToDlq, RequeueAt, Settlement

T = TypeVar("T", RequeueAt, MoveToDlq, Delete)
Guard = tuple[int, bytes, datetime]


async def settle(database: Database, partition_id: int, settlements: Sequence[Settlement]) -> list[bool]:
    """Apply each settlement whose lease is unchanged; of several for one lease the first."""
    firsts = {_guard(settlement): settlement for settlement in reversed(settlements)}
    requeues = [settlement for settlement in firsts.values() if isinstance(settlement, RequeueAt)]
    moves = [settlement for settlement in firsts.values() if isinstance(settlement, MoveToDlq)]
    deletes = [settlement for settlement in firsts.values() if isinstance(settlement, Delete)]
    steps: list[tuple[str, Sequence[Settlement], tuple[object, ...]]] = [
        *(("settle_requeue", part, (*_guards(part), *_requeued(part))) for part in _in_order(requeues)),
        *(("settle_dead_letter", part, (*_guards(part), *_moved(part))) for part in _in_order(moves)),
        *(("settle_delete", part, _guards(part)) for part in _in_order(deletes)),
    ]
    done: set[Guard] = set()
    for name, part, parameters in steps:
        with errors.further(after_change=bool(done)):
            settled = {message_id for (message_id,) in await database.write(name, partition_id, *parameters)}
        done.update(_guard(settlement) for settlement in part if settlement.lease.receipt.message_id in settled)
    return [_guard(settlement) in done and firsts[_guard(settlement)] is settlement for settlement in settlements]


def _guard(settlement: Settlement) -> Guard:
    receipt = settlement.lease.receipt
    return receipt.message_id, receipt.secret, settlement.lease.lease_until


def _in_order(settlements: Sequence[T]) -> Iterator[list[T]]:
    """All of them, each message once in the order of ids; of those that have several leases, the others after that."""
    left = list(settlements)
    while left:
        part = {settlement.lease.receipt.message_id: settlement for settlement in reversed(left)}
        yield [part[message_id] for message_id in sorted(part)]
        left = [settlement for settlement in left if part[settlement.lease.receipt.message_id] is not settlement]


def _guards(settlements: Sequence[Settlement]) -> tuple[object, ...]:
    return (
        [settlement.lease.receipt.message_id for settlement in settlements],
        b"".join([settlement.lease.receipt.secret for settlement in settlements]),
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
