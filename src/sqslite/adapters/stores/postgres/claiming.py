"""Claim: one statement on a standard queue; where groups are served in turn, one transaction under their locks."""

import hashlib
import time
from collections.abc import Sequence
from datetime import datetime

from sqslite.adapters.stores.postgres.claim_cursor import BEGINNING, PARTITIONS_MAX, Cursor
from sqslite.adapters.stores.postgres.database import Database, Statements, Transaction
from sqslite.adapters.stores.postgres.rows import delivery_from
from sqslite.domain.errors import SqsliteError
from sqslite.domain.leases import SECRET_BYTES
from sqslite.domain.limits import ATTEMPT_MS
from sqslite.domain.messages import Delivery
from sqslite.domain.ports import Claim
from sqslite.domain.queues import Discipline, Queue

# How many messages at most a claim weighs against one another, whatever the number of its groups.
CANDIDATES_MAX = 10_000
# How often a claim looks for groups, and how many more each time, where those before had nothing to give.
LOOKS_MAX = 4
GROWTH = 10
GROUPS_MAX = 1_000
# How long a claim waits for the group whose turn it is; a sender may hold it for as long as its own transaction takes.
WAIT_MS_MAX = 200
# For how long claims do not wait again after one has waited in vain.
IMPATIENT_S = 2.0
_GROUPED = {Discipline.FAIR: "claim_fair", Discipline.FIFO: "claim_fifo"}


class Claiming:
    """Claims, and what they remember from one to the next: nothing but where to look first."""

    def __init__(self, database: Database, cursor: Cursor) -> None:
        self._database = database
        self._cursor = cursor
        self._passed_over: dict[int, str] = {}
        self._impatient_until_s: dict[int, float] = {}

    async def claim(self, queue: Queue, claim: Claim) -> list[Delivery]:
        """Lease what comes next, or answer with what the same attempt has leased before."""
        if claim.attempt_id is None and queue.settings.discipline is Discipline.STANDARD:
            return await self._oldest(self._database, queue, claim, 0)
        return await self._database.transact(lambda statements: self._in_transaction(statements, queue, claim))

    async def _in_transaction(self, statements: Transaction, queue: Queue, claim: Claim) -> list[Delivery]:
        if claim.attempt_id is not None:
            await statements.write("claim_attempt", _lock_of(queue.partition_id, claim.attempt_id))
            rows = await statements.write("claim_replay", queue.partition_id, claim.attempt_id, ATTEMPT_MS)
            if rows:
                return _in_order(queue, [delivery_from(queue.partition_id, row) for row in rows])
        discipline = queue.settings.discipline
        if discipline is Discipline.STANDARD:
            return await self._oldest(statements, queue, claim, 0)
        deliveries = await self._in_turn(statements, queue, claim)
        if discipline is Discipline.FAIR and len(deliveries) < claim.limit:
            deliveries += await self._oldest(statements, queue, claim, len(deliveries))
        return _in_order(queue, deliveries)

    async def _in_turn(self, statements: Transaction, queue: Queue, claim: Claim) -> list[Delivery]:
        """Lease one of each group in turn, then a second of each, and so on; or all of one group by one.

        Groups that turn out to have nothing to give make room for more groups, a bounded number of times; only then
        does one that has given give again.
        """
        deliveries: list[Delivery] = []
        gave: dict[str, int] = {}
        groups_max, whole = claim.limit, claim.whole_groups and queue.settings.fifo
        for look in range(LOOKS_MAX):
            if look:
                groups_max = max(claim.limit, min(GROUPS_MAX, GROWTH * groups_max))
                turns, _ = await self._locked_groups(statements, queue.partition_id, groups_max)
            else:
                turns = await self._first_groups(statements, queue.partition_id, groups_max)
            there_are_more = len(turns) >= groups_max
            each_max = 1 if (look or there_are_more) and not whole else claim.limit
            given = await self._of_groups(statements, queue, claim, turns, deliveries, each_max)
            deliveries += given
            giving = _groups(given)
            gave |= {group: turn for group, turn in turns.items() if group in giving}
            if len(deliveries) >= claim.limit or not there_are_more:
                break
        if look and len(deliveries) < claim.limit and not whole:
            deliveries += await self._of_groups(statements, queue, claim, gave, deliveries, claim.limit)
        return deliveries

    async def _of_groups(
        self,
        statements: Statements,
        queue: Queue,
        claim: Claim,
        turns: dict[str, int],
        had: Sequence[Delivery],
        each_max: int,
    ) -> list[Delivery]:
        """Lease up to `each_max` messages of each group that this transaction has locked, and note when to look again.

        `had` is what the claim has leased already, which keeps no group from giving more.
        """
        if not turns:
            return []
        groups, limit = list(turns), claim.limit - len(had)
        each_max = min(each_max, limit, max(-(-limit // len(groups)), CANDIDATES_MAX // len(groups)))
        rows = await statements.write(
            _GROUPED[queue.settings.discipline],
            queue.partition_id,
            limit,
            claim.visibility_ms,
            claim.secrets[len(had) * SECRET_BYTES :],
            claim.attempt_id,
            each_max,
            groups,
            *(([delivery.message.id for delivery in had], claim.whole_groups) if queue.settings.fifo else ()),
        )
        deliveries = [delivery_from(queue.partition_id, row) for row in rows]
        served = _groups([*had, *deliveries])
        new_turns = [turns[group] if group in served else 0 for group in groups]
        await statements.write("claim_groups_done", queue.partition_id, groups, new_turns, queue.settings.fifo)
        return deliveries

    async def _first_groups(self, statements: Transaction, partition_id: int, limit: int) -> dict[str, int]:
        """Up to `limit` groups that are due, now locked, in their order, and the turn that each takes next.

        Groups that others have locked are passed over. So that the one whose turn it is does not starve behind busy
        senders it is waited for by the next claim, or at once where there is no other; while nothing else is locked,
        lest two wait for each other.
        """
        turns: dict[str, int] = {}
        waited_for = self._passed_over.pop(partition_id, None)
        if waited_for is not None:
            turns = await self._waited_for(statements, partition_id, waited_for)
        others, first = await self._locked_groups(statements, partition_id, limit - len(turns), next(iter(turns), None))
        turns |= others
        if first is None or first in turns or time.monotonic() < self._impatient_until_s.get(partition_id, 0.0):
            return turns
        if not turns:
            return await self._waited_for(statements, partition_id, first)
        self._passed_over[partition_id] = first
        return turns

    async def _waited_for(self, statements: Transaction, partition_id: int, group: str) -> dict[str, int]:
        """The group and its next turn, once others let go of it; nothing where that takes too long."""
        rows = await statements.write_within(WAIT_MS_MAX, "claim_group", partition_id, group)
        if rows is None:
            if len(self._impatient_until_s) >= PARTITIONS_MAX:
                self._impatient_until_s.clear()
            self._impatient_until_s[partition_id] = time.monotonic() + IMPATIENT_S
        return dict(rows or ())

    async def _locked_groups(
        self, statements: Statements, partition_id: int, limit: int, besides: str | None = None
    ) -> tuple[dict[str, int], str | None]:
        """Groups that are due besides that one, now locked unless others have them; and the first of all."""
        ((groups, drawn, first),) = await statements.write("claim_groups", partition_id, limit, besides)
        return dict(zip(groups, sorted(drawn), strict=True)), first

    async def _oldest(self, statements: Statements, queue: Queue, claim: Claim, had: int) -> list[Delivery]:
        """Lease what has been ready longest, from where the last claim ended; looks again where that was too little.

        `had` is how many of the claim's messages it has already.
        """
        partition_id = queue.partition_id
        start = self._cursor.start(partition_id)
        deliveries = await self._scan(statements, start, partition_id, claim, had)
        had += len(deliveries)
        if had < claim.limit and start != BEGINNING and self._cursor.may_look_again(partition_id):
            try:
                deliveries += await self._scan(statements, BEGINNING, partition_id, claim, had)
            except SqsliteError:
                # What the first look has leased is the caller's; a claim may come back short.
                if not deliveries:
                    raise
            deliveries.sort(key=_first_in_line)
        return deliveries

    async def _scan(
        self, statements: Statements, start: datetime, partition_id: int, claim: Claim, had: int
    ) -> list[Delivery]:
        started_s = time.monotonic()
        rows = await statements.write(
            "claim",
            partition_id,
            claim.limit - had,
            claim.visibility_ms,
            claim.secrets[had * SECRET_BYTES :],
            start,
            claim.attempt_id,
        )
        deliveries = [delivery_from(partition_id, row) for row in rows]
        deliveries.sort(key=_first_in_line)
        last = deliveries[-1].message.not_before if deliveries else None
        self._cursor.scanned(partition_id, start, last, time.monotonic() - started_s)
        return deliveries


def _lock_of(partition_id: int, attempt_id: str) -> int:
    digest = hashlib.blake2b(f"{partition_id} {attempt_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def _groups(deliveries: Sequence[Delivery]) -> set[str]:
    return {delivery.message.group_id or "" for delivery in deliveries}


def _in_order(queue: Queue, deliveries: Sequence[Delivery]) -> list[Delivery]:
    return sorted(deliveries, key=_by_id if queue.settings.fifo else _first_in_line)


def _by_id(delivery: Delivery) -> int:
    return delivery.message.id


def _first_in_line(delivery: Delivery) -> tuple[datetime, int]:
    return delivery.message.not_before, delivery.message.id
