"""The REST application: Litestar with the routes, inside what surrounds every request."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from litestar import Litestar, Request, Response, route
from litestar.di import Provide
from litestar.enums import HttpMethod
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from sqslite.domain.errors import SqsliteError
from sqslite.entrypoints.http import batches, inspection, queues, redrives, routes
from sqslite.entrypoints.http.context import HttpAnswered, RequestContext, Requests
from sqslite.entrypoints.http.errors import RequestError, on_bug, on_http_exception, on_refusal
from sqslite.entrypoints.http.openapi import openapi
from sqslite.entrypoints.http.shortcut import Shortcut
from sqslite.entrypoints.http.verbs import VerbPaths

Lifespan = Callable[[], AbstractAsyncContextManager[None]]


# What messages flow through.
DIRECT = (
    routes.enqueue,
    routes.receive,
    routes.ack,
    routes.nack,
    routes.extend,
    batches.enqueue_batch,
    batches.ack_batch,
    batches.nack_batch,
    batches.extend_batch,
)
CALLS = (
    *(direct.for_framework() for direct in DIRECT),
    routes.healthz,
    routes.readyz,
    routes.metrics,
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
)


def create_rest_app(
    ports: routes.Ports,
    lifespan: Lifespan,
    answered: HttpAnswered,
    beside: Callable[[ASGIApp], ASGIApp] = lambda rest: rest,
) -> ASGIApp:
    """The ASGI application; `lifespan` runs around its life, `answered` hears of every answer.

    `beside` puts what else is on the port before the application that it is given; what messages flow through never
    gets there.
    """

    @asynccontextmanager
    async def run(_app: Litestar) -> AsyncIterator[None]:
        async with lifespan():
            yield

    litestar = Litestar(
        route_handlers=[allowed_methods(CALLS), *CALLS],
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
    requests = Requests(answered)
    return Shortcut(DIRECT, ports, requests, otherwise=beside(RequestContext(VerbPaths(litestar), requests)))


def allowed_methods(calls: Sequence[HTTPRouteHandler]) -> HTTPRouteHandler:
    """The handler of OPTIONS for all paths of the calls.

    The framework's own tells only of those methods of a path that were registered first.
    """
    paths = {path for call in calls for path in call.paths}

    @route(sorted(paths), http_method=HttpMethod.OPTIONS, status_code=204, sync_to_thread=False)
    def options(request: Request[Any, Any, Any]) -> Response[None]:
        (asked,) = (r for r in request.app.routes if r.path_format == request.scope["path_template"])
        return Response(None, headers={"allow": ", ".join(sorted(asked.methods))})

    return options
