"""The SQS API as an ASGI application: reads a request in either protocol, has its action answer, writes the answer."""

import os
from collections.abc import Callable
from itertools import count
from time import perf_counter
from typing import Any

from litestar.types import Receive, Scope, Send
from msgspec import Struct
from structlog import get_logger

from sqslite.domain.errors import SqsliteError
from sqslite.entrypoints.http.context import HttpAnswered
from sqslite.entrypoints.http.errors import RequestError, RequestTooLarge
from sqslite.entrypoints.http.exchange import RawRequest
from sqslite.entrypoints.http.reading import read_bytes
from sqslite.entrypoints.sqs import json_protocol, query_json, query_protocol
from sqslite.entrypoints.sqs.access_keys import AccessKey
from sqslite.entrypoints.sqs.actions import ACTIONS, Action
from sqslite.entrypoints.sqs.calls import Answer, Call, SqsPorts
from sqslite.entrypoints.sqs.errors import Kind, SqsError, from_domain, from_signature
from sqslite.entrypoints.sqs.names import queue_in
from sqslite.entrypoints.sqs.sending import too_long
from sqslite.entrypoints.sqs.signature import SignatureRefused, SignedRequest

UNKNOWN = "(unknown)"
_METHODS = ("POST", "GET")
_ACTION_CHARS_MAX = 64

Authorize = Callable[[SignedRequest], AccessKey | None]
Headers = dict[bytes, bytes]
Written = tuple[int, list[tuple[bytes, bytes]], bytes]

log = get_logger()


def anybody(_request: SignedRequest) -> AccessKey | None:
    """Take every request, signed or not."""
    return None


class Asked(Struct, frozen=True):
    """A request as far as its protocol goes: the action it names, and what reads and writes for it."""

    action: str
    parameters: Any
    is_json: bool
    answers_json: bool = False
    """Whether a client of the Query protocol asked for JSON rather than XML."""

    @property
    def route(self) -> str:
        """What metrics call it."""
        return f"sqs:{self.action if self.action in ACTIONS else UNKNOWN}"


class SqsApp:
    """Answers every HTTP request as the SQS API."""

    def __init__(
        self, ports: SqsPorts, answered: HttpAnswered, request_bytes_max: int, authorize: Authorize = anybody
    ) -> None:
        self._ports = ports
        self._answered = answered
        self._bytes_max = request_bytes_max
        self._authorize = authorize
        prefix = os.urandom(8).hex()
        self._prefix = f"{prefix[:8]}-{prefix[8:12]}-4{prefix[12:15]}-8000-"
        self._numbers = count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started_s = perf_counter()
        request_id = self._request_id()
        route, (status, headers, body) = await self._answer(scope, receive, request_id)
        headers += [(b"x-amzn-requestid", request_id.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})
        self._answered(scope["method"], route, status, perf_counter() - started_s)  # type: ignore[typeddict-item]

    async def _answer(self, scope: Any, receive: Receive, request_id: str) -> tuple[str, Written]:
        if scope["method"] not in _METHODS:
            return f"sqs:{UNKNOWN}", _no_action()
        headers: Headers = dict(scope["headers"])
        target = headers.get(b"x-amz-target") if scope["method"] == "POST" else None
        asked = Asked(_named(target), None, is_json=True) if target is not None else None
        incoming = RawRequest(scope, receive)
        try:
            body = await read_bytes(incoming, self._bytes_max)
            asked = asked or _asked_in_query(scope, headers, body)
            if asked is None:
                return f"sqs:{UNKNOWN}", _no_action()
            result = await self._result(asked, scope, headers, body, incoming)
            return asked.route, _written(asked, result, request_id)
        except Exception as caught:
            refused = self._told(caught, request_id)
            asked = asked or Asked("", None, is_json=False)
            return asked.route, _refused(asked, refused, request_id)

    def _told(self, caught: Exception, request_id: str) -> SqsError:
        """What went wrong, in AWS's words; what is ours is logged."""
        if isinstance(caught, SqsError):
            return caught
        if isinstance(caught, SignatureRefused):
            return from_signature(caught)
        if isinstance(caught, RequestTooLarge):
            # Only messages are that large.
            return too_long(self._ports.defaults.body_bytes_max)
        if isinstance(caught, RequestError):
            return SqsError(Kind.MALFORMED_INPUT, str(caught))
        if isinstance(caught, SqsliteError):
            error = from_domain(caught)
            if error.wrong.status >= 500:
                log.warning("sqs_refused", code=caught.code, error=str(caught), request_id=request_id)
            return error
        log.error("sqs_failed", request_id=request_id, exc_info=caught)
        return SqsError(Kind.INTERNAL, "An internal error; it has been logged.")

    async def _result(
        self, asked: Asked, scope: Any, headers: Headers, body: bytes, incoming: RawRequest
    ) -> Answer | None:
        caller = None if self._authorize is anybody else self._authorize(_signed(scope, headers, body))
        path_queue = _queue_of_path(scope["path"])
        action = ACTIONS.get(asked.action)
        if action is None or (path_queue is not None and not asked.is_json and not action.of_queue):
            raise SqsError(Kind.ACTION, f"The action {asked.action} is not valid for this endpoint.")
        call = Call(ports=self._ports, incoming=incoming, path_queue=path_queue, caller=caller)
        return await action.handle(call, _parameters(action, asked, body))

    def _request_id(self) -> str:
        return f"{self._prefix}{next(self._numbers):012x}"


def _named(target: bytes) -> str:
    return target.removeprefix(json_protocol.TARGET_PREFIX).decode("latin-1")[:_ACTION_CHARS_MAX]


def _asked_in_query(scope: Any, headers: Headers, body: bytes) -> Asked | None:
    """What the fields of the query string and of the form ask for; None where they name no action.

    Whoever speaks JSON and names none gets told in JSON: SDKs cannot read anything else.
    """
    content_type = headers.get(b"content-type", query_protocol.FORM).lower()
    fields = query_protocol.fields(scope["query_string"])
    if body and content_type.startswith(query_protocol.FORM):
        fields |= query_protocol.fields(body)
    action = fields.get("Action")
    if not action:
        speaks_json = scope["method"] == "POST" and content_type.startswith(json_protocol.CONTENT_FAMILY)
        return Asked("", None, is_json=True) if speaks_json else None
    answers_json = headers.get(b"accept", b"").partition(b",")[0].partition(b";")[0].strip() == query_json.CONTENT_TYPE
    return Asked(action[:_ACTION_CHARS_MAX], fields, is_json=False, answers_json=answers_json)


def _parameters(action: Action, asked: Asked, body: bytes) -> Any:
    if asked.is_json:
        return json_protocol.read(body, action.asked)
    return query_protocol.read(asked.parameters, action.asked)


def _written(asked: Asked, result: Answer | None, request_id: str) -> Written:
    if asked.is_json:
        return 200, _content(json_protocol.CONTENT_TYPE), json_protocol.answer(result or {})
    told = (result or {}) if ACTIONS[asked.action].answers else None
    if asked.answers_json:
        return 200, _content(query_json.CONTENT_TYPE), query_json.answer(asked.action, told, request_id)
    body = query_protocol.answer(asked.action, told, request_id, _version(asked))
    return 200, _content(query_protocol.CONTENT_TYPE), body


def _refused(asked: Asked, error: SqsError, request_id: str) -> Written:
    if asked.is_json:
        body, headers = json_protocol.refusal(error)
        return error.wrong.status, [*_content(json_protocol.CONTENT_TYPE), *headers], body
    if asked.answers_json:
        return error.wrong.status, _content(query_json.CONTENT_TYPE), query_json.refusal(error, request_id)
    body = query_protocol.refusal(error, request_id, _version(asked))
    return error.wrong.status, _content(query_protocol.CONTENT_TYPE), body


def _version(asked: Asked) -> str:
    return str((asked.parameters or {}).get("Version", query_protocol.VERSION))


def _no_action() -> Written:
    return 404, _content(query_protocol.CONTENT_TYPE), query_protocol.NO_ACTION


def _content(content_type: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"content-type", content_type)]


def _queue_of_path(path: str) -> str | None:
    """The queue at whose URL the request came; None at the root."""
    return queue_in(path) if path.strip("/").count("/") else None


def _signed(scope: Any, headers: Headers, body: bytes) -> SignedRequest:
    path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    listed = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
    return SignedRequest(scope["method"], path, scope["query_string"].decode("latin-1"), listed, body)
