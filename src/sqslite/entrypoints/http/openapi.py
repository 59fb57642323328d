"""The OpenAPI document: one table of calls; the schemas come from the shapes that are decoded and encoded."""

from importlib.metadata import version
from typing import Any

import msgspec
from litestar import Request, Response, route
from litestar.enums import MediaType
from litestar.openapi.plugins import SwaggerRenderPlugin
from msgspec import Struct

from sqslite.domain import limits
from sqslite.entrypoints.http import shapes
from sqslite.entrypoints.http.routes import READ

_QUEUE = {
    "name": "queue",
    "in": "path",
    "required": True,
    "description": f"The queue's name, {limits.QUEUE_NAME_ALLOWED}",
    "schema": {"type": "string", "pattern": f"^{limits.QUEUE_NAME.pattern}$"},
    "example": "orders",
}
_MESSAGE_ID = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "The message's id, as its enqueue answered.",
    "schema": {"type": "integer", "minimum": 1, "maximum": limits.MESSAGE_ID_MAX},
    "example": 123,
}
_ERRORS = {
    400: "Malformed, or outside a limit: the text names field, value and limit.",
    404: "No such message: acked, expired, or never enqueued.",
    408: "The request body did not arrive in time.",
    409: "The receipt is stale: a later delivery superseded it, or its lease was given up.",
    413: "The body is too large.",
    415: "The request body is compressed.",
    503: "The store is busy or away; try again after Retry-After seconds.",
}


class Call(Struct, frozen=True, kw_only=True):
    """One operation of the API."""

    method: str
    path: str
    id: str
    summary: str
    parameters: tuple[dict[str, Any], ...] = ()
    request: type[Struct] | None = None
    request_required: bool = True
    status: int = 200
    answer: Any = None
    answer_text: str
    errors: tuple[int, ...] = ()


_READ = (400, 408, 413, 415, 503)
CALLS = (
    Call(
        method="post",
        path="/v1/queues/{queue}/messages",
        id="enqueue",
        summary="Enqueue a message; a queue comes into being with its first one.",
        parameters=(_QUEUE,),
        request=shapes.EnqueueIn,
        status=201,
        answer=shapes.EnqueueOut,
        answer_text="The message is stored durably.",
        errors=_READ,
    ),
    Call(
        method="post",
        path="/v1/queues/{queue}:receive",
        id="receive",
        summary="Lease messages, oldest available first; an empty or unknown queue gives an empty list.",
        parameters=(_QUEUE,),
        request=shapes.ReceiveIn,
        request_required=False,
        answer=list[shapes.MessageOut],
        answer_text="The leased messages.",
        errors=_READ,
    ),
    Call(
        method="post",
        path="/v1/messages/{id}:ack",
        id="ack",
        summary="Delete a message whose work is done.",
        parameters=(_MESSAGE_ID,),
        request=shapes.AckIn,
        request_required=False,
        answer=shapes.AckOut,
        answer_text="The message is gone for good.",
        errors=(*_READ, 404, 409),
    ),
    Call(
        method="post",
        path="/v1/messages/{id}:nack",
        id="nack",
        summary="Give a lease up; the retry policy decides what becomes of the message.",
        parameters=(_MESSAGE_ID,),
        request=shapes.NackIn,
        answer=shapes.AckOut,
        answer_text="The lease has ended.",
        errors=(*_READ, 404, 409),
    ),
    Call(
        method="post",
        path="/v1/messages/{id}:extend",
        id="extend",
        summary="Hold a message longer, at most 12 hours from its receive; 0 releases it.",
        parameters=(_MESSAGE_ID,),
        request=shapes.ExtendIn,
        answer=shapes.ExtendOut,
        answer_text="The lease ends then.",
        errors=(*_READ, 404, 409),
    ),
    Call(method="get", path="/healthz", id="healthz", summary="Does the process run?", answer=str, answer_text="ok"),
    Call(
        method="get",
        path="/readyz",
        id="readyz",
        summary="Does the store answer?",
        answer=str,
        answer_text="ready",
        errors=(503,),
    ),
    Call(
        method="get",
        path="/metrics",
        id="metrics",
        summary="Metrics in the Prometheus text format.",
        answer=str,
        answer_text="The metrics.",
    ),
)


def document() -> dict[str, Any]:
    """The OpenAPI 3.1 document of the API."""
    # In the order of the calls and not of a set, so that every process gives the same text.
    types = dict.fromkeys(kind for call in CALLS for kind in (call.request, call.answer, shapes.ErrorOut))
    listed = [kind for kind in types if kind is not None]
    schemas, components = msgspec.json.schema_components(listed, ref_template="#/components/schemas/{name}")
    by_type = dict(zip(listed, schemas, strict=True))
    paths: dict[str, Any] = {}
    for call in CALLS:
        paths.setdefault(call.path, {})[call.method] = _operation(call, by_type)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "sqslite",
            "version": version("sqslite"),
            "description": "A message queue with the semantics of AWS SQS on storage you already own.",
        },
        "paths": paths,
        "components": {"schemas": components},
    }


def _operation(call: Call, schemas: dict[Any, Any]) -> dict[str, Any]:
    media_type = "text/plain" if call.answer is str else "application/json"
    responses = {
        str(call.status): {
            "description": call.answer_text,
            "content": {media_type: {"schema": schemas[call.answer]}},
        }
    }
    for status in sorted(call.errors):
        responses[str(status)] = {
            "description": _ERRORS[status],
            "content": {"application/json": {"schema": schemas[shapes.ErrorOut]}},
        }
    operation: dict[str, Any] = {
        "operationId": call.id,
        "summary": call.summary,
        "parameters": list(call.parameters),
        "responses": responses,
    }
    if call.request is not None:
        operation["requestBody"] = {
            "required": call.request_required,
            "content": {"application/json": {"schema": schemas[call.request]}},
        }
    return operation


@route(["/schema", "/schema/openapi.json"], http_method=READ, sync_to_thread=False)
def openapi(request: Request[Any, Any, Any]) -> Response[Any]:
    """Show the document: to browsers as a page, to programs as JSON."""
    if request.url.path == "/schema" and "text/html" in request.headers.get("accept", ""):
        return Response(SwaggerRenderPlugin().render(request, document()), media_type=MediaType.HTML)
    return Response(document())
