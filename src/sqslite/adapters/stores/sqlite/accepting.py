"""Keeping new messages, in one write transaction."""

from collections.abc import Sequence
from datetime import datetime

import aiosqlite
import msgspec

from sqslite.adapters.stores.sqlite import groups
from sqslite.adapters.stores.sqlite.rows import stored_instant, stored_list
from sqslite.adapters.stores.statements import load_statements
from sqslite.domain.accepting import dedup_key
from sqslite.domain.limits import DEDUP_MS_DEFAULT, ms
from sqslite.domain.messages import Accepted, NewMessage
from sqslite.domain.ports import PartitionDropped
from sqslite.domain.queues import Queue

_SQL = load_statements(__package__)


async def accept(
    writer: aiosqlite.Connection, queue: Queue, messages: Sequence[NewMessage], now: datetime
) -> list[Accepted]:
    """Keep those that are no duplicates, in order."""
    keys = [dedup_key(queue, message) for message in messages]
    known = await _known(writer, queue, keys, now)
    places: dict[str, int] = {}
    kept: list[NewMessage] = []
    # For each message its place among those kept, or the id of the one that it repeats.
    outcomes: list[tuple[int, bool] | Accepted] = []
    for message, key in zip(messages, keys, strict=True):
        if key is not None and key in known:
            outcomes.append(Accepted(known[key], duplicate=True))
        elif key is not None and key in places:
            outcomes.append((places[key], True))
        else:
            if key is not None:
                places[key] = len(kept)
            outcomes.append((len(kept), False))
            kept.append(message)
    first_id = await _insert(writer, queue, kept, now)
    await _remember(writer, queue, {key: first_id + place for key, place in places.items()}, now)
    arrivals = [(message.group_id, groups.look_at(now + ms(message.delay_ms or 0), now)) for message in kept]
    await groups.joined(writer, queue, arrivals)
    return [o if isinstance(o, Accepted) else Accepted(first_id + o[0], duplicate=o[1]) for o in outcomes]


async def _known(
    writer: aiosqlite.Connection, queue: Queue, keys: Sequence[str | None], now: datetime
) -> dict[str, int]:
    wanted = {key for key in keys if key is not None}
    if not wanted:
        return {}
    asked = {"partition_id": queue.partition_id, "dedup_ids": stored_list(wanted), "now": stored_instant(now)}
    rows = await writer.execute_fetchall(_SQL["dedup_known"], asked)
    return {row["dedup_id"]: row["message_id"] for row in rows}


async def _insert(writer: aiosqlite.Connection, queue: Queue, kept: Sequence[NewMessage], now: datetime) -> int:
    """The id of the first; AUTOINCREMENT counts on by one, and nobody else writes before the commit."""
    if kept:
        await writer.executemany(_SQL["enqueue"], [_new_row(queue, message, now) for message in kept])
    asked = {"partition_id": queue.partition_id}
    ((last_id, live),) = await writer.execute_fetchall(_SQL["enqueue_outcome"], asked)
    if not live:
        # Rolls back.
        raise PartitionDropped(queue.name)
    return int(last_id) - len(kept) + 1


async def _remember(writer: aiosqlite.Connection, queue: Queue, ids: dict[str, int], now: datetime) -> None:
    until = now + ms(queue.settings.dedup_ms or DEDUP_MS_DEFAULT)
    rows = [
        {
            "partition_id": queue.partition_id,
            "dedup_id": key,
            "message_id": message_id,
            "expires_at": stored_instant(until),
        }
        for key, message_id in ids.items()
    ]
    if rows:
        await writer.executemany(_SQL["dedup_remember"], rows)


def _new_row(queue: Queue, message: NewMessage, now: datetime) -> dict[str, object]:
    return {
        "partition_id": queue.partition_id,
        "body": message.body,
        "body_kind": message.body_kind.value,
        "attributes": msgspec.json.encode(message.attributes).decode() if message.attributes else None,
        "enqueued_at": stored_instant(now),
        "not_before": stored_instant(now + ms(message.delay_ms or 0)),
        "expires_at": stored_instant(now + ms(message.retention_ms)) if message.retention_ms else None,
        "max_retries": message.max_retries,
        "dlq": message.dlq,
        "trace_id": message.trace_id,
        "dedup_id": message.dedup_id,
        **groups.membership(queue, message.group_id),
    }
