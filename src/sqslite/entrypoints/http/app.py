"""The REST application: Litestar with the routes, inside what surrounds every request."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from litestar import Litestar
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp

from sqslite.domain.errors import SqsliteError
from sqslite.entrypoints.http import batches, inspection, queues, redrives, routes
from sqslite.entrypoints.http.context import HttpAnswered, RequestContext
from sqslite.entrypoints.http.errors import RequestError, on_bug, on_http_exception, on_refusal
from sqslite.entrypoints.http.openapi import openapi
from sqslite.entrypoints.http.verbs import VerbPaths

Lifespan = Callable[[], AbstractAsyncContextManager[None]]


def create_rest_app(ports: routes.Ports, lifespan: Lifespan, answered: HttpAnswered) -> ASGIApp:
    """The ASGI application; `lifespan` runs around its life, `answered` hears of every answer."""

    @asynccontextmanager
    async def run(_app: Litestar) -> AsyncIterator[None]:
        async with lifespan():
            yield

    litestar = Litestar(
        route_handlers=[
            routes.healthz,
            routes.readyz,
            routes.metrics,
            routes.enqueue,
            routes.receive,
            routes.ack,
            routes.nack,
            routes.extend,
            batches.enqueue_batch,
            batches.ack_batch,
            batches.nack_batch,
            batches.extend_batch,
            queues.put_queue,
            queues.get_queue,
            queues.list_queues,
            queues.delete_queue,
            queues.purge_queue,
            queues.pause_queue,
            queues.resume_queue,
            inspection.queue_stats,
            inspection.peek,
            inspection.explain,
            redrives.start_redrive,
            redrives.list_redrives,
            redrives.cancel_redrive,
            openapi,
        ],
        dependencies={"ports": Provide(lambda: ports, sync_to_thread=False)},
        exception_handlers={
            SqsliteError: on_refusal,
            RequestError: on_refusal,
            HTTPException: on_http_exception,
            Exception: on_bug,
        },
        lifespan=[run],
        # The document is our own (openapi.py), and so are the limits of a body (reading.py) and the logs.
        openapi_config=None,
        request_max_body_size=None,
        logging_config=None,
        debug=False,
    )
    return RequestContext(VerbPaths(litestar), answered)
