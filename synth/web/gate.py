"""What stands before the app in public mode: limits on what a visitor sends and holds open, in front of all routes."""

from __future__ import annotations

from collections import Counter

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from synth import access
from synth.web import visitors

UPLOAD, BODY = 64 * 2**20, 2 * 2**20
"""Bytes of one request: of an upload, and of any other."""
SESSIONS = 60
"""Visits that are remembered; those that were idle for longest are forgotten."""
CLOSED = ("file=http", "file/http", "proxy=", "deep_link", "process_recording", "vibe-", "undo-vibe-", "dev/")
"""Routes of gradio that this app does not use, and that fetch an address of the visitor's choice or write files."""


class Gate:
    """ASGI middleware: 403, 413, 429 or 503 with one sentence, or on to ``app``."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.open = app, Counter[str]()
        self.requests, self.bytes = visitors.Rate(), visitors.Rate()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        who = visitors.address(Headers(scope=scope), (scope.get("client") or ["unknown"])[0])
        refusal = self._refusal(who, scope)
        if refusal is not None:
            return await refusal(scope, receive, send)
        self.open[who] += 1
        try:
            await self._pass(who, scope, receive, send)
        finally:
            self.open[who] -= 1
            if not self.open[who]:
                del self.open[who]

    def _refusal(self, who: str, scope: Scope) -> PlainTextResponse | None:
        if scope["path"].lower().removeprefix("/gradio_api").lstrip("/").startswith(CLOSED):
            return PlainTextResponse("This app does not do that.", 403)
        length = Headers(scope=scope).get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > most_bytes(scope):
            return PlainTextResponse(f"Expected at most {most_bytes(scope) >> 20} MB, got more.", 413)
        if scope["method"] == "POST" and not self.requests.take(who, visitors.REQUESTS):
            return PlainTextResponse(f"Expected at most {visitors.REQUESTS} requests a minute; wait a minute.", 429)
        if self.open[who] >= visitors.OPEN:
            return PlainTextResponse(f"Expected at most {visitors.OPEN} connections; close a page.", 429)
        if self.open.total() >= visitors.OPEN_OF_ALL:
            return PlainTextResponse("There are too many visitors now; try again in a minute.", 503)
        return None

    async def _pass(self, who: str, scope: Scope, receive: Receive, send: Send) -> None:
        most, arrived, answered = most_bytes(scope), 0, False

        async def counted() -> Message:
            nonlocal arrived
            message = await receive()
            size = len(message.get("body", b""))
            arrived += size
            if arrived > most:
                raise TooMuch(413, f"Expected at most {most >> 20} MB, got more.")
            if most == UPLOAD and size and not self._may_upload(who, size):
                raise TooMuch(429, f"Expected at most {visitors.UPLOADED >> 20} MB a minute; wait a minute.")
            return message

        async def noted(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            await self.app(scope, counted, noted)
        except TooMuch as error:
            if not answered:
                await PlainTextResponse(str(error), error.status)(scope, receive, send)

    def _may_upload(self, who: str, size: int) -> bool:
        return self.bytes.take(who, visitors.UPLOADED, size) and self.bytes.take("", visitors.UPLOADED_BY_ALL, size)


def most_bytes(scope: Scope) -> int:
    """What a request may bring."""
    return UPLOAD if scope["path"].endswith("/upload") else BODY


def guards() -> dict:
    """Arguments of the page's ``launch`` that put the gate before it, and let it remember fewer visits."""
    if not access.is_public():
        return {}
    return {"app_kwargs": {"middleware": [Middleware(Gate)]}, "state_session_capacity": SESSIONS}


class TooMuch(Exception):
    """A request that is longer than it may be."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status
