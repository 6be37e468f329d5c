"""What stands before the app in public mode: limits on what a visitor sends and holds open, in front of all routes."""

from __future__ import annotations

from collections import Counter

import gradio as gr
from gradio.utils import LRUCache
from PIL import Image

from synth import access
from synth.web import visitors

UPLOAD, BODY = 64 * 2**20, 2 * 2**20
"""Bytes of one request: of an upload, and of any other."""
SESSIONS = 60
"""Visits that are remembered; those that were idle for longest are forgotten."""
READ = 2**26
"""Pixels of a picture that is opened at all."""
CLOSED = ("file=http", "file/http", "proxy=", "deep_link", "process_recording", "vibe-", "undo-vibe-", "dev/")
"""Routes of gradio that this app does not use, and that fetch an address of the visitor's choice or write files."""


class Refused(Exception):
    """A request that is not passed on: its status, and a sentence."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class Gate:
    """ASGI middleware before ``app``."""

    def __init__(self, app) -> None:
        self.app, self.open = app, Counter[str]()
        self.requests, self.bytes = visitors.Rate(), visitors.Rate()

    async def __call__(self, scope: dict, receive, send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        headers = [(name, value.decode("latin-1")) for name, value in scope["headers"]]
        forwarded = [value for name, value in headers if name == b"x-forwarded-for"]
        who, answered = visitors.address(forwarded, (scope.get("client") or ["unknown"])[0]), False
        most, arrived = UPLOAD if scope["path"].endswith("/upload") else BODY, 0

        async def counted() -> dict:
            nonlocal arrived
            message = await receive()
            size = len(message.get("body", b""))
            arrived += size
            self._check_size(arrived, most)
            if most == UPLOAD and size:
                self._check_rate(who, size)
            return message

        async def noted(message: dict) -> None:
            nonlocal answered
            answered = True
            await send(message)

        self.open[who] += 1
        try:
            self._check(who, scope)
            self._check_size(int(dict(headers).get(b"content-length", "0")[:20]), most)
            await self.app(scope, counted, noted)
        except Refused as error:
            if not answered:
                await answer(send, error.status, str(error))
        finally:
            self.open[who] -= 1
            if not self.open[who]:
                del self.open[who]

    def _check(self, who: str, scope: dict) -> None:
        if scope["path"].lower().removeprefix("/gradio_api").lstrip("/").startswith(CLOSED):
            raise Refused(403, "This app does not do that.")
        if scope["method"] == "POST" and not self.requests.take(who, visitors.REQUESTS):
            raise Refused(429, f"Expected at most {visitors.REQUESTS} requests a minute; wait a minute.")
        if self.open[who] > visitors.OPEN:
            raise Refused(429, f"Expected at most {visitors.OPEN} connections; close a page.")
        if self.open.total() > visitors.OPEN_OF_ALL:
            raise Refused(503, "There are too many visitors now; try again in a minute.")

    def _check_size(self, size: int, most: int) -> None:
        if size > most:
            raise Refused(413, f"Expected at most {most >> 20} MB, got more.")

    def _check_rate(self, who: str, size: int) -> None:
        mine, everybodys = visitors.UPLOADED, visitors.UPLOADED_BY_ALL
        if not (self.bytes.take(who, mine, size) and self.bytes.take("", everybodys, size)):
            raise Refused(429, f"Expected uploads of at most {mine >> 20} MB a minute; wait a minute.")


class Heard(LRUCache):
    """What waits for each session to be told. Of too many, the one that nobody asked for longest is forgotten.

    Whoever listens asks every ten seconds; gradio's own cache forgets the oldest, though somebody waits for it.
    """

    def __contains__(self, session: object) -> bool:
        known = super().__contains__(session)
        if known:
            self.move_to_end(session)
        return known


def keep_listeners(page: gr.Blocks) -> None:
    """A flood of calls that nobody listens to does not take the answers from those who do."""
    page._queue.pending_messages_per_session = Heard(page._queue.pending_messages_per_session.max_size)


async def answer(send, status: int, words: str) -> None:
    """The answer ``words``, as plain text."""
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": words.encode()})


def guards() -> dict:
    """Arguments of the page's ``launch`` that put the gate before it, and let it remember fewer visits.

    And gradio, which reads pictures before we do, refuses those that would take too much memory.
    """
    if not access.is_public():
        return {}
    Image.MAX_IMAGE_PIXELS = READ // 2  # Pillow warns of more, and refuses more than twice as many
    return {"app_kwargs": {"middleware": [(Gate, (), {})]}, "state_session_capacity": SESSIONS}
