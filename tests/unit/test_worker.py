"""Workers on a virtual clock: what becomes of messages whose handlers succeed, fail, hang, or are told to stop."""

import asyncio
import threading
from contextvars import ContextVar

import pytest

from sqslite.domain.errors import InvalidValue
from sqslite.domain.limits import ms
from sqslite.domain.messages import Received
from sqslite.domain.retry import Backoff, BackoffKind
from sqslite.entrypoints.worker import Context, Reject, Retry
from tests.unit.node import message
from tests.unit.serving import Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_message_is_handled_and_acked(bench: Bench):
    worker = bench.worker()

    @worker.task(queue="orders")
    async def ship(order: dict) -> None:
        bench.seen.append(order)

    await ship.enqueue({"n": 1})
    async with bench.serving(worker):
        await ship.enqueue({"n": 2})
        await bench.rest()
    assert bench.seen == [{"n": 1}, {"n": 2}]
    assert await bench.left() == []


async def test_a_failure_is_told_to_the_queue_whose_policy_decides(bench: Bench):
    worker = bench.worker()

    @worker.task(queue="orders")
    async def ship(order: dict, context: Context) -> None:
        bench.seen.append((context.delivery_count, context.fence, context.last_delivery, context.message.last_error))
        raise ValueError("no such street")

    await ship.enqueue({}, max_retries=2, dlq="dead")
    async with bench.serving(worker):
        assert bench.seen == [(1, 1, False, None), (2, 2, True, "ValueError: no such street")]
    (dead,) = await bench.left("dead")
    assert (dead.last_error, dead.origin_delivery_count) == ("ValueError: no such street", 2)


async def test_retry_says_when_and_why(bench: Bench):
    worker = bench.worker()

    @worker.task(queue="orders")
    async def ship(context: Context) -> None:
        bench.seen.append(context.message.last_error)
        if context.delivery_count == 1:
            raise Retry("the carrier sleeps", after=90)

    await ship.enqueue()
    async with bench.serving(worker):
        await bench.advance_s(89)
        assert bench.seen == [None]
        await bench.advance_s(2)
        assert bench.seen == [None, "the carrier sleeps"]
    assert await bench.left() == []


async def test_reject_dead_letters_at_once(bench: Bench):
    worker = bench.worker()

    @worker.task(queue="orders")
    async def ship(order: dict) -> None:
        bench.seen.append(order)
        raise Reject("no such article")

    await ship.enqueue({}, dlq="dead")
    async with bench.serving(worker):
        pass
    assert len(bench.seen) == 1
    (dead,) = await bench.left("dead")
    assert (dead.last_error, dead.origin_delivery_count) == ("no such article", 1)


async def test_reject_without_a_dlq_is_a_failure_that_pauses(bench: Bench):
    worker = bench.worker()

    @worker.task(queue="orders")
    async def ship(context: Context) -> None:
        bench.seen.append(context.message.last_error)
        if context.delivery_count == 1:
            raise Reject

    await ship.enqueue()
    async with bench.serving(worker):
        assert bench.seen == [None]
        await bench.advance_s(1)
    assert bench.seen == [None, "Reject"]


async def test_heartbeats_keep_the_lease_of_a_handler_that_takes_long(bench: Bench):
    worker = bench.worker()

    @worker.task(queue="orders", visibility=30)
    async def ship(context: Context) -> None:
        bench.seen.append(context.delivery_count)
        await bench.own.clock.sleep_until(bench.own.clock.now() + ms(65_000))

    await ship.enqueue()
    sweeping = asyncio.create_task(bench.own.sweep.run())
    async with bench.serving(worker):
        await bench.advance_s(60)
        assert bench.seen == [1]
        assert len(await bench.left()) == 1
        await bench.advance_s(6)
        assert await bench.left() == []
    assert bench.seen == [1]
    sweeping.cancel()


async def test_a_short_handler_costs_no_extension_and_long_ones_are_extended_together(bench: Bench):
    extends = []

    class Counting:
        def __getattr__(self, name: str) -> object:
            return getattr(bench.own.service, name)

        async def extend(self, extensions: list) -> list:
            extends.append(len(extensions))
            return await bench.own.service.extend(extensions)

    worker = bench.worker(Counting())
    gate = asyncio.Event()

    @worker.task(queue="orders", visibility=30, concurrency=8)
    async def ship(order: int) -> None:
        await gate.wait()

    async with bench.serving(worker):
        await bench.own.enqueue(*[message(b"1")] * 8)
        await bench.rest()
        await bench.advance_s(4)
        assert extends == []
        await bench.advance_s(26)
        assert sum(extends) == 24 or sum(extends) == 16
        assert max(extends) == 8
        gate.set()


async def test_a_lost_lease_cancels_the_handler_and_leaves_the_message_to_its_new_holder(bench: Bench):
    worker = bench.worker()

    @worker.task(queue="orders", visibility=30)
    async def ship(context: Context) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            bench.seen.append(context.lost.is_set())
            raise

    await ship.enqueue()
    async with bench.serving(worker):
        # As if the process had slept through the end of its lease, and another one had the message now.
        (held,) = await bench.left()
        bench.own.shift(31_000)
        await bench.own.sweep.settle_due()
        other = await bench.own.claim_one(visibility_ms=600_000)
        assert other.message.id == held.id
        await bench.advance_s(5)
        assert bench.seen == [True]
        assert await bench.own.service.ack([other.receipt]) == [None]


async def test_a_handler_that_takes_too_long_is_cancelled_and_its_message_given_up(bench: Bench):
    worker = bench.worker()

    @worker.task(queue="orders", timeout=2)
    async def ship(context: Context) -> None:
        bench.seen.append(context.message.last_error)
        if context.delivery_count == 1:
            await asyncio.Event().wait()

    await ship.enqueue()
    async with bench.serving(worker):
        await bench.advance_s(3)
    assert bench.seen == [None, "timed out after 2 s"]


async def test_a_handler_in_a_thread_can_see_that_it_lost_its_message(bench: Bench):
    worker = bench.worker()
    begun = threading.Event()

    @worker.task(queue="orders", timeout=2, concurrency=1)
    def ship(context: Context) -> None:
        begun.set()
        if context.delivery_count == 1:
            bench.seen.append(context.lost.wait(5))
        else:
            bench.seen.append("again")

    await ship.enqueue()
    async with bench.serving(worker):
        await bench.until(begun.is_set)
        await bench.advance_s(2)
        await bench.until(lambda: len(bench.seen) == 2)
        await bench.until(lambda: len(bench.own.observer.lease_ages_ms) == 1)
    assert bench.seen == [True, "again"]
    assert await bench.left() == []


async def test_no_more_is_claimed_than_handlers_can_start(bench: Bench):
    worker = bench.worker()
    gate = asyncio.Event()

    @worker.task(queue="orders", concurrency=3)
    async def ship(order: int) -> None:
        bench.seen.append(order)
        await gate.wait()

    async with bench.serving(worker):
        await bench.own.enqueue(*[message(b"%d" % n) for n in range(10)])
        await bench.rest()
        assert sorted(bench.seen) == [0, 1, 2]
        assert (await bench.own.depth()).in_flight == 3
        gate.set()
        await bench.rest()
        assert sorted(bench.seen) == [*range(10)]
    assert await bench.left() == []


async def test_the_tasks_of_a_worker_share_its_concurrency_and_an_idle_one_keeps_one_place(bench: Bench):
    worker = bench.worker(concurrency=4)
    gate = asyncio.Event()

    async def work(order: int) -> None:
        bench.seen.append(order)
        await gate.wait()

    worker.task(queue="busy", ordered=False)(work)
    worker.task(queue="idle", ordered=False)(work)
    async with bench.serving(worker):
        await bench.own.enqueue(*[message(b"%d" % n) for n in range(10)], queue="busy")
        await bench.rest()
        assert len(bench.seen) == 3
        await bench.own.enqueue(message(b"10"), queue="idle")
        await bench.rest()
        assert len(bench.seen) == 4
        gate.set()
        await bench.rest()
    assert len(bench.seen) == 11


async def test_a_fifo_queue_keeps_its_order_even_when_a_message_fails(bench: Bench):
    await bench.own.create("orders", fifo=True)
    worker = bench.worker()

    @worker.task(queue="orders")
    async def ship(order: int, context: Context) -> None:
        bench.seen.append((order, context.delivery_count))
        if order == 0 and context.delivery_count < 3:
            raise Retry(after=10)

    for n in range(3):
        await ship.enqueue(n, group_id="a", max_retries=3, dlq="dead")
    await ship.enqueue(10, group_id="b")
    async with bench.serving(worker):
        assert bench.seen == [(0, 1), (10, 1)]
        await bench.advance_s(25)
    # Those behind it are delivered once each: its failures cost them nothing.
    assert bench.seen == [(0, 1), (10, 1), (0, 2), (0, 3), (1, 1), (2, 1)]


async def test_a_batch_is_handled_at_once_and_its_failures_are_each_messages_own(bench: Bench):
    worker = bench.worker()

    @worker.task(queue="orders", batch=100)
    async def ship(orders: list[int], contexts: list[Context]) -> list[object]:
        bench.seen.append([(order, context.delivery_count) for order, context in zip(orders, contexts, strict=True)])
        first = contexts[0].delivery_count == 1
        return [ValueError("odd") if order % 2 and first else None for order in orders]

    await bench.own.enqueue(*[message(b"%d" % n) for n in range(4)], message(b'"four"', dlq="dead"))
    async with bench.serving(worker):
        pass
    assert bench.seen == [[(0, 1), (1, 1), (2, 1), (3, 1)], [(1, 2), (3, 2)]]
    assert await bench.left() == []
    (dead,) = await bench.left("dead")
    assert dead.last_error == "the body does not decode: Expected `int`, got `str`"


async def test_a_batch_that_raises_fails_as_a_whole(bench: Bench):
    worker = bench.worker()

    @worker.task(queue="orders", batch=2)
    async def ship(orders: list[Received]) -> None:
        bench.seen.append([received.message.last_error for received in orders])
        if len(bench.seen) == 1:
            raise ConnectionError

    await bench.own.enqueue(message(), message())
    async with bench.serving(worker):
        pass
    assert bench.seen == [[None, None], ["ConnectionError", "ConnectionError"]]


async def test_middlewares_stand_around_the_handler_the_first_outermost(bench: Bench):
    worker = bench.worker()

    @worker.middleware
    async def outer(received: Received, call_next: object) -> object:
        bench.seen.append("outer")
        try:
            return await call_next(received)
        except KeyError as error:
            raise Reject("unknown") from error

    @worker.middleware
    async def inner(received: Received, call_next: object) -> object:
        bench.seen.append(("inner", received.message.id))
        return await call_next(received)

    @worker.task(queue="orders")
    async def ship(order: dict) -> None:
        bench.seen.append(order)
        raise KeyError("n")

    sent = await ship.enqueue({}, dlq="dead")
    async with bench.serving(worker):
        pass
    assert bench.seen == ["outer", ("inner", sent.id), {}]
    assert [dead.last_error for dead in await bench.left("dead")] == ["unknown"]


@pytest.mark.parametrize(("policy", "queue"), [("reject", "dead"), ("retry", "orders")])
async def test_a_body_that_does_not_decode_goes_where_the_task_says(bench: Bench, policy: str, queue: str):
    worker = bench.worker()

    @worker.task(queue="orders", on_undecodable=policy)
    async def ship(order: int) -> None:
        bench.seen.append(order)

    await bench.own.create("orders", backoff=Backoff(kind=BackoffKind.FIXED))
    await bench.own.enqueue(message(b'{"n": 1}', dlq="dead"))
    async with bench.serving(worker):
        pass
    assert bench.seen == []
    assert [m.last_error for m in await bench.left(queue)] == ["the body does not decode: Expected `int`, got `object`"]


async def test_a_payload_its_handler_could_not_take_is_not_sent(bench: Bench):
    worker = bench.worker()

    @worker.task(queue="orders")
    async def ship(order: int) -> None: ...

    with pytest.raises(InvalidValue, match="payload must be what its handler takes"):
        await ship.enqueue("one")
    with pytest.raises(InvalidValue, match="payload must be given"):
        await ship.enqueue()
    with pytest.raises(InvalidValue, match="delay must be 0 to 1209600 seconds"):
        await ship.enqueue(1, delay=-1)
    assert await bench.left() == []


async def test_a_task_can_still_be_called(bench: Bench):
    worker = bench.worker()

    @worker.task(queue="orders")
    async def ship(order: int) -> int:
        return order + 1

    assert await ship(1) == 2


async def test_a_handler_in_a_thread_can_send(bench: Bench):
    worker = bench.worker()

    @worker.task(queue="orders")
    def ship(order: int) -> None:
        bench.seen.append(order)
        if order:
            ship.send(order - 1)

    await ship.enqueue(2)
    async with bench.serving(worker):
        await bench.until(lambda: bench.seen == [2, 1, 0])
        await bench.until(lambda: len(bench.own.observer.lease_ages_ms) == 3)
    assert await bench.left() == []


async def test_a_handler_in_a_thread_has_the_context_variables_of_its_middlewares(bench: Bench):
    tenant: ContextVar[str] = ContextVar("tenant", default="nobody")
    worker = bench.worker()

    @worker.middleware
    async def named(received: Received, call_next: object) -> object:
        tenant.set(received.message.attributes["tenant"])
        return await call_next(received)

    @worker.task(queue="orders")
    def ship() -> None:
        bench.seen.append(tenant.get())

    await ship.enqueue(attributes={"tenant": "acme"})
    async with bench.serving(worker):
        await bench.until(lambda: len(bench.own.observer.lease_ages_ms) == 1)
    assert bench.seen == ["acme"]


async def test_sending_without_awaiting_does_not_block_an_event_loop(bench: Bench):
    worker = bench.worker()

    @worker.task(queue="orders")
    def ship() -> None: ...

    with pytest.raises(RuntimeError, match="await enqueue"):
        ship.send()


def test_a_program_without_an_event_loop_can_send(bench: Bench):
    worker = bench.worker()

    @worker.task(queue="orders")
    def ship(order: int) -> None: ...

    assert ship.send(7).id == 1
    assert [left.body for left in asyncio.run(bench.left())] == [b"7"]


async def test_a_handler_that_cancels_itself_has_failed(bench: Bench):
    worker = bench.worker()

    @worker.task(queue="orders")
    async def ship(context: Context) -> None:
        bench.seen.append(context.message.last_error)
        if context.delivery_count == 1:
            raise asyncio.CancelledError

    await ship.enqueue()
    async with bench.serving(worker):
        pass
    assert bench.seen == [None, "CancelledError: the handler was cancelled from within"]


async def test_a_handler_that_will_not_be_cancelled_keeps_its_place_but_not_its_message(bench: Bench):
    worker = bench.worker()
    gate = asyncio.Event()

    @worker.task(queue="orders", timeout=2, concurrency=1)
    async def ship(context: Context) -> None:
        bench.seen.append(context.message.last_error)
        while not gate.is_set():
            try:
                await gate.wait()
            except asyncio.CancelledError:
                bench.seen.append("no")

    await ship.enqueue()
    async with bench.serving(worker):
        await bench.advance_s(2)
        assert (await bench.own.depth()).in_flight == 1
        await bench.advance_s(5)
        assert (await bench.own.depth()).ready == 1
        assert bench.seen == [None, "no"]
        gate.set()
        await bench.rest()
    assert bench.seen == [None, "no", "timed out after 2 s"]
    assert await bench.left() == []
