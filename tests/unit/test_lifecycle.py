"""The table of transitions: whole, unambiguous, drawn in the docs, and walked at random over a store."""

import re
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.stores.memory import MemoryBackend
from sqslite.domain.leases import Acked, Lease, Receipt, Refusal
from sqslite.domain.lifecycle import TRANSITIONS, Event, State, Transition, When, diagram, state_of
from sqslite.domain.limits import ms
from sqslite.domain.messages import Delivery
from sqslite.domain.ports import Delete, Extension, MoveToDlq, RequeueAt, Settlement
from sqslite.domain.queues import Defaults, Queue, QueueSettings
from sqslite.domain.retry import Backoff, BackoffKind, DeadLetter, Drop, decide
from tests.conformance.world import World, message

ARCHITECTURE = Path(__file__).parents[2] / "docs" / "architecture.md"
IN_DOCS = re.compile(r"<!-- lifecycle:begin -->\n```mermaid\n(.*?)\n```\n<!-- lifecycle:end -->", re.DOTALL)

DELAY_MS = 5_000
VISIBILITY_MS = 30_000
MAX_RETRIES = 2
# So that a message is outlived while it is delayed for a retry, or only after several deliveries.
KEPT_MS = (VISIBILITY_MS + DELAY_MS, 10 * VISIBILITY_MS)

instants = st.datetimes(datetime(2026, 1, 1), datetime(2026, 1, 2), timezones=st.just(UTC))


def test_one_state_event_and_condition_have_one_target():
    keys = [(row.state, row.event, row.when) for row in TRANSITIONS]
    assert len(set(keys)) == len(keys)


def test_an_unconditional_row_stands_alone():
    conditions = defaultdict(list)
    for row in TRANSITIONS:
        conditions[row.state, row.event].append(row.when)
    assert all(whens == [When.ALWAYS] for whens in conditions.values() if When.ALWAYS in whens)


def test_every_state_is_reached_and_every_event_happens():
    reached = {State.NONE}
    for _ in State:
        reached |= {row.target for row in TRANSITIONS if row.state in reached}
    assert reached == set(State)
    assert {row.event for row in TRANSITIONS} == set(Event)
    assert {row.when for row in TRANSITIONS} == set(When)


def test_gone_is_the_end_and_none_only_the_beginning():
    assert not [row for row in TRANSITIONS if row.state is State.GONE]
    assert not [row for row in TRANSITIONS if row.target is State.NONE]


def test_only_leases_whose_deliveries_are_used_up_or_that_are_rejected_lead_to_the_dlq():
    to_dlq = {row for row in TRANSITIONS if row.when in (When.USED_UP, When.REJECTED)}
    assert {row for row in TRANSITIONS if row.to_dlq} == to_dlq
    assert {row.state for row in TRANSITIONS if row.to_dlq} == {State.LEASED}


@given(instants, st.one_of(st.none(), instants), instants)
def test_a_lease_makes_a_message_leased_and_else_its_time_decides(not_before, lease_until, now):
    expected = State.LEASED if lease_until else State.READY if now >= not_before else State.DELAYED
    assert state_of(not_before, lease_until, now) is expected


def test_a_message_is_ready_at_the_very_instant_of_its_not_before():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert state_of(now, None, now) is State.READY
    assert state_of(now + timedelta(microseconds=1), None, now) is State.DELAYED


def test_the_diagram_shows_every_row():
    lines = [line.strip() for line in diagram().splitlines()]
    assert lines[0] == "stateDiagram-v2"
    assert len(lines) == len(TRANSITIONS) + 1
    assert "[*] --> DELAYED: enqueue [delay > 0]" in lines
    assert "DELAYED --> READY: not_before has come" in lines
    assert "LEASED --> [*]: ack [receipt still current]" in lines
    assert "LEASED --> READY_IN_DLQ: lease expires [deliveries used up, a DLQ named]" in lines
    for row, line in zip(TRANSITIONS, lines[1:], strict=True):
        assert row.event in line
        assert row.when in line


def test_the_diagram_in_the_docs_is_current():
    drawn = IN_DOCS.search(ARCHITECTURE.read_text())
    assert drawn, "docs/architecture.md has no lifecycle block; see docs/draw_lifecycle.py"
    assert drawn[1] == diagram(), "the table has changed: run `python docs/draw_lifecycle.py`"


class Walk:
    """One message on its way through the table; `superseded` are the receipts that must never work again."""

    def __init__(self, kept_ms: int) -> None:
        clock = VirtualClock()
        backend = MemoryBackend(clock)
        self.world = World(backend, clock, backend.store)
        self.state = State.NONE
        self.kept_ms = kept_ms
        self.expires_at = clock.now() + ms(kept_ms)
        self.delivery_count = 0
        self.current: Receipt | None = None
        self.superseded: list[Receipt] = []

    async def begin(self) -> None:
        self.dlq = await self.world.queue("dead")
        self.queue = self.source = await self.world.catalog.ensure("orders", QueueSettings())

    def possible(self) -> list[Transition]:
        return [row for row in TRANSITIONS if row.state is self.state and self._holds(row)]

    def _holds(self, row: Transition) -> bool:
        used_up = self.queue is self.source and self.delivery_count >= MAX_RETRIES
        outlived = self.world.now + ms(self._takes_ms(row.event)) >= self.expires_at
        match row.when:
            case When.RECEIPT_CURRENT:
                return self.current is not None
            case When.REJECTED:
                return self.queue is self.source and not outlived
            case When.USED_UP:
                return used_up and not outlived
            case When.RETRY_NOW | When.RETRY_LATER:
                return not used_up and not outlived
            case When.RETENTION_OVER:
                # A nack may come as late as it likes.
                return outlived or row.event is Event.NACK
        if self.state is State.DELAYED:
            # It comes due before its retention is over, or else the other way round.
            return outlived == (row.event is Event.OUTLIVE)
        return True

    def _takes_ms(self, event: Event) -> int:
        if event is Event.EXPIRE:
            return VISIBILITY_MS
        return DELAY_MS if self.state is State.DELAYED and event in (Event.COME_DUE, Event.OUTLIVE) else 0

    async def make(self, row: Transition) -> None:
        match row.event:
            case Event.ENQUEUE:
                delay_ms = DELAY_MS if row.when is When.DELAY else 0
                sent = message(delay_ms=delay_ms, dlq="dead", max_retries=MAX_RETRIES, retention_ms=self.kept_ms)
                await self.world.enqueue(self.queue, sent)
            case Event.COME_DUE:
                self.world.advance(DELAY_MS)
            case Event.CLAIM:
                self._claimed(await self.world.claim_one(self.queue, VISIBILITY_MS))
            case Event.ACK:
                assert isinstance((await self.world.ack(self.current))[0], Acked)
            case Event.EXTEND:
                until = self.world.now + ms(VISIBILITY_MS)
                extensions = [Extension(self.current, VISIBILITY_MS)]
                assert await self.world.store.extend(self.queue.partition_id, extensions) == [until]
            case Event.NACK:
                if row.when is When.RETENTION_OVER:
                    self._outlive()
                (lease,) = (await self.world.store.held(self.queue.partition_id, [self.current])).leases
                await self._settle(row, lease)
            case Event.EXPIRE:
                self.world.advance(VISIBILITY_MS)
                (lease,) = (await self.world.store.expired(10)).leases
                await self._settle(row, lease)
            case Event.OUTLIVE:
                self._outlive()
                assert await self.world.claim(self.queue) == []
                assert await self.world.store.expire(10) == 1
        self.state = row.target

    def _outlive(self) -> None:
        self.world.advance((self.expires_at - self.world.now) // ms(1))

    def _claimed(self, delivery: Delivery) -> None:
        if self.current:
            self.superseded.append(self.current)
        self.current = delivery.receipt
        self.delivery_count += 1

    async def _settle(self, row: Transition, lease: Lease) -> None:
        kind = BackoffKind.FIXED if row.when is When.RETRY_LATER else BackoffKind.NONE
        policy = Defaults().retry_policy(self.queue.name, QueueSettings(backoff=Backoff(kind=kind, base_ms=DELAY_MS)))
        decision = decide(lease, policy, 0.5, self.world.now, row.when is When.REJECTED)
        assert isinstance(decision, DeadLetter) == row.to_dlq
        assert isinstance(decision, Drop) == (row.when is When.RETENTION_OVER)
        settlement: Settlement
        if isinstance(decision, DeadLetter):
            settlement = MoveToDlq(lease, self.dlq, self.world.now, self.kept_ms)
        elif isinstance(decision, Drop):
            settlement = Delete(lease)
        else:
            settlement = RequeueAt(lease, self.world.now + ms(decision.after_ms))
        assert await self.world.store.settle(lease.receipt.partition_id, [settlement]) == [True]
        if row.to_dlq:
            self.superseded.append(self.current)
            self.queue, self.delivery_count, self.current = self.dlq, 0, None

    async def check(self) -> None:
        """The store shows what the walk believes, and nothing that was superseded does anything to it."""
        before = await self._rows()
        gone = self.state is State.GONE
        for receipt in self.superseded:
            refusal = Refusal.MISSING if gone else Refusal.STALE
            extension = Extension(receipt, VISIBILITY_MS)
            assert await self.world.ack(receipt) == [refusal]
            assert await self.world.store.extend(receipt.partition_id, [extension]) == [refusal]
            assert (await self.world.store.held(receipt.partition_id, [receipt])).leases == [refusal]
        assert await self._rows() == before
        if gone:
            assert before == []
            return
        ((queue, row),) = before
        assert state_of(row.not_before, row.lease_until, self.world.now) is self.state
        assert (queue.name, row.delivery_count) == (self.queue.name, self.delivery_count)
        assert row.origin_queue == ("orders" if self.queue is self.dlq else None)

    async def _rows(self) -> list[tuple[Queue, object]]:
        return [(queue, row) for queue in (self.source, self.dlq) for row in await self.world.messages(queue)]


@given(st.data())
async def test_a_message_that_walks_the_table_is_where_the_table_says(data: st.DataObject):
    walk = Walk(data.draw(st.sampled_from(KEPT_MS), label="kept_ms"))
    await walk.begin()
    for _ in range(data.draw(st.integers(1, 20), label="steps")):
        rows = walk.possible()
        if not rows:
            break
        row = data.draw(st.sampled_from(rows), label="row")
        await walk.make(row)
        await walk.check()
    if walk.state is State.GONE:
        walk.world.advance(24 * 60 * 60 * 1_000)
        assert [await walk.world.claim(queue) for queue in (walk.source, walk.dlq)] == [[], []]
        assert (await walk.world.store.expired(10)).leases == []
