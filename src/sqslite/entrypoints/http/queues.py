"""The calls of those who look after queues."""

from typing import Annotated

from litestar import Response, put, route
from litestar.params import Parameter
from msgspec import UNSET
from msgspec.structs import asdict

from sqslite.domain.errors import InvalidValue
from sqslite.domain.limits import PAGE_DEFAULT, PAGE_MAX
from sqslite.domain.queues import Queue
from sqslite.entrypoints.http import shapes
from sqslite.entrypoints.http.reading import ENVELOPE_BYTES_MAX, read
from sqslite.entrypoints.http.routes import READ, JsonRequest, Ports


@put("/v1/queues/{queue:str}")
async def put_queue(request: JsonRequest, ports: Ports, queue: str) -> Response[shapes.QueueOut]:
    """Create a queue, or change its settings to exactly these."""
    settings = await read(request, shapes.QueueIn, ENVELOPE_BYTES_MAX)
    made, created = await ports.administration.put(queue, settings)
    return Response(_shown(made), status_code=201 if created else 200)


@route("/v1/queues/{queue:str}", http_method=READ)
async def get_queue(ports: Ports, queue: str) -> shapes.QueueOut:
    """Show a queue's settings."""
    return _shown(await ports.administration.get(queue))


@route("/v1/queues", http_method=READ)
async def list_queues(
    ports: Ports,
    prefix: str = "",
    after: str = "",
    page_limit: Annotated[str | None, Parameter(query="limit")] = None,
) -> shapes.QueuesOut:
    """List queues by name, a page at a time."""
    limit = PAGE_DEFAULT if page_limit is None else _number("limit", page_limit)
    queues = await ports.administration.page(prefix, after, limit)
    more = len(queues) == limit
    return shapes.QueuesOut([_shown(queue) for queue in queues], after=queues[-1].name if more else UNSET)


def _number(field: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(PAGE_MAX))):
        raise InvalidValue(field, text, f"a whole number from 1 to {PAGE_MAX}")
    return int(text)


def _shown(queue: Queue) -> shapes.QueueOut:
    return shapes.QueueOut(name=queue.name, **asdict(queue.settings))
