"""The gRPC calls, each over a socket of this process."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

import grpc
import pytest
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from sqslite.adapters.stores.intercepted import InterceptedStore
from sqslite.domain.errors import OutcomeUnknown, Overloaded
from sqslite.domain.limits import ms
from sqslite.domain.messages import BodyKind
from sqslite.domain.ports import Store
from sqslite.entrypoints.grpc import receiving, server
from sqslite.entrypoints.grpc.v1 import sqslite_pb2 as pb
from tests.unit.grpc_api import BODY_BYTES_MAX, RECEIVE_MAX, Api, grpc_api, refused, until
from tests.unit.node import message

T = TypeVar("T")
INVALID = StatusCode.INVALID_ARGUMENT


async def test_a_message_goes_round_with_all_that_it_has():
    async with grpc_api() as api:
        sent = pb.NewMessage(
            body=b'{"a": 1}',
            body_kind=pb.BODY_KIND_JSON,
            attributes={"priority": "high"},
            delay_ms=5_000,
            max_retries=3,
            dlq="failed",
            trace_id="t-1",
            group_id="g-1",
            dedup_id="d-1",
            retention_ms=60_000,
        )
        enqueued = await api.stub.Enqueue(pb.EnqueueRequest(queue="orders", message=sent))
        again = await api.stub.Enqueue(pb.EnqueueRequest(queue="orders", message=sent))
        assert (again.id, enqueued.duplicate, again.duplicate) == (enqueued.id, False, True)
        assert await api.receive() == []
        await api.node.advance(5_000)
        (delivery,) = await api.receive()
        got, now = delivery.message, api.node.clock.now()
        assert (got.id, got.body, got.body_kind) == (enqueued.id, b'{"a": 1}', pb.BODY_KIND_JSON)
        assert (dict(got.attributes), got.max_retries, got.dlq) == ({"priority": "high"}, 3, "failed")
        assert (got.trace_id, got.group_id, got.dedup_id) == ("t-1", "g-1", "d-1")
        assert (got.delivery_count, got.fence) == (1, 1)
        assert got.lease_until.ToDatetime(now.tzinfo) == now + ms(30_000)
        assert got.enqueued_at.ToDatetime(now.tzinfo) == now - ms(5_000)
        assert got.expires_at.ToDatetime(now.tzinfo) == now + ms(55_000)
        assert not got.HasField("last_error")
        await api.stub.Ack(pb.AckRequest(receipt=delivery.receipt))
        assert await api.node.messages() == []
        with refused(StatusCode.NOT_FOUND, "message_not_found", f"message {got.id} does not exist"):
            await api.stub.Ack(pb.AckRequest(receipt=delivery.receipt))


@pytest.mark.parametrize(
    ("kind", "body", "stored"),
    [
        (pb.BODY_KIND_UNSPECIFIED, b"\x00\xff", BodyKind.BINARY),
        (pb.BODY_KIND_BINARY, b"\x00\xff", BodyKind.BINARY),
        (pb.BODY_KIND_TEXT, "é".encode(), BodyKind.TEXT),
        (pb.BODY_KIND_JSON, b' {"a":  [1e999, null]} ', BodyKind.JSON),
    ],
)
async def test_a_body_comes_back_byte_for_byte_with_its_kind(kind: int, body: bytes, stored: BodyKind):
    async with grpc_api() as api:
        sent = pb.NewMessage(body=body, body_kind=kind)
        await api.stub.Enqueue(pb.EnqueueRequest(queue="orders", message=sent))
        (delivery,) = await api.receive()
        assert delivery.message.body == body
        assert pb.BodyKind.Name(delivery.message.body_kind) == f"BODY_KIND_{stored.name}"
        (kept,) = await api.node.messages()
        assert (kept.body, kept.body_kind) == (body, stored)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"body": b""}, "body must be at least one byte long"),
        ({"body": b"", "body_kind": pb.BODY_KIND_JSON}, "body must be at least one byte long"),
        ({"body": b"\xff", "body_kind": pb.BODY_KIND_TEXT}, "body must be UTF-8 when it is text"),
        ({"body": b'{"a":', "body_kind": pb.BODY_KIND_JSON}, "body must be JSON text when its kind is json"),
        ({"body": b'"\xff"', "body_kind": pb.BODY_KIND_JSON}, "body must be UTF-8 when it is json"),
        ({"body": b"[" * 20_000, "body_kind": pb.BODY_KIND_JSON}, "body must be JSON text when its kind is json"),
        ({"body": b" null", "body_kind": pb.BODY_KIND_JSON}, "body must be any JSON value except null"),
        ({"body": b"1", "body_kind": 9}, "body_kind must be one of json, text, binary; got 9"),
        ({"body": b"1", "delay_ms": -1}, "delay_ms must be 0 to 1209600000; got -1"),
        ({"body": b"1", "max_retries": 1001}, "max_retries must be 0 to 1000; got 1001"),
        ({"body": b"1", "dlq": "a b"}, "dlq must be 1 to 80 of"),
        ({"body": b"1", "dlq": "orders"}, "dlq must be another queue"),
        ({"body": b"1", "trace_id": "\n"}, "trace_id must be free of control characters"),
        ({"body": b"1", "group_id": "g" * 129}, "group_id must be at most 128 characters"),
        ({"body": b"1", "retention_ms": 0}, "retention_ms must be 1 to"),
        ({"body": b"1", "attributes": {"a": "\0"}}, "attributes.a must be free of NUL"),
    ],
)
async def test_a_message_that_is_none_is_refused_by_name(fields: dict, text: str):
    async with grpc_api() as api:
        with refused(INVALID, "invalid_value", text):
            await api.stub.Enqueue(pb.EnqueueRequest(queue="orders", message=pb.NewMessage(**fields)))
        assert await api.node.messages() == []


async def test_a_body_that_is_too_large_is_refused_and_so_is_a_request():
    async with grpc_api() as api:
        with refused(INVALID, "body_too_large", f"at most {BODY_BYTES_MAX} bytes"):
            await api.stub.Enqueue(
                pb.EnqueueRequest(queue="orders", message=pb.NewMessage(body=b"x" * (BODY_BYTES_MAX + 1)))
            )
        body = b"x" * (server.REQUEST_BYTES_MIN + 1)
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await api.stub.Enqueue(pb.EnqueueRequest(queue="orders", message=pb.NewMessage(body=body)))
        assert refusal.value.code() is StatusCode.RESOURCE_EXHAUSTED


async def test_bytes_that_are_no_message_are_refused_and_nothing_else():
    async with grpc_api() as api:
        raw = api.channel.unary_unary(f"/{server.SERVICE.full_name}/Enqueue")
        with refused(INVALID, "invalid_protobuf", "an encoded sqslite.v1.EnqueueRequest"):
            await raw(b"\xff\xff\xff")
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await api.channel.unary_unary(f"/{server.SERVICE.full_name}/NoSuchCall")(b"")
        assert refusal.value.code() is StatusCode.UNIMPLEMENTED


async def test_in_a_batch_each_entry_has_its_result_and_a_bad_one_fails_alone():
    async with grpc_api() as api:
        bodies = [pb.NewMessage(body=body) for body in (b"1", b"", b"2", b"3")]
        enqueued = await api.stub.EnqueueBatch(pb.EnqueueBatchRequest(queue="orders", messages=bodies))
        assert [result.error.code for result in enqueued.results] == ["", "invalid_value", "", ""]
        first, second, third = (delivery.receipt for delivery in await api.receive())
        longer = [pb.ExtendRequest(receipt=receipt, visibility_ms=60_000) for receipt in ("x", first)]
        extended = (await api.stub.ExtendBatch(pb.ExtendBatchRequest(extends=longer))).results
        assert [result.error.code for result in extended] == ["invalid_receipt", ""]
        assert extended[1].lease_until.seconds == api.node.clock.now().timestamp() + 60
        acks = [pb.AckRequest(receipt=receipt) for receipt in (first, "x", first)]
        acked = (await api.stub.AckBatch(pb.AckBatchRequest(acks=acks))).results
        assert [result.error.code for result in acked][:2] == ["", "invalid_receipt"]
        nacks = [pb.NackRequest(receipt=second, error="no"), pb.NackRequest(receipt=third, delay_ms=-1)]
        nacked = (await api.stub.NackBatch(pb.NackBatchRequest(nacks=nacks))).results
        assert [result.error.code for result in nacked] == ["", "invalid_value"]
        assert nacked[1].error.text.startswith("delay_ms must be 0 to")
        (back,) = await api.receive()
        assert (back.message.last_error, back.message.delivery_count) == ("no", 2)


@pytest.mark.parametrize("count", [0, 1_001])
async def test_a_batch_has_1_to_1000_entries(count: int):
    async with grpc_api() as api:
        with refused(INVALID, "invalid_value", f"the number of acks must be 1 to 1000; got {count}"):
            await api.stub.AckBatch(pb.AckBatchRequest(acks=[pb.AckRequest(receipt="x")] * count))


async def test_a_lease_is_given_up_or_made_longer_and_a_superseded_receipt_changes_nothing():
    async with grpc_api() as api:
        await api.node.create("failed")
        await api.node.enqueue(message(dlq="failed"))
        (delivery,) = await api.receive()
        extended = await api.stub.Extend(pb.ExtendRequest(receipt=delivery.receipt, visibility_ms=1_000))
        assert extended.lease_until.seconds == api.node.clock.now().timestamp() + 1
        await api.stub.Nack(pb.NackRequest(receipt=delivery.receipt, delay_ms=0))
        with refused(StatusCode.FAILED_PRECONDITION, "stale_receipt"):
            await api.stub.Nack(pb.NackRequest(receipt=delivery.receipt))
        (again,) = await api.receive(max=1, visibility_ms=5_000)
        await api.stub.Nack(pb.NackRequest(receipt=again.receipt, error="why", dead_letter=True))
        (dead,) = await api.receive("failed")
        assert (dead.message.origin_queue, dead.message.origin_delivery_count) == ("orders", 2)
        assert dead.message.last_error == "why"


# Waiting


async def test_a_receive_waits_and_is_answered_with_the_message():
    async with grpc_api() as api:
        poll = asyncio.ensure_future(api.receive(wait_ms=20_000))
        await until(lambda: "orders" in api.wakeups._watches)
        sent = await api.enqueue()
        assert [delivery.message.id for delivery in await poll] == sent


async def test_a_wait_that_is_over_is_answered_with_nothing():
    async with grpc_api() as api:
        poll = asyncio.ensure_future(api.receive(wait_ms=20_000))
        await until(lambda: "orders" in api.wakeups._watches)
        await api.node.advance(20_000)
        assert await poll == []


async def test_a_wait_ends_a_little_before_the_deadline_of_its_call():
    async with grpc_api() as api:
        poll = api.stub.Receive(pb.ReceiveRequest(queue="orders", wait_ms=20_000), timeout=60)
        await until(lambda: "orders" in api.wakeups._watches)
        asked = api.stub.Receive(pb.ReceiveRequest(queue="other", wait_ms=20_000), timeout=5)
        await until(lambda: "other" in api.wakeups._watches)
        await api.node.advance(4_900)
        assert list((await asked).deliveries) == []
        assert not poll.done()
        poll.cancel()


async def test_a_receive_that_is_cancelled_while_it_waits_leases_nothing_and_hands_its_wake_up_on():
    async with grpc_api() as api:
        gone = api.stub.Receive(pb.ReceiveRequest(queue="orders", wait_ms=20_000))
        await until(lambda: "orders" in api.wakeups._watches)
        staying = asyncio.ensure_future(api.receive(wait_ms=20_000))
        await until(lambda: len(api.wakeups._watches["orders"]) == 2)
        gone.cancel()
        await until(lambda: api.server._running == 1)
        sent = await api.enqueue()
        (delivery,) = await staying
        assert ([delivery.message.id], delivery.message.delivery_count) == (sent, 1)


async def test_a_receive_whose_deadline_passes_leases_nothing():
    async with grpc_api() as api:
        await api.stub.PutQueue(pb.PutQueueRequest(queue="orders", settings=pb.QueueSettings(receive_wait_ms=20_000)))
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await api.stub.Receive(pb.ReceiveRequest(queue="orders"), timeout=0.05)
        assert ended.value.code() is StatusCode.DEADLINE_EXCEEDED
        await until(lambda: not api.server._running)
        await api.enqueue()
        (delivery,) = await api.receive()
        assert delivery.message.delivery_count == 1


class HeldEnqueues(InterceptedStore):
    """A store that enqueues when the test says so."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()

    async def intercept(self, method: str, call: Callable[[], Awaitable[T]]) -> T:
        if method == "enqueue":
            self.asked.set()
            await self.go_on.wait()
        return await call()


async def test_an_enqueue_that_is_cancelled_once_it_has_begun_is_carried_to_its_end():
    async with grpc_api(HeldEnqueues) as api:
        store = api.node.service._store
        gone = api.stub.Enqueue(pb.EnqueueRequest(queue="orders", message=pb.NewMessage(body=b"1")))
        await store.asked.wait()
        gone.cancel()
        await until(lambda: not api.server._running)
        store.go_on.set()
        await api.underway.ended()
        assert len(await api.node.messages()) == 1


class HeldClaims(InterceptedStore):
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


async def test_what_is_leased_while_its_client_hangs_up_is_released_at_once():
    async with grpc_api(HeldClaims) as api:
        store = api.node.service._store
        await api.enqueue(b"1", b"2")
        gone = api.stub.Receive(pb.ReceiveRequest(queue="orders"))
        await store.claimed.wait()
        gone.cancel()
        await until(lambda: not api.server._running)
        assert (await api.stats()).in_flight == 2
        store.go_on.set()
        await api.underway.ended()
        assert [delivery.message.delivery_count for delivery in await api.receive()] == [2, 2]


async def test_an_answer_is_no_larger_than_asked_and_the_next_receive_leases_no_more_than_fits():
    async with grpc_api() as api:
        sent = await api.enqueue(*[b"x" * 40_000] * 6)
        first = await api.receive(answer_bytes_max=100_000)
        assert [delivery.message.id for delivery in first] == sent[:2]
        kept = await api.node.messages()
        assert [(one.delivery_count, one.lease_until is None) for one in kept] == [(1, False)] * 2 + [(1, True)] * 4
        second = await api.receive(answer_bytes_max=100_000)
        assert [delivery.message.id for delivery in second] == sent[2:4]
        assert [one.delivery_count for one in await api.node.messages()] == [1, 1, 2, 2, 1, 1]


async def test_a_message_that_is_too_large_for_the_answer_comes_alone():
    async with grpc_api() as api:
        sent = await api.enqueue(*[b"x" * 40_000] * 2)
        assert [delivery.message.id for delivery in await api.receive(answer_bytes_max=1)] == sent[:1]
        with refused(INVALID, "invalid_value", "answer_bytes_max must be 0 to"):
            await api.receive(answer_bytes_max=-1)


async def test_by_default_a_client_with_the_usual_limits_gets_every_answer():
    async with grpc_api() as api:
        sent = await api.enqueue(*[b"x" * 60_000] * 100)
        assert len(sent) * 60_000 > 4 * 1024 * 1024
        got = await api.receive(max=100)
        assert [delivery.message.id for delivery in got] == sent[: len(got)]
        assert len(got) == receiving.ANSWER_BYTES_DEFAULT // 60_000


async def test_a_receive_that_does_not_say_gets_as_many_as_the_service_gives_and_no_more():
    async with grpc_api() as api:
        await api.enqueue(*[b"x" * 1_000] * 25)
        assert [len(await api.receive()) for _ in range(3)] == [RECEIVE_MAX, RECEIVE_MAX, 5]


@pytest.mark.parametrize("asked", [0, -1, 1_001])
async def test_a_receive_of_too_many_or_too_few_is_refused(asked: int):
    async with grpc_api() as api:
        with refused(INVALID, "invalid_value", f"max must be 1 to 1000; got {asked}"):
            await api.receive(max=asked)


async def test_the_server_ends_no_sooner_than_what_it_has_to_give_back_is_given_back():
    async with grpc_api(HeldClaims) as api:
        store = api.node.service._store
        await api.enqueue()
        gone = api.stub.Receive(pb.ReceiveRequest(queue="orders"))
        await store.claimed.wait()
        gone.cancel()
        ending = asyncio.ensure_future(api.server.close())
        await until(lambda: not api.server._running)
        assert not ending.done()
        store.go_on.set()
        await ending
        assert [kept.lease_until for kept in await api.node.messages()] == [None]


# The store, the limits


class RefusingStore(InterceptedStore):
    """A store that raises whatever it is asked."""

    def __init__(self, inner: Store, error: Exception) -> None:
        super().__init__(inner)
        self._error = error

    async def intercept(self, method: str, call: object) -> NoReturn:
        raise self._error


@pytest.mark.parametrize(
    ("error", "status"), [(Overloaded("busy"), StatusCode.UNAVAILABLE), (OutcomeUnknown("lost"), StatusCode.UNKNOWN)]
)
async def test_what_the_store_refuses_is_told_with_its_code(error: Exception, status: StatusCode):
    async with grpc_api(lambda store: RefusingStore(store, error)) as api:
        with refused(status, error.code, str(error)):
            await api.stub.Enqueue(pb.EnqueueRequest(queue="orders", message=pb.NewMessage(body=b"1")))


async def test_a_defect_is_told_as_such_and_nothing_of_it():
    async with grpc_api(lambda store: RefusingStore(store, RuntimeError("secret"))) as api:
        with refused(StatusCode.INTERNAL, "internal", "an internal error; it has been logged"):
            await api.stub.Enqueue(pb.EnqueueRequest(queue="orders", message=pb.NewMessage(body=b"1")))


async def test_calls_beyond_what_the_server_works_on_at_once_are_refused():
    async with grpc_api(calls_at_once_max=2) as api:
        polls = [api.stub.Receive(pb.ReceiveRequest(queue="orders", wait_ms=20_000)) for _ in range(2)]
        await until(lambda: api.server._running == 2)
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await api.stats()
        assert refusal.value.code() is StatusCode.RESOURCE_EXHAUSTED
        for poll in polls:
            poll.cancel()


async def test_every_call_that_ended_is_told_with_its_status():
    async with grpc_api() as api:
        await api.enqueue()
        with refused(INVALID, "invalid_receipt"):
            await api.stub.Ack(pb.AckRequest(receipt="x"))
        gone = api.stub.Receive(pb.ReceiveRequest(queue="empty", wait_ms=20_000))
        await until(lambda: "empty" in api.wakeups._watches)
        gone.cancel()
        await until(lambda: len(api.answered) == 3)
        assert api.answered == [("EnqueueBatch", "ok"), ("Ack", "invalid_argument"), ("Receive", "cancelled")]


# Health, reflection, the end


async def test_the_health_service_says_serving_until_the_server_is_to_end():
    async with grpc_api() as api:
        health = health_pb2_grpc.HealthStub(api.channel)
        for name in ("", "sqslite.v1.QueueService"):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        watching = health.Watch(health_pb2.HealthCheckRequest())
        assert (await watching.read()).status == health_pb2.HealthCheckResponse.SERVING
        api.server.begin_to_end()
        assert (await watching.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        # Who watches does not keep the server from its end.
        await asyncio.wait_for(api.server.close(), server.STOP_S_MAX / 2)


async def test_reflection_shows_the_services_and_their_messages():
    async with grpc_api() as api:
        names = await asyncio.to_thread(lambda: _reflected(api))
        assert names == ["grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection", "sqslite.v1.QueueService"]


def _reflected(api: Api) -> list[str]:
    with grpc.insecure_channel(api.address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        file = database.FindFileContainingSymbol("sqslite.v1.QueueService")
        assert "Consume" in [method.name for method in file.service[0].method]
        return sorted(database.get_services())


async def test_a_receive_that_waits_is_answered_when_the_server_is_to_end():
    async with grpc_api() as api:
        poll = asyncio.ensure_future(api.receive(wait_ms=20_000))
        await until(lambda: "orders" in api.wakeups._watches)
        api.server.begin_to_end()
        api.wakeups.release_waiters()
        assert await poll == []
        await api.server.close()
