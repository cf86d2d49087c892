"""Running the server until it is ended."""

import os
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType

import uvicorn

from misure.viewer.access import new_token
from misure.viewer.server import Viewer
from misure.viewer.session import Session

_HOST = "127.0.0.1"
_LET_GO_S, _LAST_PASS_S = 1, 0.5


class _Server(uvicorn.Server):
    """A server that ends its streams of events when it is told to end."""

    def __init__(self, config: uvicorn.Config, viewer: Viewer) -> None:
        super().__init__(config)
        self._viewer = viewer

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._viewer.events.end()
        self._viewer.session.worker.end(0)
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._viewer.events.end()
        await super().shutdown(sockets)


class Serving:
    """A viewer with its address, ready to be run.

    Args:
        session: what is looked at.
        port: to listen on; 0: any that is free.
        grace_s: how long a tab may be away before what only it asked for is cancelled.

    Attributes:
        address: of the page.
        has_ended: whether no pass of the network is left that runs, once the server has ended.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, session: Session, port: int = 0, *, grace_s: float = 5.0) -> None:
        self.viewer = Viewer(session, grace_s)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((_HOST, port))
        self._socket.listen(128)
        self.port = int(self._socket.getsockname()[1])
        self.token = new_token()
        self.has_ended = True
        self.address = f"http://{_HOST}:{self.port}/{self.token}/"
        config = uvicorn.Config(
            self.viewer.app(token=self.token, port=self.port),
            access_log=False,
            log_level="critical",
            server_header=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=_LET_GO_S,
            timeout_keep_alive=30,
        )
        self._server = _Server(config, self.viewer)

    def run(self, on_start: Callable[[], None] | None = None) -> None:
        """Serves until SIGINT or SIGTERM.

        Args:
            on_start: called once the server listens, on another thread.
        """
        if on_start is not None:
            threading.Thread(target=on_start, daemon=True).start()
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._socket.close()
            self.has_ended = self.viewer.end(_LAST_PASS_S)

    def stop(self) -> None:
        """Ends the server; called on any thread."""
        self._server.should_exit = True


def leave_at_once(code: int) -> None:
    """Ends this process without waiting for a pass that another thread is making."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
