"""A task: a queue, the handler of its messages, and the way to send it some."""

import functools
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, Protocol, TypedDict, TypeVar, Unpack

from msgspec import Struct

from sqslite.domain import limits
from sqslite.domain.errors import InvalidValue, SqsliteError
from sqslite.domain.messages import Accepted, BodyKind, NewMessage
from sqslite.entrypoints.worker.durations import Duration, milliseconds
from sqslite.entrypoints.worker.handlers import Handler, Takes, handler_of
from sqslite.entrypoints.worker.verdicts import OnUndecodable

P = ParamSpec("P")
R = TypeVar("R")

CONCURRENCY_DEFAULT = 10
CONCURRENCY_MAX = 1_000
# A lease is extended by a timer that looks six times in its time, so a shorter one would be lost to any hiccup.
VISIBILITY_MS_MIN = limits.SECOND_MS
TIMEOUT_MS_MAX = limits.VISIBILITY_MS_MAX
NOTHING: Any = object()


class Fields(TypedDict, total=False):
    """What may be said of a message beside its payload; what is missing is left to the queue, as in NewMessage."""

    delay: Duration
    group_id: str
    dedup_id: str
    attributes: dict[str, str]
    max_retries: int
    dlq: str
    trace_id: str


class Outlet(Protocol):
    """Where a task's messages go out: its worker."""

    async def put(self, queue: str, message: NewMessage) -> Accepted:
        """Enqueue the message. Raises the refusal."""
        ...

    def put_blocking(self, queue: str, message: NewMessage) -> Accepted:
        """Enqueue the message from a program that does not await. Raises the refusal."""
        ...


class TaskOptions(Struct, frozen=True):
    """How a task's messages are worked on; `batch` 0: one at a time; `timeout_ms` 0: as long as it takes."""

    queue: str
    handler: Handler
    concurrency: int
    visibility_ms: int
    timeout_ms: int
    batch: int
    ordered: bool
    on_undecodable: OnUndecodable


class Task(Generic[P, R]):
    """A function whose calls can be sent through a queue; called itself, it is the plain function."""

    def __init__(self, function: Callable[P, R], options: TaskOptions, outlet: Outlet) -> None:
        functools.update_wrapper(self, function)
        self.options = options
        self._function = function
        self._outlet = outlet

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function here and now; no queue has a part in it."""
        return self._function(*args, **kwargs)

    async def enqueue(self, payload: Any = NOTHING, **fields: Unpack[Fields]) -> Accepted:
        """Send a payload to the task's queue; the message's id, or that of the one it is a duplicate of.

        A handler without a payload needs none. Raises what the server refuses, and InvalidValue where the handler
        could not take the payload.
        """
        return await self._outlet.put(self.options.queue, self._message(payload, fields))

    def send(self, payload: Any = NOTHING, **fields: Unpack[Fields]) -> Accepted:
        """Send a payload as `enqueue` does, from a program (or a handler in a thread) that does not await."""
        return self._outlet.put_blocking(self.options.queue, self._message(payload, fields))

    def _message(self, payload: Any, fields: Fields) -> NewMessage:
        body, kind = self._body(payload)
        rest = {**fields}
        delay = rest.pop("delay", None)
        delay_ms = None if delay is None else milliseconds("delay", fields["delay"], 0, limits.DELAY_MS_MAX)
        return NewMessage(body=body, body_kind=kind, delay_ms=delay_ms, **rest)  # type: ignore[arg-type]

    def _body(self, payload: Any) -> tuple[bytes, BodyKind]:
        handler = self.options.handler
        if payload is not NOTHING:
            return handler.codec.write(payload)
        if handler.takes is not Takes.NOTHING:
            raise InvalidValue("payload", None, "given, for the handler takes one")
        return b"{}", BodyKind.JSON


def options_of(
    function: Callable[..., Any],
    queue: str,
    *,
    concurrency: int,
    visibility: Duration,
    timeout: Duration | None,
    batch: int,
    ordered: bool,
    on_undecodable: OnUndecodable,
) -> TaskOptions:
    """The options of a task, checked. Raises InvalidValue, and TypeError for a function that is no handler."""
    if on_undecodable not in ("reject", "retry"):
        raise InvalidValue("on_undecodable", on_undecodable, "reject or retry")
    return TaskOptions(
        queue=limits.check_queue_name("queue", queue),
        handler=handler_of(function, batch=bool(batch)),
        concurrency=limits.check_range("concurrency", concurrency, 1, CONCURRENCY_MAX),
        visibility_ms=milliseconds("visibility", visibility, VISIBILITY_MS_MIN, limits.VISIBILITY_MS_MAX),
        timeout_ms=0 if timeout is None else milliseconds("timeout", timeout, 1, TIMEOUT_MS_MAX),
        batch=limits.check_range("batch", batch, 0, limits.CLAIM_MAX),
        ordered=ordered,
        on_undecodable=on_undecodable,
    )


def accepted(result: Accepted | SqsliteError) -> Accepted:
    """The id, unless the message was refused, which is raised."""
    if isinstance(result, SqsliteError):
        raise result
    return result
