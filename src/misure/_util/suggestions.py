"""Did you mean ...? The name that is most like one that is not known."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: object, known: Iterable[str]) -> str | None:
    """The known name that is most like another one, whatever its case; None if none is like it."""
    by_lower_case = {each.lower(): each for each in known}
    like = get_close_matches(str(name)[:200].lower(), by_lower_case, n=1)
    return by_lower_case[like[0]] if like else None


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """` Did you mean NAME?`, or nothing if no known name is like it.

    >>> did_you_mean("trangle", ["circle", "triangle"])
    " Did you mean 'triangle'?"
    >>> did_you_mean("x", ["circle", "triangle"])
    ''
    """
    like = nearest(name, known)
    return "" if like is None else f" Did you mean {like!r}?"
