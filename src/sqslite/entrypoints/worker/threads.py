"""Calls in threads that do not keep a process from ending."""

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def call_in_thread(call: Callable[[], T], name: str) -> "asyncio.Future[T]":
    """The result of the call, which runs in a thread of its own with a copy of the caller's context variables.

    The threads of a pool would be waited for when the process ends, and a handler may be stuck for good.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()
    # Nobody may be left to ask for the error of a call that was given up.
    result.add_done_callback(lambda done: done.cancelled() or done.exception())
    context = contextvars.copy_context()

    def settle(set_it: Callable[[Any], None], value: Any) -> None:
        if not result.done():
            set_it(value)

    def run() -> None:
        outcome: tuple[Callable[[Any], None], Any]
        try:
            outcome = (result.set_result, context.run(call))
        except StopIteration as error:
            # A future cannot carry it.
            outcome = (result.set_exception, RuntimeError(f"the handler raised StopIteration: {error}"))
        except BaseException as error:
            outcome = (result.set_exception, error)
        # The loop may be over before the call is.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, *outcome)

    threading.Thread(target=run, name=name, daemon=True).start()
    return result
