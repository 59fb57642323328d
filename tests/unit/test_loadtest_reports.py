"""What a load test shows: live, as a summary, as a page, as JSON; and how the command ends."""

import io
import json
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace
from rich.console import Console

from sqslite.entrypoints import logs
from sqslite.entrypoints.cli import main
from sqslite.entrypoints.loadtest import target
from sqslite.entrypoints.loadtest.charts import Line, chart
from sqslite.entrypoints.loadtest.page import page
from sqslite.entrypoints.loadtest.progress import Progress
from sqslite.entrypoints.loadtest.report import print_report
from sqslite.entrypoints.loadtest.run import Moment
from tests.unit.loadtests import carried_out, node_with, plan
from tests.unit.test_loadtest import Forgetful


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # The log of the whole test run is not the commands' to configure.
    monkeypatch.setattr(logs, "configure_logging", lambda level: None)
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["loadtest", "--url", "memory://", *arguments])


def printed(result) -> str:
    console = Console(file=io.StringIO(), width=100, highlight=False)
    print_report(result, console)
    return console.file.getvalue()


async def test_the_summary_says_what_was_done_and_that_all_is_well():
    said = printed(await carried_out(node_with(), plan(rate=20, crash_rate=0.2, visibility_ms=1_000, batch=2)))
    for part in (
        "http://there: 20 messages/s, 2.9 s, 8 producers, 8 consumers, batches of 2, bodies of 200 bytes",
        "20.0% of deliveries crash",
        "messages/s enqueued",
        "p99.9",
        "sent       60: 60 accepted",
        "delivered  83, again 23 after crashes",
        "The queue load is still there.",
        "✓ Nothing lost, nothing doubled: all 60 accepted messages are accounted for.",
    ):
        assert part in said, said


async def test_the_summary_names_what_is_broken():
    said = printed(await carried_out(node_with(), plan(), Forgetful))
    assert "✗ Broken: 6 lost." in said
    assert "message 9 was accepted, and never came" in said


async def test_the_summary_says_what_its_figures_may_suffer_from():
    result = await carried_out(node_with(seed=3, lost_response=0.2), plan(visibility_ms=1_000))
    said = printed(replace(result, cpu_share=0.97, missed=1_234, foreign=2, stopped_early=True))
    for part in (
        "97% of a core",
        "1,234 messages of the rate were not sent",
        "2 deliveries were of messages",
        "stopped early",
        "outcome_unknown",
        f"{result.unknown} unknown ({result.unknown_delivered} of them came)",
    ):
        assert part in said, said


class Seen(HTMLParser):
    """The tags of a page, and every address it would load something from."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


async def test_the_page_is_whole_and_loads_nothing():
    result = await carried_out(node_with(), plan(rate=20, seconds=3))
    text = page(replace(result, url="http://a&b/<c>"))
    seen = Seen()
    seen.feed(text)
    assert (seen.open, seen.addresses) == ([], [])
    assert seen.tags.count("svg") == 2
    assert seen.tags.count("path") >= 6
    assert "http://a&amp;b/&lt;c&gt;: 20 messages/s" in text
    assert "url(" not in text
    assert "@import" not in text


async def test_the_page_of_a_test_without_a_single_answer_is_whole_too():
    result = await carried_out(node_with(refused=1), plan(messages=2, drain_s=0))
    seen = Seen()
    seen.feed(page(result))
    assert seen.open == []


def test_a_line_of_a_chart_has_a_gap_where_it_has_no_value():
    drawn = chart([0, 1, 2, 3], [Line("p99", "a", [1.0, None, 2.0, 3.0])], "ms")
    (first, second) = [part.split('"')[0] for part in drawn.split('<path class="line a" d="')[1:]]
    assert ("L" in first, second.count("L")) == (False, 1)


def test_into_a_pipe_a_moment_is_a_line():
    console = Console(file=io.StringIO(), width=200)
    with Progress(plan(), console) as progress:
        for at_s, accepted in ((1.0, 1_000), (2.0, 3_000)):
            moment = Moment(
                at_s=at_s, draining=at_s > 1, accepted=accepted, acked=900, unsettled=accepted - 900, errors=3,
                enqueue_p99_ms=12.345, dwell_p99_ms=None,
            )  # fmt: skip
            progress.show(moment)
    assert console.file.getvalue().splitlines() == [
        "   1 s  1,000 enqueued/s  900 acked/s  100 not acked  enqueue p99 12.3 ms  3 errors",
        "   2 s  draining  2,000 enqueued/s  0 acked/s  2,100 not acked  enqueue p99 12.3 ms  3 errors",
    ]


def test_the_command_prints_json_into_a_pipe_and_writes_the_page():
    result = run("--messages", "50", "--body-bytes", "64-300", "--html", "page.html")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert (answer["verdict"], answer["accepted"], answer["acked"]) == ("kept", 50, 50)
    assert (answer["plan"]["body_bytes_min"], answer["plan"]["body_bytes_max"]) == (64, 300)
    assert answer["plan"]["queue"].startswith("loadtest-")
    assert set(answer["enqueue_ms"]) == {"count", "p50", "p90", "p99", "p99_9", "max"}
    assert "<svg" in Path("page.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--body-bytes", "12-x"], "body_bytes must be a number of bytes such as 200, or a range such as 200-4000"),
        (["--rate", "-1"], "rate must be 0.001 to 1000000; got -1.0"),
        (["--html", "no/such/folder"], "html must be a file that can be written"),
        (["--queue", "no name"], "queue must be 1 to 80 of the characters"),
        (["--url", "grpc://nowhere"], "url must be grpc://host:port"),
        (["--url", "ftp://a"], "url must be http://host:port"),
    ],
)
def test_what_the_command_cannot_do_it_says_in_a_sentence(arguments, reason):
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert reason in result.stderr


def test_where_nobody_answers_the_command_ends_with_4():
    result = run("--url", "http://127.0.0.1:1")
    assert result.exit_code == 4
    assert "cannot connect to http://127.0.0.1:1" in result.stderr


def test_without_the_extra_grpc_is_refused_in_a_sentence(monkeypatch):
    monkeypatch.setattr(target, "find_spec", lambda name: None if name == "grpc" else find_spec(name))
    result = run("--url", "grpc://127.0.0.1:1")
    assert result.exit_code == 1
    assert "pip install 'sqslite[grpc]'" in result.stderr


def test_a_test_that_could_check_nothing_ends_with_4():
    result = run("--messages", "5", "--drain-s", "0", "--crash-rate", "1")
    assert result.exit_code == 4
    assert json.loads(result.stdout)["verdict"] == "incomplete"


def test_other_commands_do_not_wait_for_it_to_load():
    program = "import sys, sqslite.entrypoints.cli\nprint(*[n for n in sys.modules if 'entrypoints.loadtest' in n])"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert loaded.stdout == "\n"
