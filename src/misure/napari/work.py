"""One thread that works for a widget, which asks now and then how far it is."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import Any

OnStep = Callable[[str, int, int | None], None]


class CancelledError(Exception):
    """Raised in the thread, by `on_step`, after a cancel."""


@dataclass(frozen=True)
class Doing:
    """What the thread is at.

    Attributes:
        what: in words.
        done, total: steps; the total is None if it is not known.
    """

    what: str = ""
    done: int = 0
    total: int | None = None


class Work:
    """Tasks, one after the other, in a thread of their own: a network is used by one at a time."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="misure")
        self._future: Future[Any] | None = None
        self._is_cancelled = Event()
        self.doing = Doing()

    @property
    def is_busy(self) -> bool:
        """Whether a task was begun whose result nobody has taken yet."""
        return self._future is not None

    @property
    def is_ending(self) -> bool:
        """Whether the task was asked to end."""
        return self._is_cancelled.is_set()

    def begin(self, what: str, task: Callable[[OnStep], Any]) -> None:
        """Begins a task; `is_busy` must be false.

        Args:
            what: it does, in words, until it says more.
            task: is given `on_step`, which it calls now and then.
        """
        self._is_cancelled.clear()
        self.doing = Doing(what)
        self._future = self._pool.submit(task, self._on_step)

    def cancel(self) -> None:
        """Asks the task to end; it does at its next step."""
        self._is_cancelled.set()

    def outcome(self) -> Future[Any] | None:
        """The task, once it has ended; it is given once. None: it is still at work, or none is."""
        ended = self._future
        if ended is None or not ended.done():
            return None
        self._future = None
        return ended

    def close(self) -> None:
        """Ends the thread after its next step."""
        self.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _on_step(self, what: str, done: int, total: int | None) -> None:
        if self._is_cancelled.is_set():
            raise CancelledError
        self.doing = Doing(what, done, total)
