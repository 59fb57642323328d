"""A handler as its signature describes it: what it takes, and how it is called."""

import enum
import inspect
import typing
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from msgspec import Struct

from sqslite.domain.messages import Received
from sqslite.entrypoints.worker.context import Context
from sqslite.entrypoints.worker.payloads import Codec, codec_of

# What a middleware goes on with, and a middleware.
CallNext = Callable[[Any], Awaitable[Any]]
Middleware = Callable[[Any, CallNext], Awaitable[Any]]


class Takes(enum.Enum):
    """What a handler's first parameter is given."""

    PAYLOAD = "payload"
    RECEIVED = "received"
    NOTHING = "nothing"


class Handler(Struct, frozen=True):
    """A function that works on messages: one at a time, or (`batch`) a list of them.

    `context_parameter` is the parameter for the Context, or the list of them; None where it asks for none.
    """

    function: Callable[..., Any]
    in_thread: bool
    batch: bool
    takes: Takes
    codec: Codec
    context_parameter: str | None

    def read(self, received: Received) -> Any:
        """What the handler is given for the message. Raises Undecodable."""
        if self.takes is Takes.PAYLOAD:
            return self.codec.read(received.message.body, received.message.body_kind)
        return received

    def call(self, values: Sequence[Any], contexts: Sequence[Context]) -> Any:
        """Call it with what was read and the contexts, one each unless it takes batches."""
        arguments = [] if self.takes is Takes.NOTHING else [list(values) if self.batch else values[0]]
        keywords: dict[str, Any] = {}
        if self.context_parameter is not None:
            keywords[self.context_parameter] = list(contexts) if self.batch else contexts[0]
        return self.function(*arguments, **keywords)


def handler_of(function: Callable[..., Any], *, batch: bool) -> Handler:
    """The handler that the function is. Raises TypeError where its signature makes it none."""
    name = getattr(function, "__qualname__", repr(function))
    hints = _hints(function, name)
    contexts, others = [], []
    for parameter in inspect.signature(function).parameters.values():
        if hints.get(parameter.name) in (Context, list[Context]):
            contexts.append(parameter)
        elif parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        ):
            others.append(parameter)
    if len(others) > 1 or len(contexts) > 1 or any(p.kind is p.KEYWORD_ONLY for p in others):
        raise TypeError(f"{name} must take one payload, and a Context where it wants one; it takes {[*hints]}")
    if contexts and (hints[contexts[0].name] == list[Context]) is not batch:
        raise TypeError(f"{name} must ask for its context as {'list[Context]' if batch else 'Context'}")
    if batch and not others:
        raise TypeError(f"{name} must take the list of its batch")
    annotation = hints.get(others[0].name, Any) if others else Any
    item = _item_of(annotation, name) if batch else annotation
    is_received = isinstance(item, type) and issubclass(item, Received)
    return Handler(
        function=function,
        in_thread=not inspect.iscoroutinefunction(function),
        batch=batch,
        takes=Takes.NOTHING if not others else Takes.RECEIVED if is_received else Takes.PAYLOAD,
        codec=codec_of(Any if is_received else item),
        context_parameter=contexts[0].name if contexts else None,
    )


def _hints(function: Callable[..., Any], name: str) -> dict[str, Any]:
    annotated = function if inspect.isroutine(function) else type(function).__call__
    try:
        hints = typing.get_type_hints(annotated, include_extras=True)
    except NameError as fault:
        raise TypeError(f"the annotations of {name} must be found in its module: {fault}") from None
    return {parameter: hint for parameter, hint in hints.items() if parameter != "return"}


def _item_of(annotation: Any, name: str) -> Any:
    if annotation is Any:
        return Any
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is list or (isinstance(origin, type) and issubclass(list, origin)):
        return arguments[0] if arguments else Any
    raise TypeError(f"{name} takes batches, so its payload must be a list; it is {annotation!r}")
