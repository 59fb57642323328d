"""Every call of the queue API does what its line in the list of calls says, on a real socket, a file and a server."""

import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from threading import Timer
from typing import Any

import httpx
import pytest

from tests.integration.one_queue import SOON_S, Client, from_now, ids
from tests.integration.server_process import ServerProcess, serving

HOURS_12_MS = 12 * 3_600 * 1_000
DAY_MS = 24 * 3_600 * 1_000
SETTINGS: dict[str, Any] = {
    "fifo": False,
    "fair": True,
    "visibility_ms": 5_000,
    "delay_ms": 0,
    "max_retries": 7,
    "dlq": "failed",
    "retention_ms": DAY_MS,
    "dedup_ms": 60_000,
    "receive_wait_ms": 10,
    "body_bytes_max": 2_000,
    "backoff": {"kind": "exponential", "base_ms": 50, "factor": 2.0, "max_ms": 400, "jitter": 0.5},
    "tags": {"team": "billing"},
    "dedup_scope": "group",
    "dedup_by_content": True,
    "in_flight_max": 1_000,
    "redrive_allow": ["orders"],
    "annotations": {"example.com/owner": "7"},
}


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder: Path = tmp_path_factory.mktemp(request.param)
    url = f"sqlite:///{folder}/table.db" if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))
    with serving(url, folder) as server:
        yield server
        assert "request_failed" not in server.log_text()


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Client]:
    with httpx.Client(base_url=server.url, timeout=30) as http:
        yield Client(http)


def test_put_creates_a_queue_or_changes_its_settings(client: Client):
    created = client.call("PUT", "…", SETTINGS, status=201)
    assert from_now(created["created_at"]) > timedelta(seconds=-60)
    made = {"created_at": created["created_at"], "changed_at": created["created_at"], "purged_at": None}
    assert created == {**SETTINGS, **made, "name": client.queue, "paused": False}
    changed = client.call("PUT", "…", {**SETTINGS, "delay_ms": 3, "tags": {}})
    assert changed["changed_at"] > created["changed_at"]
    assert changed == {**created, "delay_ms": 3, "tags": {}, "changed_at": changed["changed_at"]}
    defaults = client.call("PUT", "…", {})
    assert {name for name, value in defaults.items() if value is None} == {
        "purged_at",
        "redrive_allow",
        *(name for name, value in SETTINGS.items() if type(value) in (int, str) and name != "dedup_scope"),
    }


def test_fifo_cannot_change_after_creation(client: Client):
    client.call("PUT", "…", {"fifo": True}, status=201)
    text = client.refused("PUT", "…", {"fifo": False}, 409, "queue_conflict")
    assert text == f"fifo of queue {client.queue} is true and cannot change; delete the queue to create it anew"
    assert client.call("GET", "…")["fifo"] is True


def test_an_enqueue_creates_the_queue_on_first_use(client: Client):
    client.refused("GET", "…", None, 404, "queue_not_found")
    message_id = client.enqueue()
    assert client.call("GET", "…")["name"] == client.queue
    assert ids(client.receive()) == [message_id]


def test_queues_are_listed_a_page_at_a_time(client: Client):
    names = [f"{client.queue}-{n}" for n in range(3)]
    for name in names:
        client.call("PUT", f"queues/{name}", {"delay_ms": 3}, status=201)
    first = client.call("GET", f"queues?prefix={client.queue}&limit=2")
    assert [queue["name"] for queue in first["queues"]] == names[:2]
    rest = client.call("GET", f"queues?prefix={client.queue}&limit=2&after={first['after']}")
    assert [queue["name"] for queue in rest["queues"]] == names[2:]
    assert "after" not in rest
    assert rest["queues"][0] == client.call("GET", f"queues/{names[2]}")


def test_a_queue_is_deleted_with_all_its_messages(client: Client):
    ready, leased = client.enqueue(), client.enqueue()
    client.enqueue(delay=60_000)
    client.receive(max=1)
    assert client.call("DELETE", "…") == {"ok": True}
    client.refused("DELETE", "…", None, 404, "queue_not_found")
    client.refused("GET", "…", None, 404, "queue_not_found")
    for message_id in (ready, leased):
        client.refused("GET", f"messages/{message_id}", None, 404, "message_not_found")
    assert client.receive() == []
    after = client.enqueue()
    assert ids(client.receive()) == [after]


def test_a_batch_of_messages_has_a_result_for_each_in_order(client: Client):
    entries: list[dict] = [{"body": n} for n in range(1_000)]
    entries[1] = {"body": 1, "delay": -1}
    entries[500] = {"nobody": 1}
    results = client.call("POST", "…/messages:batch", {"messages": entries})["results"]
    assert len(results) == 1_000
    assert results[1] == {"error": "delay must be 0 to 1209600000; got -1", "code": "invalid_value"}
    assert results[500]["code"] == "unknown_field"
    kept = [result["id"] for place, result in enumerate(results) if place not in (1, 500)]
    assert kept == sorted(set(kept))
    assert ids(client.receive(max=1_000)) == kept
    client.refused("POST", "…/messages:batch", {"messages": [{"body": 1}] * 1_001}, 400, "invalid_value")


def test_acks_nacks_and_extensions_come_in_batches_and_a_receipt_alone_is_enough(client: Client):
    for n in range(6):
        client.enqueue(n)
    a, b, c, d, e, f = client.receive(max=6)
    acks = [{"id": a["id"], "receipt": a["receipt"]}, {"receipt": b["receipt"]}, {"receipt": "no"}]
    first, second, third = client.call("POST", "messages:ack", {"acks": acks})["results"]
    assert (first, second, third["code"]) == ({"ok": True}, {"ok": True}, "invalid_receipt")
    nacks = [{"receipt": c["receipt"], "delay_ms": 60_000}, {"id": d["id"], "receipt": d["receipt"]}]
    assert client.call("POST", "messages:nack", {"nacks": nacks})["results"] == [{"ok": True}] * 2
    extends = [
        {"receipt": e["receipt"], "visibility_ms": 90_000},
        {"receipt": a["receipt"], "visibility_ms": 1},
        {"receipt": f["receipt"], "visibility_ms": HOURS_12_MS + 1},
    ]
    held, gone, too_long = client.call("POST", "messages:extend", {"extends": extends})["results"]
    assert timedelta(seconds=85) < from_now(held["lease_until"]) < timedelta(seconds=91)
    assert (gone["code"], too_long["code"]) == ("message_not_found", "invalid_value")
    assert ids(client.receive()) == [d["id"]]


def test_a_nack_gives_the_lease_up_and_its_error_is_kept_and_shown(client: Client):
    message_id = client.enqueue()
    (message,) = client.receive()
    path = f"messages/{message_id}:nack"
    error = "é" * 2_048
    client.refused("POST", path, {"receipt": message["receipt"], "error": f"{error}!"}, 400, "invalid_value")
    assert client.call("POST", path, {"receipt": message["receipt"], "error": error}) == {"ok": True}
    (again,) = client.receive()
    assert (again["id"], again["last_error"], again["delivery_count"]) == (message_id, error, 2)
    client.call("POST", path, {"receipt": again["receipt"], "delay_ms": 60_000})
    shown = client.call("GET", f"messages/{message_id}")
    assert (shown["code"], shown["last_error"]) == ("waiting_for_retry", error)
    assert timedelta(seconds=55) < from_now(shown["changes_at"]) < timedelta(seconds=61)


def test_the_backoff_decides_when_a_message_returns_unless_the_nack_says(client: Client):
    client.call("PUT", "…", {"backoff": {"kind": "fixed", "base_ms": 60_000}}, status=201)
    message_id = client.enqueue()
    (message,) = client.receive()
    client.call("POST", f"messages/{message_id}:nack", {"receipt": message["receipt"], "delay_ms": 0})
    (again,) = client.receive()
    client.call("POST", f"messages/{message_id}:nack", {"receipt": again["receipt"]})
    assert client.receive() == []
    shown = client.call("GET", f"messages/{message_id}")
    assert timedelta(seconds=55) < from_now(shown["changes_at"]) < timedelta(seconds=61)


def test_an_extend_counts_from_now_releases_with_0_and_ends_at_12_hours(client: Client):
    message_id = client.enqueue()
    (message,) = client.receive(visibility_ms=1_000)
    path = f"messages/{message_id}:extend"

    def extend(visibility_ms: int, status: int = 200) -> dict:
        return client.call("POST", path, {"receipt": message["receipt"], "visibility_ms": visibility_ms}, status=status)

    assert timedelta(seconds=25) < from_now(extend(30_000)["lease_until"]) < timedelta(seconds=31)
    assert timedelta(seconds=5) < from_now(extend(10_000)["lease_until"]) < timedelta(seconds=11)
    assert extend(HOURS_12_MS + 1, 400)["code"] == "invalid_value"
    time.sleep(0.01)
    text = extend(HOURS_12_MS, 400)["error"]
    assert text.startswith("visibility_ms must be so short that the lease ends within 43200000 ms of its claim; got ")
    extend(0)
    assert ids(client.receive()) == [message_id]


def test_a_receive_waits_for_a_message(client: Client):
    started_at = time.monotonic()
    assert client.receive(wait_ms=0) == []
    assert client.receive(wait_ms=300) == []
    assert 0.3 <= time.monotonic() - started_at < SOON_S
    for wait_ms in (-1, 60_001):
        client.refused("POST", "…:receive", {"wait_ms": wait_ms}, 400, "invalid_value")
    enqueue = Timer(0.2, client.enqueue)
    enqueue.start()
    started_at = time.monotonic()
    assert len(client.receive(wait_ms=60_000)) == 1
    assert time.monotonic() - started_at < SOON_S
    enqueue.join()


def test_a_receive_tried_again_gets_the_same_messages_and_receipts(client: Client):
    for n in range(3):
        client.enqueue(n)
    first = client.receive(max=2, attempt_id="try-1")
    again = client.receive(max=2, attempt_id="try-1")
    # They are leased from then on, and else the same.
    assert [m | {"lease_until": f["lease_until"]} for m, f in zip(again, first, strict=True)] == first
    assert all(m["lease_until"] > f["lease_until"] for m, f in zip(again, first, strict=True))
    (third,) = client.receive(max=2, attempt_id="try-2")
    assert third["id"] not in ids(first)
    for message in first:
        client.call("POST", f"messages/{message['id']}:ack", {"receipt": message["receipt"]})
    assert client.receive(max=2, attempt_id="try-1") == []


@pytest.mark.parametrize("settings", [{}, {"fifo": True}, {"fair": True}], ids=["standard", "fifo", "fair"])
def test_a_duplicate_is_answered_with_the_first_id_on_any_queue(client: Client, settings: dict):
    client.call("PUT", "…", {**settings, "dedup_ms": 2_000}, status=201)
    sent = {"body": 1, "group_id": "g", "dedup_id": "order-17"}
    first = client.call("POST", "…/messages", sent, status=201)
    assert set(first) == {"id"}
    accepted_at = time.monotonic()
    duplicate = {**first, "duplicate": True}
    assert client.call("POST", "…/messages", {**sent, "body": 2}) == duplicate
    (message,) = client.receive()
    assert message["body"] == 1
    client.call("POST", f"messages/{message['id']}:ack", {"receipt": message["receipt"]})
    assert client.call("POST", "…/messages", sent) == duplicate
    assert client.call("POST", "…/messages:batch", {"messages": [sent]}) == {"results": [duplicate]}
    time.sleep(max(0.0, accepted_at + 2.1 - time.monotonic()))
    assert client.call("POST", "…/messages", sent, status=201)["id"] > first["id"]


def test_a_message_may_have_a_group_attributes_and_a_retention(client: Client):
    attributes = {"priority": "high", "größe": "x" * 200}
    message_id = client.enqueue(group_id="customer-7", attributes=attributes, retention_ms=DAY_MS)
    shown = client.call("GET", f"messages/{message_id}")
    kept = datetime.fromisoformat(shown["expires_at"]) - datetime.fromisoformat(shown["enqueued_at"])
    assert kept == timedelta(days=1)
    (message,) = client.receive()
    assert (message["group_id"], message["attributes"], message["fence"]) == ("customer-7", attributes, 1)
    client.refused("POST", "…/messages", {"body": 1, "retention_ms": 0}, 400, "invalid_value")
    client.refused("POST", "…/messages", {"body": 1, "retention_ms": 14 * DAY_MS + 1}, 400, "invalid_value")
    client.call("PUT", "…", {"body_bytes_max": 10})
    client.enqueue(12, attributes={"abc": "defgh"})
    text = client.refused("POST", "…/messages", {"body": 123, "attributes": {"abc": "defgh"}}, 413, "body_too_large")
    assert text == "body must be at most 10 bytes, attributes included; got 11 bytes"


def test_a_message_is_gone_when_its_retention_is_over(client: Client):
    message_id = client.enqueue(retention_ms=1)
    time.sleep(0.02)
    assert client.receive() == []
    answer = client._http.get(f"/v1/messages/{message_id}")
    assert answer.status_code == 404 or answer.json()["code"] == "retention_over"


def test_stats_count_what_is_there_and_what_was(client: Client):
    for n in range(4):
        client.enqueue(n, dlq=client.dead, max_retries=1)
    client.enqueue(delay=60_000)
    acked, nacked, _ = client.receive(max=3)
    client.call("POST", f"messages/{acked['id']}:ack", {"receipt": acked["receipt"]})
    client.call("POST", f"messages/{nacked['id']}:nack", {"receipt": nacked["receipt"]})
    stats = client.call("GET", "…/stats")
    assert 0 <= stats.pop("oldest_ready_age_ms") < SOON_S * 1_000
    assert stats == {
        "ready": 1,
        "delayed": 1,
        "in_flight": 1,
        "approximate": False,
        "enqueued_total": 5,
        "received_total": 3,
        "acked_total": 1,
        "dead_lettered_total": 1,
    }
    assert client.call("GET", f"queues/{client.dead}/stats")["ready"] == 1


def test_a_peek_shows_messages_without_leasing_them_and_never_a_receipt(client: Client):
    leased = client.enqueue("l")
    (message,) = client.receive()
    failed = client.enqueue("f")
    (again,) = client.receive()
    client.call("POST", f"messages/{failed}:nack", {"receipt": again["receipt"], "error": "boom"})
    delayed, ready = client.enqueue("d", delay=60_000), client.enqueue("r")
    first = client.call("GET", "…/messages?limit=3")
    last = client.call("GET", f"…/messages?limit=3&after={first['after']}")
    assert "after" not in last
    shown = [(seen["id"], seen["state"], seen["delivery_count"]) for seen in first["messages"] + last["messages"]]
    assert shown == [(failed, "ready", 1), (ready, "ready", 0), (delayed, "delayed", 0), (leased, "leased", 1)]
    assert first["messages"][0]["last_error"] == "boom"
    assert last["messages"][0]["lease_until"] == message["lease_until"]
    text = json.dumps([first, last])
    assert "receipt" not in text
    assert message["receipt"] not in text
    for state, expected in (("ready", [failed, ready]), ("delayed", [delayed]), ("leased", [leased])):
        assert ids(client.call("GET", f"…/messages?state={state}")["messages"]) == expected
    assert ids(client.receive()) == [failed, ready]


def test_a_message_is_explained(client: Client):
    client.call("PUT", "…", {"fifo": True}, status=201)
    head, behind = client.enqueue(group_id="g"), client.enqueue(group_id="g")
    delayed = client.enqueue(group_id="h", delay=60_000)

    def explained(message_id: int) -> tuple[str, str, str, str | None]:
        shown = client.call("GET", f"messages/{message_id}")
        assert "receipt" not in shown
        assert shown["queue"] == client.queue
        return shown["state"], shown["code"], shown["reason"], shown["changes_at"]

    expires_at = client.call("GET", f"messages/{head}")["expires_at"]
    assert explained(head) == ("ready", "ready", "it can be received now", expires_at)
    state, code, reason, changes_at = explained(delayed)
    assert (state, code) == ("delayed", "delayed")
    assert reason.startswith("it is delayed until ")
    assert timedelta(seconds=55) < from_now(changes_at or "") < timedelta(seconds=61)
    (message,) = client.receive(max=1)
    state, code, reason, changes_at = explained(head)
    assert (state, code, changes_at) == ("leased", "leased", message["lease_until"])
    assert reason.startswith("a receiver holds it until ")
    reason = f"in group 'g' it comes behind message {head}"
    assert explained(behind) == ("ready", "behind_in_group", reason, message["lease_until"])
    assert client.call("GET", f"messages/{behind}")["blocked_by"] == head
    client.call("POST", "…:pause")
    assert explained(behind)[1:] == (
        "queue_paused",
        f"queue {client.queue} is paused until somebody resumes it",
        None,
    )
    client.refused("GET", f"messages/{2**53 - 1}", None, 404, "message_not_found")


def test_a_redrive_moves_dead_letters_to_their_source(client: Client):
    letters = client.dead_letters(3)
    started = client.call("POST", f"queues/{client.dead}:redrive", status=202)
    assert (started["queue"], started["state"], started["moved"]) == (client.dead, "running", 0)
    ended = client.redriven(client.dead)
    assert (ended["id"], ended["state"], ended["moved"]) == (started["id"], "completed", 3)
    messages = client.receive()
    assert ids(messages) == letters
    for message in messages:
        assert (message["delivery_count"], message["fence"], message["dlq"]) == (1, 2, client.dead)
        assert "origin_queue" not in message


def test_a_redrive_may_go_elsewhere_slowly_and_no_further_than_it_is_told(client: Client):
    client.dead_letters(5)
    elsewhere = f"{client.queue}-elsewhere"
    path = f"queues/{client.dead}:redrive"
    client.refused("POST", path, {"to": elsewhere}, 404, "queue_not_found")
    client.call("PUT", f"queues/{elsewhere}", {}, status=201)
    sent = {"to": elsewhere, "max_per_second": 1_000, "limit": 2}
    started = client.call("POST", path, sent, status=202)
    assert {**started, **sent} == started
    assert client.redriven(client.dead)["moved"] == 2
    assert client.call("GET", f"queues/{elsewhere}/stats")["ready"] == 2
    assert client.call("GET", f"queues/{client.dead}/stats")["ready"] == 3


def test_a_redrive_can_be_cancelled(client: Client):
    client.dead_letters(5)
    path = f"queues/{client.dead}"
    started = client.call("POST", f"{path}:redrive", {"max_per_second": 1}, status=202)
    client.refused("POST", f"{path}:redrive", {}, 409, "redrive_conflict")
    ended = client.call("POST", f"{path}/redrives/{started['id']}:cancel")
    assert (ended["id"], ended["state"]) == (started["id"], "cancelled")
    assert client.call("GET", f"{path}/redrives")["redrives"][0] == ended
    left = client.call("GET", f"{path}/stats")["ready"]
    assert left + ended["moved"] == 5
    client.refused("POST", f"{path}/redrives/{started['id'] + 1}:cancel", {}, 404, "redrive_not_found")


def test_a_purge_is_one_cut_and_what_comes_after_it_stays(client: Client):
    for _ in range(3):
        client.enqueue()
    client.enqueue(delay=60_000)
    client.receive(max=1)
    assert client.call("POST", "…:purge") == {"ok": True}
    after = client.enqueue()
    assert ids(client.call("GET", "…/messages")["messages"]) == [after]
    stats = client.call("GET", "…/stats")
    assert (stats["ready"], stats["delayed"], stats["in_flight"], stats["enqueued_total"]) == (1, 0, 0, 5)
    assert ids(client.receive()) == [after]


@pytest.mark.parametrize("cut", [("POST", "…:purge"), ("DELETE", "…")], ids=["purge", "delete"])
def test_what_was_purged_does_not_come_back_as_a_dead_letter(client: Client, cut: tuple[str, str]):
    message_id = client.enqueue(dlq=client.dead, max_retries=1)
    (message,) = client.receive()
    client.call(*cut)
    client.refused("POST", f"messages/{message_id}:nack", {"receipt": message["receipt"]}, 404, "message_not_found")
    client.refused("GET", f"messages/{message_id}", None, 404, "message_not_found")
    client.refused("GET", f"queues/{client.dead}", None, 404, "queue_not_found")


def test_a_paused_queue_takes_messages_and_gives_none_until_it_is_resumed(client: Client):
    client.enqueue()
    (held,) = client.receive()
    assert client.call("POST", "…:pause")["paused"] is True
    message_id = client.enqueue()
    assert client.receive(wait_ms=200) == []
    assert client.call("GET", "…")["paused"] is True
    client.call("POST", f"messages/{held['id']}:ack", {"receipt": held["receipt"]})
    resume = Timer(0.2, lambda: client.call("POST", "…:resume"))
    resume.start()
    started_at = time.monotonic()
    assert client.receive_soon()["id"] == message_id
    assert time.monotonic() - started_at < SOON_S
    resume.join()
    assert client.call("GET", "…")["paused"] is False
