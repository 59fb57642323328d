"""What the Python side of a transaction refuses by itself: nothing is sent, so the transaction goes on."""

import subprocess
import sys
from typing import Any

import msgspec
import pytest

from sqslite.adapters.client.in_transaction import ack, ack_async, enqueue, enqueue_async
from sqslite.domain.errors import BodyTooLarge, ErrorCode, InvalidReceipt, InvalidValue
from sqslite.domain.limits import BODY_BYTES_MAX_CEILING
from sqslite.domain.messages import BodyKind


class Untouched:
    """A connection that nobody may use."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the connection was asked to {name}")


REFUSED = [
    ({"queue": "no/slash"}, "queue"),
    ({"body": None}, "body"),
    ({"body": 5, "body_kind": BodyKind.TEXT}, "body"),
    ({"body": b"5", "body_kind": BodyKind.TEXT}, "body"),
    ({"body": "", "body_kind": BodyKind.TEXT}, "body"),
    ({"body": "a\0b", "body_kind": BodyKind.TEXT}, "body"),
    ({"body": "\ud800", "body_kind": BodyKind.TEXT}, "body"),
    ({"body": "AAEC", "body_kind": BodyKind.BINARY}, "body"),
    ({"body": b"", "body_kind": BodyKind.BINARY}, "body"),
    ({"body_kind": "xml"}, "body_kind"),
    ({"delay_ms": -1}, "delay_ms"),
    ({"max_retries": 10**30}, "max_retries"),
    ({"dlq": "orders"}, "dlq"),
    ({"trace_id": "\0"}, "trace_id"),
    ({"group_id": "\ud800"}, "group_id"),
    ({"dedup_id": ""}, "dedup_id"),
    ({"retention_ms": 0}, "retention_ms"),
    ({"attributes": {"": "x"}}, "attributes"),
    ({"attributes": {"a": "\0"}}, "attributes.a"),
]


@pytest.mark.parametrize(("fields", "field"), REFUSED, ids=[repr(fields) for fields, _ in REFUSED])
async def test_what_no_queue_would_take_is_not_sent(fields, field):
    given = {"queue": "orders", "body": 1, **fields}
    with pytest.raises(InvalidValue) as refusal:
        enqueue(Untouched(), **given)
    assert refusal.value.field == field
    with pytest.raises(InvalidValue, match=f"^{field} must be "):
        await enqueue_async(Untouched(), **given)


def test_a_body_larger_than_any_queue_may_allow_is_not_sent():
    with pytest.raises(BodyTooLarge):
        enqueue(Untouched(), "orders", msgspec.Raw(b"1" * (BODY_BYTES_MAX_CEILING + 1)))


def test_an_option_that_there_is_not_is_a_mistake_of_the_program():
    with pytest.raises(TypeError, match="priority"):
        enqueue(Untouched(), "orders", 1, priority=5)


@pytest.mark.parametrize("receipt", ["", "17", "A" * 50])
async def test_what_never_was_a_receipt_is_not_sent(receipt):
    with pytest.raises(InvalidReceipt) as refusal:
        ack(Untouched(), receipt)
    assert refusal.value.code is ErrorCode.INVALID_RECEIPT
    with pytest.raises(InvalidReceipt):
        await ack_async(Untouched(), receipt)


def test_sqlalchemy_is_needed_by_those_only_who_use_it():
    program = "import sys, sqslite.adapters.client.in_transaction; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
