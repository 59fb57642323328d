"""The demo: what a queue does, shown live against a running server, each promise checked as it is made."""

import secrets
import time
from typing import Any, TypeVar

import httpx
import msgspec
from msgspec import Struct
from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from sqslite.entrypoints.cli.asking import EXIT_REFUSED, EXIT_UNREACHABLE

ANSWER_S_MAX = 5.0
# As long as the reference's demo waits for a sweep.
ARRIVAL_S_MAX = 8.0
LOOK_EVERY_S = 0.1
# Long enough to find the message hidden, short enough to wait for.
LEASE_MS = 2_000
SHORT_LEASE_MS = 1_000
LONG_LEASE_MS = 30_000
REFERENCE_METRICS = (
    "sqs_messages_enqueued_total",
    "sqs_messages_received_total",
    "sqs_messages_acked_total",
    "sqs_messages_requeued_total",
    "sqs_messages_dlq_total",
    "sqs_sweeper_duration_seconds",
    "sqs_sweeper_errors_total",
)

T = TypeVar("T")


class DemoFailed(Exception):
    """Something is not as promised; the text says what."""


class Enqueued(Struct):
    """The answer to an enqueue, as far as the demo looks at it."""

    id: int


class Received(Struct):
    """A received message, as far as the demo looks at it."""

    id: int
    body: Any
    receipt: str
    delivery_count: int


def run_demo(base_url: str) -> int:
    """Show the server at that address at work; the exit code: whether nobody answers, or it breaks a promise."""
    console = Console(highlight=False)
    try:
        # Without trust_env, because a proxy from the environment does not know the way to this machine's own server.
        with httpx.Client(base_url=base_url, timeout=ANSWER_S_MAX, trust_env=False) as client:
            _Demo(_Conversation(client, console), base_url).run()
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        return _failed(console, f"{base_url!r} is no address of a server; one looks like http://localhost:8080.")
    except httpx.ConnectError as error:
        return _failed(
            console, f"Nobody listens at {base_url} ({error}). Start a server there: sqslite serve", EXIT_UNREACHABLE
        )
    except httpx.TimeoutException:
        return _failed(console, f"{base_url} did not answer within {ANSWER_S_MAX:g} s.", EXIT_UNREACHABLE)
    except httpx.HTTPError as error:
        return _failed(
            console, f"The connection to {base_url} broke: {error or type(error).__name__}.", EXIT_UNREACHABLE
        )
    except DemoFailed as failure:
        return _failed(console, str(failure))
    return 0


def _failed(console: Console, sentence: str, code: int = EXIT_REFUSED) -> int:
    console.print(Text(f"\n✗ {sentence}", style="bold red"), soft_wrap=True)
    return code


class _Conversation:
    """Talks to the server and says aloud what is sent, what comes back, and what that shows."""

    def __init__(self, client: httpx.Client, console: Console) -> None:
        self._client = client
        self._console = console

    def part(self, title: str) -> None:
        """Begin a part of the demo."""
        self._console.print()
        self._console.print(Rule(Text(title, style="bold cyan"), align="left", style="cyan"))

    def say(self, mark: str, text: str, style: str) -> None:
        """Print one line."""
        self._console.print(Text(f"  {mark} {text}", style=style), soft_wrap=True)

    def check(self, holds: bool, promise: str, otherwise: str) -> None:
        """Say that the promise holds. Raises DemoFailed where it does not."""
        if not holds:
            raise DemoFailed(f"Promised: {promise}. But {otherwise}.")
        self.say("✓", promise, "green")

    def get(self, path: str) -> httpx.Response:
        """Ask, and say so."""
        self.say("→", f"GET {path}", "yellow")
        return self._client.get(path)

    def post(self, path: str, sent: dict[str, Any], status: int, answer: type[T]) -> T:
        """Send, show the answer and read it. Raises DemoFailed where it has another status or shape."""
        self._show_sent(path, sent)
        response = self._client.post(path, json=sent)
        self._show_answer(response)
        return _read(response, status, answer)

    def receive_one(self, queue: str, visibility_ms: int) -> Received:
        """Receive until a message comes. Raises DemoFailed where none does in time."""
        path, sent = f"/v1/queues/{queue}:receive", {"max": 1, "visibility_ms": visibility_ms}
        self._show_sent(path, sent)
        give_up_at_s = time.monotonic() + ARRIVAL_S_MAX
        with self._console.status("waiting for the message"):
            while True:
                response = self._client.post(path, json=sent)
                if messages := _read(response, 200, list[Received]):
                    break
                if time.monotonic() > give_up_at_s:
                    raise DemoFailed(f"No message came to {queue} within {ARRIVAL_S_MAX:g} s; does a sweeper run?")
                time.sleep(LOOK_EVERY_S)
        self._show_answer(response)
        return messages[0]

    def _show_sent(self, path: str, sent: dict[str, Any]) -> None:
        self.say("→", f"POST {path}  {msgspec.json.encode(sent).decode()}", "yellow")

    def _show_answer(self, response: httpx.Response) -> None:
        self.say("←", f"{response.status_code}  {response.text}", "blue")


class _Demo:
    """The four parts; its queues are its own, so it leaves alone what else is on the server."""

    def __init__(self, talk: _Conversation, base_url: str) -> None:
        self._talk = talk
        self._base_url = base_url
        self._orders = f"orders-{secrets.token_hex(3)}"
        self._dlq = f"{self._orders}-failed"

    def run(self) -> None:
        """Show all parts. Raises DemoFailed at the first thing that is not as promised."""
        talk = self._talk
        talk.part(f"sqslite at {self._base_url}")
        health = talk.get("/healthz")
        talk.check(
            health.status_code == 200 and health.text == "ok",
            "the server is up",
            f"what answers there is no sqslite: GET /healthz gave {health.status_code}",
        )
        self._basic_flow()
        self._redelivery()
        self._dead_letter()
        self._metrics()
        talk.part("Everything was as promised.")

    def _basic_flow(self) -> None:
        self._talk.part("1. Enqueue → receive → ack")
        body = {"task": "process-order", "order": 1}
        message_id = self._enqueue({"body": body})
        received = self._talk.receive_one(self._orders, LONG_LEASE_MS)
        self._talk.check(
            received.id == message_id and received.body == body and received.delivery_count == 1,
            f"message {message_id} arrives as it was sent, for the first time",
            f"message {received.id} came with {received.body} for the time number {received.delivery_count}",
        )
        self._ack(received)
        self._nothing_in(self._orders, "an acked message is gone")

    def _redelivery(self) -> None:
        self._talk.part("2. A lease that ends unacked: the message comes back")
        message_id = self._enqueue({"body": {"task": "crash-half-way"}})
        first = self._talk.receive_one(self._orders, LEASE_MS)
        self._nothing_in(self._orders, f"while leased ({LEASE_MS / 1e3:g} s) it is hidden from everybody else")
        again = self._talk.receive_one(self._orders, LONG_LEASE_MS)
        self._talk.check(
            again.id == first.id == message_id and again.delivery_count == 2,
            f"message {message_id} comes again by itself, with delivery_count 2",
            f"message {again.id} came with delivery_count {again.delivery_count}",
        )
        self._ack(again)

    def _dead_letter(self) -> None:
        self._talk.part("3. Deliveries used up: the dead-letter queue")
        body = {"task": "always-fails"}
        message_id = self._enqueue({"body": body, "max_retries": 2, "dlq": self._dlq})
        for delivery in (1, 2):
            received = self._talk.receive_one(self._orders, SHORT_LEASE_MS)
            self._talk.check(
                received.id == message_id and received.delivery_count == delivery,
                f"delivery {delivery} of 2, which nobody acks",
                f"message {received.id} came with delivery_count {received.delivery_count}",
            )
        dead = self._talk.receive_one(self._dlq, LONG_LEASE_MS)
        self._talk.check(
            dead.id == message_id and dead.body == body,
            f"message {message_id} is in {self._dlq}, with its id and its body",
            f"message {dead.id} with {dead.body} was there",
        )
        self._nothing_in(self._orders, "and no longer where it came from")
        self._ack(dead)

    def _metrics(self) -> None:
        self._talk.part("4. Live metrics")
        lines = [line for line in self._talk.get("/metrics").text.splitlines() if line.startswith("sqs_")]
        shown = [line for line in lines if self._is_of_interest(line)]
        for line in shown:
            self._talk.say(" ", line, "magenta")
        self._talk.say(" ", f"… and {len(lines) - len(shown)} more: {self._base_url.rstrip('/')}/metrics", "dim")
        missing = [name for name in REFERENCE_METRICS if not any(line.startswith(name) for line in lines)]
        self._talk.check(not missing, "every metric is there", f"there is no {', no '.join(missing)}")

    def _is_of_interest(self, line: str) -> bool:
        own_or_of_no_queue = "queue=" not in line or self._orders in line
        return line.startswith(REFERENCE_METRICS) and "_bucket{" not in line and own_or_of_no_queue

    def _enqueue(self, message: dict[str, Any]) -> int:
        return self._talk.post(f"/v1/queues/{self._orders}/messages", message, 201, Enqueued).id

    def _ack(self, received: Received) -> None:
        self._talk.post(f"/v1/messages/{received.id}:ack", {"receipt": received.receipt}, 200, dict[str, bool])

    def _nothing_in(self, queue: str, promise: str) -> None:
        sent = {"max": 1, "visibility_ms": LONG_LEASE_MS}
        messages = self._talk.post(f"/v1/queues/{queue}:receive", sent, 200, list[Received])
        self._talk.check(not messages, promise, f"a receive from {queue} got a message")


def _read(response: httpx.Response, status: int, answer: type[T]) -> T:
    asked = f"{response.request.method} {response.request.url.path}"
    if response.status_code != status:
        raise DemoFailed(f"{asked} should answer {status}, but gave {response.status_code}: {response.text}")
    try:
        return msgspec.json.decode(response.content, type=answer)
    except msgspec.DecodeError as error:
        raise DemoFailed(f"{asked} gave what cannot be read as promised: {error}") from None
