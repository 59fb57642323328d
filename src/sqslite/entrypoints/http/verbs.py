"""Custom verbs in paths (`/v1/queues/orders:receive`, Google AIP-136), which the router knows as `/orders/:receive`."""

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send


class VerbPaths:
    """Splits the verb off the last segment of a path, before the router sees it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on, its path rewritten."""
        if scope["type"] == ScopeType.HTTP:
            scope["path"] = routed(scope["path"])
        await self._app(scope, receive, send)


def routed(path: str) -> str:
    """The path as the router knows it; one that already looks like that exists nowhere."""
    resource, _, verb = path.rpartition(":")
    if not verb or "/" in verb or not resource:
        return path
    return f"{resource}/:{verb}" if not resource.endswith("/") else f"{resource}:/:{verb}"


def documented(route: str) -> str:
    """The path as clients write it."""
    resource, separator, verb = route.rpartition("/:")
    if not separator or "/" in verb:
        return route
    return f"{resource.removesuffix(':')}:{verb}" if resource.endswith("/:") else f"{resource}:{verb}"
