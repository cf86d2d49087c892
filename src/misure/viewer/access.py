"""Who may ask the viewer: whoever knows its address, from its own page, on this machine.

All addresses begin with a secret. `Host` must be the server's own, so that no other name that
points here (DNS rebinding) is answered. `Origin` and `Sec-Fetch-Site`, which browsers add, must be
its own, so that no other page can ask anything. Everything else gets 403 and not a byte more.
"""

import hmac
import secrets
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
"""What every answer says to the browser; an answer may say its own instead."""


def new_token() -> str:
    """A secret of 256 bits that can stand in an address."""
    return secrets.token_urlsafe(32)


class Access:
    """A server that answers only under its secret, to its own page.

    Args:
        app: that answers what is let through, its addresses without the secret.
        token: the secret.
        port: of the server.
    """

    def __init__(self, app: ASGIApp, *, token: str, port: int) -> None:
        self._app, self._token = app, token.encode()
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}
        self._origins = {f"http://{host}" for host in self._hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # a web socket, which the viewer has none of
            await send({"type": "websocket.close", "code": 1008})
            return
        rest = self._path_within(scope)
        if rest is None or not self._is_own(Headers(scope=scope), is_page=rest == "/"):
            await _refuse(send)
            return
        within = {**scope, "path": rest, "raw_path": rest.encode(), "root_path": ""}
        await self._app(within, receive, _with_headers(send))

    def _path_within(self, scope: Scope) -> str | None:
        """The address after the secret; None if it is another secret."""
        _, _, path = str(scope["path"]).partition("/")
        token, slash, rest = path.partition("/")
        is_known = hmac.compare_digest(token.encode("utf-8", "surrogatepass"), self._token)
        return f"/{rest}" if is_known and slash else None

    def _is_own(self, headers: Headers, *, is_page: bool) -> bool:
        """Whether a request is of the viewer's page, or opens it.

        It may be opened by a link elsewhere, such as a terminal in a browser: as a whole page, from
        which nobody else can read.
        """
        sites = {"same-origin", "none"}
        if is_page and headers.get("sec-fetch-mode") == "navigate":
            sites |= {"same-site", "cross-site"} if _is_document(headers) else set()
        return (
            headers.getlist("host") in [[host] for host in self._hosts]
            and _all_in(headers.getlist("origin"), self._origins)
            and _all_in(headers.getlist("sec-fetch-site"), sites)
        )


def _is_document(headers: Headers) -> bool:
    return headers.get("sec-fetch-dest") == "document"


def _all_in(values: Iterable[str], known: set[str]) -> bool:
    return all(value in known for value in values)


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return sending


async def _refuse(send: Send) -> None:
    headers = [(b"content-length", b"0"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
