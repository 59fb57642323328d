"""What every request is given: an id, its trace id in the logs, its duration in the metrics."""

import logging
import re
import uuid
from collections.abc import Callable
from contextvars import ContextVar, Token
from functools import cache
from itertools import count
from time import perf_counter
from typing import Any

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from msgspec import Struct
from structlog import get_logger
from structlog.contextvars import STRUCTLOG_KEY_PREFIX

from sqslite.entrypoints.http.verbs import documented

HttpAnswered = Callable[[str, str, int, float], None]

UNMATCHED = "(unmatched)"
_KNOWN_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_GIVEN_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
# https://www.w3.org/TR/trace-context/#traceparent-header
_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

# By their names structlog knows them for its own; to set them through it costs ten times as much.
_request_id: ContextVar[str] = ContextVar(f"{STRUCTLOG_KEY_PREFIX}request_id")
_trace_id: ContextVar[str] = ContextVar(f"{STRUCTLOG_KEY_PREFIX}trace_id")

log = get_logger()
# There are only so many templates.
_route = cache(documented)


class Begun(Struct, frozen=True):
    """A request under way: the header that tells its id, when it began, and what to undo at its end."""

    id_header: tuple[bytes, bytes]
    started_s: float
    request_id: Token[str]
    trace_id: Token[str] | None


class Requests:
    """Gives each request an id (its own `X-Request-Id`, else a new one), times it, and tells the metrics."""

    def __init__(self, answered: HttpAnswered) -> None:
        self._answered = answered
        self._prefix = uuid.uuid4().hex[:12]
        self._numbers = count(1)
        # Asked once: to find out costs as much as all else that is done here.
        self._logs = log.is_enabled_for(logging.DEBUG)

    def begin(self, headers: dict[bytes, bytes]) -> Begun:
        """The request begins: until its end, what is logged says whose it is."""
        started_s = perf_counter()
        given = headers.get(b"x-request-id")
        own = given is not None and _GIVEN_ID.fullmatch(given)
        request_id = own[0].decode() if own else f"{self._prefix}-{next(self._numbers)}"
        trace = headers.get(b"traceparent")
        match = _TRACEPARENT.fullmatch(trace) if trace else None
        return Begun(
            (b"x-request-id", request_id.encode()),
            started_s,
            _request_id.set(request_id),
            _trace_id.set(match[1].decode()) if match else None,
        )

    def end(self, request: Begun, scope: Any, route: str, status: int) -> None:
        """The request has ended; `route` is the path's pattern, `status` 0 where it was not answered."""
        duration_s = perf_counter() - request.started_s
        method = scope["method"] if scope["method"] in _KNOWN_METHODS else "(other)"
        self._answered(method, route, status, duration_s)
        if self._logs:
            path, duration_ms = documented(scope["path"]), round(duration_s * 1e3, 2)
            log.debug("request", method=method, path=path, status=status, duration_ms=duration_ms)
        _request_id.reset(request.request_id)
        if request.trace_id is not None:
            _trace_id.reset(request.trace_id)


class RequestContext:
    """The same for the requests to any application."""

    def __init__(self, app: ASGIApp, requests: Requests) -> None:
        self._app = app
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        request = self._requests.begin(dict(scope["headers"]))
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], request.id_header]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            self._requests.end(request, scope, _route(scope.get("path_template") or UNMATCHED), status)
