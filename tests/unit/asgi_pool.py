"""httpcore's pool, as the client uses it, over an application in this process."""

import httpcore
import httpx
from litestar.types import ASGIApp


class AsgiPool:
    def __init__(self, app: ASGIApp) -> None:
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app))

    async def request(self, method, url, *, headers, content, extensions) -> httpcore.Response:
        assert set(extensions["timeout"]) == {"connect", "pool", "write", "read"}
        answer = await self._client.request(method, url, headers=headers, content=content)
        response = httpcore.Response(answer.status_code, headers=answer.headers.raw, content=answer.content)
        await response.aread()
        return response

    async def aclose(self) -> None:
        await self._client.aclose()
