"""What happens, told to every open tab; and tabs that were closed."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from starlette.types import Receive, Scope, Send

_BEAT_S = 10.0
_MOST_WAITING = 1000  # events of a tab that does not listen


class Events:
    """The tabs that listen.

    Args:
        on_gone: called with the name of a tab that has been closed for a while.
        grace_s: how long a tab may be away, to be loaded again.
    """

    def __init__(self, on_gone: Callable[[str], None], grace_s: float = 5.0) -> None:
        self._on_gone, self._grace_s = on_gone, grace_s
        self._queues: dict[asyncio.Queue[bytes | None], str] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_over = False

    def publish(self, event: dict[str, Any]) -> None:
        """Tells every tab; called on any thread."""
        if self._loop is not None and not self._loop.is_closed():
            text = f"data: {json.dumps(event, allow_nan=False)}\n\n".encode()
            self._loop.call_soon_threadsafe(self._put, text)

    def end(self) -> None:
        """Ends all streams; called on the loop's thread."""
        self._is_over = True
        self._put(None)

    def _put(self, text: bytes | None) -> None:
        for queue in self._queues:
            if queue.qsize() < _MOST_WAITING or text is None:
                queue.put_nowait(text)

    def stream(self, tab: str) -> "_Stream":
        """The answer that is the stream of a tab."""
        return _Stream(self, tab)

    def _listens(self, tab: str) -> bool:
        return tab in self._queues.values()

    def _close(self, queue: "asyncio.Queue[bytes | None]", tab: str) -> None:
        del self._queues[queue]
        if not self._is_over and not self._listens(tab):
            asyncio.get_running_loop().call_later(self._grace_s, self._check, tab)

    def _check(self, tab: str) -> None:
        if not self._listens(tab):
            self._on_gone(tab)

    async def serve(self, tab: str, receive: Receive, send: Send) -> None:
        """Sends events until the tab is closed, or the server ends."""
        self._loop = asyncio.get_running_loop()
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        if self._is_over:
            queue.put_nowait(None)
        self._queues[queue] = tab
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        sending = asyncio.create_task(self._send_all(queue, headers, send))
        gone = asyncio.create_task(_until_gone(receive))
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, gone):
                task.cancel()
            await asyncio.gather(sending, gone, return_exceptions=True)
            self._close(queue, tab)

    async def _send_all(
        self, queue: "asyncio.Queue[bytes | None]", headers: list[tuple[bytes, bytes]], send: Send
    ) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b": hello\n\n", "more_body": True})
        while True:
            try:
                # Not `wait_for`: before Python 3.12 it loses a cancellation that meets an event.
                async with asyncio.timeout(_BEAT_S):
                    text = await queue.get()
            except TimeoutError:
                text = b": still here\n\n"
            if text is None:
                end = b'data: {"type": "end"}\n\n'
                await send({"type": "http.response.body", "body": end, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
                return
            await send({"type": "http.response.body", "body": text, "more_body": True})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class _Stream:
    def __init__(self, events: Events, tab: str) -> None:
        self._events, self._tab = events, tab

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        await self._events.serve(self._tab, receive, send)
