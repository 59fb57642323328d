"""Receipts: one spelling each, and no text that a client sends does more than be refused."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqslite.domain.errors import VALUE_CHARS_SHOWN_MAX, ErrorCode, InvalidReceipt
from sqslite.domain.leases import SECRET_BYTES, Receipt, secret_of

URL_SAFE = string.ascii_letters + string.digits + "-_"

receipts = st.builds(
    Receipt,
    partition_id=st.integers(0, 2**63 - 1),
    message_id=st.integers(0, 2**63 - 1),
    delivery_count=st.integers(0, 2**32 - 1),
    secret=st.binary(min_size=SECRET_BYTES, max_size=SECRET_BYTES),
)
RECEIPT = Receipt(7, 123, 2, bytes(range(SECRET_BYTES)))


def _parsed(token: str) -> Receipt | None:
    try:
        return Receipt.parse(token)
    except InvalidReceipt:
        return None


@given(receipts)
def test_a_receipt_comes_back_from_its_token(receipt: Receipt):
    assert Receipt.parse(receipt.token()) == receipt


@given(receipts)
def test_a_token_is_safe_in_a_url(receipt: Receipt):
    assert set(receipt.token()) <= set(URL_SAFE)


@given(receipts, receipts)
def test_two_receipts_have_two_tokens(one: Receipt, other: Receipt):
    assert (one.token() == other.token()) == (one == other)


@given(receipts, st.data())
def test_a_changed_token_is_refused_or_names_another_delivery(receipt: Receipt, data: st.DataObject):
    token = receipt.token()
    place = data.draw(st.integers(0, len(token) - 1))
    put = data.draw(st.one_of(st.sampled_from(URL_SAFE), st.text(max_size=3)))
    changed = token[:place] + put + token[place + data.draw(st.integers(0, 2)) :]
    if changed != token:
        assert _parsed(changed) != receipt


@pytest.mark.parametrize("last", URL_SAFE)
def test_no_spare_bits_of_the_last_character_give_a_second_spelling(last: str):
    token = RECEIPT.token()[:-1] + last
    assert (_parsed(token) == RECEIPT) == (token == RECEIPT.token())


@pytest.mark.parametrize("spelling", ["{}=", "{}==", " {}", "{}\n", "{}A", "\ufeff{}"])
def test_padding_and_spaces_are_not_part_of_a_token(spelling: str):
    with pytest.raises(InvalidReceipt):
        Receipt.parse(spelling.format(RECEIPT.token()))


def test_the_other_base64_alphabet_is_refused():
    token = Receipt(1, 1, 1, b"\xff" * SECRET_BYTES).token()
    assert "_" in token
    with pytest.raises(InvalidReceipt):
        Receipt.parse(token.replace("_", "/"))


@given(st.text())
def test_arbitrary_text_is_refused_and_nothing_worse(text: str):
    with pytest.raises(InvalidReceipt):
        Receipt.parse(text)


@given(st.text(alphabet=URL_SAFE, min_size=50, max_size=50))
def test_text_of_the_right_length_and_letters_is_refused_or_is_the_token_of_what_it_names(text: str):
    parsed = _parsed(text)
    assert parsed is None or parsed.token() == text


@pytest.mark.parametrize(
    "text", ["", "1", "=", "====", "123", "nüll", "\ud800", "\0", "A" * 49, "A" * 50, "A" * 51, "x" * 1_000_000]
)
def test_what_is_no_receipt_is_refused_with_a_bounded_text(text: str):
    with pytest.raises(InvalidReceipt) as refusal:
        Receipt.parse(text)
    assert refusal.value.code is ErrorCode.INVALID_RECEIPT
    assert str(refusal.value).startswith("receipt must be a receipt as handed out by a receive; got ")
    assert len(str(refusal.value)) < 2 * VALUE_CHARS_SHOWN_MAX + 60


@pytest.mark.parametrize("field", ["partition_id", "message_id"])
@pytest.mark.parametrize("value", [2**63, 2**64 - 1])
def test_numbers_that_no_storage_holds_are_refused(field: str, value: int):
    values = {"partition_id": 1, "message_id": 1, "delivery_count": 1, "secret": bytes(SECRET_BYTES), field: value}
    with pytest.raises(InvalidReceipt):
        Receipt.parse(Receipt(**values).token())


def test_a_claims_secrets_are_dealt_out_one_behind_another():
    secrets = bytes(range(3 * SECRET_BYTES))
    assert b"".join(secret_of(secrets, index) for index in range(3)) == secrets
    assert {len(secret_of(secrets, index)) for index in range(3)} == {SECRET_BYTES}
