"""The calls about redrive tasks."""

from litestar import Response, post, route
from litestar.params import FromPath

from sqslite.domain.redrive import Redrive
from sqslite.entrypoints.http.reading import ENVELOPE_BYTES_MAX, read
from sqslite.entrypoints.http.routes import READ, GivenPorts, JsonRequest, path_id, when_set
from sqslite.wire import queue_shapes


@post("/v1/queues/{queue:str}/:redrive")
async def start_redrive(
    request: JsonRequest, ports: GivenPorts, queue: FromPath[str]
) -> Response[queue_shapes.RedriveOut]:
    """Begin to move dead letters on."""
    asked = await read(request, queue_shapes.RedriveIn, ENVELOPE_BYTES_MAX)
    redrive = await ports.redriving.start(queue, asked.to, asked.max_per_second, asked.limit)
    return Response(_shown(redrive), status_code=202)


@route("/v1/queues/{queue:str}/redrives", http_method=READ)
async def list_redrives(ports: GivenPorts, queue: FromPath[str]) -> queue_shapes.RedrivesOut:
    """Show the latest tasks."""
    return queue_shapes.RedrivesOut([_shown(redrive) for redrive in await ports.redriving.page(queue)])


@post("/v1/queues/{queue:str}/redrives/{task:str}/:cancel", status_code=200)
async def cancel_redrive(
    request: JsonRequest, ports: GivenPorts, queue: FromPath[str], task: FromPath[str]
) -> queue_shapes.RedriveOut:
    """End a task."""
    await read(request, queue_shapes.NothingIn, ENVELOPE_BYTES_MAX)
    return _shown(await ports.redriving.cancel(queue, path_id("the redrive's id in the path", task)))


def _shown(redrive: Redrive) -> queue_shapes.RedriveOut:
    return queue_shapes.RedriveOut(
        id=redrive.id,
        queue=redrive.queue,
        state=redrive.state,
        moved=redrive.moved,
        created_at=redrive.created_at,
        ended_at=when_set(redrive.ended_at),
        to=when_set(redrive.to),
        max_per_second=when_set(redrive.max_per_second),
        limit=when_set(redrive.limit),
    )
