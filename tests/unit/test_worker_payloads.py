"""Payloads: what a handler's annotation makes of a body, and of a value that is sent."""

import enum
from dataclasses import dataclass
from typing import Any, TypedDict

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqslite.domain.errors import InvalidValue
from sqslite.domain.limits import ERROR_BYTES_MAX, check_error
from sqslite.domain.messages import BodyKind, Delivery, Received
from sqslite.entrypoints.worker import Context, Reject, Retry, Undecodable
from sqslite.entrypoints.worker.handlers import Takes, handler_of
from sqslite.entrypoints.worker.payloads import codec_of
from sqslite.entrypoints.worker.verdicts import told


class Order(msgspec.Struct):
    id: int


@dataclass
class Line:
    id: int


class Item(TypedDict):
    id: int


class Model(pydantic.BaseModel):
    id: int = pydantic.Field(alias="ID")


class Colour(enum.Enum):
    RED = "red"


JSON, TEXT, BINARY = BodyKind.JSON, BodyKind.TEXT, BodyKind.BINARY


@pytest.mark.parametrize(
    ("annotation", "payload", "body", "kind"),
    [
        (Order, Order(1), b'{"id":1}', JSON),
        (Line, Line(1), b'{"id":1}', JSON),
        (Item, {"id": 1}, b'{"id":1}', JSON),
        (Model, Model(ID=1), b'{"ID":1}', JSON),
        (list[Model], [Model(ID=1)], b'[{"ID":1}]', JSON),
        (dict[str, list[int]], {"a": [1]}, b'{"a":[1]}', JSON),
        (Colour, Colour.RED, b'"red"', JSON),
        (int | None, 1, b"1", JSON),
        (str, "é", "é".encode(), TEXT),
        (bytes, b"\xff\0", b"\xff\0", BINARY),
        (Any, {"a": 1.5}, b'{"a":1.5}', JSON),
        (Any, "text", b"text", TEXT),
        (Any, b"\xff", b"\xff", BINARY),
    ],
)
def test_payloads_go_there_and_back(annotation: Any, payload: Any, body: bytes, kind: BodyKind):
    codec = codec_of(annotation)
    assert codec.write(payload) == (body, kind)
    assert codec.read(body, kind) == payload


@pytest.mark.parametrize(
    ("annotation", "body", "kind", "payload"),
    [
        # SQS knows of text only.
        (Order, b'{"id":1}', TEXT, Order(1)),
        (Model, b'{"ID":1}', TEXT, Model(ID=1)),
        (str, b'"a"', JSON, "a"),
        (bytes, b'{"id": 1}', JSON, b'{"id": 1}'),
    ],
)
def test_bodies_of_other_kinds_are_read_where_they_can_be(annotation: Any, body: bytes, kind: BodyKind, payload: Any):
    assert codec_of(annotation).read(body, kind) == payload


@pytest.mark.parametrize(
    ("annotation", "body", "kind"),
    [
        (Order, b'{"id":"1"}', JSON),
        (Order, b"{", TEXT),
        (Model, b"{}", JSON),
        (str, b"1", JSON),
        (str, b"\xff", BINARY),
        (Any, b"\xff", JSON),
        (Any, b"[" * 100_000, JSON),
    ],
)
def test_a_body_that_is_no_such_payload_is_undecodable(annotation: Any, body: bytes, kind: BodyKind):
    with pytest.raises(Undecodable, match="the body "):
        codec_of(annotation).read(body, kind)


def test_payloads_that_cannot_be_read_back_are_not_written():
    with pytest.raises(InvalidValue, match="payload"):
        codec_of(Order).write(Order("one"))
    with pytest.raises(InvalidValue, match="payload must be bytes"):
        codec_of(bytes).write("text")
    with pytest.raises(InvalidValue, match="payload must be a str"):
        codec_of(str).write(1)
    with pytest.raises(TypeError, match="payloads can be"):
        codec_of(Context)


def test_a_signature_says_what_a_handler_takes():
    def nothing() -> None: ...
    def plain(payload): ...
    async def whole(received: Received) -> None: ...
    async def delivered(delivery: Delivery) -> None: ...
    def both(order: Order, context: Context, more: int = 1) -> None: ...
    def context_only(context: Context) -> None: ...

    found = [handler_of(each, batch=False) for each in (nothing, plain, whole, delivered, both, context_only)]
    assert [handler.takes for handler in found] == [
        Takes.NOTHING,
        Takes.PAYLOAD,
        Takes.RECEIVED,
        Takes.RECEIVED,
        Takes.PAYLOAD,
        Takes.NOTHING,
    ]
    assert [handler.context_parameter for handler in found] == [None, None, None, None, "context", "context"]
    assert [handler.in_thread for handler in found] == [True, True, False, False, True, True]


def test_functions_that_are_no_handlers_are_refused():
    def two(one: int, other: int) -> None: ...
    def keyword(*, one: int) -> None: ...
    def no_list(order: Order) -> None: ...
    def one_context(orders: list[Order], context: Context) -> None: ...
    def unknown(order: "Nowhere") -> None: ...  # noqa: F821

    for function, batch, fault in (
        (two, False, "must take one payload"),
        (keyword, False, "must take one payload"),
        (no_list, True, "its payload must be a list"),
        (one_context, True, r"as list\[Context\]"),
        (unknown, False, "'Nowhere' is not defined"),
    ):
        with pytest.raises(TypeError, match=fault):
            handler_of(function, batch=batch)


@given(st.text(st.characters(exclude_categories=())), st.sampled_from([ValueError, Retry, Reject, Undecodable]))
def test_an_error_is_told_so_that_every_store_keeps_it(text: str, kind: type[Exception]):
    check_error(told(kind(text * 2_000)))
    check_error(told(kind(text)))


def test_an_error_is_told_with_its_type_and_cut_between_characters():
    assert told(ValueError("no street")) == "ValueError: no street"
    assert told(ValueError()) == "ValueError"
    assert told(Retry("later")) == "later"
    assert told(Reject()) == "Reject"
    cut = told(ValueError("é" * ERROR_BYTES_MAX))
    assert ERROR_BYTES_MAX - 1 <= len(cut.encode()) <= ERROR_BYTES_MAX
    caused = Retry(after=1)
    caused.__cause__ = KeyError("n")
    assert told(caused) == "KeyError: 'n'"
