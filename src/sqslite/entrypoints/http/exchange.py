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


class RawRequest(Struct, frozen=True):
    """An Incoming and no more than that."""

    scope: Scope
    receive: Receive


class Answer(Struct, frozen=True):
    """What is answered: a shape, which is shown as JSON, under a status and with headers of its own."""

    shape: Any
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
