"""The calls of those who look after queues."""

from litestar import Response, delete, post, put, route
from litestar.params import FromPath, FromQuery
from msgspec import UNSET
from msgspec.structs import asdict

from sqslite.domain.errors import InvalidValue
from sqslite.domain.limits import PAGE_DEFAULT, PAGE_MAX
from sqslite.domain.queues import Queue
from sqslite.entrypoints.http.reading import ENVELOPE_BYTES_MAX, read
from sqslite.entrypoints.http.routes import READ, GivenPorts, JsonRequest
from sqslite.wire import queue_shapes

# Annotations and tags at their limits, however JSON spells them.
SETTINGS_BYTES_MAX = 1024 * 1024


@put("/v1/queues/{queue:str}")
async def put_queue(request: JsonRequest, ports: GivenPorts, queue: FromPath[str]) -> Response[queue_shapes.QueueOut]:
    """Create a queue, or change its settings to exactly these."""
    settings = await read(request, queue_shapes.QueueIn, SETTINGS_BYTES_MAX)
    made, created = await ports.administration.put(queue, settings)
    return Response(_shown(made), status_code=201 if created else 200)


@route("/v1/queues/{queue:str}", http_method=READ)
async def get_queue(ports: GivenPorts, queue: FromPath[str]) -> queue_shapes.QueueOut:
    """Show a queue's settings."""
    return _shown(await ports.administration.get(queue))


@route("/v1/queues", http_method=READ)
async def list_queues(
    ports: GivenPorts,
    prefix: FromQuery[str] = "",
    after: FromQuery[str] = "",
    limit: FromQuery[str | None] = None,
) -> queue_shapes.QueuesOut:
    """List queues by name, a page at a time."""
    size = page_size(limit)
    queues = await ports.administration.page(prefix, after, size)
    more = len(queues) == size
    return queue_shapes.QueuesOut([_shown(queue) for queue in queues], after=queues[-1].name if more else UNSET)


@delete("/v1/queues/{queue:str}", status_code=200)
async def delete_queue(ports: GivenPorts, queue: FromPath[str]) -> queue_shapes.DoneOut:
    """Delete a queue with all its messages."""
    await ports.administration.delete(queue)
    return queue_shapes.DoneOut()


@post("/v1/queues/{queue:str}/:purge", status_code=200)
async def purge_queue(request: JsonRequest, ports: GivenPorts, queue: FromPath[str]) -> queue_shapes.DoneOut:
    """Delete all messages of a queue."""
    await read(request, queue_shapes.NothingIn, ENVELOPE_BYTES_MAX)
    await ports.administration.purge(queue)
    return queue_shapes.DoneOut()


@post("/v1/queues/{queue:str}/:pause", status_code=200)
async def pause_queue(request: JsonRequest, ports: GivenPorts, queue: FromPath[str]) -> queue_shapes.QueueOut:
    """Give nothing out any more."""
    await read(request, queue_shapes.NothingIn, ENVELOPE_BYTES_MAX)
    return _shown(await ports.administration.pause(queue))


@post("/v1/queues/{queue:str}/:resume", status_code=200)
async def resume_queue(request: JsonRequest, ports: GivenPorts, queue: FromPath[str]) -> queue_shapes.QueueOut:
    """Give messages out again."""
    await read(request, queue_shapes.NothingIn, ENVELOPE_BYTES_MAX)
    return _shown(await ports.administration.resume(queue))


def page_size(text: str | None) -> int:
    """The `limit` of a page, as the query has it (None: PAGE_DEFAULT). Raises InvalidValue."""
    if text is None:
        return PAGE_DEFAULT
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(PAGE_MAX))):
        raise InvalidValue("limit", text, f"a whole number from 1 to {PAGE_MAX}")
    return int(text)


def _shown(queue: Queue) -> queue_shapes.QueueOut:
    return queue_shapes.QueueOut(
        name=queue.name,
        paused=queue.paused,
        created_at=queue.created_at,
        changed_at=queue.changed_at,
        purged_at=queue.purged_at,
        **asdict(queue.settings),
    )
