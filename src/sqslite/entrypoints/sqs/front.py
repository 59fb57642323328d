"""Which requests are the SQS API's, when it shares its port with others."""

import re
from collections.abc import Awaitable
from typing import Any

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from sqslite.entrypoints.sqs.json_protocol import TARGET_PREFIX

# The URL of a queue: an account and a name, or what other servers put before them.
_QUEUE_PATH = re.compile(r"/(?:[0-9]{1,20}|queue(?:/[a-z0-9-]{1,32}/[0-9]{1,20})?)/[^/]{1,255}/?", re.ASCII)


class SqsFront:
    """Hands requests of the SQS API to its application, and all others on.

    They are told by their target header, by the URL of a queue, or by what is sent to the root.
    """

    def __init__(self, sqs: ASGIApp, otherwise: ASGIApp) -> None:
        self._sqs = sqs
        self._otherwise = otherwise

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Hand the request to whom it is for."""
        return (self._sqs if is_sqs(scope) else self._otherwise)(scope, receive, send)


def is_sqs(scope: Any) -> bool:
    """Whether the request is one of the SQS API."""
    if scope["type"] != ScopeType.HTTP:
        return False
    path = scope["path"]
    if path == "/":
        return scope["method"] == "POST" or b"Action=" in scope["query_string"]
    if path.startswith("/v1/"):
        return False
    return _QUEUE_PATH.fullmatch(path) is not None or _targeted(scope)


def _targeted(scope: Any) -> bool:
    return any(name == b"x-amz-target" and value.startswith(TARGET_PREFIX) for name, value in scope["headers"])
