"""Refusals as the server words them, made into the domain's exceptions again: one table from codes to classes."""

import msgspec

from sqslite.adapters.client.requests import Outcome
from sqslite.domain import errors
from sqslite.domain.errors import ErrorCode, SqsliteError
from sqslite.wire.codes import RequestErrorCode
from sqslite.wire.shapes import ErrorOut

CLASSES: dict[str, type[SqsliteError]] = {
    ErrorCode.INVALID_VALUE: errors.InvalidValue,
    ErrorCode.INVALID_RECEIPT: errors.InvalidReceipt,
    ErrorCode.BODY_TOO_LARGE: errors.BodyTooLarge,
    ErrorCode.MESSAGE_NOT_FOUND: errors.MessageNotFound,
    ErrorCode.QUEUE_NOT_FOUND: errors.QueueNotFound,
    ErrorCode.QUEUE_CONFLICT: errors.QueueConflict,
    ErrorCode.STALE_RECEIPT: errors.StaleReceipt,
    ErrorCode.REDRIVE_NOT_FOUND: errors.RedriveNotFound,
    ErrorCode.REDRIVE_CONFLICT: errors.RedriveConflict,
    ErrorCode.TOO_MANY_IN_FLIGHT: errors.InFlightLimit,
    ErrorCode.OVERLOADED: errors.Overloaded,
    ErrorCode.STORE_UNAVAILABLE: errors.StoreUnavailable,
    ErrorCode.OUTCOME_UNKNOWN: errors.OutcomeUnknown,
    ErrorCode.SCHEMA_TOO_NEW: errors.SchemaTooNew,
    # What only REST refuses comes to this for who called: a value that the server does not take,
    RequestErrorCode.BAD_REQUEST: errors.InvalidValue,
    RequestErrorCode.INVALID_JSON: errors.InvalidValue,
    RequestErrorCode.UNKNOWN_FIELD: errors.InvalidValue,
    RequestErrorCode.MISSING_FIELD: errors.InvalidValue,
    RequestErrorCode.UNSUPPORTED_ENCODING: errors.InvalidValue,
    RequestErrorCode.TESTING_OFF: errors.InvalidValue,
    RequestErrorCode.NOT_FOUND: errors.InvalidValue,
    RequestErrorCode.METHOD_NOT_ALLOWED: errors.InvalidValue,
    RequestErrorCode.REQUEST_TOO_LARGE: errors.BodyTooLarge,
    # a request that did not get through, and one of which nobody can say what it did.
    RequestErrorCode.REQUEST_TIMEOUT: errors.StoreUnavailable,
    RequestErrorCode.INTERNAL: errors.OutcomeUnknown,
}
_BODY_CHARS_SHOWN_MAX = 200


def refusal(outcome: Outcome | None) -> SqsliteError | None:
    """The error that the outcome comes to, None where the call was answered."""
    if outcome is None or isinstance(outcome, SqsliteError):
        return outcome
    if 200 <= outcome.status < 300:
        return None
    try:
        said = msgspec.json.decode(outcome.body, type=ErrorOut)
    except msgspec.DecodeError:
        # It came from something between: a proxy, a load balancer, another service.
        text = outcome.body[:_BODY_CHARS_SHOWN_MAX].decode("utf-8", "replace")
        return rebuilt("", f"the server answered {outcome.status}: {text}", outcome.status)
    return rebuilt(said.code, said.error, outcome.status)


def rebuilt(code: str, text: str, status: int = 400) -> SqsliteError:
    """The exception of that code, with the server's own words; one of a code that came later goes by its status."""
    kind = CLASSES.get(code) or _by_status(status)
    # The constructors word texts of their own, out of what the wire does not carry.
    error = kind.__new__(kind)
    Exception.__init__(error, text)
    if isinstance(error, errors.InvalidValue):
        error.field = text.partition(" must be ")[0]
    return error


def _by_status(status: int) -> type[SqsliteError]:
    if status == 429:
        return errors.Overloaded
    return errors.InvalidValue if status < 500 else errors.OutcomeUnknown
