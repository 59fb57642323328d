"""The calls with which a test in any language moves the server's time and lets its calls fail."""

from collections.abc import Awaitable
from typing import Annotated, Any

from litestar import Litestar, Request, post, put, route
from litestar.datastructures import State
from litestar.enums import HttpMethod, ScopeType
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, Receive, Scope, Send
from msgspec import Struct

from sqslite.adapters.faults import FaultRates
from sqslite.domain.errors import SqsliteError
from sqslite.domain.limits import about
from sqslite.entrypoints.http.errors import RequestError, TestingOff, on_bug, on_http_exception, on_refusal
from sqslite.entrypoints.http.reading import ENVELOPE_BYTES_MAX, read
from sqslite.entrypoints.http.verbs import VerbPaths
from sqslite.entrypoints.testing.control import ADVANCE_MS_MAX, TestingControl
from sqslite.wire.queue_shapes import NothingIn

PREFIX = "/v1/testing"
JsonRequest = Request[Any, Any, State]


class AdvanceIn(Struct, forbid_unknown_fields=True):
    """How far to move the server's time."""

    by_ms: Annotated[int, about("Milliseconds to skip.", 30_000, low=0, high=ADVANCE_MS_MAX)]


class FaultsIn(FaultRates, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The faults that shall happen from now on; what is missing does not."""


class TestingOut(Struct):
    """The server's time and faults."""

    now: str
    frozen: bool
    faults: FaultRates


class TestingCalls:
    """Answers what is under `/v1/testing`, and passes all else on; without a control, it refuses."""

    def __init__(self, app: ASGIApp, control: TestingControl | None) -> None:
        self._app = app
        self._calls = VerbPaths(_calls(control))

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer, or pass the call on."""
        path = scope["path"] if scope["type"] == ScopeType.HTTP else ""
        ours = path.startswith(PREFIX) and path[len(PREFIX) : len(PREFIX) + 1] in ("", "/", ":")
        return (self._calls if ours else self._app)(scope, receive, send)


def _calls(control: TestingControl | None) -> ASGIApp:
    handlers = [_refuse] if control is None else _handlers(control)
    return Litestar(
        route_handlers=handlers,
        exception_handlers={
            SqsliteError: on_refusal,
            RequestError: on_refusal,
            HTTPException: on_http_exception,
            Exception: on_bug,
        },
        openapi_config=None,
        logging_config=None,
    )


@route([PREFIX, f"{PREFIX}/{{rest:path}}"], http_method=list(HttpMethod), sync_to_thread=False)
def _refuse() -> None:
    raise TestingOff("this server is not for tests: start it with `sqslite serve --testing` to move its time")


def _handlers(control: TestingControl) -> list[Any]:
    def shown() -> TestingOut:
        return TestingOut(control.now.isoformat().replace("+00:00", "Z"), control.frozen, control.rates)

    @route(PREFIX, http_method=[HttpMethod.GET, HttpMethod.HEAD], sync_to_thread=False)
    def look() -> TestingOut:
        return shown()

    @post(f"{PREFIX}/clock/:advance", status_code=200)
    async def advance(request: JsonRequest) -> TestingOut:
        await control.advance((await read(request, AdvanceIn, ENVELOPE_BYTES_MAX)).by_ms)
        return shown()

    @post(f"{PREFIX}/clock/:freeze", status_code=200)
    async def freeze(request: JsonRequest) -> TestingOut:
        await read(request, NothingIn, ENVELOPE_BYTES_MAX)
        control.freeze()
        return shown()

    @post(f"{PREFIX}/clock/:run", status_code=200)
    async def run(request: JsonRequest) -> TestingOut:
        await read(request, NothingIn, ENVELOPE_BYTES_MAX)
        control.run()
        return shown()

    @put(f"{PREFIX}/faults")
    async def faults(request: JsonRequest) -> TestingOut:
        control.let_fail(await read(request, FaultsIn, ENVELOPE_BYTES_MAX))
        return shown()

    @post(f"{PREFIX}/:reset", status_code=200)
    async def reset(request: JsonRequest) -> TestingOut:
        await read(request, NothingIn, ENVELOPE_BYTES_MAX)
        await control.reset()
        return shown()

    return [look, advance, freeze, run, faults, reset]
