"""The one thread that owns the network, and what waits for it.

Work is urgent (a question of the page that takes a pass or so) or long (a search). Urgent work goes
first. A search calls `serve` between its batches: the urgent work that waits is then done at once,
on the same thread, so that the network is never in two hands.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from misure.errors import ModelError


class Ended(Exception):  # noqa: N818  # it ends a search, and is no fault
    """Raised inside a search to end it."""


class Replaced(Exception):  # noqa: N818
    """A newer request of the same kind has taken the place of one that was waiting."""


class Worker:
    """One thread that does what it is asked, the urgent first.

    Attributes:
        is_over: whether it does nothing any more.
    """

    def __init__(self) -> None:
        self._urgent: deque[_Job] = deque()
        self._long: deque[_Job] = deque()
        self._changed = threading.Condition()
        self.is_over = False
        self._thread = threading.Thread(target=self._work, name="misure-network", daemon=True)
        self._thread.start()

    def ask(
        self, work: Callable[[], Any], *, key: object = None, is_long: bool = False
    ) -> "Future[Any]":
        """The future result of some work.

        Args:
            work: called on the thread of the network.
            key: waiting work with the same key is replaced; None: none is.
            is_long: whether it comes after all that is urgent.
        """
        job = _Job(work, key)
        with self._changed:
            if self.is_over:
                job.future.set_exception(Ended())
                return job.future
            if key is not None:
                for waiting in [one for one in self._urgent if one.key == key]:
                    self._urgent.remove(waiting)
                    waiting.give_up(Replaced())
            (self._long if is_long else self._urgent).append(job)
            self._changed.notify()
        return job.future

    def serve(self) -> None:
        """Does the urgent work that waits; called on the thread of the network.

        Raises:
            Ended: the worker is to end.
        """
        while True:
            with self._changed:
                if self.is_over:
                    raise Ended
                if not self._urgent:
                    return
                job = self._urgent.popleft()
            job.run()

    def end(self, timeout_s: float) -> bool:
        """Ends the thread after the pass that it is in; whether it has ended in time."""
        with self._changed:
            self.is_over = True
            waiting = [*self._urgent, *self._long]
            self._urgent.clear()
            self._long.clear()
            self._changed.notify()
        for job in waiting:
            job.give_up(Ended())
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self.is_over or self._urgent or self._long)
                if self.is_over:
                    return
                job = (self._urgent or self._long).popleft()
            job.run()


class _Job:
    def __init__(self, work: Callable[[], Any], key: object) -> None:
        self.work, self.key = work, key
        self.future: Future[Any] = Future()

    def run(self) -> None:
        if not self.future.set_running_or_notify_cancel():  # whoever asked has gone
            return
        try:
            result = self.work()
        except Exception as error:  # whoever asked gets it
            self.future.set_exception(error)
        except BaseException as error:  # of a network that would end the thread; all wait for it
            self.future.set_exception(ModelError(f"the network raised {type(error).__name__}."))
        else:
            self.future.set_result(result)

    def give_up(self, error: Exception) -> None:
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)
