"""The calls of a load test over gRPC, with the domain's shapes and errors."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from sqslite.adapters.client.errors import rebuilt
from sqslite.domain.errors import InvalidValue, OutcomeUnknown, SqsliteError
from sqslite.domain.leases import Receipt
from sqslite.domain.limits import SECOND_MS
from sqslite.domain.messages import Accepted, BodyKind, NewMessage, Received, ReceivedMessage
from sqslite.domain.ports import Depth, Totals
from sqslite.domain.queues import NamedQueue, QueueSettings
from sqslite.entrypoints.grpc.errors import CODE_KEY
from sqslite.entrypoints.grpc.v1 import sqslite_pb2 as pb
from sqslite.entrypoints.grpc.v1.sqslite_pb2_grpc import QueueServiceStub

ADDRESS = re.compile(r"grpc://([^/?#@\s]+:\d{1,5})/?")
ADDRESS_ALLOWED = "grpc://host:port of a server's gRPC port"
ANSWER_BYTES_MAX = 256 * 1024 * 1024
# Each call counts for itself, as over REST.
OPTIONS = (
    ("grpc.enable_retries", 0),
    ("grpc.max_receive_message_length", ANSWER_BYTES_MAX),
    ("grpc.max_send_message_length", -1),
)

_KINDS: dict[BodyKind, Any] = {kind: pb.BodyKind.Value(f"BODY_KIND_{kind.name}") for kind in BodyKind}
_KINDS_READ = {number: kind for kind, number in _KINDS.items()}


class GrpcCalls:
    """A client over one channel; raises InvalidValue for what is no address."""

    def __init__(self, url: str, timeout_s: float) -> None:
        address = ADDRESS.fullmatch(url)
        if address is None:
            raise InvalidValue("url", url, ADDRESS_ALLOWED)
        self._timeout_s = timeout_s
        self._channel = grpc.aio.insecure_channel(address[1], options=OPTIONS)
        self._stub: Any = QueueServiceStub(self._channel)  # type: ignore[no-untyped-call]  # generated

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._channel.close()

    async def enqueue(self, queue: str, messages: Sequence[NewMessage]) -> list[Accepted | SqsliteError]:
        """See Messaging."""
        sent = [
            pb.NewMessage(body=one.body, body_kind=_KINDS[one.body_kind], group_id=one.group_id or "")
            for one in messages
        ]
        answer = await self._asked(self._stub.EnqueueBatch, pb.EnqueueBatchRequest(queue=queue, messages=sent))
        return [_refusal(result) or Accepted(result.id, result.duplicate) for result in answer.results]

    async def claim(
        self, queue: str, limit: int | None = None, visibility_ms: int | None = None, wait_ms: int | None = None
    ) -> Sequence[Received]:
        """See Messaging."""
        request = pb.ReceiveRequest(
            queue=queue, max=limit, visibility_ms=visibility_ms or 0, wait_ms=wait_ms, answer_bytes_max=ANSWER_BYTES_MAX
        )
        answer = await self._asked(self._stub.Receive, request, (wait_ms or 0) / SECOND_MS)
        return [_received(delivery) for delivery in answer.deliveries]

    async def ack(self, receipts: Sequence[Receipt]) -> list[SqsliteError | None]:
        """See Messaging."""
        acks = [pb.AckRequest(receipt=receipt.token()) for receipt in receipts]
        answer = await self._asked(self._stub.AckBatch, pb.AckBatchRequest(acks=acks))
        return [_refusal(result) for result in answer.results]

    async def put(self, name: str, settings: QueueSettings) -> tuple[NamedQueue, bool]:
        """See Administration; of the settings goes only `fifo`, the one that a load test chooses."""
        request = pb.PutQueueRequest(queue=name, settings=pb.QueueSettings(fifo=settings.fifo))
        answer = await self._asked(self._stub.PutQueue, request)
        return _queue(answer.queue), answer.created

    async def get(self, name: str) -> NamedQueue:
        """See Administration; of the settings come those that a load test looks at."""
        return _queue(await self._asked(self._stub.GetQueue, pb.GetQueueRequest(queue=name)))

    async def delete(self, name: str) -> None:
        """See Administration."""
        await self._asked(self._stub.DeleteQueue, pb.DeleteQueueRequest(queue=name))

    async def stats(self, name: str) -> tuple[Depth, Totals]:
        """See Inspection."""
        answer = await self._asked(self._stub.Stats, pb.StatsRequest(queue=name))
        depth = Depth(
            queue=name,
            ready=answer.ready,
            delayed=answer.delayed,
            in_flight=answer.in_flight,
            oldest_ready_age_ms=answer.oldest_ready_age_ms if answer.HasField("oldest_ready_age_ms") else None,
            approximate=answer.approximate,
        )
        totals = Totals(
            enqueued=answer.enqueued_total,
            received=answer.received_total,
            acked=answer.acked_total,
            dead_lettered=answer.dead_lettered_total,
        )
        return depth, totals

    async def _asked(self, method: Any, request: object, longer_s: float = 0) -> Any:
        try:
            return await method(request, timeout=self._timeout_s + longer_s)
        except grpc.aio.AioRpcError as error:
            code = dict(error.trailing_metadata() or ()).get(CODE_KEY)
            if isinstance(code, str):
                raise rebuilt(code, error.details() or code) from None
            # It is the library's own word, and it does not say whether the server had the call already.
            raise OutcomeUnknown(f"no answer: {error.code().name} {error.details()}") from None


def _refusal(result: pb.Result) -> SqsliteError | None:
    return rebuilt(result.error.code, result.error.text) if result.HasField("error") else None


def _received(delivery: pb.Delivery) -> Received:
    sent = delivery.message
    message = ReceivedMessage(
        id=sent.id,
        body=sent.body,
        body_kind=_KINDS_READ[sent.body_kind],
        attributes=dict(sent.attributes),
        enqueued_at=_instant(sent.enqueued_at),
        lease_until=_instant(sent.lease_until) if sent.HasField("lease_until") else None,
        delivery_count=sent.delivery_count,
        deliveries_before=sent.fence - sent.delivery_count,
        max_retries=sent.max_retries,
        dlq=_given(sent, "dlq"),
        trace_id=_given(sent, "trace_id"),
        group_id=_given(sent, "group_id"),
        dedup_id=_given(sent, "dedup_id"),
        last_error=_given(sent, "last_error"),
        origin_queue=_given(sent, "origin_queue"),
        origin_delivery_count=_given(sent, "origin_delivery_count"),
    )
    return Received(message, Receipt.parse(delivery.receipt))


def _queue(shown: pb.Queue) -> NamedQueue:
    return NamedQueue(
        name=shown.name,
        settings=QueueSettings(fifo=shown.settings.fifo, dlq=_given(shown.settings, "dlq")),
        paused=shown.paused,
        created_at=_instant(shown.created_at),
        changed_at=_instant(shown.changed_at),
        purged_at=_instant(shown.purged_at) if shown.HasField("purged_at") else None,
    )


def _given(shown: Any, field: str) -> Any:
    return getattr(shown, field) if shown.HasField(field) else None


def _instant(shown: Timestamp) -> datetime:
    return shown.ToDatetime(tzinfo=UTC)
