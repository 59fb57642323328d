"""Refusals as HTTP: one table from codes to statuses, one shape for all of them."""

from typing import Any, ClassVar

from litestar import Request, Response
from litestar.exceptions import HTTPException
from structlog import get_logger

from sqslite.domain.errors import VALUE_CHARS_SHOWN_MAX, ErrorCode, SqsliteError
from sqslite.entrypoints.http.exchange import Answer
from sqslite.entrypoints.http.verbs import documented
from sqslite.wire.codes import RequestErrorCode
from sqslite.wire.shapes import ErrorOut

RETRY_AFTER_S = 1

log = get_logger()


STATUS: dict[ErrorCode | RequestErrorCode, int] = {
    ErrorCode.INVALID_VALUE: 400,
    ErrorCode.INVALID_RECEIPT: 400,
    ErrorCode.MESSAGE_NOT_FOUND: 404,
    ErrorCode.QUEUE_NOT_FOUND: 404,
    ErrorCode.REDRIVE_NOT_FOUND: 404,
    ErrorCode.QUEUE_CONFLICT: 409,
    ErrorCode.REDRIVE_CONFLICT: 409,
    ErrorCode.STALE_RECEIPT: 409,
    ErrorCode.BODY_TOO_LARGE: 413,
    ErrorCode.TOO_MANY_IN_FLIGHT: 429,
    ErrorCode.OVERLOADED: 503,
    ErrorCode.STORE_UNAVAILABLE: 503,
    ErrorCode.OUTCOME_UNKNOWN: 503,
    ErrorCode.SCHEMA_TOO_NEW: 503,
    RequestErrorCode.BAD_REQUEST: 400,
    RequestErrorCode.INVALID_JSON: 400,
    RequestErrorCode.UNKNOWN_FIELD: 400,
    RequestErrorCode.MISSING_FIELD: 400,
    RequestErrorCode.TESTING_OFF: 403,
    RequestErrorCode.NOT_FOUND: 404,
    RequestErrorCode.METHOD_NOT_ALLOWED: 405,
    RequestErrorCode.REQUEST_TIMEOUT: 408,
    RequestErrorCode.REQUEST_TOO_LARGE: 413,
    RequestErrorCode.UNSUPPORTED_ENCODING: 415,
    RequestErrorCode.INTERNAL: 500,
}

_CODE_OF_STATUS = {
    404: RequestErrorCode.NOT_FOUND,
    405: RequestErrorCode.METHOD_NOT_ALLOWED,
    413: RequestErrorCode.REQUEST_TOO_LARGE,
}


class RequestError(Exception):
    """The request itself is at fault, before the domain has seen it."""

    code: ClassVar[RequestErrorCode] = RequestErrorCode.BAD_REQUEST


class InvalidJson(RequestError):
    """The request body is not JSON text in UTF-8, or is nested too deeply."""

    code = RequestErrorCode.INVALID_JSON


class UnknownField(RequestError):
    """The request body has a field that the call does not know."""

    code = RequestErrorCode.UNKNOWN_FIELD


class MissingField(RequestError):
    """The request body lacks a field that the call needs."""

    code = RequestErrorCode.MISSING_FIELD


class RequestTimeout(RequestError):
    """The request body did not arrive in time."""

    code = RequestErrorCode.REQUEST_TIMEOUT


class RequestTooLarge(RequestError):
    """The request body has more bytes than any call takes."""

    code = RequestErrorCode.REQUEST_TOO_LARGE


class UnsupportedEncoding(RequestError):
    """The request body is compressed."""

    code = RequestErrorCode.UNSUPPORTED_ENCODING


class TestingOff(RequestError):
    """The call is for servers in testing mode, and this one is not."""

    code = RequestErrorCode.TESTING_OFF
    __test__ = False


def refusal(path: str, error: SqsliteError | RequestError) -> Answer:
    """The answer to a refusal by the domain or by the reading of the request; a 429 or 503 says when to try again."""
    status = STATUS[error.code]
    if status >= 500:
        log.warning("store_refused", code=error.code, error=str(error), path=path)
    headers = (("retry-after", str(RETRY_AFTER_S)),) if status in (429, 503) else ()
    return Answer(ErrorOut(error=str(error), code=error.code), status, headers)


def defect(path: str, error: Exception) -> Answer:
    """The answer to an error that nobody foresaw; all of it is logged, the client learns only that it happened."""
    log.error("request_failed", path=path, exc_info=error)
    return Answer(ErrorOut(error="an internal error; it has been logged", code=RequestErrorCode.INTERNAL), 500)


def framed(answer: Answer) -> Response[Any]:
    """The answer as the framework takes it."""
    return Response(answer.shape, status_code=answer.status, headers=dict(answer.headers))


def on_refusal(request: Request, error: SqsliteError | RequestError) -> Response[ErrorOut]:  # type: ignore[type-arg]
    """Answer a refusal for the framework."""
    return framed(refusal(documented(request.scope["path"]), error))


def on_http_exception(request: Request, error: HTTPException) -> Response[ErrorOut]:  # type: ignore[type-arg]
    """Answer what the router refused: unknown paths and methods."""
    status = error.status_code if error.status_code < 500 else 500
    code = _CODE_OF_STATUS.get(status, RequestErrorCode.BAD_REQUEST if status < 500 else RequestErrorCode.INTERNAL)
    method, path = _cut(request.scope["method"]), _cut(documented(request.scope["path"]))
    texts = {404: f"there is nothing at {path}", 405: f"{method} is not allowed at {path}"}
    return Response(
        ErrorOut(error=texts.get(status, error.detail or code), code=code),
        status_code=status,
        headers=dict(error.headers or {}),
    )


def _cut(text: str) -> str:
    return text if len(text) <= VALUE_CHARS_SHOWN_MAX else f"{text[:VALUE_CHARS_SHOWN_MAX]}…"


def on_bug(request: Request, error: Exception) -> Response[ErrorOut]:  # type: ignore[type-arg]
    """Answer an error that nobody foresaw for the framework."""
    return framed(defect(documented(request.scope["path"]), error))
