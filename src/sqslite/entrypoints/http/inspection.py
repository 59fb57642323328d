"""The calls that look at queues and messages without touching them."""

from typing import Annotated, Any

from litestar import route
from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec import Raw
from msgspec.structs import asdict

from sqslite.domain.lifecycle import State
from sqslite.domain.messages import Message
from sqslite.entrypoints.http.queues import page_size
from sqslite.entrypoints.http.routes import READ, GivenPorts, message_number, when_set
from sqslite.wire import queue_shapes
from sqslite.wire.bodies import to_json


@route("/v1/queues/{queue:str}/stats", http_method=READ)
async def queue_stats(ports: GivenPorts, queue: FromPath[str]) -> queue_shapes.StatsOut:
    """Count a queue's messages."""
    depth, totals = await ports.inspection.stats(queue)
    return queue_shapes.StatsOut(
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


@route("/v1/queues/{queue:str}/messages", http_method=READ)
async def peek(
    ports: GivenPorts,
    queue: FromPath[str],
    # `state` by itself is the framework's own.
    wanted_state: Annotated[str | None, QueryParameter(name="state")] = None,
    after: FromQuery[str | None] = None,
    limit: FromQuery[str | None] = None,
) -> queue_shapes.PeekOut:
    """Show messages without leasing them."""
    page = await ports.inspection.peek(queue, wanted_state, after, page_size(limit))
    seen = [queue_shapes.SeenOut(**_fields(state, message)) for state, message in page.messages]
    return queue_shapes.PeekOut(seen, after=when_set(page.after))


@route("/v1/messages/{id:str}", http_method=READ)
async def explain(ports: GivenPorts, id: FromPath[str]) -> queue_shapes.ExplainOut:  # noqa: A002  named as in the path
    """Say how a message stands, and why."""
    explanation = await ports.inspection.explain(message_number(id))
    return queue_shapes.ExplainOut(
        **_fields(explanation.state, explanation.message),
        queue=explanation.queue,
        code=explanation.code,
        reason=explanation.reason,
        changes_at=explanation.changes_at,
        blocked_by=when_set(explanation.blocked_by),
    )


def _fields(state: State, message: Message) -> dict[str, Any]:
    fields: dict[str, Any] = {
        name: when_set(value) for name, value in asdict(message).items() if name != "deliveries_before"
    }
    body = Raw(to_json(message.body, message.body_kind))
    return {**fields, "state": state, "body": body, "fence": message.fence}
