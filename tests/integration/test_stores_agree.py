"""Memory, SQLite and PostgreSQL are given the same random commands, and each answers as one small model does."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from hypothesis.strategies import DataObject, SearchStrategy, builds, data, floats, integers, just, lists, sampled_from
from msgspec.structs import replace

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.entropy import SeededEntropy
from sqslite.adapters.stores.backend import Backend
from sqslite.adapters.stores.memory import MemoryBackend
from sqslite.adapters.stores.postgres.backend import PostgresBackend
from sqslite.adapters.stores.postgres.claim_cursor import AlwaysFromTheStart
from sqslite.adapters.stores.sqlite.backend import SqliteBackend
from sqslite.domain.leases import Acked, Lease, Receipt, Refusal
from sqslite.domain.lifecycle import State
from sqslite.domain.limits import RETENTION_FOREVER, VISIBILITY_MS_MAX, ms
from sqslite.domain.messages import BodyKind, Message, NewMessage
from sqslite.domain.ports import Claim, Extension, MoveToDlq, RequeueAt
from sqslite.domain.queues import Queue, QueueSettings
from sqslite.domain.retry import DeadLetter, decide
from tests.integration.conftest import emptied
from tests.integration.store_model import BACKOFF, QUEUES, Handle, Held, Model

PAGE = 1_000
EXAMPLES = 25
STEPS = 40


@dataclass
class Actor:
    """A store that is spoken to in the model's terms, and whose answers are brought into them."""

    name: str
    backend: Backend
    clock: VirtualClock
    queues: dict[str, Queue] = field(default_factory=dict)
    entropy: SeededEntropy = field(default_factory=SeededEntropy)
    ids: list[int] = field(default_factory=list)
    receipts: dict[Handle, Receipt] = field(default_factory=dict)
    leases: dict[Held, Lease] = field(default_factory=dict)

    async def begin(self) -> None:
        """An empty store with the queues; ids go on where they were."""
        self.queues = {name: await self.backend.catalog.ensure(name, QueueSettings()) for name in QUEUES}
        for queue in self.queues.values():
            left = await self.peek(queue)
            await self.backend.store.ack_unproven([message.id for message in left])
        self.entropy = SeededEntropy()
        self.ids, self.receipts, self.leases = [], {}, {}

    async def enqueue(self, queue: str, messages: Sequence[NewMessage]) -> list[int]:
        self.ids += [accepted.id for accepted in await self.backend.store.enqueue(self.queues[queue], messages)]
        assert self.ids == sorted(set(self.ids))
        return list(range(len(self.ids)))[-len(messages) :]

    async def claim(self, queue: str, limit: int, visibility_ms: int) -> list[tuple[Handle, int]]:
        claim = Claim(limit=limit, visibility_ms=visibility_ms, secrets=self.entropy.secrets(limit))
        claimed = []
        for delivery in await self.backend.store.claim(self.queues[queue], claim):
            number = self.ids.index(delivery.message.id)
            handle = number, sum(earlier == number for earlier, _ in self.receipts)
            self.receipts[handle] = delivery.receipt
            claimed.append((handle, delivery.receipt.delivery_count))
        return claimed

    async def ack(self, queue: str, handles: Sequence[Handle]) -> list[Acked | Refusal]:
        receipts = [self.receipts[handle] for handle in handles]
        return [_anywhere(outcome) for outcome in await self.backend.store.ack(self.partition(queue), receipts)]

    async def ack_unproven(self, numbers: Sequence[int]) -> list[Acked | Refusal]:
        outcomes = await self.backend.store.ack_unproven([self.ids[number] for number in numbers])
        return [_anywhere(outcome) for outcome in outcomes]

    async def extend(self, queue: str, handles: Sequence[Handle], visibility_ms: int) -> list[datetime | Refusal]:
        extensions = [Extension(self.receipts[handle], visibility_ms) for handle in handles]
        return await self.backend.store.extend(self.partition(queue), extensions)

    async def hold(self, queue: str, handles: Sequence[Handle]) -> list[Held | Refusal]:
        held = await self.backend.store.held(self.partition(queue), [self.receipts[handle] for handle in handles])
        assert held.now == self.clock.now()
        return [lease if isinstance(lease, Refusal) else self.remembered(lease) for lease in held.leases]

    async def look(self, queue: str | None) -> list[Held]:
        expired = await self.backend.store.expired(PAGE, queue and self.partition(queue))
        assert expired.now == self.clock.now()
        return sorted(self.remembered(lease) for lease in expired.leases)

    async def settle(self, queue: str, leases: Sequence[Held], jitter: float, error: str | None) -> list[bool]:
        settlements = [self.settlement(self.leases[lease], jitter, error) for lease in leases]
        return await self.backend.store.settle(self.partition(queue), settlements)

    async def view(self) -> dict[int, tuple]:
        pages = await _gathered(self.peek(self.queues[queue]) for queue in QUEUES)
        messages = [(queue, message) for queue, page in zip(QUEUES, pages, strict=True) for message in page]
        return {
            self.ids.index(message.id): (
                *(queue, message.body, message.body_kind, message.max_retries, message.dlq),
                *(message.enqueued_at, message.not_before, message.lease_until, message.delivery_count),
                *(message.last_error, (message.origin_queue, message.origin_delivery_count)),
                *(message.attributes, message.group_id, message.fence),
            )
            for queue, message in messages
        }

    async def peek(self, queue: Queue) -> list[Message]:
        states = (State.READY, State.DELAYED, State.LEASED)
        pages = [await self.backend.stats.peek(queue.partition_id, state, None, PAGE) for state in states]
        return [message for page in pages for message in page]

    async def everything(self) -> list:
        return await _gathered([self.view(), self.depths(), self.next_due()])

    async def depths(self) -> list[tuple[int, ...]]:
        depths = await self.backend.stats.depths([self.queues[name] for name in QUEUES])
        return [(depth.ready, depth.delayed, depth.in_flight) for depth in depths]

    async def next_due(self) -> datetime | None:
        return (await self.backend.store.next_due()).at

    def partition(self, queue: str) -> int:
        return self.queues[queue].partition_id

    def remembered(self, lease: Lease) -> Held:
        (handle,) = [handle for handle, receipt in self.receipts.items() if receipt == lease.receipt]
        self.leases[handle, lease.lease_until] = lease
        return handle, lease.lease_until

    def settlement(self, lease: Lease, jitter: float, error: str | None) -> RequeueAt | MoveToDlq:
        decision = decide(lease, BACKOFF, jitter, self.clock.now())
        if isinstance(decision, DeadLetter):
            return MoveToDlq(lease, self.queues[decision.queue], self.clock.now(), RETENTION_FOREVER, error)
        return RequeueAt(lease, self.clock.now() + ms(decision.after_ms), error)


def _anywhere(outcome: Acked | Refusal) -> Acked | Refusal:
    """In the model's terms partitions have no numbers."""
    return Acked(outcome.claimed_at, 0) if isinstance(outcome, Acked) else outcome


T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, Any]], Any]

Draw = Callable[[SearchStrategy[T]], T]

visibilities_ms = sampled_from([1_000, 2_000, VISIBILITY_MS_MAX])
errors = sampled_from([None, "boom", "bang é"])
durations_ms = sampled_from([1, 999, 1_000, 30_000, VISIBILITY_MS_MAX])
# Places counted from the newest; so picks are mostly fresh, often stale, and may come twice.
picks = lists(integers(0, 8), min_size=1, max_size=4)
new_messages = builds(
    NewMessage,
    body=integers(0, 999).map(b"%d".__mod__),
    body_kind=sampled_from(BodyKind),
    delay_ms=sampled_from([0, 0, 1_000]),
    max_retries=integers(1, 2),
    dlq=sampled_from(["dead", None]),
    attributes=sampled_from([{}, {"a": "1", "é": ""}]),
    group_id=sampled_from([None, "g"]),
    retention_ms=just(RETENTION_FOREVER),
)


class Agreement(RuleBasedStateMachine):
    """Every command goes to the model and to each store; then everything there is to see is compared."""

    def __init__(self, actors: list[Actor], clock: VirtualClock, run: Run) -> None:
        super().__init__()
        self.actors = actors
        self.clock = clock
        self.run = run
        self.model = Model(clock)
        # All there ever were, current or not, with the queue that they were given out by.
        self.deliveries: list[tuple[str, Handle]] = []
        self.leases: list[tuple[str, Held]] = []
        for actor in actors:
            run(actor.begin())

    # One rule for all: of several, Hypothesis leaves some out in each example, and long lives need most of them.
    @rule(data=data())
    def next_command(self, data: DataObject) -> None:
        command = data.draw(sampled_from(self.possible()))
        command(data.draw)

    def possible(self) -> list[Callable[[Draw], None]]:
        """The commands that have something to act on, the more important ones more than once."""
        commands = [self.enqueue]
        commands += [self.time_passes, self.ack_unproven] if self.model.messages else []
        commands += [self.claim] * 4 if self.model.ready_queues() else []
        commands += [self.ack, self.extend, self.hold] if self.deliveries else []
        commands += [self.look] + [self.sweep] * 3 if self.model.next_due() else []
        commands += [self.settle] * 2 if self.leases else []
        return commands

    def enqueue(self, draw: Draw) -> None:
        queue = draw(sampled_from(QUEUES))
        messages = draw(lists(new_messages, min_size=1, max_size=4))
        if queue == "dead":
            messages = [replace(message, delay_ms=0, dlq=None) for message in messages]
        self.agreed("enqueue", queue, messages)

    def claim(self, draw: Draw) -> None:
        queue = draw(sampled_from(self.model.ready_queues()))
        claimed = self.agreed("claim", queue, draw(integers(1, 6)), draw(visibilities_ms))
        self.deliveries += [(queue, handle) for handle, _ in claimed]

    def ack(self, draw: Draw) -> None:
        queue, handles = self.picked(self.deliveries, draw(picks))
        # Two receipts of one message in one call: which of them comes first is the store's to say.
        one_of_each = dict(reversed(handles))
        self.agreed("ack", queue, [handle for handle in handles if one_of_each[handle[0]] == handle[1]])

    def extend(self, draw: Draw) -> None:
        self.agreed("extend", *self.picked(self.deliveries, draw(picks)), draw(visibilities_ms))

    def ack_unproven(self, draw: Draw) -> None:
        there = draw(sampled_from(sorted(self.model.messages)))
        self.agreed("ack_unproven", [there, draw(integers(0, self.model.enqueued_ever - 1))])

    def hold(self, draw: Draw) -> None:
        queue, handles = self.picked(self.deliveries, draw(picks))
        held = self.agreed("hold", queue, handles)
        self.leases += [(queue, lease) for lease in held if not isinstance(lease, Refusal)]

    def look(self, draw: Draw) -> None:
        for handle, until in self.agreed("look", draw(sampled_from([None, *QUEUES]))):
            self.leases.append((self.model.messages[handle[0]].queue, (handle, until)))

    def settle(self, draw: Draw) -> None:
        self.agreed("settle", *self.picked(self.leases, draw(picks)), draw(floats(0, 1)), draw(errors))

    def sweep(self, draw: Draw) -> None:
        """All leases end, and are settled."""
        last = max(known.lease_until for known in self.model.messages.values() if known.lease_until)
        self.clock.shift(max(ms(0), last - self.clock.now()))
        for queue in QUEUES:
            self.agreed("settle", queue, self.agreed("look", queue), draw(floats(0, 1)), draw(errors))

    def time_passes(self, draw: Draw) -> None:
        self.clock.shift(ms(draw(durations_ms)))

    @invariant()
    def everything_looks_the_same(self) -> None:
        self.agreed("everything")

    def agreed(self, call: str, *arguments: object) -> Any:
        """The model's answer, once every store has given it too."""
        expected = getattr(self.model, call)(*arguments)
        answers = self.run(_gathered(getattr(actor, call)(*arguments) for actor in self.actors))
        for actor, answer in zip(self.actors, answers, strict=True):
            assert answer == expected, f"{actor.name} disagrees on {call}"
        return expected

    @staticmethod
    def picked(given_out: list[tuple[str, Any]], places: list[int]) -> tuple[str, list[Any]]:
        """Those at the places that were given out by the same queue as the first of them, and that queue."""
        there = [given_out[-1 - min(place, len(given_out) - 1)] for place in places]
        queue = there[0][0]
        return queue, [item for of_queue, item in there if of_queue == queue]


async def _gathered(calls: Iterable[Awaitable[T]]) -> list[T]:
    return await asyncio.gather(*calls)


def test_all_stores_do_what_the_model_does(tmp_path: Path, postgres_store_url: str, clock: VirtualClock):
    # The cursor gives up a little of the order of claims for speed; here the order is to be exact.
    postgres = PostgresBackend(postgres_store_url, clock=clock, cursor=AlwaysFromTheStart(), pool_size=4)
    sqlite = SqliteBackend(tmp_path / "queue.db", clock)
    backends: list[Backend] = [MemoryBackend(clock), sqlite, postgres]
    actors = [Actor(type(backend).__name__, backend, clock) for backend in backends]
    stack = AsyncExitStack()

    async def begin() -> None:
        stack.push_async_callback(sqlite.close)
        await sqlite.open()
        await sqlite.migrate()
        await anext(await stack.enter_async_context(aclosing(emptied(postgres))))

    with asyncio.Runner() as runner:
        try:
            runner.run(begin())
            run_state_machine_as_test(
                lambda: Agreement(actors, clock, runner.run),
                settings=settings(
                    max_examples=EXAMPLES,
                    stateful_step_count=STEPS,
                    deadline=None,
                    derandomize="CI" in os.environ,
                ),
            )
        finally:
            runner.run(stack.aclose())
