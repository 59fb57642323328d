"""The groups of FIFO and fair queues: when a claim should look at each, and whose turn it is.

A group has a row in `message_groups` while it has messages. Whatever changes what a group has to give says so here,
in the same transaction.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TypedDict

import aiosqlite

from sqslite.adapters.stores.sqlite.rows import stored_instant
from sqslite.adapters.stores.statements import load_statements
from sqslite.domain.queues import Queue

_SQL = load_statements(__package__)

AT_ONCE = 0
# No instant lies behind it: nothing to look at until something changes.
NOT_BY_ITSELF = 2**63 - 1


class Membership(TypedDict):
    """The columns of a message that say which group it belongs to, and whether that group has turns."""

    grouped: bool
    group_id: str | None


def membership(queue: Queue, group_id: str | None) -> Membership:
    """What a message of the queue holds: where groups are served, those in none are one."""
    grouped = queue.settings.discipline.grouped
    return {"grouped": grouped, "group_id": (group_id or "") if grouped else (group_id or None)}


def look_at(not_before: datetime, now: datetime) -> int:
    """When a claim should look at a group that has a message claimable from then."""
    return AT_ONCE if not_before <= now else stored_instant(not_before)


async def joined(writer: aiosqlite.Connection, queue: Queue, arrivals: Iterable[tuple[str | None, int]]) -> None:
    """Messages came to groups of the queue, to be looked at then; a group that is new has the last turn."""
    looks = _soonest((group_id or "", at) for group_id, at in arrivals)
    if not queue.settings.discipline.grouped or not looks:
        return
    turns = await drawn_turns(writer, len(looks))
    rows = [
        {"partition_id": queue.partition_id, "group_id": group_id, "turn": turn, "look_at": at}
        for (group_id, at), turn in zip(looks.items(), turns, strict=True)
    ]
    await writer.executemany(_SQL["group_joined"], rows)


async def moved_in(writer: aiosqlite.Connection, arrivals: Iterable[tuple[Queue, str | None, int]]) -> None:
    """Messages came to groups of several queues, to be looked at then."""
    by_queue: dict[int, tuple[Queue, list[tuple[str | None, int]]]] = {}
    for queue, group_id, at in arrivals:
        by_queue.setdefault(queue.partition_id, (queue, []))[1].append((group_id, at))
    for queue, arrived in by_queue.values():
        await joined(writer, queue, arrived)


async def requeued(writer: aiosqlite.Connection, partition_id: int, requeues: Iterable[tuple[str | None, int]]) -> None:
    """Leases of groups of the partition ended, and the messages stay there, to be looked at then."""
    looks = _soonest((group_id, at) for group_id, at in requeues if group_id is not None)
    rows = [{"partition_id": partition_id, "group_id": group_id, "look_at": at} for group_id, at in looks.items()]
    if rows:
        await writer.executemany(_SQL["group_requeued"], rows)


async def left(writer: aiosqlite.Connection, departures: Iterable[tuple[int, str | None]]) -> None:
    """Messages of these partitions and groups went away: what came behind them may be claimable now."""
    groups = dict.fromkeys((partition_id, group_id) for partition_id, group_id in departures if group_id is not None)
    rows = [
        {"partition_id": partition_id, "group_id": group_id, "look_at": AT_ONCE} for partition_id, group_id in groups
    ]
    if rows:
        await writer.executemany(_SQL["group_emptied"], rows)
        await writer.executemany(_SQL["group_looked_at"], rows)


async def drawn_turns(writer: aiosqlite.Connection, count: int) -> range:
    """So many turns, growing, behind all that were drawn before."""
    ((last,),) = await writer.execute_fetchall(_SQL["turns_drawn"], {"count": count})
    return range(last - count + 1, last + 1)


def _soonest(looks: Iterable[tuple[str, int]]) -> Mapping[str, int]:
    soonest: dict[str, int] = {}
    for group_id, at in looks:
        soonest[group_id] = min(at, soonest.get(group_id, at))
    return soonest
