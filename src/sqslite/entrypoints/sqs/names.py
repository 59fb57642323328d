"""Names as AWS writes them: queue URLs, ARNs, message ids, sequence numbers."""

import re
from typing import Any
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from sqslite.domain.limits import QUEUE_NAME
from sqslite.entrypoints.sqs.errors import invalid_value

_ARN = re.compile(r"arn:aws[a-z-]{0,20}:([a-z0-9-]{1,32}):([a-z0-9-]{0,32}):(\d{0,12}):([^:]{1,255})", re.ASCII)
# CreateQueue: alphanumeric characters, hyphens and underscores; a FIFO queue's name ends in .fifo besides.
_STANDARD_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)
_FIFO_NAME = re.compile(r"[A-Za-z0-9_-]{1,75}\.fifo", re.ASCII)
_ID = re.compile(r"[!-~]{1,128}", re.ASCII)
# AWS's have 12 digits; those of other servers' URLs may not.
_ACCOUNT = re.compile(r"[0-9]{1,20}", re.ASCII)
ACCOUNT = "000000000000"
REGION = "us-east-1"
# By how their regions' names start; all others are in `aws`.
_PARTITIONS = {
    "cn-": "aws-cn",
    "us-gov-": "aws-us-gov",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "eu-isoe-": "aws-iso-e",
    "us-isof-": "aws-iso-f",
    "eusc-": "aws-eusc",
}
_HOST = re.compile(rb"[A-Za-z0-9._:\[\]-]{1,255}")
_REGION = re.compile(r"Credential=[^/]{1,128}/[0-9]{8}/([a-z0-9-]{1,32})/")
_REGION_IN_QUERY = re.compile(r"X-Amz-Credential=[^&/%]{1,128}(?:%2F|/)[0-9]{8}(?:%2F|/)([a-z0-9-]{1,32})(?:%2F|/)")
_REGION_NAME = r"([a-z]{2,4}(?:-[a-z]+){1,2}-[0-9])"
_REGION_IN_ADDRESS = re.compile(rf"sqs\.{_REGION_NAME}\.|{_REGION_NAME}\.queue\.|[^/]*/queue/{_REGION_NAME}/")
# A queue's URL, or its path, that needs no second look.
_PLAIN_URL = re.compile(r"(?:https?://[A-Za-z0-9._:-]+)?/[0-9]+/([A-Za-z0-9_.-]+)")
_MIX = 0x9E3779B97F4A7C15
_64_BITS = 2**64 - 1


class Place(Struct, frozen=True):
    """Where the client believes to be: the address it called, and the account and region in ARNs."""

    base_url: str
    account: str
    region: str

    def url(self, queue: str) -> str:
        """The URL of the queue, at the address that the client used."""
        return f"{self.base_url}/{self.account}/{queue}"

    def arn(self, queue: str) -> str:
        """The ARN of the queue."""
        return f"arn:{self.partition}:sqs:{self.region}:{self.account}:{queue}"

    @property
    def partition(self) -> str:
        """The part of AWS that the region is in."""
        return next((partition for prefix, partition in _PARTITIONS.items() if self.region.startswith(prefix)), "aws")


def place_of(scope: Any, account: str) -> Place:
    """That account at what the request's head says: the address that was called, and the region."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    host = headers.get(b"host", b"")
    address = host.decode() if _HOST.fullmatch(host) else "localhost"
    # A proxy in front that ends TLS says so.
    secure = headers.get(b"x-forwarded-proto") == b"https" or scope.get("scheme") == "https"
    return Place(f"{'https' if secure else 'http'}://{address}", account, _region(scope, headers, address))


def _region(scope: Any, headers: dict[bytes, bytes], address: str) -> str:
    """The region that was signed for; of those who do not sign, the one in the address, as AWS writes it."""
    signed = _REGION.search(headers.get(b"authorization", b"").decode("latin-1")) or _REGION_IN_QUERY.search(
        scope["query_string"].decode("latin-1")
    )
    if signed:
        return signed[1]
    addressed = _REGION_IN_ADDRESS.match(f"{address}{scope['path']}")
    return next(filter(None, addressed.groups())) if addressed else REGION


class Arn(Struct, frozen=True):
    """The parts of an ARN that matter here."""

    service: str
    resource: str


def parse_arn(text: str) -> Arn | None:
    """The ARN, None where the text is none."""
    match = _ARN.fullmatch(text)
    return Arn(match[1], match[4]) if match else None


def queue_in(url: str) -> str | None:
    """The name of the queue in any form of its URL, or the bare name; None where there is none in it."""
    if (plain := _PLAIN_URL.fullmatch(url)) is not None:
        name = plain[1]
    else:
        try:
            path = urlsplit(url).path if "/" in url else url
        except ValueError:
            return None
        name = unquote(path.rstrip("/").rpartition("/")[2])
    return name if QUEUE_NAME.fullmatch(name) else None


def is_account(text: str) -> bool:
    """Whether it can be an account's number."""
    return _ACCOUNT.fullmatch(text) is not None


def is_standard_name(name: str) -> bool:
    """Whether CreateQueue takes it as the name of a standard queue."""
    return _STANDARD_NAME.fullmatch(name) is not None


def is_fifo_name(name: str) -> bool:
    """Whether CreateQueue takes it as the name of a FIFO queue."""
    return _FIFO_NAME.fullmatch(name) is not None


def message_uuid(message_id: int) -> str:
    """The message id as a UUID, which is how this API shows it: always the same one, and the id is in its end."""
    mixed = message_id * _MIX & _64_BITS
    # Version 4, variant 8.
    digits = f"{mixed & ~0xF000 | 0x4000:016x}{message_id | 1 << 63:016x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def checked_id(parameter: str, given: str | None) -> str | None:
    """An id of a group, for deduplication or of an attempt; None where none is given. Raises SqsError."""
    if given is None:
        return None
    if not _ID.fullmatch(given):
        allowed = f"{parameter} can only include alphanumeric and punctuation characters. 1 to 128 in length."
        raise invalid_value(parameter, given, allowed)
    return given


def sequence_number(message_id: int) -> str:
    """The sequence number of a message in a FIFO queue: 20 digits that grow with every message."""
    return f"{message_id:020d}"
