"""The REST calls: read the request, ask the service, write the answer."""

import re
from typing import Any, TypeVar

from litestar import Request, Response, route
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.enums import HttpMethod, MediaType
from msgspec import UNSET, Raw, Struct, UnsetType

from sqslite.adapters.metrics import Exposition
from sqslite.domain.administration import QueueAdministration
from sqslite.domain.errors import InvalidReceipt, InvalidValue, SqsliteError
from sqslite.domain.inspection import QueueInspection
from sqslite.domain.leases import Nack, Receipt, Wish
from sqslite.domain.limits import MESSAGE_ID_MAX
from sqslite.domain.messages import Delivery, NewMessage
from sqslite.domain.ports import Extension
from sqslite.domain.redriving import Redriving
from sqslite.domain.service import QueueService
from sqslite.entrypoints.http.exchange import Answer, Incoming
from sqslite.entrypoints.http.parking import unless_gone
from sqslite.entrypoints.http.reading import ENVELOPE_BYTES_MAX, read
from sqslite.entrypoints.http.shortcut import answers
from sqslite.wire import shapes
from sqslite.wire.bodies import from_json, to_json

CONTROL_BYTES_MAX = ENVELOPE_BYTES_MAX
_ID = re.compile(r"[0-9]{1,16}", re.ASCII)

# To a HEAD the server sends all but the body.
READ = (HttpMethod.GET, HttpMethod.HEAD)

T = TypeVar("T")
JsonRequest = Request[Any, Any, State]


class Ports(Struct, frozen=True):
    """What the routes speak to, taken from the container once, at start."""

    service: QueueService
    administration: QueueAdministration
    inspection: QueueInspection
    redriving: Redriving
    exposition: Exposition
    ping: Any
    request_bytes_max: int


GivenPorts = NamedDependency[Ports]


@route("/healthz", http_method=READ, media_type=MediaType.TEXT, sync_to_thread=False)
def healthz() -> str:
    """Answer as long as the process runs."""
    return "ok"


@route("/readyz", http_method=READ, media_type=MediaType.TEXT)
async def readyz(ports: GivenPorts) -> str:
    """Answer once the store answers."""
    await ports.ping()
    return "ready"


@route("/metrics", http_method=READ)
async def metrics(ports: GivenPorts) -> Response[bytes]:
    """Show the metrics to Prometheus."""
    return Response(await ports.exposition.render(), headers={"content-type": ports.exposition.content_type})


@answers("enqueue")
async def enqueue(request: Incoming, ports: Ports, queue: str) -> Answer:
    """Enqueue a message."""
    sent = await read(request, shapes.EnqueueIn, ports.request_bytes_max)
    (result,) = await ports.service.enqueue(queue, [new_message(sent)])
    accepted = granted(result)
    return Answer(shapes.EnqueueOut(accepted.id, accepted.duplicate), 200 if accepted.duplicate else 201)


@answers("receive")
async def receive(request: Incoming, ports: Ports, queue: str) -> Answer:
    """Lease messages."""
    asked = await read(request, shapes.ReceiveIn, CONTROL_BYTES_MAX)
    deliveries: list[Delivery] = await unless_gone(
        request,
        lambda asker: ports.service.claim(
            queue, asked.max, asked.visibility_ms, asked.wait_ms, asker, asked.attempt_id
        ),
        ports.service.release,
    )
    return Answer([_shown(delivery) for delivery in deliveries])


@answers("ack")
async def ack(request: Incoming, ports: Ports, message_id: str) -> Answer:
    """Delete a message whose work is done."""
    number = message_number(message_id)
    sent = await read(request, shapes.AckIn, CONTROL_BYTES_MAX)
    if sent.receipt is None:
        (refusal,) = await ports.service.ack_unproven([number])
    else:
        (refusal,) = await ports.service.ack([proven(sent.receipt, number)])
    granted(refusal)
    return Answer(shapes.AckOut())


@answers("nack")
async def nack(request: Incoming, ports: Ports, message_id: str) -> Answer:
    """Give a lease up."""
    number = message_number(message_id)
    sent = await read(request, shapes.NackIn, CONTROL_BYTES_MAX)
    wish = Wish(delay_ms=sent.delay_ms, error=sent.error, dead_letter=sent.dead_letter)
    (refusal,) = await ports.service.nack([Nack(proven(sent.receipt, number), wish)])
    granted(refusal)
    return Answer(shapes.AckOut())


@answers("extend")
async def extend(request: Incoming, ports: Ports, message_id: str) -> Answer:
    """Hold a message longer."""
    number = message_number(message_id)
    sent = await read(request, shapes.ExtendIn, CONTROL_BYTES_MAX)
    (result,) = await ports.service.extend([Extension(proven(sent.receipt, number), sent.visibility_ms)])
    return Answer(shapes.ExtendOut(granted(result)))


def new_message(sent: shapes.EnqueueIn) -> NewMessage:
    """The message as the domain knows it. Raises InvalidValue where the body does not fit its kind."""
    return NewMessage(
        body=from_json(bytes(sent.body), sent.body_kind),
        body_kind=sent.body_kind,
        delay_ms=sent.delay,
        max_retries=sent.max_retries or 0,
        dlq=sent.dlq,
        trace_id=sent.trace_id or None,
        group_id=sent.group_id,
        dedup_id=sent.dedup_id,
        attributes=sent.attributes,
        retention_ms=sent.retention_ms,
    )


def message_number(message_id: str) -> int:
    """The message id in a path. Raises InvalidValue."""
    return path_id("the message id in the path", message_id)


def path_id(field: str, text: str) -> int:
    """The id that the path has as text. Raises InvalidValue."""
    if not _ID.fullmatch(text) or not 1 <= int(text) <= MESSAGE_ID_MAX:
        raise InvalidValue(field, text, f"a whole number from 1 to {MESSAGE_ID_MAX}")
    return int(text)


def proven(token: str, message_id: int | None) -> Receipt:
    """The receipt behind the token, of that message (None: whichever). Raises InvalidReceipt."""
    receipt = Receipt.parse(token)
    if message_id is not None and receipt.message_id != message_id:
        raise InvalidReceipt("receipt", token, f"one of message {message_id}, not of message {receipt.message_id}")
    return receipt


def granted(result: Any) -> Any:
    """The result, unless it is a refusal, which is raised."""
    if isinstance(result, SqsliteError):
        raise result
    return result


def _shown(delivery: Delivery) -> shapes.MessageOut:
    message = delivery.message
    return shapes.MessageOut(
        id=message.id,
        body=Raw(to_json(message.body, message.body_kind)),
        receipt=delivery.receipt.token(),
        lease_until=message.lease_until,
        delivery_count=message.delivery_count,
        fence=message.fence,
        max_retries=message.max_retries,
        enqueued_at=message.enqueued_at,
        # None of these is ever empty or 0; an error text may be.
        dlq=message.dlq or UNSET,
        trace_id=message.trace_id or UNSET,
        group_id=message.group_id or UNSET,
        dedup_id=message.dedup_id or UNSET,
        origin_queue=message.origin_queue or UNSET,
        origin_delivery_count=message.origin_delivery_count or UNSET,
        last_error=when_set(message.last_error),
        attributes=message.attributes,
        body_kind=message.body_kind,
    )


def when_set(value: T | None) -> T | UnsetType:
    """The value, left out of the answer where there is none."""
    return UNSET if value is None else value
