"""Whole test runs of a user who has sqslite installed."""

import re
from pathlib import Path

pytest_plugins = ["pytester"]

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)


def test_the_examples_of_the_page_pass(pytester):
    for number, example in enumerate(EXAMPLES):
        pytester.makepyfile(**{f"test_example_{number}": example})
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=len(EXAMPLES))


def test_fixtures_work_in_a_users_run_and_in_parallel_ones(pytester):
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("n", range(6))
        def test_one(sqs_queue, n):
            sqs_queue.send(n)
            sqs_queue.assert_enqueued(n, count=1)

        def test_two(sqslite_server):
            assert sqslite_server.client.receive("orders") == []
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider", "-n", "2").assert_outcomes(passed=7)


def test_the_plugin_loads_nothing_large_by_itself(pytester):
    pytester.makepyfile(
        """
        import sys

        def test_it():
            import sqslite.entrypoints.testing.plugin
            large = {"litestar", "granian", "httpx", "dependency_injector", "psycopg", "msgspec"} & set(sys.modules)
            assert not large
        """
    )
    pytester.runpytest_subprocess("-p", "no:schemathesis", "-p", "no:anyio").assert_outcomes(passed=1)
