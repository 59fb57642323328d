"""Refusals in AWS's words: one table from what is wrong to code, type and status.

Source: the SQS API reference's errors of each action, botocore's service model, and recorded answers of AWS.
"""

import enum

from msgspec import Struct

from sqslite.domain.errors import ErrorCode, SqsliteError
from sqslite.entrypoints.sqs.signature import SignatureFault, SignatureRefused

_MODELLED = "com.amazonaws.sqs#"
_COMMON = "com.amazon.coral.service#"
_PREFIX = "AWS.SimpleQueueService."


class Wrong(Struct, frozen=True):
    """A kind of refusal: its code in the Query protocol, its type in JSON, its status, and whose fault it is."""

    code: str
    type: str
    status: int = 400
    sender: bool = True

    @property
    def fault(self) -> str:
        """Sender or Receiver."""
        return "Sender" if self.sender else "Receiver"


class Kind(enum.Enum):
    """Every way that this API refuses a call."""

    BATCH_IDS_NOT_DISTINCT = Wrong(f"{_PREFIX}BatchEntryIdsNotDistinct", f"{_MODELLED}BatchEntryIdsNotDistinct")
    BATCH_TOO_LONG = Wrong(f"{_PREFIX}BatchRequestTooLong", f"{_MODELLED}BatchRequestTooLong")
    BATCH_EMPTY = Wrong(f"{_PREFIX}EmptyBatchRequest", f"{_MODELLED}EmptyBatchRequest")
    BATCH_ID_INVALID = Wrong(f"{_PREFIX}InvalidBatchEntryId", f"{_MODELLED}InvalidBatchEntryId")
    BATCH_TOO_MANY = Wrong(f"{_PREFIX}TooManyEntriesInBatchRequest", f"{_MODELLED}TooManyEntriesInBatchRequest")
    ATTRIBUTE_NAME = Wrong("InvalidAttributeName", f"{_MODELLED}InvalidAttributeName")
    ATTRIBUTE_VALUE = Wrong("InvalidAttributeValue", f"{_MODELLED}InvalidAttributeValue")
    MESSAGE_CONTENTS = Wrong("InvalidMessageContents", f"{_MODELLED}InvalidMessageContents")
    NO_QUEUE = Wrong(f"{_PREFIX}NonExistentQueue", f"{_MODELLED}QueueDoesNotExist")
    OVER_LIMIT = Wrong("OverLimit", f"{_MODELLED}OverLimit", 403)
    PARAMETER_MISSING = Wrong("MissingParameter", f"{_COMMON}MissingRequiredParameterException")
    PARAMETER_VALUE = Wrong("InvalidParameterValue", f"{_COMMON}InvalidParameterValueException")
    PURGE_IN_PROGRESS = Wrong(f"{_PREFIX}PurgeQueueInProgress", f"{_MODELLED}PurgeQueueInProgress", 403)
    QUEUE_DELETED_RECENTLY = Wrong(f"{_PREFIX}QueueDeletedRecently", f"{_MODELLED}QueueDeletedRecently")
    QUEUE_EXISTS = Wrong("QueueAlreadyExists", f"{_MODELLED}QueueNameExists")
    RECEIPT = Wrong("ReceiptHandleIsInvalid", f"{_MODELLED}ReceiptHandleIsInvalid", 404)
    RESOURCE = Wrong("ResourceNotFoundException", f"{_MODELLED}ResourceNotFoundException", 404)
    UNSUPPORTED = Wrong(f"{_PREFIX}UnsupportedOperation", f"{_MODELLED}UnsupportedOperation")
    ACTION = Wrong("InvalidAction", f"{_COMMON}UnknownOperationException")
    MALFORMED_INPUT = Wrong("MalformedInput", f"{_COMMON}SerializationException")
    MALFORMED_QUERY = Wrong("MalformedQueryString", f"{_COMMON}SerializationException", 404)
    # SQS developer guide, common errors.
    ACCESS_DENIED = Wrong("AccessDenied", f"{_COMMON}AccessDeniedException", 403)
    SIGNATURE_MISSING = Wrong("MissingAuthenticationToken", f"{_COMMON}MissingAuthenticationTokenException", 403)
    SIGNATURE_INCOMPLETE = Wrong("IncompleteSignature", f"{_COMMON}IncompleteSignatureException")
    SIGNATURE_KEY = Wrong("InvalidClientTokenId", f"{_COMMON}UnrecognizedClientException", 403)
    SIGNATURE_MISMATCH = Wrong("SignatureDoesNotMatch", f"{_COMMON}InvalidSignatureException", 403)
    SIGNATURE_EXPIRED = Wrong("RequestExpired", f"{_COMMON}RequestExpiredException")
    INTERNAL = Wrong("InternalFailure", f"{_COMMON}InternalFailure", 500, sender=False)
    UNAVAILABLE = Wrong("ServiceUnavailable", f"{_COMMON}ServiceUnavailableException", 503, sender=False)


class SqsError(Exception):
    """A call, or an entry of a batch, is refused with this sentence."""

    def __init__(self, kind: Kind, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind

    @property
    def wrong(self) -> Wrong:
        """Code, type and status."""
        wrong: Wrong = self.kind.value
        return wrong


TOO_MANY_IN_FLIGHT = (
    "Too many messages have been received without being deleted.\n"
    "Please delete your received messages or let them timeout before receiving more."
)

KIND_OF: dict[ErrorCode, Kind] = {
    ErrorCode.INVALID_VALUE: Kind.PARAMETER_VALUE,
    ErrorCode.INVALID_RECEIPT: Kind.RECEIPT,
    ErrorCode.BODY_TOO_LARGE: Kind.PARAMETER_VALUE,
    ErrorCode.MESSAGE_NOT_FOUND: Kind.PARAMETER_VALUE,
    ErrorCode.QUEUE_NOT_FOUND: Kind.NO_QUEUE,
    ErrorCode.QUEUE_CONFLICT: Kind.ATTRIBUTE_VALUE,
    ErrorCode.STALE_RECEIPT: Kind.PARAMETER_VALUE,
    ErrorCode.REDRIVE_NOT_FOUND: Kind.RESOURCE,
    ErrorCode.REDRIVE_CONFLICT: Kind.PARAMETER_VALUE,
    ErrorCode.TOO_MANY_IN_FLIGHT: Kind.OVER_LIMIT,
    ErrorCode.OVERLOADED: Kind.UNAVAILABLE,
    ErrorCode.STORE_UNAVAILABLE: Kind.UNAVAILABLE,
    ErrorCode.OUTCOME_UNKNOWN: Kind.UNAVAILABLE,
    ErrorCode.SCHEMA_TOO_NEW: Kind.UNAVAILABLE,
}

KIND_OF_FAULT: dict[SignatureFault, Kind] = {
    SignatureFault.MISSING: Kind.SIGNATURE_MISSING,
    SignatureFault.INCOMPLETE: Kind.SIGNATURE_INCOMPLETE,
    SignatureFault.UNKNOWN_KEY: Kind.SIGNATURE_KEY,
    SignatureFault.MISMATCH: Kind.SIGNATURE_MISMATCH,
    SignatureFault.EXPIRED: Kind.SIGNATURE_EXPIRED,
    SignatureFault.ACCESS_DENIED: Kind.ACCESS_DENIED,
}


def from_signature(refused: SignatureRefused) -> SqsError:
    """The request is not proven to come from somebody who may make it."""
    return SqsError(KIND_OF_FAULT[refused.fault], str(refused))


def from_domain(error: SqsliteError) -> SqsError:
    """A refusal by the domain that no action has put into words of its own."""
    kind = KIND_OF[error.code]
    if kind is Kind.NO_QUEUE:
        return no_queue()
    return SqsError(kind, TOO_MANY_IN_FLIGHT if kind is Kind.OVER_LIMIT else str(error))


def no_queue() -> SqsError:
    """There is no queue of that name; the Query protocol adds its own ending to the sentence."""
    return SqsError(Kind.NO_QUEUE, "The specified queue does not exist.")


def missing(parameter: str) -> SqsError:
    """A parameter that the action needs is not there."""
    return SqsError(Kind.PARAMETER_MISSING, f"The request must contain the parameter {parameter}.")


def invalid(sentence: str) -> SqsError:
    """A parameter has a value that it must not have."""
    return SqsError(Kind.PARAMETER_VALUE, sentence)


def invalid_value(parameter: str, value: object, reason: str) -> SqsError:
    """A parameter has a value that it must not have, in AWS's usual form."""
    return invalid(f"Value {value} for parameter {parameter} is invalid. Reason: {reason}")


def unknown_attribute(name: str) -> SqsError:
    """There is no queue or message attribute of that name."""
    return SqsError(Kind.ATTRIBUTE_NAME, f"Unknown Attribute {name}.")


def attribute_value(name: str, reason: str = "") -> SqsError:
    """A queue attribute has a value that it must not have."""
    because = f" Reason: {reason}" if reason else ""
    return SqsError(Kind.ATTRIBUTE_VALUE, f"Invalid value for the parameter {name}.{because}")
