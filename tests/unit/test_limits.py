"""Limits: each check at and around its bounds, and a text that names field, value and limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqslite.domain import limits
from sqslite.domain.errors import InvalidValue


@given(st.integers(-10, 20), st.integers(-5, 5), st.integers(6, 10))
def test_a_range_takes_its_bounds_and_nothing_beyond(value: int, low: int, high: int):
    if low <= value <= high:
        assert limits.check_range("max", value, low, high) == value
    else:
        with pytest.raises(InvalidValue) as refusal:
            limits.check_range("max", value, low, high)
        assert str(refusal.value) == f"max must be {low} to {high}; got {value}"
        assert refusal.value.field == "max"


def test_a_number_of_any_length_is_refused_with_a_short_text():
    with pytest.raises(InvalidValue) as refusal:
        limits.check_range("delay", 10**1_000, 0, limits.DELAY_MS_MAX)
    assert str(refusal.value).endswith("… (1001 characters)")
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize("name", ["a", "0", "-", "_", ".", "Orders.v2_x-y", "a" * limits.QUEUE_NAME_CHARS_MAX])
def test_a_queue_name_is_taken(name: str):
    assert limits.check_queue_name("queue", name) == name


@pytest.mark.parametrize(
    "name",
    ["", " ", "a b", "a/b", "a:b", "a\n", "\na", "é", "\u0660", "\uff41", "a\0", "\ud800", "a" * 81],
)
def test_what_is_no_queue_name_is_refused(name: str):
    with pytest.raises(InvalidValue) as refusal:
        limits.check_queue_name("dlq", name)
    assert str(refusal.value).startswith(f"dlq must be {limits.QUEUE_NAME_ALLOWED}; got ")
    assert refusal.value.field == "dlq"


@given(st.text(max_size=90))
def test_a_queue_name_is_1_to_80_of_its_characters(name: str):
    good = 1 <= len(name) <= 80 and all(char.isascii() and (char.isalnum() or char in "_-.") for char in name)
    try:
        limits.check_queue_name("queue", name)
    except InvalidValue:
        assert not good
    else:
        assert good


@pytest.mark.parametrize("text", ["", "trace-1", "naïve ☃ 😀", "é" * 256])
def test_a_text_within_its_limit_is_taken(text: str):
    assert limits.check_text("trace_id", text, 256) == text


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("x" * 257, "at most 256 characters"),
        ("a\0b", "free of control characters"),
        ("a\n", "free of control characters"),
        ("\x7f", "free of control characters"),
        ("\x85", "free of control characters"),
        ("\ud800", "free of control characters"),
    ],
)
def test_a_text_that_is_too_long_or_cannot_be_kept_is_refused(text: str, allowed: str):
    with pytest.raises(InvalidValue, match=f"trace_id must be {allowed}; got "):
        limits.check_text("trace_id", text, 256)


@pytest.mark.parametrize(
    "text", ["", "Traceback:\n\tboom\r\n", "é" * (limits.ERROR_BYTES_MAX // 2), "x" * limits.ERROR_BYTES_MAX]
)
def test_an_error_text_may_have_lines_and_is_measured_in_bytes(text: str):
    assert limits.check_error(text) == text


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("x" * 4_097, "at most 4096 bytes"),
        ("é" * 2_049, "at most 4096 bytes"),
        ("a\0b", "free of NUL and of lone surrogates"),
        ("a\ud800", "free of NUL and of lone surrogates"),
    ],
)
def test_an_error_text_that_no_storage_keeps_is_refused(text: str, allowed: str):
    with pytest.raises(InvalidValue, match=f"error must be {allowed}; got "):
        limits.check_error(text)


def test_the_limits_are_those_that_are_promised():
    assert (limits.BODY_BYTES_MAX_DEFAULT, limits.CLAIM_DEFAULT, limits.CLAIM_MAX) == (1_048_576, 10, 1_000)
    assert (limits.VISIBILITY_MS_DEFAULT, limits.VISIBILITY_MS_MAX) == (30_000, 43_200_000)
    assert (limits.MAX_RETRIES_DEFAULT, limits.MAX_RETRIES_MAX) == (5, 1_000)
    assert limits.MESSAGE_ID_MAX == 9_007_199_254_740_991


@pytest.mark.parametrize("text", ["a", "naïve ☃ 😀", " ", "x" * 128])
def test_an_id_within_its_limit_is_taken(text: str):
    assert limits.check_id("group_id", text, 128) == text


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("", "1 to 128 characters"),
        ("x" * 129, "at most 128 characters"),
        ("a\0", "free of control characters"),
        ("a\n", "free of control characters"),
        ("\udfff", "free of control characters"),
    ],
)
def test_an_id_that_is_empty_too_long_or_cannot_be_kept_is_refused(text: str, allowed: str):
    with pytest.raises(InvalidValue, match=f"group_id must be {allowed}; got "):
        limits.check_id("group_id", text, 128)


def test_as_many_attributes_as_the_limit_are_taken_and_one_more_is_not():
    limits.check_attributes({})
    limits.check_attributes({"n" * 256: "two\nlines\tand \x7f"} | {str(n): "" for n in range(49)})
    with pytest.raises(InvalidValue) as refusal:
        limits.check_attributes({str(n): "" for n in range(51)})
    assert str(refusal.value) == "attributes must be at most 50 attributes; got 51"


@pytest.mark.parametrize(
    ("attributes", "field", "text"),
    [
        ({"": "x"}, "attributes", "attributes must be 1 to 256 characters; got "),
        ({"n" * 257: "x"}, "attributes", "attributes must be at most 256 characters; got "),
        ({"a\t": "x"}, "attributes", "attributes must be free of control characters; got "),
        ({"a": "x\0"}, "attributes.a", "attributes.a must be free of NUL and of lone surrogates; got "),
        ({"a": "\ud800"}, "attributes.a", "attributes.a must be free of NUL and of lone surrogates; got "),
        ({"fine": "x", "b": "\0"}, "attributes.b", "attributes.b must be free of NUL"),
    ],
)
def test_an_attribute_that_no_storage_keeps_is_refused_by_its_name(attributes: dict[str, str], field: str, text: str):
    with pytest.raises(InvalidValue) as refusal:
        limits.check_attributes(attributes)
    assert str(refusal.value).startswith(text)
    assert refusal.value.field == field


def test_the_limits_of_groups_retention_and_redrives_are_those_that_are_promised():
    assert (limits.GROUP_ID_CHARS_MAX, limits.DEDUP_ID_CHARS_MAX, limits.ATTEMPT_ID_CHARS_MAX) == (128, 128, 128)
    assert (limits.DEDUP_MS_DEFAULT, limits.DEDUP_MS_MAX, limits.ATTEMPT_MS) == (300_000, 86_400_000, 300_000)
    assert (limits.RETENTION_MS_DEFAULT, limits.RETENTION_MS_MAX) == (345_600_000, 1_209_600_000)
    assert (limits.ATTRIBUTES_MAX, limits.ATTRIBUTE_NAME_CHARS_MAX, limits.REDRIVE_RATE_MAX) == (50, 256, 10_000)
