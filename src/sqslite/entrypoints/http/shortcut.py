"""The short way: the calls that messages flow through are answered without the framework.

Each of them is one handler for one call of the table. The framework knows all of them, and answers whatever is out of
the ordinary: other methods, odd paths. A POST to a plain path is recognized here and handed to the same handler.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import msgspec
from litestar import Request, Response, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send
from msgspec import Struct

from sqslite.domain.errors import SqsliteError
from sqslite.entrypoints.http.calls import CALLS, Call
from sqslite.entrypoints.http.context import Requests
from sqslite.entrypoints.http.errors import RequestError, defect, framed, refusal
from sqslite.entrypoints.http.exchange import Answer, RawRequest
from sqslite.entrypoints.http.verbs import routed

# A queue's name or a message's id in a path that needs no second look; its handler checks it all the same.
_PLAIN = "([A-Za-z0-9_.-]+)"
_PARAMETER = re.compile(r"{(\w+)}")
_BY_ID = {call.id: call for call in CALLS}

Handle = Callable[..., Awaitable[Answer]]
H = TypeVar("H", bound=Handle)


class Direct(Struct, frozen=True):
    """A call that can be reached on the short way: given the request, the ports and what the path names."""

    call: Call
    handle: Handle

    def for_framework(self) -> HTTPRouteHandler:
        """The same call as the framework takes it."""

        @post(_PARAMETER.sub(r"{\1:str}", routed(self.call.path)))
        async def handler(request: Request[Any, Any, State], ports: NamedDependency[Any]) -> Response[Any]:
            return framed(await self.handle(request, ports, *request.path_params.values()))

        return handler

    def pattern(self) -> str:
        """A pattern for its plain paths, a group of the call's name, and within it a group for what the path names."""
        return f"(?P<{self.call.id}>{_PLAIN.join(map(re.escape, _PARAMETER.split(self.call.path)[::2]))})"


def answers(call_id: str) -> Callable[[Handle], Direct]:
    """The function answers that call of the table."""
    return lambda handle: Direct(_BY_ID[call_id], handle)


class Shortcut:
    """Answers plain requests to these calls, and leaves all others to another application."""

    def __init__(self, calls: Sequence[Direct], ports: object, requests: Requests, otherwise: ASGIApp) -> None:
        self._path = re.compile("|".join(direct.pattern() for direct in calls))
        self._calls = {direct.call.id: (direct, self._named_by(direct)) for direct in calls}
        self._ports = ports
        self._requests = requests
        self._otherwise = otherwise
        self._encode = msgspec.json.Encoder().encode

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass the call on."""
        found = self._path.fullmatch(scope["path"]) if scope.get("method") == "POST" else None
        if found is None or found.lastgroup is None:
            await self._otherwise(scope, receive, send)
            return
        direct, named = self._calls[found.lastgroup]
        request = self._requests.begin(dict(scope["headers"]))
        status = 0
        try:
            try:
                answer = await direct.handle(RawRequest(scope, receive), self._ports, *found.groups()[named])
            except (SqsliteError, RequestError) as error:
                answer = refusal(scope["path"], error)
            except Exception as error:
                answer = defect(scope["path"], error)
            status = answer.status
            body = self._encode(answer.shape)
            headers = _headers(answer, body, request.id_header)
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body, "more_body": False})
        finally:
            self._requests.end(request, scope, direct.call.path, status)

    def _named_by(self, direct: Direct) -> slice:
        """Where among the pattern's groups are those for what this call's path names."""
        group = self._path.groupindex[direct.call.id]
        return slice(group, group + len(direct.call.parameters))


def _headers(answer: Answer, body: bytes, id_header: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), id_header]
    if answer.headers:
        headers += [(name.encode(), value.encode()) for name, value in answer.headers]
    return headers
