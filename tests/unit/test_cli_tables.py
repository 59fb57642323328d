"""What the commands show a person: nothing that a client wrote controls the terminal, and narrow ones can read it."""

from datetime import UTC, datetime

import pytest
from msgspec import Raw
from rich.console import Console

from sqslite.entrypoints.cli.tables import drawn

RECEIPT = "AQAAAAAAAAABAAAAAAAAAAEAAAABm9Rb9e9tIApv3QMP6uY2Og"
STATS = {"queue": "orders", "ready": 1234567, "delayed": 0, "in_flight": 12, "oldest_ready_age_ms": 460460, "acked": 3}
DELIVERY = {
    "id": 14180,
    "body": Raw(b'{"task":"process-order","amount":1.50}'),
    "delivery_count": 2,
    "lease_until": datetime(2026, 11, 26, 11, 55, 41, tzinfo=UTC),
    "receipt": RECEIPT,
}


def shown(rows: list[dict], width: int, columns: tuple[str, ...] = ()) -> list[str]:
    console = Console(width=width, highlight=False)
    with console.capture() as printed:
        console.print(drawn(rows, columns, width))
    return printed.get().splitlines()


@pytest.mark.parametrize("text", ["[/x]", "[red]hey[/red]", "[link=https://example.com]x[/link]", ":smile:"])
def test_what_looks_like_markup_is_shown_as_it_is(text: str):
    assert text in shown([{"id": 1, "last_error": text}], 80)[1]


@pytest.mark.parametrize(
    ("text", "safe"),
    [("a\x1b[31mred", r"a\x1b[31mred"), ("one\ntwo\r", r"one\ntwo\r"), ("\u202eback", r"\u202eback"), ("日本", "日本")],
)
def test_nothing_that_a_client_wrote_controls_the_terminal(text: str, safe: str):
    assert safe in shown([{"id": 1, "last_error": text}], 80)[1]


@pytest.mark.parametrize("width", [200, 120, 100, 80, 66])
def test_a_receipt_can_be_copied_from_one_line(width: int):
    assert sum(RECEIPT in line for line in shown([DELIVERY], width)) == 1


@pytest.mark.parametrize("width", [200, 80, 60, 50, 30])
def test_numbers_are_never_folded_and_lines_never_longer_than_the_terminal(width: int):
    lines = shown([STATS], width)
    assert any("1234567" in line for line in lines)
    assert any("460460" in line for line in lines)
    assert all(len(line) <= width for line in lines)


def test_headings_fold_before_anything_else_does():
    assert shown([STATS], 50)[-1].split() == ["orders", "1234567", "0", "12", "460460", "3"]


def test_where_no_table_fits_each_row_is_a_paragraph_of_what_it_has():
    lines = shown([DELIVERY, {"id": 7, "body": Raw(b"1")}], 40)
    assert lines[0].split() == ["id", "14180"]
    assert [line.split() for line in lines[-3:]] == [[], ["id", "7"], ["body", "1"]]


def test_a_body_is_cut_and_advice_is_not():
    advice = "end it, or SELECT pg_terminate_backend(1): no dead row is removed before, and queues slow down for all"
    body = Raw(b'"' + b"x" * 1000 + b'"')
    lines = shown([{"advice": advice, "body": body}], 200)
    assert advice in lines[1]
    assert lines[1].count("x") < 100


def test_without_rows_there_are_the_headings():
    assert shown([], 80, ("queue", "ready")) == ["queue  ready"]
