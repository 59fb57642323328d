"""What a message costs over the SQS API, in function calls: a count that no busy machine changes."""

import pytest

from benchmarks import sqs_flows
from benchmarks.exchange import Answer, Flow
from benchmarks.load import Load, Tally
from tests.unit.sqs.api import Sqs, sqs_api
from tests.unit.test_hot_path import asked, counted

# A little above what they are. Where one is exceeded, see which calls a change adds, and whether they pay.
PYTHON_CALLS_MAX = {("sqs-json", 1): 255, ("sqs-json", 10): 109, ("sqs-query", 1): 305, ("sqs-query", 10): 150}
CYCLES = {"sqs-json": sqs_flows.sqs_json, "sqs-query": sqs_flows.sqs_query}


@pytest.mark.parametrize(("flow", "batch"), PYTHON_CALLS_MAX)
async def test_a_message_makes_no_more_function_calls_than_it_did(flow: str, batch: int):
    load = Load(flow, "", "orders", 1, batch, 0, 0)
    async with sqs_api() as sqs:
        await sqs("CreateQueue", QueueName="orders")
        # The first of its kind prepares what the others use.
        await _all_of(CYCLES[flow](load, Tally(0, 0)), sqs)
        tally = Tally(0, 0)
        calls = await counted(lambda: _all_of(CYCLES[flow](load, tally), sqs))
    assert len(tally.acked) == batch
    assert calls.total() / batch <= PYTHON_CALLS_MAX[flow, batch], calls.most_common(40)


async def _all_of(flow: Flow, sqs: Sqs) -> None:
    """The driver's cycle, to its end."""
    request, _ = next(flow)
    while True:
        head, _, body = request.partition(b"\r\n\r\n")
        first, *fields = head.split(b"\r\n")
        headers = [(name.lower(), value) for name, value in (field.split(b": ", 1) for field in fields)]
        answer = await asked(sqs.app, first.split()[1].decode(), body, headers)
        try:
            request, _ = flow.send([Answer(200, answer)])
        except StopIteration:
            return
