"""A client of one queue over REST, which says at once where an answer is not the expected one."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx

SOON_S = 5.0
LOOK_S = 0.02


class Client:
    """Speaks to one queue, whose name no other test has."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self.queue = f"orders-{uuid4().hex[:8]}"
        self.dead = f"{self.queue}.dead"

    def call(self, method: str, path: str, sent: object = None, *, status: int = 200) -> Any:
        """The answer; `…` in the path is the queue."""
        answer = self._http.request(method, f"/v1/{path.replace('…', f'queues/{self.queue}')}", json=sent)
        assert answer.status_code == status, answer.text
        return answer.json()

    def refused(self, method: str, path: str, sent: object, status: int, code: str) -> str:
        answer = self.call(method, path, sent, status=status)
        assert set(answer) == {"error", "code"}
        assert answer["code"] == code
        return answer["error"]

    def enqueue(self, body: object = 1, **fields: object) -> int:
        return self.call("POST", "…/messages", {"body": body, **fields}, status=201)["id"]

    def receive(self, **fields: object) -> list[dict]:
        return self.call("POST", "…:receive", fields)

    def receive_soon(self, queue: str | None = None) -> dict:
        path = f"queues/{queue}:receive" if queue else "…:receive"
        (message,) = self.call("POST", path, {"max": 1, "wait_ms": int(SOON_S * 1_000)})
        return message

    def dead_letters(self, count: int) -> list[int]:
        """Ids of messages of the queue that went to its dead-letter queue."""
        ids = [self.enqueue(n, dlq=self.dead, max_retries=1) for n in range(count)]
        nacks = [{"receipt": m["receipt"], "error": "boom"} for m in self.receive(max=count)]
        assert self.call("POST", "messages:nack", {"nacks": nacks}) == {"results": [{"ok": True}] * count}
        return ids

    def redriven(self, queue: str) -> dict:
        """The queue's latest redrive, once it has ended."""
        deadline = time.monotonic() + SOON_S
        while True:
            latest = self.call("GET", f"queues/{queue}/redrives")["redrives"][0]
            if latest["state"] != "running":
                return latest
            assert time.monotonic() < deadline, latest
            time.sleep(LOOK_S)


def ids(messages: list[dict]) -> list[int]:
    return [message["id"] for message in messages]


def from_now(instant: str) -> timedelta:
    return datetime.fromisoformat(instant) - datetime.now(UTC)
