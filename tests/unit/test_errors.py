"""Errors: each code belongs to one class, and texts say what was sent without repeating all of it."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqslite.domain.errors import (
    VALUE_CHARS_SHOWN_MAX,
    BodyTooLarge,
    ErrorCode,
    InvalidReceipt,
    InvalidValue,
    MessageNotFound,
    QueueConflict,
    QueueNotFound,
    RedriveConflict,
    RedriveNotFound,
    SqsliteError,
    StaleReceipt,
    shown,
)


def _classes(above: type[SqsliteError] = SqsliteError) -> Iterator[type[SqsliteError]]:
    for error_class in above.__subclasses__():
        yield error_class
        yield from _classes(error_class)


def test_every_code_has_exactly_one_class_and_every_class_its_code():
    declared = [
        vars(error_class).get("code") for error_class in _classes() if error_class.__module__ == SqsliteError.__module__
    ]
    assert sorted(declared) == sorted(ErrorCode)


def test_codes_are_snake_case_and_their_names_in_capitals():
    assert all(code.value == code.name.lower() and code.value.isidentifier() for code in ErrorCode)


def test_the_published_codes_never_change():
    assert {code.value for code in ErrorCode} >= {
        "invalid_value",
        "invalid_receipt",
        "body_too_large",
        "message_not_found",
        "queue_not_found",
        "queue_conflict",
        "redrive_not_found",
        "redrive_conflict",
        "stale_receipt",
        "too_many_in_flight",
        "overloaded",
        "store_unavailable",
        "outcome_unknown",
        "schema_too_new",
    }


def test_a_refused_value_is_told_with_field_value_and_what_is_allowed():
    error = InvalidValue("delay", -1, "0 to 10")
    assert str(error) == "delay must be 0 to 10; got -1"
    assert isinstance(InvalidReceipt("receipt", "x", "a receipt"), InvalidValue)


def test_refusals_name_the_message_or_the_size():
    assert "message 7 " in str(MessageNotFound(7))
    assert "message 7 " in str(StaleReceipt(7))
    assert str(BodyTooLarge(11, 10)) == "body must be at most 10 bytes, attributes included; got 11 bytes"


@given(
    st.one_of(st.text(), st.integers(), st.floats(), st.none(), st.binary(), st.lists(st.text()), st.complex_numbers())
)
def test_any_value_is_shown_in_a_bounded_text_of_one_line(value: object):
    text = shown(value)
    assert len(text) <= VALUE_CHARS_SHOWN_MAX + 40
    assert "\n" not in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        ('a\n"b"', '"a\\n\\"b\\""'),
        ("é", '"é"'),
        ("\ud800", "'\\ud800'"),
        (1j, "1j"),
        ("x" * 78, '"' + "x" * 78 + '"'),
        ("x" * 79, '"' + "x" * 79 + "… (81 characters)"),
    ],
)
def test_a_value_is_shown_as_json_where_it_can_be_and_cut_where_it_is_long(value: object, text: str):
    assert shown(value) == text


def test_refusals_about_queues_and_redrives_name_them():
    assert str(QueueNotFound("orders")) == "queue orders does not exist"
    told = str(QueueConflict("orders", True))
    assert told == "fifo of queue orders is true and cannot change; delete the queue to create it anew"
    assert "is false and" in str(QueueConflict("orders", False))
    assert str(RedriveNotFound(7)) == "redrive 7 does not exist"
    assert RedriveConflict("why").code == "redrive_conflict"
