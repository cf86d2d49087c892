"""What can go wrong, as one small tree.

```
MisureError
├── InputError (also a ValueError)      what was passed in cannot be used
│   └── EmptyTargetError                the model finds nothing there to explain
├── ModelError                          the network itself failed, or gave something unusable
├── RunFolderError                  a folder of results is not what it should be
├── MissingDataError                    files that the user has to put somewhere are not there
└── MissingDependencyError (also an ImportError)   an optional library is not installed
```

Every message is one sentence or two: what was expected, what came, what to do. Deep down a message
names no function; the outermost public function or command puts its name before it (`entrance`).
The command line prints it without a traceback and exits with code 2.
"""

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_LONGEST_REASON, _LONGEST_SHOWN = 500, 1500
_JOINERS = "\u200c\u200d"  # between the letters of some scripts, and the parts of an emoji
_HAS_ENTERED: ContextVar[bool] = ContextVar("_HAS_ENTERED", default=False)


class MisureError(Exception):
    """Any error that misure raises on purpose."""


def reason_of(error: BaseException) -> str:
    """What an error says, as one line of at most 500 characters.

    Its kind stands before it if misure did not raise it on purpose.
    """
    text = " ".join(str(error).split())
    kind = "" if isinstance(error, MisureError) else f"{type(error).__name__}: "
    return without_middle(kind + text, _LONGEST_REASON)


def without_middle(text: str, limit: int) -> str:
    """Text without its middle, if it is longer than `limit` characters.

    >>> without_middle("expected 1, got 1234567890. Do it.", 24)
    'expected 1, ... . Do it.'
    """
    if len(text) <= limit:
        return text
    end = limit // 3
    return f"{text[: limit - end - 5].rstrip()} ... {text[-end:]}"


def for_terminal(text: str) -> str:
    """Text as a user gets to see it: cut at 1,500 characters, controls as escapes."""
    return printable(without_middle(text, _LONGEST_SHOWN))


def printable(text: str) -> str:
    r"""Text that a terminal shows and does not obey: controls are written as escapes.

    Escaped are control characters (of ASCII and C1, line ends too), what turns the direction of
    text around, and bytes of file names that are no text.

    >>> print(printable("a\x1b[31m\u202eb"))
    a\x1b[31m\u202eb
    """
    return "".join(map(_shown, text)) if not text.isprintable() else text


def _shown(character: str) -> str:
    is_plain = character.isprintable() or character in _JOINERS
    if is_plain or unicodedata.category(character) == "Zs":
        return character
    return character.encode("unicode_escape").decode()


class InputError(MisureError, ValueError):
    """An argument or a file cannot be used as it is."""


class EmptyTargetError(InputError):
    """The model finds no pixel of what was asked for."""


class ModelError(MisureError):
    """The network raised, ran out of memory on a single image, or returned something unusable."""


class RunFolderError(MisureError):
    """A folder of results cannot be used: no run, or one of other settings."""


class MissingDataError(MisureError):
    """Files that the user must fetch are not where they were looked for."""


class MissingDependencyError(MisureError, ImportError):
    """An optional library is not installed; the message holds the command that installs it."""


class MisureWarning(UserWarning):
    """Something that may make a result wrong; one sentence, with the option that settles it."""


@contextmanager
def entrance(name: str) -> Iterator[None]:
    """Puts `name: ` before the message of a `MisureError` that leaves this context, or function.

    Only the outermost entrance does, so a message names what the user called and nothing else.

    >>> @entrance("explain")
    ... def explain():
    ...     raise InputError("expected a target, got none.")
    >>> explain()
    Traceback (most recent call last):
    misure.errors.InputError: explain: expected a target, got none.

    Args:
        name: of the public function or the command; empty: inner entrances are silenced and
            messages stay as they are.
    """
    if _HAS_ENTERED.get():
        yield
        return
    token = _HAS_ENTERED.set(True)
    try:
        yield
    except MisureError as error:
        if name:
            error.args = (f"{name}: {error}", *error.args[1:])
            if isinstance(error, ImportError):  # whose text is not that of its arguments
                error.msg = error.args[0]
        raise
    finally:
        _HAS_ENTERED.reset(token)
