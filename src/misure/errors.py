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

Every message is one sentence or two: what was expected, what came, what to do.
The command line prints it without a traceback and exits with code 2.
"""


class MisureError(Exception):
    """Any error that misure raises on purpose."""


def reason_of(error: Exception) -> str:
    """What an error says, as one line; with its kind, if misure did not raise it on purpose."""
    text = " ".join(str(error).split())
    return text if isinstance(error, MisureError) else f"{type(error).__name__}: {text}"


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
