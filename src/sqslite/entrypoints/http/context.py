"""What surrounds every request: its id, its trace id in the logs, its duration in the metrics."""

import logging
import re
import uuid
from collections.abc import Callable
from functools import cache
from itertools import count
from time import perf_counter
from typing import Any

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from structlog import get_logger
from structlog.contextvars import bind_contextvars, reset_contextvars

from sqslite.entrypoints.http.verbs import documented

HttpAnswered = Callable[[str, str, int, float], None]

UNMATCHED = "(unmatched)"
_KNOWN_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_GIVEN_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
# https://www.w3.org/TR/trace-context/#traceparent-header
_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

log = get_logger()
# There are only so many templates.
_route = cache(documented)


class RequestContext:
    """Gives each request an id (its own `X-Request-Id`, else a new one), times it, and tells the metrics."""

    def __init__(self, app: ASGIApp, answered: HttpAnswered) -> None:
        self._app = app
        self._answered = answered
        self._prefix = uuid.uuid4().hex[:12]
        self._numbers = count(1)
        # Asked once: to find out costs as much as all else that is done here.
        self._logs = log.is_enabled_for(logging.DEBUG)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        context = self._context(dict(scope["headers"]))
        request_id = (b"x-request-id", context["request_id"].encode())
        started_s = perf_counter()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], request_id]
            await send(message)

        bound = bind_contextvars(**context)
        try:
            await self._app(scope, receive, send_with_id)
        finally:
            self._tell(scope, status, perf_counter() - started_s)
            reset_contextvars(**bound)

    def _context(self, headers: dict[bytes, bytes]) -> dict[str, str]:
        given = headers.get(b"x-request-id")
        context = {"request_id": given.decode() if given and _GIVEN_ID.fullmatch(given) else self._new_id()}
        trace = headers.get(b"traceparent")
        if trace and (match := _TRACEPARENT.fullmatch(trace)):
            context["trace_id"] = match[1].decode()
        return context

    def _new_id(self) -> str:
        return f"{self._prefix}-{next(self._numbers)}"

    def _tell(self, scope: Any, status: int, duration_s: float) -> None:
        method = scope["method"] if scope["method"] in _KNOWN_METHODS else "(other)"
        route = _route(scope.get("path_template") or UNMATCHED)
        self._answered(method, route, status, duration_s)
        if self._logs:
            path, duration_ms = documented(scope["path"]), round(duration_s * 1e3, 2)
            log.debug("request", method=method, path=path, status=status, duration_ms=duration_ms)
