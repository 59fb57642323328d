"""The gRPC API in this process, over a memory store and a clock that the test moves."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import grpc
import pytest

from sqslite.adapters.wakeups.local import LocalWakeups
from sqslite.domain.ports import Store
from sqslite.domain.queues import Defaults
from sqslite.entrypoints.grpc.calls import Ports
from sqslite.entrypoints.grpc.consuming import FAREWELL_MS
from sqslite.entrypoints.grpc.errors import CODE_KEY
from sqslite.entrypoints.grpc.server import GrpcServer
from sqslite.entrypoints.grpc.sizes import BodySizes
from sqslite.entrypoints.grpc.underway import Underway
from sqslite.entrypoints.grpc.v1 import sqslite_pb2 as pb
from sqslite.entrypoints.grpc.v1.sqslite_pb2_grpc import QueueServiceStub
from tests.unit.node import Node, node
from tests.unit.polls import waited

BODY_BYTES_MAX = 64 * 1024
RECEIVE_MAX = 10
# No test takes so long; what hangs shall fail.
STREAM_S_MAX = 20
LOOKS_MAX = 1_000
LOOK_S = 0.003


@dataclass
class Api:
    """What a test speaks to: the stub, and the node behind it."""

    node: Node
    wakeups: LocalWakeups
    server: GrpcServer
    underway: Underway
    channel: grpc.aio.Channel
    stub: QueueServiceStub
    address: str
    answered: list[tuple[str, str]]

    async def enqueue(self, *bodies: bytes, queue: str = "orders") -> list[int]:
        messages = [pb.NewMessage(body=body) for body in bodies or (b"1",)]
        answer = await self.stub.EnqueueBatch(pb.EnqueueBatchRequest(queue=queue, messages=messages))
        assert not any(result.HasField("error") for result in answer.results), answer
        return [result.id for result in answer.results]

    async def receive(self, queue: str = "orders", **fields: object) -> list[pb.Delivery]:
        return list((await self.stub.Receive(pb.ReceiveRequest(queue=queue, **fields))).deliveries)

    async def stats(self, queue: str = "orders") -> pb.StatsResponse:
        return await self.stub.Stats(pb.StatsRequest(queue=queue))

    async def consume(self, granted: int, queue: str = "orders", **fields: object) -> grpc.aio.StreamStreamCall:
        stream = self.stub.Consume(timeout=STREAM_S_MAX)
        await stream.write(pb.ConsumeRequest(start=pb.ConsumeStart(queue=queue, **fields), credits=granted))
        return stream


@contextlib.asynccontextmanager
async def grpc_api(
    decorate: Callable[[Store], Store] = lambda store: store, *, calls_at_once_max: int = 100
) -> AsyncIterator[Api]:
    _, wakeups = made = waited(decorate)
    own = node(
        decorate, clock=made[0].clock, backend=made[0].backend, wakeups=wakeups,
        defaults=Defaults(body_bytes_max=BODY_BYTES_MAX),
    )  # fmt: skip
    underway = Underway()
    ports = Ports(
        service=own.service,
        administration=own.administration,
        inspection=own.inspection,
        redriving=own.redriving,
        clock=own.clock,
        underway=underway,
        sizes=BodySizes(),
        receive_max=RECEIVE_MAX,
    )
    answered: list[tuple[str, str]] = []
    server = GrpcServer(
        ports,
        lambda name, status, _s: answered.append((name, status)),
        body_bytes_max=BODY_BYTES_MAX,
        calls_at_once_max=calls_at_once_max,
        idle_s_max=60,
    )
    address = f"127.0.0.1:{await server.open('127.0.0.1:0')}"
    async with grpc.aio.insecure_channel(address) as channel:
        try:
            yield Api(own, wakeups, server, underway, channel, QueueServiceStub(channel), address, answered)
        finally:
            ending = asyncio.ensure_future(server.close())
            wakeups.release_waiters()
            await asyncio.sleep(LOOK_S)
            await own.advance(FAREWELL_MS)
            await ending


async def until(condition: Callable[[], bool]) -> None:
    """Return once it holds; what goes over a socket takes real time, if little."""
    for _ in range(LOOKS_MAX):
        if condition():
            return
        await asyncio.sleep(LOOK_S)
    raise AssertionError("it did not come true")


@contextlib.contextmanager
def refused(status: grpc.StatusCode, code: str, text: str = ""):
    """The block's call ends with this status and code, and a sentence that has the text."""
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        yield
    error = refusal.value
    assert (error.code(), error.trailing_metadata().get(CODE_KEY)) == (status, code), error
    assert text in error.details()
