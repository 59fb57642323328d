"""Enqueue: one statement, or, where duplicates must be looked for, one transaction."""

from collections.abc import Sequence
from operator import attrgetter

import msgspec

from sqslite.adapters.stores.postgres.database import Database, Statements
from sqslite.domain.accepting import dedup_key
from sqslite.domain.limits import DEDUP_MS_DEFAULT
from sqslite.domain.messages import Accepted, NewMessage
from sqslite.domain.ports import PartitionDropped
from sqslite.domain.queues import Queue

_dedup_id = attrgetter("dedup_id")
_encoded = msgspec.json.Encoder().encode


async def enqueue(database: Database, queue: Queue, messages: Sequence[NewMessage]) -> list[Accepted]:
    """Insert the messages in order. Raises PartitionDropped."""
    if not messages:
        return []
    grouped = queue.settings.discipline.grouped
    if any(map(_dedup_id, messages)):
        return await database.transact(lambda statements: _once(statements, queue, messages, grouped=grouped))
    statement = "enqueue_grouped" if grouped else "enqueue"
    rows = await database.write(statement, queue.partition_id, *_columns(messages, grouped=grouped))
    if not rows:
        raise PartitionDropped
    return [Accepted(message_id) for (message_id,) in sorted(rows)]


async def _once(
    statements: Statements, queue: Queue, messages: Sequence[NewMessage], *, grouped: bool
) -> list[Accepted]:
    """Keep those messages whose dedup_id is new; ids are drawn under the locks of their groups."""
    if grouped:
        await _lock_groups(statements, queue, messages)
    ids = sorted(drawn for (drawn,) in await statements.write("enqueue_draw", queue.partition_id, len(messages)))
    if not ids:
        raise PartitionDropped
    keys = [dedup_key(queue, message) for message in messages]
    wanted: dict[str, int] = {}
    for key, message_id in zip(keys, ids, strict=True):
        if key is not None:
            wanted.setdefault(key, message_id)
    known = await _known(statements, queue, wanted)
    accepted = [
        Accepted(message_id) if first == message_id else Accepted(first, duplicate=True)
        for key, message_id in zip(keys, ids, strict=True)
        for first in [message_id if key is None else known[key]]
    ]
    kept = [place for place, outcome in enumerate(accepted) if not outcome.duplicate]
    if kept and not await statements.write(
        "enqueue_drawn",
        queue.partition_id,
        *_columns([messages[place] for place in kept], grouped=grouped),
        [grouped] * len(kept),
        [ids[place] for place in kept],
        [messages[place].dedup_id for place in kept],
    ):
        raise PartitionDropped
    return accepted


async def _known(statements: Statements, queue: Queue, wanted: dict[str, int]) -> dict[str, int]:
    """The id that each key of a dedup_id stands for: the wanted one where it is new."""
    dedup_ms = DEDUP_MS_DEFAULT if queue.settings.dedup_ms is None else queue.settings.dedup_ms
    rows = await statements.write("dedup_keep", queue.partition_id, list(wanted), list(wanted.values()), dedup_ms)
    new = {key for (key,) in rows}
    known = {key: message_id for key, message_id in wanted.items() if key in new}
    if len(new) < len(wanted):
        # A statement of its own: it sees what another one has committed while the one before waited for it.
        others = [key for key in wanted if key not in new]
        known.update(await statements.write("dedup_find", queue.partition_id, others))
    return known


async def _lock_groups(statements: Statements, queue: Queue, messages: Sequence[NewMessage]) -> None:
    groups = [message.group_id or "" for message in messages]
    delays_ms = [message.delay_ms or 0 for message in messages]
    if not await statements.write("enqueue_groups", queue.partition_id, groups, delays_ms):
        raise PartitionDropped


def _columns(messages: Sequence[NewMessage], *, grouped: bool) -> tuple[list[object], ...]:
    return (
        [message.body for message in messages],
        [message.body_kind for message in messages],
        [_encoded(message.attributes).decode() if message.attributes else None for message in messages],
        [message.delay_ms or 0 for message in messages],
        [message.retention_ms or 0 for message in messages],
        [message.max_retries for message in messages],
        [message.dlq for message in messages],
        [message.trace_id for message in messages],
        [(message.group_id or "") if grouped else message.group_id for message in messages],
    )
