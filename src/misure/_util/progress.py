"""Progress: a bar in a terminal or below the cell of a notebook, the same for all functions.

One bar at a time: what a function calls shows none of its own.
"""

import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from misure.errors import printable

OnStep = Callable[[str, int, int | None], None]
"""Called with what is being done, steps done, and steps in all or None."""

_IS_TAKEN: ContextVar[bool] = ContextVar("is_taken", default=False)
_DELAY_S = 1.0  # what takes less time shows no bar
_EVERY_S = 1.0  # how often the seconds of a wait are written anew
_OF_PASSES = (
    "{desc}: {percentage:3.0f}%|{bar}| {n_fmt} of {total_fmt} pass equivalents "
    "[{elapsed}<{remaining}]"
)


class Passes(Protocol):
    """The passes that were made so far."""

    @property
    def pass_equivalents(self) -> int: ...


class Samples(Protocol):
    """How far a run has come."""

    @property
    def num_samples(self) -> int: ...
    @property
    def total_samples(self) -> int: ...
    @property
    def num_objects(self) -> int: ...
    @property
    def num_failed(self) -> int: ...


class Told:
    """What is called with progress: it tells another function, and a bar.

    Args:
        on_step: the other function; None: there is none.
        is_shown: whether there is a bar.
    """

    def __init__(self, on_step: OnStep | None, is_shown: bool) -> None:
        self._on_step, self._is_shown = on_step, is_shown
        self._bar: Any = None
        self._doing = ""
        self._cost: Passes | None = None
        self._most_passes: int | None = None

    def count(self, cost: Passes, most_passes: int | None) -> None:
        """From now on the bar shows passes, and the time left if all that may be made are made.

        Args:
            cost: of the work, as far as it is done.
            most_passes: that the work may take; None: not known, so steps are shown.
        """
        self.close()
        self._cost, self._most_passes = cost, most_passes

    def __call__(self, doing: str, done: int, total: int | None) -> None:
        if self._on_step is not None:
            self._on_step(doing, done, total)
        if not self._is_shown:
            return
        if self._cost is not None and self._most_passes:
            self._show_passes(doing, self._cost.pass_equivalents, self._most_passes)
        else:
            self._show_steps(doing, done, total)

    def _show_passes(self, doing: str, done: int, most: int) -> None:
        if self._bar is None:
            self._bar = make_bar(
                desc=printable(doing), total=most, unit="pass", bar_format=_OF_PASSES
            )
        bar = self._bar
        bar.total = max(most, done)
        bar.set_description_str(printable(doing), refresh=False)
        bar.update(done - bar.n)

    def _show_steps(self, doing: str, done: int, total: int | None) -> None:
        if self._bar is None or self._doing != doing or done < self._bar.n:
            self.close()
            self._bar, self._doing = (
                make_bar(desc=printable(doing), total=total, unit="step"),
                doing,
            )
        self._bar.update(done - self._bar.n)

    def wait(self, doing: str) -> None:
        """Says on the bar alone what is done before there are steps."""
        if self._is_shown:
            self._show_steps(doing, 0, None)

    def close(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.close()
        self._bar = None


@contextmanager
def shown_progress(
    progress: bool | None,
    on_step: OnStep | None = None,
    cost: Passes | None = None,
    most_passes: int | None = None,
) -> Iterator[Told]:
    """A context with what is to be told of progress; a bar shows it.

    Args:
        progress: whether there is a bar; None: in a terminal or a notebook, unless `on_step` is
            given. Within another such context there is none.
        on_step: told as well.
        cost, most_passes: see `Told.count`; without them steps are shown.
    """
    told = Told(on_step, is_wanted(False if progress is None and on_step else progress))
    if cost is not None:
        told.count(cost, most_passes)
    token = _IS_TAKEN.set(True)
    try:
        yield told
    finally:
        _IS_TAKEN.reset(token)
        told.close()


@contextmanager
def shown_wait(doing: str, progress: bool | None) -> Iterator[None]:
    """A context that takes a while and has no steps; a bar says what is done, and since when.

    Args:
        doing: what is done.
        progress: whether there is a bar; None: in a terminal or a notebook.
    """
    if not is_wanted(progress):
        yield
        return
    bar = make_bar(desc=printable(doing), bar_format="{desc}: {elapsed}")
    is_done = threading.Event()

    def keep_time() -> None:
        while not is_done.wait(_EVERY_S):
            bar.refresh()

    clock = threading.Thread(target=keep_time, daemon=True)
    clock.start()
    token = _IS_TAKEN.set(True)
    try:
        yield
    finally:
        _IS_TAKEN.reset(token)
        is_done.set()
        clock.join()
        bar.close()


@contextmanager
def shown_samples(progress: bool | None) -> Iterator[Callable[[Samples], None] | None]:
    """A function that shows how far a run has come; None if there is no bar.

    Args:
        progress: whether there is a bar; None: in a terminal or a notebook.
    """
    bar = make_bar(unit="sample", desc="running") if is_wanted(progress) else None

    def show(found: Samples) -> None:
        if bar is not None:
            bar.total = found.total_samples
            bar.set_postfix(objects=found.num_objects, failed=found.num_failed, refresh=False)
            bar.update(found.num_samples - bar.n)

    token = _IS_TAKEN.set(True)
    try:
        yield None if bar is None else show
    finally:
        _IS_TAKEN.reset(token)
        if bar is not None:
            bar.close()


def is_wanted(progress: bool | None) -> bool:
    """Whether a bar is shown: by default in a terminal or a notebook; one at a time."""
    return not _IS_TAKEN.get() and (is_seen() if progress is None else progress)


def counted(numbers: Sequence[int], doing: str, is_shown: bool) -> Iterator[int]:
    """The numbers, one by one, while a bar counts them.

    What is done between them may show a bar of its own, so this one is no such context.
    """
    told = Told(None, is_shown)
    try:
        for done, number in enumerate(numbers):
            told(doing, done, len(numbers))
            yield number
    finally:
        told.close()


def is_seen() -> bool:
    """Whether somebody is likely to see a bar: in a terminal or a notebook, and not in a pipe."""
    return sys.stderr.isatty() or _is_notebook()


def make_bar(**options: Any) -> Any:
    """A bar of tqdm that goes away at its end; in a notebook without widgets it is made of text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are no widgets
        from tqdm.auto import tqdm
    return tqdm(leave=False, delay=_DELAY_S, dynamic_ncols=True, **options)


def _is_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")
