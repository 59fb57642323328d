"""The OpenAPI document: one table of calls; the schemas come from the shapes that are decoded and encoded."""

from importlib.metadata import version
from typing import Any

import msgspec
from litestar import Request, Response, route
from litestar.enums import MediaType
from litestar.openapi.plugins import SwaggerRenderPlugin

from sqslite.entrypoints.http.calls import CALLS, ERRORS, Call
from sqslite.entrypoints.http.routes import READ
from sqslite.wire import shapes


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
        str(status): {"description": text, "content": {media_type: {"schema": schemas[call.answer]}}}
        for status, text in call.answers.items()
    }
    for status in sorted(call.errors):
        responses[str(status)] = {
            "description": ERRORS[status],
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
