"""The gRPC server of one process: the table of its calls, its limits, health and reflection."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from time import perf_counter
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health
from grpc_reflection.v1alpha import reflection
from structlog import get_logger

from sqslite.domain.limits import SECOND_MS
from sqslite.entrypoints.grpc import calls, consuming, queues, receiving
from sqslite.entrypoints.grpc.errors import InvalidProtobuf, RequestTimeout, refusals
from sqslite.entrypoints.grpc.v1 import sqslite_pb2 as pb

SERVICE = pb.DESCRIPTOR.services_by_name["QueueService"]
# Around the bodies: field names, other fields.
ENVELOPE_BYTES_MAX = 64 * 1024
REQUEST_BYTES_MIN = 16 * 1024 * 1024
STREAMS_PER_CONNECTION_MAX = 1_000
REQUEST_READ_S_MAX = 5.0
HANDSHAKE_MS_MAX = 10 * SECOND_MS
PING_EVERY_MS = 30 * SECOND_MS
PING_ANSWER_MS_MAX = 10 * SECOND_MS
CLIENT_PING_MS_MIN = 10 * SECOND_MS
# Beyond what consumers have to finish; then whatever still runs is cancelled.
STOP_S_MAX = (consuming.FAREWELL_MS + SECOND_MS) / SECOND_MS
# An answer may be on its way out still when its call has ended.
LAST_WORDS_S_MAX = 0.3

Call = Callable[[calls.Ports, Any], Coroutine[Any, Any, Message]]
Context = grpc.aio.ServicerContext[Any, Any]
Serve = Callable[[Context], Coroutine[Any, Any, None]]
Answered = Callable[[str, str, float], None]

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
    """The API on a port of its own; `open` it in the event loop that serves it. `answered` hears how calls ended."""

    def __init__(
        self,
        ports: calls.Ports,
        answered: Answered,
        *,
        body_bytes_max: int,
        calls_at_once_max: int,
        idle_s_max: int,
    ) -> None:
        self._ports = ports
        self._answered = answered
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
        serves = {name: self._unary(name, call) for name, call in CALLS.items()}
        serves |= {"Receive": self._receive, "Consume": self._consume}
        handlers = {name: self._handler(name, serve) for name, serve in serves.items()}
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

    def _unary(self, name: str, call: Call) -> Serve:
        shape = request_of(name)

        async def serve(context: Context) -> None:
            request = decoded(shape, await request_read(context))
            answer = await self._ports.underway.carried(call(self._ports, request))
            await context.write(answer.SerializeToString())

        return serve

    async def _receive(self, context: Context) -> None:
        await receiving.receive(self._ports, decoded(pb.ReceiveRequest, await request_read(context)), context)

    async def _consume(self, context: Context) -> None:
        first = decoded(pb.ConsumeRequest, await request_read(context))
        further = (decoded(pb.ConsumeRequest, raw) async for raw in requests_read(context))
        await consuming.consume(
            self._ports, self._stopping, first, further, lambda answer: context.write(answer.SerializeToString())
        )

    def _handler(self, name: str, serve: Serve) -> Any:
        async def handle(_: object, context: Context) -> None:
            started_s = perf_counter()
            self._running += 1
            self._idle.clear()
            status = StatusCode.CANCELLED
            try:
                async with refusals(context, name):
                    await serve(context)
                status = StatusCode.OK
            except grpc.aio.AbortError:
                status = context.code()
                raise
            finally:
                self._running -= 1
                if not self._running:
                    self._idle.set()
                self._answered(name, status.name.lower(), perf_counter() - started_s)

        # On the wire a call with one request and one answer is a stream of one each. Served as such, it can be bounded
        # in how long its request takes to come, and it is told whether its answer went out.
        return grpc.stream_stream_rpc_method_handler(handle)


def request_of(name: str) -> type[Message]:
    """The message that a call takes."""
    return GetMessageClass(SERVICE.methods_by_name[name].input_type)


def decoded(shape: type[Message], raw: bytes) -> Any:
    """The message. Raises InvalidProtobuf."""
    try:
        return shape.FromString(raw)
    except DecodeError:
        raise InvalidProtobuf(f"the request must be an encoded {shape.DESCRIPTOR.full_name}") from None


async def request_read(context: Context) -> bytes:
    """The first request of a call. Raises RequestTimeout where it does not come, InvalidProtobuf where none will."""
    try:
        async with asyncio.timeout(REQUEST_READ_S_MAX):
            raw = await context.read()
    except TimeoutError:
        raise RequestTimeout(f"the request must arrive within {REQUEST_READ_S_MAX:g} seconds") from None
    if raw is grpc.aio.EOF:
        raise InvalidProtobuf("a call begins with a request, and there was none")
    return raw  # type: ignore[no-any-return]  # nothing decodes it on its way


async def requests_read(context: Context) -> AsyncIterator[bytes]:
    """The further requests of a stream, for as long as its client has any."""
    while (raw := await context.read()) is not grpc.aio.EOF:
        yield raw
