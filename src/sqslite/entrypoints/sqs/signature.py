"""AWS Signature Version 4, the side that verifies: who sent this request, and did nobody change it under way.

Source: AWS IAM user guide, "Create a signed AWS API request" and "Troubleshoot Signature Version 4 for API requests";
the sentences are AWS's own, because SDKs and people search for them.
"""

import enum
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

from msgspec import Struct

from sqslite.entrypoints.sqs.access_keys import AccessKey, AccessKeys

ALGORITHM = "AWS4-HMAC-SHA256"
SERVICE = "sqs"
SKEW = timedelta(minutes=15)
# AWS: a presigned request is good for seven days at most.
EXPIRES_S_MAX = 7 * 24 * 60 * 60
SIGNED_HEADERS_MAX = 100
AUTHORIZATION_PARTS_MAX = 10

_UNRESERVED = "-_.~"
_INSTANT = re.compile(r"\d{8}T\d{6}Z", re.ASCII)
_AUTHORIZATION_PART = re.compile(r"\s*(Credential|SignedHeaders|Signature)=([^,\s]+)\s*", re.ASCII)
_SPACES = re.compile(r" {2,}")


class SignatureFault(enum.Enum):
    """Why a request was not taken for its sender's: AWS's error codes, of the Query protocol."""

    MISSING = "MissingAuthenticationToken"
    INCOMPLETE = "IncompleteSignature"
    UNKNOWN_KEY = "InvalidClientTokenId"
    MISMATCH = "SignatureDoesNotMatch"
    EXPIRED = "RequestExpired"
    ACCESS_DENIED = "AccessDenied"


class SignatureRefused(Exception):
    """The request is not proven to come from somebody who may make it."""

    def __init__(self, fault: SignatureFault, sentence: str) -> None:
        super().__init__(sentence)
        self.fault = fault


class SignedRequest(Struct, frozen=True):
    """A request as it came over the wire: `path` and `query` still percent-encoded, header names in lower case."""

    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    body: bytes


class _Claim(Struct, frozen=True):
    """What the sender says of its signature."""

    key_id: str
    date: str
    region: str
    service: str
    signed_headers: list[str]
    signature: str
    signed_at: datetime
    good_for: timedelta | None

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def verify(request: SignedRequest, keys: AccessKeys, now: datetime) -> AccessKey:
    """The key that the request was signed with.

    Raises SignatureRefused where it is not signed, not by one of these keys, not now (15 minutes of skew are allowed),
    or was changed since in method, path, query, body or a signed header.
    """
    headers = _joined(request.headers)
    parameters = _parameters(request.query)
    claim = _claim(headers, dict(parameters))
    key = keys.by_id.get(claim.key_id)
    if key is None:
        raise SignatureRefused(SignatureFault.UNKNOWN_KEY, "The security token included in the request is invalid.")
    _check_time(claim, now)
    _check_scope(claim, headers)
    signing_key = _signing_key(key.secret, claim.date, claim.region, claim.service)
    # Signers differ in whether they encode the query anew or sign it as they send it; either binds all of it.
    for query in (_encoded_anew(parameters), _as_sent(request.query)):
        canonical = hashlib.sha256(_canonical(request, headers, query, claim.signed_headers)).hexdigest()
        to_sign = f"{ALGORITHM}\n{_stamp(claim.signed_at)}\n{claim.scope}\n{canonical}"
        expected = hmac.new(signing_key, to_sign.encode(), hashlib.sha256).hexdigest()
        if hmac.compare_digest(expected.encode(), claim.signature.encode()):
            return key
    raise SignatureRefused(
        SignatureFault.MISMATCH,
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
        "Access Key and signing method. Consult the service documentation for details.",
    )


def _joined(headers: Sequence[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in headers:
        trimmed = _SPACES.sub(" ", value.strip())
        joined[name] = f"{joined[name]},{trimmed}" if name in joined else trimmed
    return joined


def _parameters(query: str) -> list[tuple[str, str]]:
    """The parameters of the query, decoded; a plus stands for itself, as in the signer's own text."""
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    return [(_decoded(name), _decoded(value)) for name, _, value in pairs]


def _decoded(text: str) -> str:
    # Not as UTF-8: whatever bytes came must be the bytes that are signed.
    return unquote_to_bytes(text).decode("latin-1")


def _encoded(text: str) -> str:
    return quote(text.encode("latin-1"), safe=_UNRESERVED)


def _claim(headers: Mapping[str, str], parameters: Mapping[str, str]) -> _Claim:
    if "authorization" in headers:
        return _claim_in_header(headers["authorization"], headers)
    if "X-Amz-Signature" in parameters or "X-Amz-Algorithm" in parameters:
        return _claim_in_query(parameters)
    raise SignatureRefused(SignatureFault.MISSING, "Request is missing Authentication Token")


def _claim_in_header(authorization: str, headers: Mapping[str, str]) -> _Claim:
    algorithm, _, rest = authorization.partition(" ")
    if algorithm != ALGORITHM:
        raise _incomplete(f"Unsupported AWS 'algorithm': '{algorithm[:64]}'.")
    matches = map(_AUTHORIZATION_PART.fullmatch, rest.split(",", AUTHORIZATION_PARTS_MAX))
    parts: dict[str, str] = {match[1]: match[2] for match in matches if match}
    for name in ("Credential", "Signature", "SignedHeaders"):
        if name not in parts:
            raise _incomplete(f"Authorization header requires '{name}' parameter.")
    date = headers.get("x-amz-date")
    if date is None:
        raise _incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    return _put_together(parts["Credential"], parts["SignedHeaders"], parts["Signature"], date, None)


def _claim_in_query(parameters: Mapping[str, str]) -> _Claim:
    if parameters.get("X-Amz-Algorithm") != ALGORITHM:
        raise _incomplete(f"Unsupported AWS 'algorithm': '{parameters.get('X-Amz-Algorithm', '')[:64]}'.")
    names = ("X-Amz-Credential", "X-Amz-SignedHeaders", "X-Amz-Signature", "X-Amz-Date", "X-Amz-Expires")
    for name in names:
        if name not in parameters:
            raise _incomplete(f"AWS query-string parameters must include '{name}'.")
    credential, signed, signature, date, expires = (parameters[name] for name in names)
    if not (expires.isascii() and expires.isdigit() and len(expires) <= 6 and int(expires) <= EXPIRES_S_MAX):
        raise _incomplete(f"X-Amz-Expires must be a number of seconds, at most {EXPIRES_S_MAX}.")
    return _put_together(credential, signed, signature, date, timedelta(seconds=int(expires)))


def _put_together(
    credential: str, signed_headers: str, signature: str, date: str, good_for: timedelta | None
) -> _Claim:
    scope = credential.split("/")
    if len(scope) != 5 or scope[4] != "aws4_request":
        raise _incomplete(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term."
        )
    if not _INSTANT.fullmatch(date):
        raise _incomplete("Date must be in ISO-8601 'basic format', e.g. 20110909T233600Z.")
    try:
        signed_at = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise _incomplete("Date must be in ISO-8601 'basic format', e.g. 20110909T233600Z.") from None
    names = signed_headers.split(";", SIGNED_HEADERS_MAX)
    return _Claim(scope[0], scope[1], scope[2], scope[3], names, signature, signed_at, good_for)


def _incomplete(sentence: str) -> SignatureRefused:
    return SignatureRefused(SignatureFault.INCOMPLETE, sentence)


def _check_time(claim: _Claim, now: datetime) -> None:
    if claim.signed_at - SKEW > now:
        raise SignatureRefused(
            SignatureFault.MISMATCH,
            f"Signature not yet current: {_stamp(claim.signed_at)} is still later than {_stamp(now + SKEW)} "
            f"({_stamp(now)} + 15 min.)",
        )
    if claim.good_for is not None:
        if claim.signed_at + claim.good_for < now:
            raise SignatureRefused(SignatureFault.EXPIRED, "Request has expired.")
    elif claim.signed_at + SKEW < now:
        raise SignatureRefused(
            SignatureFault.MISMATCH,
            f"Signature expired: {_stamp(claim.signed_at)} is now earlier than {_stamp(now - SKEW)} "
            f"({_stamp(now)} - 15 min.)",
        )


def _check_scope(claim: _Claim, headers: Mapping[str, str]) -> None:
    if claim.date != _stamp(claim.signed_at)[:8]:
        raise SignatureRefused(
            SignatureFault.MISMATCH,
            f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{claim.date[:64]}' != '{_stamp(claim.signed_at)[:8]}'.",
        )
    if claim.service != SERVICE:
        raise SignatureRefused(SignatureFault.MISMATCH, f"Credential should be scoped to correct service: '{SERVICE}'.")
    # A header that steers what is done must not be one that somebody may change under way.
    unsigned = [name for name in headers if name.startswith("x-amz-") and name not in claim.signed_headers]
    if "host" not in claim.signed_headers:
        unsigned.append("host")
    if unsigned:
        named = ", ".join(sorted(unsigned))[:200]
        raise SignatureRefused(SignatureFault.MISMATCH, f"'{named}' must be a 'SignedHeader' in the AWS Authorization.")


def _encoded_anew(parameters: Sequence[tuple[str, str]]) -> str:
    pairs = sorted((_encoded(name), _encoded(value)) for name, value in parameters if name != "X-Amz-Signature")
    return "&".join(f"{name}={value}" for name, value in pairs)


def _as_sent(query: str) -> str:
    pairs = sorted(tuple(pair.split("=", 1)) for pair in query.split("&") if not pair.startswith("X-Amz-Signature="))
    return "&".join("=".join(pair) for pair in pairs)


def _canonical(request: SignedRequest, headers: Mapping[str, str], query: str, signed_headers: Sequence[str]) -> bytes:
    """The canonical request. The body's hash is reckoned from the body that came, whatever a header says it is."""
    lines = [
        request.method,
        quote(request.path, safe="/" + _UNRESERVED),
        query,
        *(f"{name}:{headers.get(name, '')}" for name in signed_headers),
        "",
        ";".join(signed_headers),
        hashlib.sha256(request.body).hexdigest(),
    ]
    return "\n".join(lines).encode("latin-1", "replace")


@lru_cache(maxsize=1_000)
def _signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _stamp(instant: datetime) -> str:
    return instant.strftime("%Y%m%dT%H%M%SZ")
