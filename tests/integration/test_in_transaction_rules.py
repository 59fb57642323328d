"""The rules of the SQL functions are the domain's: they make of a message, and refuse, what the service does."""

from collections.abc import AsyncIterator

import msgspec
import psycopg
import pytest

from sqslite.adapters.stores.postgres.backend import PostgresBackend
from sqslite.domain.accepting import check_for_queue, check_message, resolved
from sqslite.domain.errors import InvalidReceipt, SqsliteError
from sqslite.domain.leases import Receipt
from sqslite.domain.limits import BODY_BYTES_MAX_DEFAULT, DELAY_MS_MAX, RETENTION_MS_MAX
from sqslite.domain.messages import BodyKind, NewMessage
from sqslite.domain.queues import Defaults, Queue, QueueSettings
from tests.integration.sql_client import ack, connected, enqueue, messages

REFUSED = psycopg.errors.InvalidParameterValue


@pytest.fixture
def backend(postgres_on_its_own_time: PostgresBackend) -> PostgresBackend:
    return postgres_on_its_own_time


@pytest.fixture
async def client(backend: PostgresBackend, postgres_store_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    async with connected(postgres_store_url) as connection:
        yield connection


FULL = {
    "delay_ms": 1_500,
    "max_retries": 7,
    "dlq": "own-failed",
    "trace_id": "trace ✓",
    "group_id": "g",
    "retention_ms": 90_000,
    "attributes": {"priority": "high", "größe": "ü\n"},
}
RETENTION_ALLOWED = f"1 to {RETENTION_MS_MAX} (0, for ever, only as a setting of the queue)"
OWN = QueueSettings(delay_ms=2_000, max_retries=9, dlq="failed", retention_ms=60_000, body_bytes_max=2 * 1024 * 1024)


# All of a row that does not tell one message from the next; attributes are the same however they are spelled.
ROWS = b"""
    SELECT
        to_jsonb(m) - '{id,enqueued_at,not_before,expires_at,attributes}'::text[],
        not_before - enqueued_at AS delay,
        expires_at - enqueued_at AS kept,
        (SELECT count(*) FROM sqslite.message_groups AS g WHERE g.group_id = m.group_id)
    FROM sqslite.messages AS m
    ORDER BY id
"""


@pytest.mark.parametrize("fields", [{}, FULL, {"max_retries": 0, "attributes": {}}, {"delay_ms": 0}], ids=str)
@pytest.mark.parametrize(
    "settings", [QueueSettings(), OWN, QueueSettings(fair=True), QueueSettings(retention_ms=0)], ids=str
)
async def test_a_message_is_as_if_the_service_had_enqueued_it(backend, client, settings, fields):
    queue = await backend.catalog.ensure("orders", settings)
    sent = NewMessage(body=b'{ "a": 1.50}', **fields)
    await backend.store.enqueue(queue, [resolved(queue, sent, Defaults())])
    await enqueue(
        client, body='{ "a": 1.50}', **{**fields, "attributes": msgspec.json.encode(sent.attributes).decode()}
    )
    await client.commit()
    served, in_sql = await (await client.execute(ROWS)).fetchall()
    assert in_sql == served
    of_the_service, of_sql = await messages(backend)
    assert of_sql.attributes == of_the_service.attributes


@pytest.mark.parametrize(
    ("body", "kind", "content"),
    [
        (' {"b": 1, "a": 1.0, "b": "\\u0000"}\n', "json", b' {"b": 1, "a": 1.0, "b": "\\u0000"}\n'),
        ("grüße", "text", "grüße".encode()),
        ("AAEC\n/w==", "binary", b"\x00\x01\x02\xff"),
    ],
)
async def test_a_body_of_each_kind_is_kept_to_the_byte(backend, client, body, kind, content):
    await enqueue(client, body=body, body_kind=kind)
    await client.commit()
    (message,) = await messages(backend)
    assert (message.body, message.body_kind) == (content, BodyKind(kind))


@pytest.mark.parametrize(
    "fields",
    [
        {"body": b""},
        {"body": b"null"},
        {"body": b"1" * (BODY_BYTES_MAX_DEFAULT + 1)},
        {"body": b"1" * BODY_BYTES_MAX_DEFAULT, "attributes": {"ü": ""}},
        {"delay_ms": -1},
        {"delay_ms": DELAY_MS_MAX + 1},
        {"max_retries": -1},
        {"max_retries": 1_001},
        {"max_retries": 2**40},
        {"dlq": "orders"},
        {"dlq": ""},
        {"dlq": "no spaces"},
        {"dlq": "new\n"},
        {"trace_id": "x" * 257},
        {"trace_id": "a\tb"},
        {"trace_id": "\x85"},
        {"group_id": ""},
        {"group_id": "x" * 129},
        {"group_id": "\x7f"},
        {"dedup_id": ""},
        {"dedup_id": "ü" * 129},
        {"attributes": {"": "x"}},
        {"attributes": {"x" * 257: "x"}},
        {"attributes": {"a\n": "x"}},
        {"attributes": {str(number): "" for number in range(51)}},
        {"group_id": None, "queue": QueueSettings(fifo=True)},
        {"body": b'"12345678"', "attributes": {"a": "b"}, "queue": QueueSettings(body_bytes_max=11)},
    ],
    ids=lambda fields: repr(fields)[:40],
)
async def test_what_the_service_refuses_is_refused_with_the_same_words(backend, client, fields):
    settings = fields.pop("queue", None)
    queue = await backend.catalog.ensure("orders", settings or QueueSettings())
    sent = NewMessage(**{"body": b"1", **fields})
    with pytest.raises(SqsliteError) as by_the_service:
        _check(queue, sent)
    if sent.attributes:
        fields["attributes"] = msgspec.json.encode(sent.attributes).decode()
    with pytest.raises(REFUSED) as in_sql:
        await enqueue(client, **{**fields, "body": sent.body.decode()})
    said, expected = in_sql.value.diag.message_primary, str(by_the_service.value).replace("delay must", "delay_ms must")
    # Long values are cut, each side in its way, and what an operator may allow SQL cannot know.
    assert said == expected or (len(expected) > 120 and said.partition(" got ")[0] == expected.partition(" got ")[0])
    await client.rollback()
    assert await messages(backend) == []


def _check(queue: Queue, sent: NewMessage) -> None:
    check_message(queue.name, sent, Defaults())
    check_for_queue(queue, sent)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"queue": "no/slash"}, 'queue must be 1 to 80 of the characters A-Z a-z 0-9 _ - .; got "no/slash"'),
        ({"queue": None}, "queue must be 1 to 80 of the characters A-Z a-z 0-9 _ - .; got null"),
        ({"body": None}, "body must be any JSON value except null; got null"),
        ({"body": " null "}, "body must be any JSON value except null; got null"),
        ({"body": '{"a": }'}, 'body must be JSON when body_kind is json; got "{\\"a\\": }"'),
        ({"body": "%", "body_kind": "binary"}, 'body must be base64 when body_kind is binary; got "%"'),
        ({"body": "\n", "body_kind": "binary"}, 'body must be at least one byte long; got "\\n"'),
        ({"body_kind": "xml"}, 'body_kind must be json, text or binary; got "xml"'),
        ({"body_kind": None}, "body_kind must be json, text or binary; got null"),
        ({"retention_ms": 0}, f"retention_ms must be {RETENTION_ALLOWED}; got 0"),
        (
            {"retention_ms": RETENTION_MS_MAX + 1},
            f"retention_ms must be {RETENTION_ALLOWED}; got {RETENTION_MS_MAX + 1}",
        ),
        ({"attributes": "[]"}, "attributes must be an object of strings; got []"),
        ({"attributes": '{"a": 5}'}, "attributes.a must be a string; got 5"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_refusal_names_field_value_and_limit(backend, client, fields, said):
    with pytest.raises(REFUSED) as refusal:
        await enqueue(client, **fields)
    diagnosis = refusal.value.diag
    assert (diagnosis.message_primary, diagnosis.sqlstate, diagnosis.schema_name) == (said, "22023", "sqslite")
    assert diagnosis.column_name == said.partition(" must be ")[0]


async def test_values_at_their_limits_are_accepted(backend, client):
    queue = "q" * 80
    await enqueue(
        client,
        queue,
        '"' + "x" * (BODY_BYTES_MAX_DEFAULT - 52) + '"',
        delay_ms=DELAY_MS_MAX,
        max_retries=1_000,
        dlq="d" * 80,
        trace_id="\N{GRINNING FACE}" * 256,
        group_id="ü" * 128,
        dedup_id="x" * 128,
        retention_ms=1,
        attributes=msgspec.json.encode({chr(ord("A") + number): "" for number in range(50)}).decode(),
    )
    await client.commit()
    (message,) = await messages(backend, queue)
    assert (message.max_retries, message.group_id, len(message.attributes)) == (1_000, "ü" * 128, 50)


TOKEN = Receipt(1, 1, 1, bytes(16)).token()
MALFORMED = [
    "",
    "17",
    TOKEN[:-1],
    TOKEN + "A",
    TOKEN[:-1] + "B",
    TOKEN + "\n",
    "." + TOKEN[1:],
    "é" + TOKEN[1:],
    "Ag" + TOKEN[2:],
    Receipt(2**63, 1, 1, bytes(16)).token(),
    Receipt(1, 2**63, 1, bytes(16)).token(),
]


@pytest.mark.parametrize("receipt", MALFORMED)
async def test_what_never_was_a_receipt_is_refused_as_the_service_does(client, receipt):
    with pytest.raises(InvalidReceipt) as by_the_service:
        Receipt.parse(receipt)
    with pytest.raises(REFUSED) as in_sql:
        await ack(client, receipt)
    assert in_sql.value.diag.message_primary == str(by_the_service.value)


async def test_no_receipt_is_refused(client):
    with pytest.raises(REFUSED, match=r"receipt must be .*; got null"):
        await ack(client, None)


@pytest.mark.parametrize(
    "receipt", [Receipt(2**63 - 1, 2**63 - 1, 2**32 - 1, bytes([255] * 16)), Receipt(0, 0, 0, bytes(16))]
)
async def test_any_receipt_that_could_be_one_is_understood(client, receipt):
    assert await ack(client, receipt.token()) is False
