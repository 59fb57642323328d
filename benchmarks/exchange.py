"""Sockets that run a flow: its requests go out as they are, its answers come back parsed as little as will do.

A flow is a generator: it yields what to send and how many answers it then waits for, and is sent these. No task, future
or timer is made per request, for the driver shares the machine with what it measures.
"""

import asyncio
from collections.abc import Callable, Generator
from typing import NamedTuple, cast

HEAD_END = b"\r\n\r\n"


class Answer(NamedTuple):
    """An HTTP answer: status and body. Of other protocols: 0 and the answer."""

    status: int
    body: bytes
    last: bool = False
    """The server ends the connection after it."""


Request = tuple[bytes, int]
Flow = Generator[Request, list[Answer], None]
Parser = Callable[[bytes, int], tuple[Answer, int] | None]
"""The answer that begins there, and where it ends; None while it is not complete."""


class Exchange(asyncio.Protocol):
    """One connection that runs a flow to its end; `done` gets None then, or the error that ended it."""

    def __init__(self, flow: Flow, parse: Parser, reconnect: Callable[["Exchange"], None]) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._flow = flow
        self._parse = parse
        self._reconnect = reconnect
        self._transport: asyncio.Transport | None = None
        self._request: bytes | None = None
        self._awaited = 0
        self._ended = False
        self._buffer = b""
        self._answers: list[Answer] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not asserted: uvloop's transports are of no asyncio class.
        self._transport = cast("asyncio.Transport", transport)
        if self._request is None:
            self._advance(None)
        else:
            self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        start = 0
        while self._awaited and (parsed := self._parse(self._buffer, start)) is not None:
            answer, start = parsed
            self._answers.append(answer)
            self._awaited -= 1
        self._buffer = self._buffer[start:]
        if not self._awaited:
            answers, self._answers = self._answers, []
            self._advance(answers)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.done.done():
            return
        if self._ended:
            self._ended = False
            self._reconnect(self)
        else:
            self.done.set_exception(exc or ConnectionError("the server closed the connection"))

    def _advance(self, answers: list[Answer] | None) -> None:
        assert self._transport is not None
        try:
            self._request, self._awaited = self._flow.send(answers) if answers is not None else next(self._flow)
        except StopIteration:
            self.done.set_result(None)
            self._transport.close()
        except Exception as failed:
            self.done.set_exception(failed)
            self._transport.close()
        else:
            if answers and answers[-1].last:
                # The next request waits for the next connection.
                self._ended = True
                self._transport.abort()
            else:
                self._transport.write(self._request)


def http_answer(buffer: bytes, start: int) -> tuple[Answer, int] | None:
    """An HTTP/1.1 answer with a content-length."""
    head_end = buffer.find(HEAD_END, start)
    if head_end < 0:
        return None
    length_at = buffer.find(b"ontent-", start, head_end)
    while buffer[length_at + 7 : length_at + 14].lower() != b"length:":
        if length_at < 0:
            raise ValueError(f"an answer without content-length: {buffer[start:head_end]!r}")
        length_at = buffer.find(b"ontent-", length_at + 1, head_end)
    line_end = buffer.find(b"\r", length_at)
    body_at = head_end + len(HEAD_END)
    end = body_at + int(buffer[length_at + 14 : line_end])
    if len(buffer) < end:
        return None
    last = buffer.find(b"onnection: close", start, head_end) >= 0
    return Answer(int(buffer[start + 9 : start + 12]), buffer[body_at:end], last), end


def beanstalk_answer(buffer: bytes, start: int) -> tuple[Answer, int] | None:
    """An answer of the beanstalk protocol: a line, after RESERVED followed by the job."""
    line_end = buffer.find(b"\r\n", start)
    if line_end < 0:
        return None
    end = line_end + 2
    if buffer.startswith(b"RESERVED", start):
        size = int(buffer[buffer.rfind(b" ", start, line_end) : line_end])
        end += size + 2
        if len(buffer) < end:
            return None
    return Answer(0, buffer[start:line_end]), end
