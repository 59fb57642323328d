"""The stream of deliveries: credits, settling, its end, and what becomes of what it holds."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import grpc
import pytest
from grpc import StatusCode

from sqslite.adapters.stores.faulty import Fault, FaultyStore
from sqslite.adapters.stores.intercepted import InterceptedStore
from sqslite.domain.ports import Store
from sqslite.entrypoints.grpc import consuming, server
from sqslite.entrypoints.grpc.v1 import sqslite_pb2 as pb
from tests.unit.grpc_api import STREAM_S_MAX, Api, grpc_api, refused, until
from tests.unit.node import Plan, message

INVALID = StatusCode.INVALID_ARGUMENT
T = TypeVar("T")
Stream = grpc.aio.StreamStreamCall


async def delivered(stream: Stream, count: int) -> list[pb.Delivery]:
    """The next deliveries of the stream, that many and no more; nothing else may come between."""
    got: list[pb.Delivery] = []
    while len(got) < count:
        answer = await stream.read()
        assert answer is not grpc.aio.EOF, await stream.code()
        assert not answer.settled
        got += answer.deliveries
    assert len(got) == count
    return got


async def settled(stream: Stream, count: int) -> list[str]:
    """The codes of the next outcomes of the stream, "" for one that was carried out."""
    got: list[pb.Settled] = []
    while len(got) < count:
        got += (await stream.read()).settled
    return [one.result.error.code for one in got]


def ids(deliveries: Sequence[pb.Delivery]) -> list[int]:
    return [delivery.message.id for delivery in deliveries]


def acks(deliveries: Sequence[pb.Delivery]) -> list[pb.AckRequest]:
    return [pb.AckRequest(receipt=delivery.receipt) for delivery in deliveries]


async def in_flight(api: Api) -> int:
    return (await api.stats()).in_flight


async def parked(api: Api, count: int = 1, queue: str = "orders") -> None:
    await until(lambda: len(api.wakeups._watches.get(queue, ())) == count)


# Credits


async def test_no_more_is_leased_than_credits_were_granted():
    async with grpc_api() as api:
        sent = await api.enqueue(*[b"x"] * 5)
        stream = await api.consume(2)
        assert ids(await delivered(stream, 2)) == sent[:2]
        # An ack gives no credit back.
        await stream.write(pb.ConsumeRequest(acks=acks([])))
        assert await in_flight(api) == 2
        await stream.write(pb.ConsumeRequest(credits=1))
        assert ids(await delivered(stream, 1)) == sent[2:3]
        assert ((await api.stats()).ready, await in_flight(api)) == (2, 3)


async def test_without_credits_nothing_is_leased_and_nobody_waits():
    async with grpc_api() as api:
        await api.enqueue()
        stream = await api.consume(0)
        await until(lambda: api.server._running == 1)
        await asyncio.sleep(0.02)
        assert await in_flight(api) == 0
        assert not api.wakeups._watches
        await stream.write(pb.ConsumeRequest(credits=1))
        await delivered(stream, 1)


async def test_a_message_that_comes_later_is_delivered_when_it_comes():
    async with grpc_api() as api:
        stream = await api.consume(10)
        await parked(api)
        first = await api.enqueue()
        assert ids(await delivered(stream, 1)) == first
        await parked(api)
        second = await api.enqueue()
        assert ids(await delivered(stream, 1)) == second


async def test_a_stream_waits_on_beyond_the_longest_wait_of_a_receive():
    async with grpc_api() as api:
        stream = await api.consume(1)
        for _ in range(3):
            await parked(api)
            await api.node.advance(61_000)
        sent = await api.enqueue()
        assert ids(await delivered(stream, 1)) == sent


async def test_several_streams_share_a_queue():
    async with grpc_api() as api:
        streams = [await api.consume(1) for _ in range(3)]
        await parked(api, 3)
        sent = await api.enqueue(b"1", b"2", b"3")
        got = [ids(await delivered(stream, 1)) for stream in streams]
        assert sorted(number for numbers in got for number in numbers) == sent


async def test_large_messages_come_in_several_answers_and_are_claimed_a_few_at_a_time():
    async with grpc_api() as api:
        sent = await api.enqueue(*[b"x" * 60_000] * 40)
        stream = await api.consume(40)
        got: list[int] = []
        while len(got) < 40:
            answer = await stream.read()
            assert answer.ByteSize() <= consuming.ANSWER_BYTES_MAX + 10_000
            got += ids(answer.deliveries)
        assert got == sent


async def test_a_stream_that_holds_very_much_is_leased_no_more(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(consuming, "HELD_MAX", 3)
    async with grpc_api() as api:
        sent = await api.enqueue(*[b"x"] * 5)
        stream = await api.consume(5, visibility_ms=10_000)
        held = await delivered(stream, 3)
        await asyncio.sleep(0.02)
        assert await in_flight(api) == 3
        await stream.write(pb.ConsumeRequest(acks=acks(held[:1])))
        assert await settled(stream, 1) == [""]
        assert ids(await delivered(stream, 1)) == sent[3:4]


# Settling


async def test_what_is_acked_given_up_or_held_longer_is_so_and_answered_by_receipt():
    async with grpc_api() as api:
        await api.enqueue(b"1", b"2", b"3")
        stream = await api.consume(3, visibility_ms=10_000)
        first, second, third = await delivered(stream, 3)
        await stream.write(
            pb.ConsumeRequest(
                acks=[pb.AckRequest(receipt=first.receipt), pb.AckRequest(receipt="x")],
                nacks=[pb.NackRequest(receipt=second.receipt, delay_ms=60_000, error="why")],
                extends=[pb.ExtendRequest(receipt=third.receipt, visibility_ms=50_000)],
            )
        )
        outcomes: dict[str, pb.Result] = {}
        while len(outcomes) < 4:
            outcomes |= {one.receipt: one.result for one in (await stream.read()).settled}
        assert outcomes["x"].error.code == "invalid_receipt"
        assert not any(outcomes[one.receipt].HasField("error") for one in (first, second, third))
        assert outcomes[third.receipt].lease_until.seconds == api.node.clock.now().timestamp() + 50
        kept = await api.node.messages()
        assert [(one.id, one.last_error) for one in kept] == [(second.message.id, "why"), (third.message.id, None)]


async def test_what_is_said_about_one_message_is_done_in_the_order_in_which_it_was_said():
    async with grpc_api() as api:
        await api.enqueue()
        stream = await api.consume(1)
        (held,) = await delivered(stream, 1)
        longer = pb.ConsumeRequest(extends=[pb.ExtendRequest(receipt=held.receipt, visibility_ms=1)])
        for said in (longer, pb.ConsumeRequest(acks=acks([held])), longer):
            await stream.write(said)
        assert await settled(stream, 3) == ["", "", "message_not_found"]


async def test_more_acks_at_once_than_a_batch_has_are_all_answered():
    async with grpc_api() as api:
        stream = await api.consume(0)
        await stream.write(pb.ConsumeRequest(acks=[pb.AckRequest(receipt="x")] * 5_000))
        assert await settled(stream, 5_000) == ["invalid_receipt"] * 5_000


async def test_what_the_store_refuses_is_told_and_the_stream_goes_on():
    plan = Plan()
    async with grpc_api(lambda store: FaultyStore(store, plan)) as api:
        await api.enqueue(b"1", b"2")
        stream = await api.consume(1)
        (held,) = await delivered(stream, 1)
        plan.faults.append(Fault.REFUSED)
        await stream.write(pb.ConsumeRequest(acks=acks([held])))
        assert await settled(stream, 1) == ["store_unavailable"]
        await stream.write(pb.ConsumeRequest(acks=acks([held])))
        assert await settled(stream, 1) == [""]
        # A claim that is refused is tried again.
        plan.faults.append(Fault.REFUSED)
        await stream.write(pb.ConsumeRequest(credits=1))
        await until(lambda: not plan.faults)
        await asyncio.sleep(0.01)
        await api.node.advance(consuming.RETRY_MS)
        await delivered(stream, 1)


# The end


async def test_when_the_client_has_no_more_to_say_all_is_settled_and_the_rest_given_back():
    async with grpc_api() as api:
        await api.enqueue(b"1", b"2", b"3")
        stream = await api.consume(3)
        held = await delivered(stream, 3)
        await stream.write(pb.ConsumeRequest(acks=acks(held[:1])))
        await stream.done_writing()
        assert await settled(stream, 1) == [""]
        assert (await stream.read(), await stream.code()) == (grpc.aio.EOF, StatusCode.OK)
        again = await api.receive()
        assert (ids(again), [one.message.delivery_count for one in again]) == (ids(held[1:]), [2, 2])


async def test_when_the_client_hangs_up_what_it_held_is_given_back_at_once():
    async with grpc_api() as api:
        await api.enqueue(b"1", b"2")
        stream = await api.consume(2)
        await delivered(stream, 2)
        stream.cancel()
        await until(lambda: not api.server._running)
        await api.underway.ended()
        assert [one.message.delivery_count for one in await api.receive()] == [2, 2]


async def test_a_client_that_hangs_up_while_it_waits_leases_nothing():
    async with grpc_api() as api:
        gone = await api.consume(1)
        await parked(api)
        staying = await api.consume(1)
        await parked(api, 2)
        gone.cancel()
        await until(lambda: api.server._running == 1)
        sent = await api.enqueue()
        (delivery,) = await delivered(staying, 1)
        assert ([delivery.message.id], delivery.message.delivery_count) == (sent, 1)


async def test_a_deadline_ends_a_stream_like_a_client_that_hangs_up():
    async with grpc_api() as api:
        await api.enqueue()
        stream = api.stub.Consume(timeout=0.1)
        await stream.write(pb.ConsumeRequest(start=pb.ConsumeStart(queue="orders"), credits=1))
        await delivered(stream, 1)
        assert await stream.code() is StatusCode.DEADLINE_EXCEEDED
        await until(lambda: not api.server._running)
        await api.underway.ended()
        assert await in_flight(api) == 0


async def test_leases_are_kept_where_the_client_wants_that_and_can_be_acked_elsewhere():
    async with grpc_api() as api:
        await api.enqueue()
        stream = await api.consume(1, keep_leases=True)
        (held,) = await delivered(stream, 1)
        stream.cancel()
        await until(lambda: not api.server._running)
        await api.underway.ended()
        assert await in_flight(api) == 1
        await api.stub.Ack(pb.AckRequest(receipt=held.receipt))


async def test_what_was_settled_or_has_ended_is_not_given_back_again():
    async with grpc_api() as api:
        await api.enqueue(b"1", b"2", b"3")
        stream = await api.consume(3, visibility_ms=10_000)
        acked, nacked, ended = await delivered(stream, 3)
        nacks = [pb.NackRequest(receipt=nacked.receipt, delay_ms=60_000)]
        await stream.write(pb.ConsumeRequest(acks=acks([acked]), nacks=nacks))
        assert await settled(stream, 2) == ["", ""]
        api.node.shift(11_000)
        await stream.done_writing()
        assert await stream.read() is grpc.aio.EOF
        delayed, left = await api.node.messages()
        assert (delayed.lease_until, left.id, left.lease_until is None) == (None, ended.message.id, False)
        assert delayed.not_before > api.node.clock.now()


async def test_what_was_held_longer_is_given_back_when_it_still_stands():
    async with grpc_api() as api:
        await api.enqueue()
        stream = await api.consume(1, visibility_ms=1_000)
        (held,) = await delivered(stream, 1)
        await stream.write(pb.ConsumeRequest(extends=[pb.ExtendRequest(receipt=held.receipt, visibility_ms=60_000)]))
        assert await settled(stream, 1) == [""]
        api.node.shift(2_000)
        await stream.done_writing()
        assert await stream.read() is grpc.aio.EOF
        (left,) = await api.node.messages()
        assert left.lease_until is None


class ClaimsAfterHangUp(InterceptedStore):
    """A store whose claims are answered when the test says so."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.claimed = asyncio.Event()
        self.go_on = asyncio.Event()

    async def intercept(self, method: str, call: Callable[[], Awaitable[T]]) -> T:
        result = await call()
        if method == "claim":
            self.claimed.set()
            await self.go_on.wait()
        return result


async def test_what_is_just_being_leased_when_the_stream_ends_is_given_back():
    async with grpc_api(ClaimsAfterHangUp) as api:
        store = api.node.service._store
        await api.enqueue()
        stream = await api.consume(1)
        await store.claimed.wait()
        stream.cancel()
        await until(lambda: not api.server._running)
        assert await in_flight(api) == 1
        store.go_on.set()
        await api.underway.ended()
        assert await in_flight(api) == 0


# The server's end


async def test_when_the_server_is_to_end_nothing_more_is_leased_and_what_is_held_can_still_be_acked():
    async with grpc_api() as api:
        await api.enqueue(b"1", b"2")
        stream = await api.consume(1)
        held = await delivered(stream, 1)
        await stream.write(pb.ConsumeRequest(credits=0))
        ending = asyncio.ensure_future(api.server.close())
        await asyncio.sleep(0.02)
        await stream.write(pb.ConsumeRequest(credits=5, acks=acks(held)))
        with refused(StatusCode.UNAVAILABLE, "stopping", "the server is stopping"):
            assert await settled(stream, 1) == [""]
            await stream.read()
        await ending
        (left,) = await api.node.messages()
        assert left.delivery_count == 0


async def test_a_client_that_takes_too_long_then_loses_what_it_holds():
    async with grpc_api() as api:
        await api.enqueue()
        stream = await api.consume(1)
        await delivered(stream, 1)
        ending = asyncio.ensure_future(api.server.close())
        await asyncio.sleep(0.02)
        await api.node.advance(consuming.FAREWELL_MS - 1)
        await asyncio.sleep(0.02)
        assert not ending.done()
        await api.node.advance(1)
        with refused(StatusCode.UNAVAILABLE, "stopping"):
            await stream.read()
        await ending
        (left,) = await api.node.messages()
        assert (left.lease_until, left.delivery_count) == (None, 1)


async def test_a_stream_that_waits_ends_at_once_when_the_server_is_to_end():
    async with grpc_api() as api:
        stream = await api.consume(1)
        await parked(api)
        api.server.begin_to_end()
        api.wakeups.release_waiters()
        with refused(StatusCode.UNAVAILABLE, "stopping"):
            await stream.read()
        await api.server.close()


# Malformed


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ([pb.ConsumeRequest(credits=1)], "start must be given in the first request of a stream"),
        ([pb.ConsumeRequest(start=pb.ConsumeStart(queue="a b"))], "queue must be 1 to 80"),
        ([pb.ConsumeRequest(start=pb.ConsumeStart(queue="q", visibility_ms=-1))], "visibility_ms must be 0 to"),
        (
            [pb.ConsumeRequest(start=pb.ConsumeStart(queue="q"), credits=-1)],
            "that are open (0); got -1",
        ),
        ([pb.ConsumeRequest(start=pb.ConsumeStart(queue="q"), credits=10_001)], "credits must be 0 to 10000"),
        ([pb.ConsumeRequest(start=pb.ConsumeStart(queue="q"))] * 2, "in the first request of a stream only"),
    ],
)
async def test_a_stream_that_breaks_the_rules_is_ended(said: list[pb.ConsumeRequest], text: str):
    async with grpc_api() as api:
        stream = api.stub.Consume()
        with refused(INVALID, "invalid_value", text):
            for request in said:
                await stream.write(request)
            await stream.read()


async def test_credits_add_up_to_a_limit_of_those_that_are_open():
    async with grpc_api() as api:
        stream = await api.consume(10_000)
        with refused(INVALID, "invalid_value", "that are open (10000); got 1"):
            await stream.write(pb.ConsumeRequest(credits=1))
            await stream.read()


async def test_bytes_that_are_no_request_end_the_stream():
    async with grpc_api() as api:
        stream = api.channel.stream_stream("/sqslite.v1.QueueService/Consume")()
        with refused(INVALID, "invalid_protobuf", "an encoded sqslite.v1.ConsumeRequest"):
            await stream.write(b"\xff\xff\xff")
            await stream.read()


async def test_a_stream_whose_client_says_nothing_at_all_is_ended():
    async with grpc_api() as api:
        stream = api.stub.Consume()
        await stream.done_writing()
        with refused(INVALID, "invalid_protobuf", "a call begins with a request"):
            await stream.read()


@pytest.mark.parametrize("name", ["Consume", "Enqueue"])
async def test_a_call_whose_request_does_not_come_is_ended_and_keeps_no_place(
    monkeypatch: pytest.MonkeyPatch, name: str
):
    monkeypatch.setattr(server, "REQUEST_READ_S_MAX", 0.05)
    async with grpc_api() as api:
        silent = api.channel.stream_stream(f"/sqslite.v1.QueueService/{name}")(timeout=STREAM_S_MAX)
        with refused(StatusCode.DEADLINE_EXCEEDED, "request_timeout", "must arrive within 0.05 seconds"):
            await silent.read()
        await until(lambda: not api.server._running)


async def test_no_task_is_left_when_streams_have_ended():
    async with grpc_api() as api:
        await api.enqueue()
        await api.node.enqueue(message(group_id="g"))
        before = len(asyncio.all_tasks())
        for _ in range(3):
            stream = await api.consume(5)
            await delivered(stream, 2)
            stream.cancel()
            await until(lambda: not api.server._running)
            await api.underway.ended()
        api.wakeups.release_waiters()
        await until(lambda: len(asyncio.all_tasks()) <= before)
