"""A few of the requests that `make fuzz` tries for longer, always the same ones."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.sqs_wire import check_calls, check_raw


@settings(max_examples=60, derandomize=True)
@given(st.binary(min_size=4, max_size=200))
async def test_any_bytes_are_answered_as_aws_answers(data: bytes):
    await check_raw(data)


@settings(max_examples=40, derandomize=True)
@given(st.binary(max_size=300))
async def test_any_calls_are_answered_alike_in_both_protocols(data: bytes):
    await check_calls(data)
