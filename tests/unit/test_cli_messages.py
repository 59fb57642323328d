"""The commands for messages and queues, on a store in a file, and how each ends."""

import contextlib
import json
import sqlite3
import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sqslite.domain.errors import OutcomeUnknown, StoreUnavailable
from sqslite.domain.messages import NewMessage
from sqslite.entrypoints import logs
from sqslite.entrypoints.cli import GROUPS, main, messages
from sqslite.entrypoints.cli import lines as lines_of_messages
from sqslite.entrypoints.client import Client


@pytest.fixture(autouse=True)
def own_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # The log of the whole test run is not the commands' to configure.
    monkeypatch.setattr("sqslite.entrypoints.cli.asking.configure_logging", lambda level: None)
    monkeypatch.setattr(logs, "configure_logging", lambda level: None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SQSLITE_URL", "sqlite:///try.db")


def run(*arguments: str, given: str | bytes | None = None, code: int = 0) -> Result:
    result = CliRunner().invoke(main, arguments, input=given)
    assert result.exit_code == code, result.output
    return result


def lines(*arguments: str, given: str | bytes | None = None, code: int = 0) -> list[dict]:
    return [json.loads(line) for line in run(*arguments, given=given, code=code).stdout.splitlines()]


def test_every_command_stands_under_a_heading_once():
    listed = [name for names in GROUPS.values() for name in names]
    assert sorted(listed) == sorted(main.commands)


@pytest.mark.parametrize(
    ("body", "kind", "shown"),
    [('{"n":1}', None, {"n": 1}), ("hello", "text", "hello"), ("12", None, 12), ("", "text", None)],
)
def test_a_body_is_json_where_it_is_that_and_text_else(body, kind, shown):
    if not body:
        assert "body must be" in run("send", "orders", body, code=1).stderr
        return
    run("send", "orders", body)
    (seen,) = lines("peek", "orders")
    assert (seen["body"], seen.get("body_kind")) == (shown, kind)


def test_a_kind_that_is_said_goes_before():
    run("send", "orders", "12", "--kind", "text")
    assert lines("peek", "orders")[0]["body"] == "12"


def test_the_body_may_stand_on_standard_input_whatever_its_bytes():
    run("send", "orders", given=b"\xff\x00")
    (seen,) = lines("peek", "orders")
    assert (seen["body"], seen["body_kind"]) == ("/wA=", "binary")


def test_all_that_a_message_may_have_is_an_option():
    run("send", "orders", "1", "--delay-ms", "60000", "--dlq", "failed", "--group-id", "g", "--dedup-id", "d",
        "--trace-id", "t", "--max-retries", "3", "--retention-ms", "90000", "--attribute", "a=b=c")  # fmt: skip
    (seen,) = lines("peek", "orders", "--state", "delayed")
    assert {
        "dlq": "failed",
        "group_id": "g",
        "trace_id": "t",
        "max_retries": 3,
        "attributes": {"a": "b=c"},
    }.items() <= seen.items()
    assert lines("send", "orders", "1", "--dedup-id", "d") == [{"id": seen["id"], "duplicate": True}]


def test_a_message_is_received_held_given_up_and_acked():
    run("send", "orders", "1")
    (first,) = lines("receive", "orders")
    run("extend", first["receipt"], "--visibility-ms", "60000")
    run("nack", first["receipt"], "--error", "card declined", "--delay-ms", "0")
    (second,) = lines("receive", "orders")
    assert "stale" in run("ack", first["receipt"], code=1).stderr
    assert (second["delivery_count"], second["last_error"]) == (2, "card declined")
    run("ack", second["receipt"])
    assert lines("receive", "orders", code=3) == []


def test_what_is_received_can_be_acked_at_once_or_dead_lettered():
    run("send", "orders", "1")
    run("send", "orders", "2", "--dlq", "failed")
    assert [row["body"] for row in lines("receive", "orders", "--ack")] == [1]
    (second,) = lines("receive", "orders")
    run("nack", second["receipt"], "--dead-letter")
    assert [row["body"] for row in lines("peek", "failed")] == [2]
    (task,) = lines("redrive", "failed")
    assert lines("redrive", "failed", "--list")[0]["id"] == task["id"]


def test_why_a_message_is_not_received_is_said():
    run("send", "orders", "1", "--delay-ms", "60000")
    (explained,) = lines("explain", "1")
    assert (explained["queue"], explained["code"]) == ("orders", "delayed")
    assert "message 99 does not exist" in run("explain", "99", code=1).stderr


def test_a_file_is_sent_and_each_bad_line_is_named_alone(tmp_path):
    bad = '{"body":1}\nnonsense\n\n{"body":null}\n{"body":2,"delivery_count":7}\n{"body":3,"body_kind":"text"}\n'
    (tmp_path / "some.jsonl").write_text(bad)
    result = run("send", "orders", "--file", "some.jsonl", code=1)
    assert [line.split(": ")[:2] for line in result.stderr.splitlines()] == [
        ["sqslite", f"line {number}"] for number in (2, 4, 6)
    ]
    assert json.loads(result.stdout) == {"sent": 2, "duplicates": 0, "refused": 3}
    assert [row["body"] for row in lines("peek", "orders")] == [1, 2]


def test_a_line_that_is_too_long_is_one_line(monkeypatch):
    monkeypatch.setattr(lines_of_messages, "LINE_BYTES_MAX", 100)
    given = b'{"body":1}\n' + b'{"body":"' + b"x" * 1000 + b'"}\n{"body":2}\nnonsense'
    result = run("import", "orders", given=given, code=1)
    assert [line[:15] for line in result.stderr.splitlines()] == ["sqslite: line 2", "sqslite: line 4"]
    assert "at most 100 bytes" in result.stderr
    assert [row["body"] for row in lines("peek", "orders")] == [1, 2]


def test_duplicates_are_counted_rather_than_passed_over_in_silence():
    run("send", "orders", "1", "--dedup-id", "d")
    (done,) = lines("import", "orders", given=run("export", "orders").stdout)
    assert done == {"sent": 0, "duplicates": 1, "refused": 0}


@pytest.mark.parametrize(
    ("end", "code", "fate"),
    [
        (StoreUnavailable("it is gone"), 4, "were not sent"),
        (OutcomeUnknown("no answer"), 4, "may have been sent or not"),
        (KeyboardInterrupt(), 130, "may have been sent or not"),
    ],
)
def test_a_file_that_is_sent_in_part_says_which_lines_are_done(end, code, fate, monkeypatch):
    whole = Client.enqueue

    def enqueue(self: Client, queue: str, messages: list[NewMessage]) -> object:
        if messages[0].body == b"3":
            raise end
        return whole(self, queue, messages)

    monkeypatch.setattr(lines_of_messages, "SENT_AT_ONCE_MAX", 2)
    monkeypatch.setattr(Client, "enqueue", enqueue)
    result = run("import", "orders", given="".join(f'{{"body":{n}}}\n' for n in range(1, 8)), code=code)
    assert result.stderr.splitlines()[0] == f"sqslite: the lines before 3 are done, lines 3 to 4 {fate}"
    assert [row["body"] for row in lines("peek", "orders")] == [1, 2]


def test_what_a_line_says_for_itself_is_no_option_of_a_file(tmp_path):
    (tmp_path / "some.jsonl").write_text('{"body":1}')
    for option in (["--delay-ms", "5"], ["--kind", "text"], ["--attribute", "a=b"], ["--max-retries", "0"]):
        assert "each line says for itself" in run("send", "orders", "--file", "some.jsonl", *option, code=2).stderr


def test_an_attribute_has_one_value():
    assert "'a' is given twice" in run("send", "orders", "1", "--attribute", "a=1", "--attribute", "a=2", code=2).stderr


def test_what_is_exported_can_be_imported():
    for number in range(3):
        run("send", "orders", json.dumps({"n": number}), "--attribute", "a=b", "--group-id", "g")
    exported = run("export", "orders").stdout
    run("import", "copy", given=exported)
    assert [(row["body"], row["attributes"], row["group_id"]) for row in lines("peek", "copy")] == [
        ({"n": number}, {"a": "b"}, "g") for number in range(3)
    ]


def test_queues_are_created_changed_listed_and_deleted():
    backoff = 'backoff={"kind":"fixed"}'
    (made,) = lines("queues", "create", "orders", "visibility_ms=60000", "dlq=failed", backoff)
    assert (made["visibility_ms"], made["dlq"], made["backoff"]["kind"]) == (60_000, "failed", "fixed")
    assert "must be new" in run("queues", "create", "orders", code=1).stderr
    (changed,) = lines("queues", "set", "orders", "visibility_ms=null", "max_retries=3")
    assert "visibility_ms" not in changed
    assert (changed["dlq"], changed["max_retries"]) == ("failed", 3)
    run("pause", "orders")
    assert lines("queues", "list", "--prefix", "ord")[0]["paused"] is True
    run("resume", "orders")
    run("queues", "delete", "orders", "--yes")
    assert lines("queues", "list") == []


@pytest.mark.parametrize(
    ("change", "named"),
    [("nope=1", "a field of fifo,"), ("visibility_ms", "FIELD=VALUE"), ("visibility_ms=soon", "of the field's type"),
     ("visibility_ms=-1", "visibility_ms must be 1 to"), ("fifo=true", "cannot change")],
)  # fmt: skip
def test_a_setting_that_is_none_is_said(change, named):
    run("queues", "create", "orders")
    assert named in run("queues", "set", "orders", change, code=1).stderr


def test_queues_are_counted_all_or_by_name_and_purged():
    run("send", "orders", "1")
    run("send", "others", "1")
    assert [(row["queue"], row["ready"]) for row in lines("stats")] == [("orders", 1), ("others", 1)]
    run("purge", "orders", "--yes")
    assert [(row["queue"], row["ready"]) for row in lines("stats", "orders")] == [("orders", 0)]
    assert "queue nope does not exist" in run("stats", "nope", code=1).stderr


def test_what_destroys_asks_first():
    run("send", "orders", "1")
    run("purge", "orders", given="n\n", code=1)
    assert len(lines("peek", "orders")) == 1


def test_nobody_there_has_an_exit_code_of_its_own():
    assert "cannot connect" in run("stats", "--url", "http://127.0.0.1:1", code=4).stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["send", "orders", "1", "--attribute", "=b"],
        ["peek", "orders", "--state", "gone"],
        ["redrive", "failed", "--list", "--cancel", "1"],
        ["redrive", "failed", "--cancel", "1", "--to", "orders"],
    ],
)
def test_a_wrong_command_line_ends_with_two(arguments):
    run(*arguments, code=2)


def test_the_doctor_finds_a_sound_file_sound_and_says_what_is_missing(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "sqlite:///try.db")
    (_, no_file) = lines("doctor", code=1)
    assert no_file["found"] == "there is no file try.db"
    assert not Path("try.db").exists()
    Path("try.db").touch()
    missing = {row["subject"]: row for row in lines("doctor", code=1)}
    assert missing["schema"]["advice"] == "run `sqslite migrate`"
    run("migrate")
    found = {row["subject"]: row["health"] for row in lines("doctor")}
    subjects = ["settings", "schema", "indexes", "clock", "file", "durability", "log", "space", "disk"]
    assert found == dict.fromkeys(subjects, "fine")


@pytest.mark.parametrize(
    ("change", "subject", "health", "found", "advice"),
    [
        (
            "INSERT INTO schema_migrations VALUES (9999, '9999_next', 0)",
            "schema",
            "fault",
            "at version 9999",
            "upgrade",
        ),
        ("DROP INDEX messages_ready", "indexes", "fault", "missing: messages_ready", "create them anew"),
        ("UPDATE messages SET enqueued_at = enqueued_at + 3600000000", "clock", "warning", "set back", "time service"),
    ],
)
def test_the_doctor_finds_what_was_done_to_a_file(change, subject, health, found, advice, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "sqlite:///try.db")
    run("send", "orders", "1")
    with contextlib.closing(sqlite3.connect("try.db")) as file, file:
        file.execute(change)
    findings = {row["subject"]: row for row in lines("doctor", code=1 if health == "fault" else 0)}
    assert findings[subject]["health"] == health
    assert found in findings[subject]["found"]
    assert advice in findings[subject]["advice"]
    assert findings["file"]["health"] == "fine"


def test_the_doctor_names_what_there_is_to_check_of_each_storage(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "sqlite:////nowhere/here.db")
    assert "the file's folder" in lines("doctor", code=1)[-1]["advice"]
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/x")
    finding = lines("doctor", code=1)[-1]
    assert "Connection refused" in finding["found"]
    assert "start the database" in finding["advice"]


def test_the_doctor_names_a_setting_that_is_wrong(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "mysql://somewhere")
    (finding,) = lines("doctor", code=1)
    assert (finding["subject"], finding["health"]) == ("settings", "fault")
    assert finding["found"].startswith("DATABASE_URL must be")


def test_an_import_keeps_delays_that_are_not_over():
    run("send", "orders", "1", "--delay-ms", "3600000")
    run("send", "orders", "2")
    run("import", "copy", given=run("export", "orders").stdout)
    now, later = lines("peek", "copy")
    assert (now["body"], now["state"], later["body"], later["state"]) == (2, "ready", 1, "delayed")
    (original,) = lines("peek", "orders", "--state", "delayed")
    shift = datetime.fromisoformat(later["not_before"]) - datetime.fromisoformat(original["not_before"])
    assert abs(shift) < timedelta(minutes=1)


def test_an_import_refuses_an_instant_that_is_none():
    refused = run("import", "orders", given='{"body": 1, "not_before": "2026-01-01T00:00:00"}', code=1)
    assert "not_before must be an instant with its offset from UTC" in refused.stderr


@pytest.mark.parametrize("command", [("stats", "--watch"), ("tail", "orders")])
def test_ctrl_c_ends_what_follows_a_queue_without_a_word(command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch):
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    run("send", "orders", "1")
    monkeypatch.setattr("time.sleep", interrupted)
    ended = run(*command, code=130)
    assert len(ended.stdout.splitlines()) == 1
    assert not ended.stderr


def test_a_command_that_cannot_open_its_store_leaves_no_thread_behind():
    before = threading.active_count()
    run("stats", "--url", "sqlite:////nowhere/here.db", code=4)
    assert threading.active_count() == before


def test_what_is_named_json_is_exported_as_well():
    run("send", "orders", "1", "--group-id", "json", "--trace-id", "json", "--dlq", "json")
    (seen,) = lines("export", "orders")
    assert {"group_id": "json", "trace_id": "json", "dlq": "json"}.items() <= seen.items()
    assert "body_kind" not in seen


def test_a_tail_shows_each_message_once_however_many_there_are(monkeypatch: pytest.MonkeyPatch):
    looks = iter(range(4))

    def look_again(_: float) -> None:
        with Client("sqlite:///try.db") as other:
            match next(looks):
                case 0:
                    other.send("orders", 6)
                case 1:
                    other.ack([delivery.receipt for delivery in other.claim("orders", 2)])
                case 3:
                    raise KeyboardInterrupt

    run("import", "orders", given="".join(f'{{"body":{number}}}\n' for number in range(1, 6)))
    monkeypatch.setattr(messages, "SEEN_MAX", 2)
    monkeypatch.setattr(messages, "READ_AT_ONCE_MAX", 2)
    monkeypatch.setattr("time.sleep", look_again)
    assert [row["body"] for row in lines("tail", "orders", code=130)] == [1, 2, 3, 4, 5, 6]
