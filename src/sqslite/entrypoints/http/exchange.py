"""What a call is given and what it gives back, whichever way it was reached."""

from typing import Any, Protocol

from litestar.types import Receive, Scope
from msgspec import Struct


class Incoming(Protocol):
    """A request whose body has not been read: ASGI's scope and events; the framework's Request is one, too."""

    @property
    def scope(self) -> Scope:
        """The request's head."""
        ...

    @property
    def receive(self) -> Receive:
        """What tells of its body, and of its client's going away."""
        ...


class RawRequest:
    """An Incoming and no more than that."""

    __slots__ = ("receive", "scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self.receive = receive


class Answer(Struct, frozen=True):
    """What is answered: a shape, which is shown as JSON, under a status and with headers of its own."""

    shape: Any
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
