"""Refusals as gRPC: one table from codes to statuses, one shape for all of them."""

import asyncio
import contextlib
import enum
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import grpc
from grpc import StatusCode
from structlog import get_logger

from sqslite.domain.errors import ErrorCode, SqsliteError

# Where a status says its code: in the trailing metadata.
CODE_KEY = "sqslite-code"

log = get_logger()


class CallErrorCode(enum.StrEnum):
    """Refusals that only this transport knows, with codes as stable as the domain's."""

    INVALID_PROTOBUF = "invalid_protobuf"
    REQUEST_TIMEOUT = "request_timeout"
    STOPPING = "stopping"
    INTERNAL = "internal"


STATUS: dict[ErrorCode | CallErrorCode, StatusCode] = {
    ErrorCode.INVALID_VALUE: StatusCode.INVALID_ARGUMENT,
    ErrorCode.INVALID_RECEIPT: StatusCode.INVALID_ARGUMENT,
    ErrorCode.BODY_TOO_LARGE: StatusCode.INVALID_ARGUMENT,
    ErrorCode.MESSAGE_NOT_FOUND: StatusCode.NOT_FOUND,
    ErrorCode.QUEUE_NOT_FOUND: StatusCode.NOT_FOUND,
    ErrorCode.REDRIVE_NOT_FOUND: StatusCode.NOT_FOUND,
    ErrorCode.QUEUE_CONFLICT: StatusCode.FAILED_PRECONDITION,
    ErrorCode.REDRIVE_CONFLICT: StatusCode.FAILED_PRECONDITION,
    ErrorCode.STALE_RECEIPT: StatusCode.FAILED_PRECONDITION,
    ErrorCode.TOO_MANY_IN_FLIGHT: StatusCode.RESOURCE_EXHAUSTED,
    # Clients try UNAVAILABLE again by themselves, so it stands only where nothing was done.
    ErrorCode.OVERLOADED: StatusCode.UNAVAILABLE,
    ErrorCode.STORE_UNAVAILABLE: StatusCode.UNAVAILABLE,
    ErrorCode.OUTCOME_UNKNOWN: StatusCode.UNKNOWN,
    ErrorCode.SCHEMA_TOO_NEW: StatusCode.UNAVAILABLE,
    CallErrorCode.INVALID_PROTOBUF: StatusCode.INVALID_ARGUMENT,
    CallErrorCode.REQUEST_TIMEOUT: StatusCode.DEADLINE_EXCEEDED,
    CallErrorCode.STOPPING: StatusCode.UNAVAILABLE,
    CallErrorCode.INTERNAL: StatusCode.INTERNAL,
}
_PASSING = frozenset((StatusCode.UNAVAILABLE, StatusCode.UNKNOWN))


class CallError(Exception):
    """The call is refused by the transport, not by the domain."""

    code: ClassVar[CallErrorCode]


class InvalidProtobuf(CallError):
    """The request is not an encoding of the message that the call takes."""

    code = CallErrorCode.INVALID_PROTOBUF


class RequestTimeout(CallError):
    """The request did not arrive in time."""

    code = CallErrorCode.REQUEST_TIMEOUT


class Stopping(CallError):
    """The server is about to end; another node, or this one after its restart, carries on."""

    code = CallErrorCode.STOPPING


@contextlib.asynccontextmanager
async def refusals(context: grpc.aio.ServicerContext[Any, Any], method: str) -> AsyncIterator[None]:
    """End the call with the status of whatever the block refuses it for; a defect is logged and told as such only."""
    try:
        yield
    except (SqsliteError, CallError) as refusal:
        if isinstance(refusal, SqsliteError) and passing(refusal):
            log.warning("store_refused", code=refusal.code, error=str(refusal), method=method)
        await abort(context, refusal.code, str(refusal))
    except grpc.aio.AbortError:
        raise
    except grpc.aio.BaseError as gone:
        # Nothing can be written, for the client is gone. The library learns so a little later, and would log a defect.
        raise asyncio.CancelledError from gone
    except Exception as defect:
        log.error("call_failed", method=method, exc_info=defect)
        await abort(context, CallErrorCode.INTERNAL, "an internal error; it has been logged")


def passing(refusal: SqsliteError) -> bool:
    """Whether it is no fault of the client's and will pass."""
    return STATUS[refusal.code] in _PASSING


async def abort(context: grpc.aio.ServicerContext[Any, Any], code: ErrorCode | CallErrorCode, text: str) -> None:
    """End the call; raises what the library ends it by."""
    await context.abort(STATUS[code], text, ((CODE_KEY, str(code)),))
