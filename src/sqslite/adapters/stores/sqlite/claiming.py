"""Which messages a claim leases, and the leasing of them, in one write transaction."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

import aiosqlite

from sqslite.adapters.stores.sqlite import groups
from sqslite.adapters.stores.sqlite.rows import stored_instant, stored_list
from sqslite.adapters.stores.statements import load_statements
from sqslite.domain.leases import SECRET_BYTES
from sqslite.domain.limits import ATTEMPT_MS, ms
from sqslite.domain.ports import Claim
from sqslite.domain.queues import Discipline, Queue

_SQL = load_statements(__package__)

# What one look at groups reads of messages at most, so that a few long groups do not crowd out the many short ones.
HEADS_MAX = 10_000
# Groups that have nothing to give after all are passed over, this many at a time, so many times.
GROUPS_LOOKED_AT = 100
LOOKS_MAX = 100


class Claiming:
    """One claim from one queue at one instant."""

    def __init__(self, writer: aiosqlite.Connection, queue: Queue, claim: Claim, now: datetime) -> None:
        self._writer = writer
        self._discipline = queue.settings.discipline
        self._claim = claim
        self._rows: list[sqlite3.Row] = []
        self._asked = {
            "partition_id": queue.partition_id,
            "now": stored_instant(now),
            "lease_until": stored_instant(now + ms(claim.visibility_ms)),
            "since": stored_instant(now - ms(ATTEMPT_MS)),
            "attempt_id": claim.attempt_id,
            "secret_bytes": SECRET_BYTES,
        }

    async def rows(self) -> list[sqlite3.Row]:
        """The rows of the messages that are leased to the claim, in its order."""
        if self._claim.attempt_id is not None and await self._found("claim_allowed"):
            self._rows = await self._found("claim_again")
        if not self._rows:
            if self._discipline is Discipline.STANDARD:
                await self._take("claim", limit=self._missing)
            elif await self._found("claim_allowed"):
                await self._take_in_turn()
        # RETURNING promises no order.
        return sorted(self._rows, key=self._place)

    @property
    def _missing(self) -> int:
        return self._claim.limit - len(self._rows)

    def _place(self, row: sqlite3.Row) -> tuple[int, ...]:
        return (row["id"],) if self._discipline is Discipline.FIFO else (row["not_before"], row["id"])

    async def _found(self, statement: str, **also: object) -> list[sqlite3.Row]:
        return list(await self._writer.execute_fetchall(_SQL[statement], {**self._asked, **also}))

    async def _take(self, statement: str, **also: object) -> None:
        secrets = self._claim.secrets[len(self._rows) * SECRET_BYTES :]
        self._rows += await self._found(statement, secrets=secrets, **also)

    async def _take_in_turn(self) -> None:
        """Lease one message of each group in turn, then a second of each, and so on; or all of one group by one."""
        heads = await self._heads_in_turn()
        names = list(heads)
        candidates = [
            (rank, place, message_id) for place, ids in enumerate(heads.values()) for rank, message_id in enumerate(ids)
        ]
        if not (self._claim.whole_groups and self._discipline is Discipline.FIFO):
            candidates.sort()
        chosen = candidates[: self._claim.limit]
        if chosen:
            await self._take("claim_chosen", ids=stored_list(message_id for _, _, message_id in chosen))
            await self._served([names[place] for place in sorted({place for _, place, _ in chosen})])
        if self._missing and self._discipline is Discipline.FAIR:
            # What was enqueued while the queue was not fair is in no group that has a turn.
            await self._take("claim", limit=self._missing)

    async def _heads_in_turn(self) -> dict[str, list[int]]:
        """The first claimable messages of the groups whose turn it is, as many groups as the claim may need."""
        await self._found("groups_come_due")
        heads: dict[str, list[int]] = {}
        groups_max, after_turn = self._claim.limit, 0
        for _ in range(LOOKS_MAX):
            in_turn = await self._found("groups_in_turn", limit=groups_max, after_turn=after_turn)
            heads |= await self._looked_at([row["group_id"] for row in in_turn])
            if len(in_turn) < groups_max or len(heads) >= self._claim.limit:
                break
            after_turn = in_turn[-1]["turn"]
            groups_max = GROUPS_LOOKED_AT
        return heads

    async def _looked_at(self, in_turn: Sequence[str]) -> dict[str, list[int]]:
        """What those groups have to give; of those that have nothing it is kept when to look again."""
        looks: dict[str, int | None] = await self._blocked(in_turn) if self._discipline is Discipline.FIFO else {}
        free = [group_id for group_id in in_turn if group_id not in looks]
        heads = await self._heads(free)
        looks |= await self._next_looks([group_id for group_id in free if group_id not in heads])
        await self._change("group_looked_at", [(group_id, {"look_at": at}) for group_id, at in looks.items()])
        return heads

    async def _blocked(self, in_turn: Sequence[str]) -> dict[str, int | None]:
        if not in_turn:
            return {}
        blocked = await self._found("groups_blocked", groups=stored_list(in_turn))
        return {
            row["group_id"]: None if row["leased"] else row["waits_until"]
            for row in blocked
            if row["leased"] or row["waits_until"] is not None
        }

    async def _heads(self, free: Sequence[str]) -> dict[str, list[int]]:
        """The first claimable messages of each group that has any, in the order of the groups."""
        if not free:
            return {}
        limit = self._claim.limit
        per_group = min(limit, max(-(-limit // len(free)), HEADS_MAX // len(free)))
        fifo = self._discipline is Discipline.FIFO
        statement = "group_heads_fifo" if fifo else "group_heads_fair"
        rows = await self._found(statement, groups=stored_list(free), per_group=per_group)
        heads: defaultdict[str, list[int]] = defaultdict(list)
        for row in sorted(rows, key=lambda row: (row["place"], *self._place(row))):
            heads[free[row["place"]]].append(row["id"])
        return heads

    async def _next_looks(self, empty_handed: Sequence[str]) -> dict[str, int | None]:
        if not empty_handed:
            return {}
        rows = await self._found("groups_empty_handed", groups=stored_list(empty_handed))
        await self._change("group_emptied", [(row["group_id"], {}) for row in rows if not row["has_messages"]])
        return {
            row["group_id"]: groups.NOT_BY_ITSELF if row["due_at"] is None else row["due_at"]
            for row in rows
            if row["has_messages"]
        }

    async def _served(self, served: Sequence[str]) -> None:
        turns = await groups.drawn_turns(self._writer, len(served))
        at = None if self._discipline is Discipline.FIFO else groups.AT_ONCE
        rows = [(group_id, {"turn": turn, "look_at": at}) for group_id, turn in zip(served, turns, strict=True)]
        await self._change("group_served", rows)

    async def _change(self, statement: str, changes: Iterable[tuple[str, dict[str, int | None]]]) -> None:
        rows = [
            {"partition_id": self._asked["partition_id"], "group_id": group_id, **fields}
            for group_id, fields in changes
        ]
        if rows:
            await self._writer.executemany(_SQL[statement], rows)
