"""A receive: what it leases either reaches its client or is given back at once."""

from collections.abc import Coroutine
from typing import Any

import grpc

from sqslite.domain.asker import Asker
from sqslite.domain.limits import CLAIM_MAX, SECOND_MS, check_range
from sqslite.domain.messages import Delivery
from sqslite.entrypoints.grpc import shapes
from sqslite.entrypoints.grpc.calls import Ports
from sqslite.entrypoints.grpc.sizes import parts
from sqslite.entrypoints.grpc.v1 import sqslite_pb2 as pb

# Clients take answers of 4 MiB unless they say otherwise, and there is more in one than bodies.
ANSWER_BYTES_DEFAULT = 3 * 1024 * 1024
ANSWER_BYTES_MAX = 1024 * 1024 * 1024
# A wait ends so long before the call's deadline that the answer is there in time, and so much of it more: the wire
# rounds a deadline up by as much.
DEADLINE_MARGIN_MS = 100
DEADLINE_MARGIN_SHARE = 0.01

Context = grpc.aio.ServicerContext[Any, Any]


async def receive(ports: Ports, request: pb.ReceiveRequest, context: Context) -> None:
    """Lease messages and write the answer."""
    check_range("answer_bytes_max", request.answer_bytes_max, 0, ANSWER_BYTES_MAX)
    bytes_max = request.answer_bytes_max or ANSWER_BYTES_DEFAULT
    wait_ms = _wait_ms(request, context.time_remaining())

    def claim(asker: Asker) -> Coroutine[Any, Any, list[Delivery]]:
        limit = _limit(request, ports.receive_max, ports.sizes.fitting(request.queue, bytes_max))
        return ports.service.claim(
            request.queue, limit, request.visibility_ms, wait_ms, asker, request.attempt_id or None
        )

    deliveries = await ports.underway.claimed(ports.service, claim)
    ports.sizes.seen(request.queue, deliveries)
    fitting, *beyond = parts(deliveries, bytes_max) if deliveries else ([],)
    try:
        for part in beyond:
            await ports.underway.later(ports.service.release(part))
        answer = pb.ReceiveResponse(deliveries=map(shapes.delivery_shown, fitting))
        await context.write(answer.SerializeToString())
    except BaseException:
        # The client is gone, or went while the answer was written.
        if fitting:
            ports.underway.later(ports.service.release(fitting))
        raise


def _limit(request: pb.ReceiveRequest, receive_max: int, fitting: int) -> int:
    """How many messages to lease at most; what is out of its limits stays so."""
    asked = request.max if request.HasField("max") else receive_max
    return min(asked, fitting) if asked <= CLAIM_MAX else asked


def _wait_ms(request: pb.ReceiveRequest, remaining_s: float | None) -> int | None:
    """The wait that was asked for, ended before the deadline; None: the queue's."""
    if not request.HasField("wait_ms"):
        return None
    if remaining_s is None or request.wait_ms <= 0:
        return request.wait_ms
    remaining_ms = remaining_s * SECOND_MS * (1 - DEADLINE_MARGIN_SHARE) - DEADLINE_MARGIN_MS
    return min(request.wait_ms, max(0, int(remaining_ms)))
