"""The calls about queues, about what is in them, and about redrives."""

from sqslite.domain.limits import MESSAGE_ID_MAX, PAGE_DEFAULT, check_range
from sqslite.entrypoints.grpc import shapes
from sqslite.entrypoints.grpc.calls import Ports
from sqslite.entrypoints.grpc.v1 import sqslite_pb2 as pb


async def stats(ports: Ports, request: pb.StatsRequest) -> pb.StatsResponse:
    """Count a queue's messages."""
    depth, totals = await ports.inspection.stats(request.queue)
    return pb.StatsResponse(
        ready=depth.ready,
        delayed=depth.delayed,
        in_flight=depth.in_flight,
        oldest_ready_age_ms=depth.oldest_ready_age_ms,
        approximate=depth.approximate,
        enqueued_total=totals.enqueued,
        received_total=totals.received,
        acked_total=totals.acked,
        dead_lettered_total=totals.dead_lettered,
    )


async def peek(ports: Ports, request: pb.PeekRequest) -> pb.PeekResponse:
    """Show messages without leasing them."""
    page = await ports.inspection.peek(
        request.queue, shapes.state(request.state), request.after or None, _page_size(request)
    )
    return pb.PeekResponse(messages=[shapes.seen_shown(*seen) for seen in page.messages], after=page.after or "")


async def explain(ports: Ports, request: pb.ExplainRequest) -> pb.ExplainResponse:
    """Say how a message stands, and why."""
    explanation = await ports.inspection.explain(_id(request.id))
    return pb.ExplainResponse(
        queue=explanation.queue,
        state=shapes.state_shown(explanation.state),
        message=shapes.message_shown(explanation.message),
        code=explanation.code,
        reason=explanation.reason,
        changes_at=shapes.instant(explanation.changes_at),
        blocked_by=explanation.blocked_by,
    )


async def put_queue(ports: Ports, request: pb.PutQueueRequest) -> pb.PutQueueResponse:
    """Create a queue, or change its settings to exactly these."""
    queue, created = await ports.administration.put(request.queue, shapes.settings(request.settings))
    return pb.PutQueueResponse(queue=shapes.queue_shown(queue), created=created)


async def get_queue(ports: Ports, request: pb.GetQueueRequest) -> pb.Queue:
    """Show a queue."""
    return shapes.queue_shown(await ports.administration.get(request.queue))


async def list_queues(ports: Ports, request: pb.ListQueuesRequest) -> pb.ListQueuesResponse:
    """List queues by name, a page at a time."""
    size = _page_size(request)
    queues = await ports.administration.page(request.prefix, request.after, size)
    after = queues[-1].name if len(queues) == size else ""
    return pb.ListQueuesResponse(queues=map(shapes.queue_shown, queues), after=after)


async def delete_queue(ports: Ports, request: pb.DeleteQueueRequest) -> pb.DeleteQueueResponse:
    """Delete a queue with all its messages."""
    await ports.administration.delete(request.queue)
    return pb.DeleteQueueResponse()


async def purge_queue(ports: Ports, request: pb.PurgeQueueRequest) -> pb.PurgeQueueResponse:
    """Delete all messages of a queue."""
    await ports.administration.purge(request.queue)
    return pb.PurgeQueueResponse()


async def pause_queue(ports: Ports, request: pb.PauseQueueRequest) -> pb.Queue:
    """Give nothing out any more."""
    return shapes.queue_shown(await ports.administration.pause(request.queue))


async def resume_queue(ports: Ports, request: pb.ResumeQueueRequest) -> pb.Queue:
    """Give messages out again."""
    return shapes.queue_shown(await ports.administration.resume(request.queue))


async def start_redrive(ports: Ports, request: pb.StartRedriveRequest) -> pb.Redrive:
    """Begin to move dead letters on."""
    redrive = await ports.redriving.start(
        request.queue,
        request.to if request.HasField("to") else None,
        request.max_per_second if request.HasField("max_per_second") else None,
        request.limit if request.HasField("limit") else None,
    )
    return shapes.redrive_shown(redrive)


async def list_redrives(ports: Ports, request: pb.ListRedrivesRequest) -> pb.ListRedrivesResponse:
    """Show the latest tasks."""
    return pb.ListRedrivesResponse(redrives=map(shapes.redrive_shown, await ports.redriving.page(request.queue)))


async def cancel_redrive(ports: Ports, request: pb.CancelRedriveRequest) -> pb.Redrive:
    """End a task."""
    return shapes.redrive_shown(await ports.redriving.cancel(request.queue, _id(request.id)))


def _page_size(request: pb.PeekRequest | pb.ListQueuesRequest) -> int:
    return request.limit if request.HasField("limit") else PAGE_DEFAULT


def _id(number: int) -> int:
    return check_range("id", number, 1, MESSAGE_ID_MAX)
