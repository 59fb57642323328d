"""OpenTelemetry: the context of who enqueues goes along with the message, and the handler's span is its child.

The context is in the attributes `traceparent` and `tracestate`, as W3C Trace Context says. Without tracing nothing of
OpenTelemetry is imported.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from sqslite.domain.messages import NewMessage, ReceivedMessage

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

SYSTEM = "sqslite"


class Tracing(Protocol):
    """Connects what a message causes with what caused the message."""

    def sending(self, queue: str, message: NewMessage) -> NewMessage:
        """The message with the present context in its attributes."""
        ...

    def working_on(self, queue: str, messages: Sequence[ReceivedMessage]) -> AbstractContextManager[object]:
        """The span in which the messages are worked on."""
        ...


class Untraced:
    """No tracing."""

    def sending(self, queue: str, message: NewMessage) -> NewMessage:
        """The message as it is."""
        return message

    def working_on(self, queue: str, messages: Sequence[ReceivedMessage]) -> AbstractContextManager[object]:
        """No span."""
        return nullcontext()


class OpenTelemetry:
    """Spans by the OpenTelemetry API; raises ImportError where the extra `otel` is not installed."""

    def __init__(self, provider: "TracerProvider | None" = None) -> None:
        try:
            from opentelemetry import trace
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        except ImportError as error:
            raise ImportError("tracing needs OpenTelemetry: pip install 'sqslite[otel]'") from error
        self._api = trace
        self._tracer = trace.get_tracer("sqslite.worker", tracer_provider=provider)
        self._propagator = TraceContextTextMapPropagator()

    def sending(self, queue: str, message: NewMessage) -> NewMessage:
        """The message with the present context in its attributes, which is that of a span of its own."""
        kind = self._api.SpanKind.PRODUCER
        with self._tracer.start_as_current_span(f"send {queue}", kind=kind, attributes=_facts("send", queue)):
            attributes = dict(message.attributes)
            self._propagator.inject(attributes)
        return replace(message, attributes=attributes)

    @contextmanager
    def _span(self, queue: str, messages: Sequence[ReceivedMessage]) -> Iterator[None]:
        contexts = [self._propagator.extract(message.attributes) for message in messages]
        facts = _facts("process", queue)
        one = messages[0] if len(messages) == 1 else None
        if one is not None:
            facts["messaging.message.id"] = str(one.id)
            facts["sqslite.delivery_count"] = one.delivery_count
        else:
            facts["messaging.batch.message_count"] = len(messages)
        # A batch has several causes, of which none is the parent.
        links = [self._api.Link(self._api.get_current_span(context).get_span_context()) for context in contexts]
        with self._tracer.start_as_current_span(
            f"process {queue}",
            context=contexts[0] if one is not None else None,
            kind=self._api.SpanKind.CONSUMER,
            attributes=facts,
            links=links if one is None else None,
        ) as span:
            try:
                yield
            except Exception:
                # It is noted by OpenTelemetry itself, which passes over cancellations.
                raise
            except BaseException as ended:
                span.set_status(self._api.Status(self._api.StatusCode.ERROR, type(ended).__name__))
                raise

    def working_on(self, queue: str, messages: Sequence[ReceivedMessage]) -> AbstractContextManager[object]:
        """A span whose parent is the message's context; a batch's is linked to the contexts of its messages."""
        return self._span(queue, messages)


def _facts(operation: str, queue: str) -> "dict[str, str | int]":
    # OpenTelemetry semantic conventions for messaging spans.
    return {
        "messaging.system": SYSTEM,
        "messaging.destination.name": queue,
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
    }
