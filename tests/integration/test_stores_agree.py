"""Memory, SQLite and PostgreSQL are given the same random commands, and each answers as one small model does."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from hypothesis.strategies import DataObject, SearchStrategy, builds, data, floats, integers, lists, sampled_from
from msgspec.structs import replace

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.stores.backend import Backend
from sqslite.adapters.stores.memory import MemoryBackend
from sqslite.adapters.stores.postgres.backend import PostgresBackend
from sqslite.adapters.stores.postgres.claim_cursor import AlwaysFromTheStart
from sqslite.adapters.stores.sqlite.backend import SqliteBackend
from sqslite.domain.leases import Refusal
from sqslite.domain.limits import ATTEMPT_MS, RETENTION_FOREVER, VISIBILITY_MS_MAX, ms
from sqslite.domain.messages import BodyKind, NewMessage
from tests.integration.conftest import emptied
from tests.integration.store_actor import Actor
from tests.integration.store_model import QUEUES, Handle, Held, Model

EXAMPLES = 25
STEPS = 40


T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, Any]], Any]

Draw = Callable[[SearchStrategy[T]], T]

visibilities_ms = sampled_from([1_000, 2_000, VISIBILITY_MS_MAX])
errors = sampled_from([None, "boom", "bang é"])
durations_ms = sampled_from([1, 999, 1_000, 30_000, ATTEMPT_MS, VISIBILITY_MS_MAX])
retentions_ms = sampled_from([*[RETENTION_FOREVER] * 5, 2_000, 60_000])
attempt_ids = sampled_from([None, None, "x", "y"])
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
    group_id=sampled_from([None, "g", "h"]),
    dedup_id=sampled_from([None, None, None, "x", "y"]),
    retention_ms=retentions_ms,
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
        model = self.model
        commands = [self.enqueue] * 4
        if model.messages:
            commands += [self.time_passes, self.ack_unproven, self.sight, self.sight, self.renew]
            commands += [self.resume] * 3 if model.paused else [self.pause]
        commands += [self.expire] * 2 if not all(map(model.kept, model.messages.values())) else []
        commands += [self.claim] * 8 if model.busy_queues() else []
        commands += [self.redrive] * 2 if model.lines("dead") else []
        commands += [self.ack, self.extend, self.hold] * 2 if self.deliveries else []
        commands += [self.look] + [self.sweep] * 4 if model.next_due() else []
        commands += [self.settle] * 3 if self.leases else []
        return commands

    def enqueue(self, draw: Draw) -> None:
        queue = draw(sampled_from(["orders", "lines", "lines", "flows", "dead"]))
        messages = draw(lists(new_messages, min_size=1, max_size=4))
        if queue == "dead":
            messages = [replace(message, delay_ms=0, dlq=None) for message in messages]
        self.agreed("enqueue", queue, messages)

    def claim(self, draw: Draw) -> None:
        queue = draw(sampled_from(self.model.busy_queues() or sorted(QUEUES)))
        limit = draw(sampled_from(self.model.limits(queue)))
        claimed = self.agreed("claim", queue, limit, draw(visibilities_ms), draw(attempt_ids))
        self.deliveries += [(queue, handle) for handle, _ in claimed if (queue, handle) not in self.deliveries]

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
        for handle, until in self.agreed("look", draw(sampled_from([None, *sorted(QUEUES)]))):
            self.leases.append((self.model.messages[handle[0]].queue, (handle, until)))

    def settle(self, draw: Draw) -> None:
        leases = self.picked(self.leases, draw(picks))
        self.agreed("settle", *leases, draw(floats(0, 1)), draw(errors), draw(retentions_ms))

    def sweep(self, draw: Draw) -> None:
        """All leases end, and are settled."""
        last = max(known.lease_until for known in self.model.messages.values() if known.lease_until)
        self.clock.shift(max(ms(0), last - self.clock.now()))
        for queue in QUEUES:
            ended = self.agreed("look", queue)
            self.agreed("settle", queue, ended, draw(floats(0, 1)), draw(errors), draw(retentions_ms))

    def expire(self, draw: Draw) -> None:
        self.agreed("expire")

    def pause(self, draw: Draw) -> None:
        self.agreed("pause", draw(sampled_from(sorted(QUEUES))), True)

    def resume(self, draw: Draw) -> None:
        self.agreed("pause", draw(sampled_from(sorted(self.model.paused))), False)

    def renew(self, draw: Draw) -> None:
        queue = draw(sampled_from(sorted({known.queue for known in self.model.messages.values()})))
        self.agreed("renew", queue)

    def redrive(self, draw: Draw) -> None:
        self.agreed("redrive", draw(integers(1, 6)), draw(retentions_ms))

    def sight(self, draw: Draw) -> None:
        there = sorted(self.model.messages)
        gone = set(range(self.model.enqueued_ever)) - self.model.messages.keys()
        self.agreed("sight", draw(sampled_from([*there, *there, *sorted(gone)[-1:]])))

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
            assert answer == expected, f"{actor.name} disagrees on {call}: {answer}, not {expected}"
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
