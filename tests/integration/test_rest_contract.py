"""Requests made up from the OpenAPI document against a real server: it does what the document says, never a 5xx."""

from collections.abc import Iterator

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import positive_data_acceptance

from sqslite.domain import limits
from sqslite.entrypoints.http.openapi import document
from tests.integration.server_process import ServerProcess, serving

EXAMPLES_MAX = 40
STEPS_MAX = 8
WAIT_MS_MAX = 20

# What the document cannot say, so that a request which fits it may still be refused: a text or binary body must be
# a string, an error text is limited in bytes, a dlq is another queue, and a receipt is one that was handed out.
EXCLUDED = [positive_data_acceptance]

contract = schemathesis.openapi.from_dict(document())


def hurried(case: schemathesis.Case) -> schemathesis.Case:
    """The case, its waits so short that the test need not wait; what is out of its limits stays so."""
    if isinstance(case.body, dict):
        for name in ("wait_ms", "receive_wait_ms"):
            wait_ms = case.body.get(name)
            if type(wait_ms) is int and WAIT_MS_MAX < wait_ms <= limits.WAIT_MS_MAX:
                case.body[name] = WAIT_MS_MAX
    return case


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with serving("memory://", tmp_path_factory.mktemp("contract")) as server:
        yield server
        assert httpx.get(f"{server.url}/healthz").text == "ok"
        assert "request_failed" not in server.log_text()


def test_the_server_shows_the_document_under_test(server: ServerProcess):
    assert httpx.get(f"{server.url}/schema/openapi.json").json() == document()


@contract.parametrize()
@settings(max_examples=EXAMPLES_MAX, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_as_documented(case: schemathesis.Case, server: ServerProcess):
    hurried(case).call_and_validate(base_url=server.url, excluded_checks=EXCLUDED)


def test_calls_in_any_order_are_answered_as_documented(server: ServerProcess):
    class Calls(contract.as_state_machine()):  # type: ignore[misc]
        def before_call(self, case):
            hurried(case)

        def get_call_kwargs(self, case):
            return {"base_url": server.url}

        def validate_response(self, response, case, **options):
            case.validate_response(response, excluded_checks=EXCLUDED)

    Calls.run(
        settings=settings(
            max_examples=EXAMPLES_MAX // 4,
            derandomize=True,
            stateful_step_count=STEPS_MAX,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
    )
