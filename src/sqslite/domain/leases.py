"""Leases and the receipts that prove them."""

import binascii
import enum
import re
import struct
from datetime import datetime

from msgspec import Struct

from sqslite.domain.errors import InvalidReceipt

SECRET_BYTES = 16
_FORMAT_VERSION = 1
_ID_END = 2**63
_LAYOUT = struct.Struct(f">BQQI{SECRET_BYTES}s")
# Its 37 bytes in URL-safe base64 without the padding. A token has one spelling, so the spare bits at its end are zero.
_TOKEN_CHARS = 50
_TOKEN = re.compile(rf"[A-Za-z0-9_-]{{{_TOKEN_CHARS - 1}}}[AQgw]")
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_STANDARD = bytes.maketrans(b"-_", b"+/")
_PADDING = b"=="


class Receipt(Struct, frozen=True):
    """The proof of one delivery: it names partition, message and attempt, and carries the delivery's secret.

    It stays good until a later delivery of the same message supersedes it, even after the lease ran out:
    the work may have been done all the same.
    """

    partition_id: int
    message_id: int
    delivery_count: int
    secret: bytes

    def token(self) -> str:
        """The receipt as clients carry it: opaque, URL-safe text."""
        packed = _LAYOUT.pack(_FORMAT_VERSION, self.partition_id, self.message_id, self.delivery_count, self.secret)
        return binascii.b2a_base64(packed).translate(_URL_SAFE)[:_TOKEN_CHARS].decode("ascii")

    @classmethod
    def parse(cls, token: str) -> "Receipt":
        """The receipt behind a token. Raises InvalidReceipt where the text was never one of ours."""
        if _TOKEN.fullmatch(token):
            packed = binascii.a2b_base64(token.encode("ascii").translate(_STANDARD) + _PADDING)
            version, partition_id, message_id, delivery_count, secret = _LAYOUT.unpack(packed)
            if version == _FORMAT_VERSION and partition_id < _ID_END and message_id < _ID_END:
                return cls(partition_id, message_id, delivery_count, secret)
        raise InvalidReceipt("receipt", token, "a receipt as handed out by a receive")


def secret_of(secrets: bytes, index: int) -> bytes:
    """The secret of the index-th message of a claim, whose secrets lie one behind another."""
    return secrets[index * SECRET_BYTES : (index + 1) * SECRET_BYTES]


class Refusal(enum.Enum):
    """Why a guarded write changed nothing."""

    STALE = "stale"
    """The message is there, but the receipt is not its current one."""
    MISSING = "missing"
    """The message is not there: acked, expired, purged, or never enqueued."""
    TOO_LONG = "too_long"
    """The lease would end more than 12 hours after its claim."""


class Acked(Struct, frozen=True):
    """The message is gone for good. `claimed_at` None: it was never claimed (an ack by bare id)."""

    claimed_at: datetime | None
    partition_id: int


class Lease(Struct, frozen=True, kw_only=True):
    """A lease to be settled; receipt and `lease_until` together are the guard of the write that settles it.

    `max_retries` and `dlq` are the message's own. `expires_at` None: its message is kept for ever.
    """

    queue: str
    receipt: Receipt
    lease_until: datetime
    delivery_count: int
    max_retries: int
    dlq: str | None
    expires_at: datetime | None = None


class Wish(Struct, frozen=True):
    """What the holder asked for when it gave a lease up.

    `delay_ms` takes the place of the queue's backoff, None leaves it to the policy; `error` says why the
    work failed, None keeps what the message said before. `dead_letter` is for work that no further delivery would
    bring to an end: the message moves to its DLQ now, however many deliveries it has left.
    """

    delay_ms: int | None = None
    error: str | None = None
    dead_letter: bool = False


class Nack(Struct, frozen=True):
    """A holder gives its lease up, with what it wishes to become of the message."""

    receipt: Receipt
    wish: Wish = Wish()
