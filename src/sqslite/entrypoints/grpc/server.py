"""The gRPC server of one process: the table of its calls, its limits, health and reflection."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health
from grpc_reflection.v1alpha import reflection
from structlog import get_logger

from sqslite.domain.limits import SECOND_MS
from sqslite.entrypoints.grpc import calls, consuming, queues, receiving
from sqslite.entrypoints.grpc.errors import InvalidProtobuf, refusals
from sqslite.entrypoints.grpc.v1 import sqslite_pb2 as pb

SERVICE = pb.DESCRIPTOR.services_by_name["QueueService"]
# Around the bodies: field names, other fields.
ENVELOPE_BYTES_MAX = 64 * 1024
REQUEST_BYTES_MIN = 16 * 1024 * 1024
STREAMS_PER_CONNECTION_MAX = 1_000
HANDSHAKE_MS_MAX = 10 * SECOND_MS
PING_EVERY_MS = 30 * SECOND_MS
PING_ANSWER_MS_MAX = 10 * SECOND_MS
CLIENT_PING_MS_MIN = 10 * SECOND_MS
# Beyond what consumers have to finish; then whatever still runs is cancelled.
STOP_S_MAX = (consuming.FAREWELL_MS + SECOND_MS) / SECOND_MS
# An answer may be on its way out still when its call has ended.
LAST_WORDS_S_MAX = 0.3

Call = Callable[[calls.Ports, Any], Coroutine[Any, Any, Message]]

CALLS: dict[str, Call] = {
    "Enqueue": calls.enqueue,
    "EnqueueBatch": calls.enqueue_batch,
    "Ack": calls.ack,
    "AckBatch": calls.ack_batch,
    "Nack": calls.nack,
    "NackBatch": calls.nack_batch,
    "Extend": calls.extend,
    "ExtendBatch": calls.extend_batch,
    "Stats": queues.stats,
    "Peek": queues.peek,
    "Explain": queues.explain,
    "PutQueue": queues.put_queue,
    "GetQueue": queues.get_queue,
    "ListQueues": queues.list_queues,
    "DeleteQueue": queues.delete_queue,
    "PurgeQueue": queues.purge_queue,
    "PauseQueue": queues.pause_queue,
    "ResumeQueue": queues.resume_queue,
    "StartRedrive": queues.start_redrive,
    "ListRedrives": queues.list_redrives,
    "CancelRedrive": queues.cancel_redrive,
}

log = get_logger()


class GrpcServer:
    """The API on a port of its own; `open` it in the event loop that serves it."""

    def __init__(self, ports: calls.Ports, *, body_bytes_max: int, calls_at_once_max: int, idle_s_max: int) -> None:
        self._ports = ports
        self._body_bytes_max = body_bytes_max
        self._calls_at_once_max = calls_at_once_max
        self._idle_s_max = idle_s_max
        self._stopping = asyncio.Event()
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._ending: asyncio.Task[None] | None = None
        self._health = health.HealthServicer()
        self._server: grpc.aio.Server | None = None

    async def open(self, address: str, *, shared: bool = False) -> int:
        """Listen on `host:port`, which other processes may share; returns the port. Raises RuntimeError."""
        options = (*self._options(), ("grpc.so_reuseport", int(shared)))
        self._server = grpc.aio.server(options=options, maximum_concurrent_rpcs=self._calls_at_once_max)
        handlers = {name: self._unary(name, call) for name, call in CALLS.items()}
        handlers["Receive"] = grpc.unary_stream_rpc_method_handler(self._receive)
        handlers["Consume"] = grpc.stream_stream_rpc_method_handler(self._consume)
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE.full_name, handlers),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (SERVICE.full_name, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name)
        reflection.enable_server_reflection((*names, reflection.SERVICE_NAME), self._server)
        for name in ("", *names):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        port = self._server.add_insecure_port(address)
        await self._server.start()
        return port

    def begin_to_end(self) -> None:
        """Take no new calls, say so to whoever watches the health, and let streams finish what they hold."""
        if self._ending is None and self._server is not None:
            self._stopping.set()
            self._ending = asyncio.ensure_future(self._end(self._server))

    async def close(self) -> None:
        """Return once nothing is served any more and nothing is under way."""
        self.begin_to_end()
        if self._ending is not None:
            await self._ending
        await self._ports.underway.ended()

    async def _end(self, server: grpc.aio.Server) -> None:
        await self._health.enter_graceful_shutdown()
        stopped = asyncio.ensure_future(server.stop(STOP_S_MAX))
        await self._until_idle(STOP_S_MAX)
        # Those who watch the health would do so for ever.
        await server.stop(LAST_WORDS_S_MAX)
        await stopped
        # What was cancelled has something to give back.
        await self._until_idle(LAST_WORDS_S_MAX)

    async def _until_idle(self, seconds_max: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), seconds_max)

    def _options(self) -> tuple[tuple[str, int], ...]:
        return (
            ("grpc.max_receive_message_length", max(REQUEST_BYTES_MIN, self._body_bytes_max + ENVELOPE_BYTES_MAX)),
            ("grpc.max_concurrent_streams", STREAMS_PER_CONNECTION_MAX),
            ("grpc.server_handshake_timeout_ms", HANDSHAKE_MS_MAX),
            ("grpc.max_connection_idle_ms", self._idle_s_max * SECOND_MS),
            # A consumer whose machine is gone says nothing; only a ping that is not answered tells.
            ("grpc.keepalive_time_ms", PING_EVERY_MS),
            ("grpc.keepalive_timeout_ms", PING_ANSWER_MS_MAX),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", CLIENT_PING_MS_MIN),
            ("grpc.keepalive_permit_without_calls", 1),
        )

    @contextlib.asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        self._running += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()

    def _unary(self, name: str, call: Call) -> Any:
        shape = request_of(name)

        async def answer(raw: bytes, context: receiving.Context) -> bytes:
            async with self._counted(), refusals(context, name):
                request = decoded(shape, raw)
                return (await self._ports.underway.carried(call(self._ports, request))).SerializeToString()
            raise AssertionError("a refused call has been ended")

        return grpc.unary_unary_rpc_method_handler(answer)

    # To the client it is a call with one answer. Written as a stream of one, it tells whether the answer went out.
    async def _receive(self, raw: bytes, context: receiving.Context) -> None:
        async with self._counted(), refusals(context, "Receive"):
            await receiving.receive(self._ports, decoded(pb.ReceiveRequest, raw), context)

    async def _consume(self, raws: AsyncIterator[bytes], context: receiving.Context) -> None:
        async with self._counted(), refusals(context, "Consume"):
            requests = (decoded(pb.ConsumeRequest, raw) async for raw in raws)
            await consuming.consume(
                self._ports, self._stopping, requests, lambda answer: context.write(answer.SerializeToString())
            )


def request_of(name: str) -> type[Message]:
    """The message that a call takes."""
    return GetMessageClass(SERVICE.methods_by_name[name].input_type)


def decoded(shape: type[Message], raw: bytes) -> Any:
    """The message. Raises InvalidProtobuf."""
    try:
        return shape.FromString(raw)
    except DecodeError:
        raise InvalidProtobuf(f"the request must be an encoded {shape.DESCRIPTOR.full_name}") from None
