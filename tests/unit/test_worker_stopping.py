"""Workers that are told to stop, and servers that do not answer: nothing is lost, and nothing is done by halves."""

import asyncio
import threading

import pytest

from sqslite.domain.errors import InvalidValue, OutcomeUnknown, StoreUnavailable
from sqslite.domain.limits import ms
from sqslite.entrypoints.worker import Context, Retry
from tests.unit.node import message
from tests.unit.serving import Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()


class Flaky:
    """The service behind a wire: what is in `plan` happens to a call of that name, before or after it is done."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.plan: dict[str, list[tuple[Exception, bool]]] = {}

    def fail(self, name: str, *errors: Exception, done: bool = False) -> None:
        self.plan.setdefault(name, []).extend((error, done) for error in errors)

    def __getattr__(self, name: str) -> object:
        async def call(*args: object, **kwargs: object) -> object:
            error, done = self.plan[name].pop(0) if self.plan.get(name) else (None, True)
            if error is None:
                return await getattr(self._bench.own.service, name)(*args, **kwargs)
            if done:
                await getattr(self._bench.own.service, name)(*args, **kwargs)
            raise error

        return call


async def test_a_worker_that_stops_lets_its_handlers_finish_and_claims_no_more(bench: Bench):
    worker = bench.worker(grace=20)
    gate = asyncio.Event()

    @worker.task(queue="orders", concurrency=1)
    async def ship(order: int) -> None:
        bench.seen.append(order)
        await gate.wait()

    serving = asyncio.create_task(worker.serve())
    await bench.own.enqueue(message(b"1"), message(b"2"))
    await bench.rest()
    worker.stop()
    await bench.rest()
    await bench.advance_s(19)
    assert not serving.done()
    gate.set()
    await bench.rest()
    assert serving.done()
    assert bench.seen == [1]
    assert [(left.body, left.delivery_count) for left in await bench.left()] == [(b"2", 0)]


async def test_what_is_not_finished_within_the_grace_is_given_back(bench: Bench):
    worker = bench.worker(grace=20)

    @worker.task(queue="orders")
    async def ship(context: Context) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            bench.seen.append(context.lost.is_set())

    await ship.enqueue()
    serving = asyncio.create_task(worker.serve())
    await bench.rest()
    worker.stop()
    await bench.rest()
    await bench.advance_s(20)
    await asyncio.wait_for(serving, 5)
    assert bench.seen == [True]
    (left,) = await bench.left()
    assert (left.lease_until, left.not_before, left.last_error) == (None, bench.own.clock.now(), None)


async def test_a_second_stop_ends_the_grace(bench: Bench):
    worker = bench.worker(grace=3_600)

    @worker.task(queue="orders")
    async def ship() -> None:
        await asyncio.Event().wait()

    await ship.enqueue()
    serving = asyncio.create_task(worker.serve())
    await bench.rest()
    worker.stop()
    worker.stop()
    await bench.rest()
    await asyncio.wait_for(serving, 5)
    assert [left.lease_until for left in await bench.left()] == [None]


async def test_a_handler_stuck_in_a_thread_keeps_nobody_from_stopping(bench: Bench):
    worker = bench.worker(grace=1)
    begun, never = threading.Event(), threading.Event()

    @worker.task(queue="orders")
    def ship() -> None:
        begun.set()
        never.wait(10)

    await ship.enqueue()
    serving = asyncio.create_task(worker.serve())
    await bench.until(begun.is_set)
    worker.stop()
    await bench.rest()
    await bench.advance_s(1)
    await asyncio.wait_for(serving, 5)
    assert [left.lease_until for left in await bench.left()] == [None]
    never.set()


async def test_a_worker_that_is_cancelled_stops_gracefully(bench: Bench):
    worker = bench.worker(grace=20)

    @worker.task(queue="orders")
    async def ship() -> None:
        await asyncio.sleep(0.01)
        bench.seen.append("done")

    await ship.enqueue()
    serving = asyncio.create_task(worker.serve())
    await asyncio.sleep(0)
    await bench.rest()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert bench.seen == ["done"]
    assert await bench.left() == []


async def test_a_claim_that_is_under_way_when_the_worker_stops_gives_back_what_it_brings(bench: Bench):
    class Late:
        def __getattr__(self, name: str) -> object:
            return getattr(bench.own.service, name)

        async def claim(self, *args: object, **kwargs: object) -> list:
            received = await bench.own.service.claim(*args, **kwargs)
            try:
                await arrived.wait()
            except asyncio.CancelledError:
                # The answer was on its way already.
                return received
            return received

    arrived = asyncio.Event()
    worker = bench.worker(Late())

    @worker.task(queue="orders")
    async def ship() -> None:
        bench.seen.append("begun")

    await ship.enqueue()
    async with bench.serving(worker):
        assert (await bench.own.depth()).in_flight == 1
    assert bench.seen == []
    assert (await bench.own.depth()).ready == 1


async def test_a_server_that_is_away_is_asked_again_ever_more_slowly(bench: Bench):
    wire = Flaky(bench)
    wire.fail("claim", *[StoreUnavailable("away")] * 4)
    worker = bench.worker(wire)

    @worker.task(queue="orders")
    async def ship() -> None:
        bench.seen.append(bench.own.clock.now())

    await bench.own.enqueue()
    begun_at = bench.own.clock.now()
    async with bench.serving(worker):
        await bench.advance_s(30)
    (handled_at,) = bench.seen
    # 250, 500, 1000 and 2000 ms, of which up to half is left out at random.
    assert 1.875 <= (handled_at - begun_at).total_seconds() <= 3.75


@pytest.mark.parametrize("done", [False, True], ids=["not done", "done, answer lost"])
@pytest.mark.parametrize("error", [OutcomeUnknown("?"), ConnectionError("reset")], ids=["domain", "wire"])
async def test_work_that_is_done_is_acked_once_the_server_is_back(
    bench: Bench, error: Exception, done: bool, caplog: pytest.LogCaptureFixture
):
    wire = Flaky(bench)
    wire.fail("ack", *[error] * (1 if done else 8), done=done)
    worker = bench.worker(wire)

    @worker.task(queue="orders", visibility=30)
    async def ship(context: Context) -> None:
        bench.seen.append(context.delivery_count)

    await ship.enqueue()
    async with bench.serving(worker):
        await bench.advance_s(60)
    assert bench.seen == [1]
    assert await bench.left() == []
    assert not wire.plan["ack"]
    assert "not settled" not in caplog.text


async def test_a_batch_is_acked_in_one_call(bench: Bench):
    class Counting:
        def __getattr__(self, name: str) -> object:
            return getattr(bench.own.service, name)

        async def ack(self, receipts: list) -> list:
            bench.seen.append(len(receipts))
            return await bench.own.service.ack(receipts)

    worker = bench.worker(Counting())

    @worker.task(queue="orders", batch=100)
    async def ship(orders: list[int]) -> None: ...

    await bench.own.enqueue(*[message(b"1")] * 50)
    async with bench.serving(worker):
        pass
    assert bench.seen == [50]
    assert await bench.left() == []


async def test_a_nack_waits_for_an_extension_that_is_under_way_which_would_undo_it(bench: Bench):
    under_way = asyncio.Event()

    class Slow:
        def __getattr__(self, name: str) -> object:
            return getattr(bench.own.service, name)

        async def extend(self, extensions: list) -> list:
            bench.seen.append("extending")
            await under_way.wait()
            return await bench.own.service.extend(extensions)

    worker = bench.worker(Slow())

    @worker.task(queue="orders", visibility=30)
    async def ship(context: Context) -> None:
        bench.seen.append(context.delivery_count)
        if context.delivery_count == 1:
            await bench.own.clock.sleep_until(bench.own.clock.now() + ms(11_000))
            raise Retry(after=1)

    await ship.enqueue()
    async with bench.serving(worker):
        await bench.advance_s(12)
        assert bench.seen == [1, "extending"]
        under_way.set()
        await bench.rest()
        await bench.advance_s(3)
    assert bench.seen == [1, "extending", 2]


async def test_handlers_go_on_while_extensions_fail(bench: Bench):
    wire = Flaky(bench)
    wire.fail("extend", *[StoreUnavailable("away")] * 3)
    worker = bench.worker(wire)

    @worker.task(queue="orders", visibility=30)
    async def ship(context: Context) -> None:
        bench.seen.append(context.delivery_count)
        await bench.own.clock.sleep_until(context.lease_until + (context.lease_until - bench.own.clock.now()))

    await ship.enqueue()
    sweeping = asyncio.create_task(bench.own.sweep.run())
    async with bench.serving(worker):
        await bench.advance_s(61)
    sweeping.cancel()
    assert bench.seen == [1]
    assert await bench.left() == []
    assert not wire.plan["extend"]


async def test_a_worker_without_tasks_or_with_too_few_places_does_not_start(bench: Bench):
    worker = bench.worker(concurrency=1)
    with pytest.raises(InvalidValue, match="tasks must be at least one"):
        await worker.serve()
    worker.task(queue="a")(lambda: None)
    with pytest.raises(InvalidValue, match="queue must be a queue that has no task in this worker yet"):
        worker.task(queue="a")(lambda: None)
    worker.task(queue="b")(lambda: None)
    with pytest.raises(InvalidValue, match="concurrency must be 2 to 1000; got 1"):
        await worker.serve()


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"queue": "no such/name"}, "queue must be 1 to 80"),
        ({"concurrency": 0}, "concurrency must be 1 to 1000; got 0"),
        ({"batch": 1_001}, "batch must be 0 to 1000; got 1001"),
        ({"visibility": 0.5}, "visibility must be 1 to 43200 seconds"),
        ({"timeout": float("nan")}, "timeout must be 0.001 to 43200 seconds"),
        ({"timeout": "1s"}, "timeout must be 0.001 to 43200 seconds"),
        ({"on_undecodable": "drop"}, "on_undecodable must be reject or retry"),
    ],
)
def test_options_out_of_their_limits_are_refused_by_name(bench: Bench, options: dict, fault: str):
    with pytest.raises(InvalidValue, match=fault):
        bench.worker().task(**{"queue": "orders", **options})(lambda payload: None)
