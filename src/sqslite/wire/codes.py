"""The codes of refusals that the domain knows nothing of."""

import enum


class RequestErrorCode(enum.StrEnum):
    """Refusals that only REST knows, with codes as stable as the domain's."""

    BAD_REQUEST = "bad_request"
    INVALID_JSON = "invalid_json"
    UNKNOWN_FIELD = "unknown_field"
    MISSING_FIELD = "missing_field"
    TESTING_OFF = "testing_off"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    REQUEST_TIMEOUT = "request_timeout"
    REQUEST_TOO_LARGE = "request_too_large"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    INTERNAL = "internal"
