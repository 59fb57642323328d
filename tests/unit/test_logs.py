"""What gets into the logs, and what never does."""

import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from structlog.contextvars import bound_contextvars

from sqslite.domain.errors import InvalidValue
from sqslite.entrypoints.logs import configure_logging, mask_passwords


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level
    logging.captureWarnings(False)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_every_line_is_one_json_object_whatever_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")
    structlog.get_logger("sqslite.test").info(
        "said", text='two\nlines, a "quote" and ü', nan=float("nan"), raw=b"\x00", items={1: (1, None)}, lone="\udc80"
    )
    (line,) = lines(capsys)
    assert line["event"] == "said"
    assert line["level"] == "info"
    assert line["logger"] == "sqslite.test"
    assert line["text"] == 'two\nlines, a "quote" and ü'
    assert line["items"] == {"1": [1, None]}
    assert line["nan"] == "nan"


def test_the_time_is_utc_in_iso_form(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")
    structlog.get_logger().info("said")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", lines(capsys)[0]["timestamp"])


def test_the_standard_library_goes_through_the_same_chain(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")
    with bound_contextvars(request_id="r-1", trace_id="t-1"):
        logging.getLogger("psycopg.pool").warning("lost %s", "a connection")
        structlog.get_logger().warning("own")
    foreign, own = lines(capsys)
    assert (foreign["event"], foreign["level"], foreign["logger"]) == ("lost a connection", "warning", "psycopg.pool")
    assert foreign.keys() == own.keys()
    assert (foreign["request_id"], own["request_id"], own["trace_id"]) == ("r-1", "r-1", "t-1")


@pytest.mark.parametrize(
    ("level", "heard"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("INFO", ["info", "warning", "error"]),
        ("Warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_only_the_level_and_above_is_heard(level: str, heard: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(level)
    for name in ("debug", "info", "warning", "error"):
        getattr(structlog.get_logger(), name)("own")
        getattr(logging.getLogger("other"), name)("foreign")
    assert [line["level"] for line in lines(capsys)] == [name for name in heard for _ in range(2)]


def test_a_library_that_sets_its_own_level_is_held_to_ours(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("error")
    library = logging.getLogger("sqslite.test.library")
    library.setLevel(logging.WARNING)
    library.warning("heard")
    library.error("too")
    assert [line["event"] for line in lines(capsys)] == ["too"]


def test_an_unknown_level_is_refused_by_name() -> None:
    with pytest.raises(InvalidValue, match="LOG_LEVEL must be one of debug, info, warning, error; got"):
        configure_logging("loud")


def test_an_exception_is_structured_and_shows_no_local_variables(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")

    def fail() -> None:
        body = "in-a-message-body"
        raise ValueError(len(body))

    for log in (structlog.get_logger(), logging.getLogger("other")):
        try:
            fail()
        except ValueError:
            log.exception("failed")
    own, foreign = lines(capsys)
    for line in (own, foreign):
        assert line["exception"][0]["exc_type"] == "ValueError"
        assert [frame["name"] for frame in line["exception"][0]["frames"]][-1] == "fail"
        assert "exc_info" not in line
        assert "in-a-message-body" not in json.dumps(line)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("to postgresql://me:s3cret@db:5432/x now", "to postgresql://me:***@db:5432/x now"),
        ("postgres://me:s3/c@r#et@db/x", "postgres://me:***@db/x"),
        ("postgresql+psycopg://me:s3c%20ret@db/x", "postgresql+psycopg://me:***@db/x"),
        ("amqp://me:s3cret@mq/a@b", "amqp://me:***@mq/a@b"),
        (
            "postgresql://db/x?user=me&password=s3cret&connect_timeout=1",
            "postgresql://db/x?user=me&password=***&connect_timeout=1",
        ),
        ("host=db password='s3 cret' user=me", "host=db password=*** user=me"),
        ("postgresql://me@db/x", "postgresql://me@db/x"),
        ("http://localhost:8080/v1/queues/a@b", "http://localhost:8080/v1/queues/a@b"),
        ("sqlite:///var/lib/sqslite.db", "sqlite:///var/lib/sqslite.db"),
    ],
)
def test_a_password_is_masked_and_the_rest_stays(text: str, masked: str) -> None:
    assert mask_passwords(text) == masked


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_a_password_gets_out_by_no_way(stream: type[io.StringIO], monkeypatch: pytest.MonkeyPatch) -> None:
    out = stream()
    monkeypatch.setattr(sys, "stderr", out)
    configure_logging("debug")
    url = 'postgresql://me:s3"cret@db/x'
    log = structlog.get_logger()
    log.info(f"at {url}", url=url, nested={"urls": [url]}, thing=OSError(url))
    logging.getLogger("psycopg").info("at %s", url)
    try:
        raise OSError(url) from ValueError(url)
    except OSError:
        log.exception("failed")
        logging.getLogger("psycopg").exception("failed")
    assert "cret" not in out.getvalue()
    assert "postgresql://me:***@db/x" in out.getvalue()


def test_a_terminal_gets_a_readable_form(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Terminal()
    monkeypatch.setattr(sys, "stderr", out)
    monkeypatch.setenv("NO_COLOR", "1")
    configure_logging("info")
    structlog.get_logger().info("serving", port=8080)
    assert re.search(r"\[info +\] serving +.*port=8080", out.getvalue())
    assert "\x1b" not in out.getvalue()
