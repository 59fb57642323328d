"""docs/worker.md says what the worker's code says: options, outcomes, metrics; and its code can be loaded."""

import inspect
import re
import time
from pathlib import Path
from typing import Any

import pytest

from sqslite.entrypoints.worker import Context, Worker, serving
from sqslite.entrypoints.worker import task as tasks
from sqslite.entrypoints.worker import worker as workers
from sqslite.entrypoints.worker.metrics import WorkerMetrics
from sqslite.entrypoints.worker.verdicts import Outcome
from tests.unit.test_docs import code_blocks, rows, tables_of

PAGE = Path(__file__).parents[2] / "docs" / "worker.md"


def table(first_column: str, contains: str) -> dict[str, list[str]]:
    (found,) = [rows(text) for text in tables_of(PAGE.read_text(), first_column) if contains in text]
    return found


@pytest.mark.parametrize(("of", "contains"), [(Worker.task, "`queue`"), (Worker.__init__, "`target`")])
def test_every_option_is_on_the_page_with_its_default(of: Any, contains: str):
    documented = table("option", contains)
    parameters = inspect.signature(of).parameters
    tested = {name: parameters[name] for name in parameters if name not in ("self", "clock", "entropy")}
    assert list(documented) == list(tested)
    for name, parameter in tested.items():
        shown = "required" if parameter.default is parameter.empty else f"`{parameter.default!r}`".replace("'", '"')
        assert documented[name][0] == shown, name


def test_the_limits_on_the_page_are_those_of_the_code():
    of_task, of_worker = table("option", "`queue`"), table("option", "`target`")
    assert of_task["concurrency"][1] == f"1 to {tasks.CONCURRENCY_MAX}"
    assert of_task["batch"][1] == f"0 to {workers.limits.CLAIM_MAX}"
    longest_s = workers.limits.VISIBILITY_MS_MAX // 1_000
    assert of_task["visibility"][1] == f"{tasks.VISIBILITY_MS_MIN // 1_000} to {longest_s} seconds"
    assert of_task["timeout"][1] == f"0.001 to {tasks.TIMEOUT_MS_MAX // 1_000} seconds"
    assert of_worker["grace"][1] == f"0 to {workers.GRACE_MS_MAX // 1_000} seconds"
    assert serving.FAREWELL_MS == 7_000


def test_every_outcome_is_on_the_page():
    assert list(table("outcome", "`acked`")) == [str(outcome) for outcome in Outcome]


def test_every_metric_is_on_the_page_with_its_labels():
    documented = table("metric", "`sqs_worker_running`")
    exposed = {}
    for metric in WorkerMetrics().registry._names_to_collectors.values():
        name = metric._name + ("_total" if metric._type == "counter" else "")
        exposed[name] = (metric._type, [*metric._labelnames])
    assert {
        name: (kind, re.findall(r"`(\w+)`", labels)) for name, (kind, labels, _meaning) in documented.items()
    } == exposed


def test_everything_of_a_context_is_on_the_page():
    had = {name for name in dir(Context) if not name.startswith("_")} | {"queue", "lease_until", "lost"}
    assert set(table("of a context", "`fence`")) == had - {"extended", "received"}


def test_every_example_can_be_loaded():
    first, *others = code_blocks(PAGE, "python")
    names: dict[str, Any] = {"__name__": "shop"}
    exec(compile(first, PAGE.name, "exec"), names)
    assert others
    for text in others:
        fresh = {**names, "worker": Worker("http://localhost:1"), "Context": Context, "time": time}
        exec(compile(text, PAGE.name, "exec"), fresh)


def test_the_first_example_fits_a_screen():
    first, *_ = code_blocks(PAGE, "python")
    assert len(first.splitlines()) <= 25
