"""The calls about messages: read the request, ask the service, write the answer."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from msgspec import Struct

from sqslite.domain.administration import QueueAdministration
from sqslite.domain.errors import InvalidValue, SqsliteError
from sqslite.domain.inspection import QueueInspection
from sqslite.domain.limits import BATCH_MAX
from sqslite.domain.messages import Accepted
from sqslite.domain.ports import Clock
from sqslite.domain.redriving import Redriving
from sqslite.domain.service import QueueService
from sqslite.entrypoints.grpc import shapes
from sqslite.entrypoints.grpc.sizes import BodySizes
from sqslite.entrypoints.grpc.underway import Underway
from sqslite.entrypoints.grpc.v1 import sqslite_pb2 as pb

Entry = TypeVar("Entry")
Sound = TypeVar("Sound")
Outcome = Accepted | datetime | SqsliteError | None


class Ports(Struct, frozen=True):
    """What the calls speak to, taken from the container once, at start."""

    service: QueueService
    administration: QueueAdministration
    inspection: QueueInspection
    redriving: Redriving
    clock: Clock
    underway: Underway
    sizes: BodySizes
    receive_max: int


async def enqueue(ports: Ports, request: pb.EnqueueRequest) -> pb.EnqueueResponse:
    """Enqueue a message."""
    (outcome,) = await ports.service.enqueue(request.queue, [shapes.new_message(request.message)])
    accepted = granted(outcome)
    return pb.EnqueueResponse(id=accepted.id, duplicate=accepted.duplicate)


async def enqueue_batch(ports: Ports, request: pb.EnqueueBatchRequest) -> pb.BatchResponse:
    """Enqueue messages."""
    _check_count("messages", request.messages)
    parsed = [_tried(shapes.new_message, message) for message in request.messages]
    return _answer(woven(parsed, await ports.service.enqueue(request.queue, sound(parsed))))


async def ack(ports: Ports, request: pb.AckRequest) -> pb.AckResponse:
    """Delete a message whose work is done."""
    (refusal,) = await acked(ports, [request])
    granted(refusal)
    return pb.AckResponse()


async def ack_batch(ports: Ports, request: pb.AckBatchRequest) -> pb.BatchResponse:
    """Delete messages whose work is done."""
    _check_count("acks", request.acks)
    return _answer(await acked(ports, request.acks))


async def nack(ports: Ports, request: pb.NackRequest) -> pb.NackResponse:
    """Give a lease up."""
    (refusal,) = await nacked(ports, [request])
    granted(refusal)
    return pb.NackResponse()


async def nack_batch(ports: Ports, request: pb.NackBatchRequest) -> pb.BatchResponse:
    """Give leases up."""
    _check_count("nacks", request.nacks)
    return _answer(await nacked(ports, request.nacks))


async def extend(ports: Ports, request: pb.ExtendRequest) -> pb.ExtendResponse:
    """Hold a message longer."""
    (outcome,) = await extended(ports, [request])
    return pb.ExtendResponse(lease_until=shapes.instant(granted(outcome)))


async def extend_batch(ports: Ports, request: pb.ExtendBatchRequest) -> pb.BatchResponse:
    """Hold messages longer."""
    _check_count("extends", request.extends)
    return _answer(await extended(ports, request.extends))


async def acked(ports: Ports, acks: Sequence[pb.AckRequest]) -> list[Outcome]:
    """What became of each ack, in order."""
    parsed = [_tried(shapes.ack, sent) for sent in acks]
    return woven(parsed, await ports.service.ack(sound(parsed)))


async def nacked(ports: Ports, nacks: Sequence[pb.NackRequest]) -> list[Outcome]:
    """What became of each nack, in order."""
    parsed = [_tried(shapes.nack, sent) for sent in nacks]
    return woven(parsed, await ports.service.nack(sound(parsed)))


async def extended(ports: Ports, extends: Sequence[pb.ExtendRequest]) -> list[Outcome]:
    """What became of each extension, in order."""
    parsed = [_tried(shapes.extension, sent) for sent in extends]
    return woven(parsed, await ports.service.extend(sound(parsed)))


def granted(outcome: Any) -> Any:
    """The outcome, unless it is a refusal, which is raised."""
    if isinstance(outcome, SqsliteError):
        raise outcome
    return outcome


def sound(parsed: Sequence[Sound | SqsliteError]) -> list[Sound]:
    """The entries that could be read."""
    return [entry for entry in parsed if not isinstance(entry, SqsliteError)]


def woven(parsed: Sequence[object], outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The entries' own faults and the outcomes of the sound ones, in the entries' order."""
    rest = iter(outcomes)
    return [entry if isinstance(entry, SqsliteError) else next(rest) for entry in parsed]


def _answer(outcomes: Sequence[Outcome]) -> pb.BatchResponse:
    return pb.BatchResponse(results=map(shapes.result_shown, outcomes))


def _check_count(field: str, entries: Sequence[object]) -> None:
    if not 1 <= len(entries) <= BATCH_MAX:
        raise InvalidValue(f"the number of {field}", len(entries), f"1 to {BATCH_MAX}")


def _tried(parse: Callable[[Entry], Sound], entry: Entry) -> Sound | SqsliteError:
    try:
        return parse(entry)
    except SqsliteError as fault:
        return fault
