"""Names of classes and channels: read, counted, and found again."""

from collections.abc import Sequence

from misure._util.suggestions import did_you_mean
from misure.errors import InputError


def read_names(given: str | Sequence[str], what: str = "class_names") -> tuple[str, ...]:
    """Names of classes or channels; those of one text are between its commas."""
    names = given.split(",") if isinstance(given, str) and given else given
    if not all(isinstance(name, str) for name in names):
        raise InputError(f"expected {what} as texts, got {given!r}.")
    return tuple(name.strip() if isinstance(given, str) else name for name in names)


def number_of_channels(
    num_channels: int | None, num_means: int, channel_names: Sequence[str]
) -> int | None:
    """C, if it is known.

    Raises:
        InputError: another number of channel names, an empty one, or one that comes twice.
    """
    if num_channels is None and num_means > 1:
        num_channels = num_means
    if not channel_names:
        return num_channels
    if num_channels not in (None, len(channel_names)):
        raise InputError(
            f"expected {num_channels} channel_names, one for each channel, got "
            f"{len(channel_names)}: {', '.join(channel_names)}."
        )
    if "" in channel_names or len(set(channel_names)) < len(channel_names):
        raise InputError(
            f"expected channel_names that differ, none empty, got {', '.join(channel_names)!r}."
        )
    return len(channel_names)


def find_class(name_or_index: str | int, class_names: Sequence[str], network: str) -> int:
    """The class_index of a class name, or of a number, which may be text.

    Args:
        name_or_index: of a class.
        class_names: may be empty.
        network: its name, for the sentence.

    Raises:
        InputError: no class has this name; the message holds the names.
    """
    if isinstance(name_or_index, int):
        return name_or_index
    if name_or_index in class_names:
        return class_names.index(name_or_index)
    if name_or_index.isdecimal():
        return int(name_or_index)
    names = ", ".join(class_names) or "none, only numbers"
    raise InputError(
        f"expected a class of {network}, got {name_or_index!r}."
        f"{did_you_mean(name_or_index, class_names)} It has: {names}."
    )


def typed_class(class_index: int, class_names: Sequence[str]) -> str:
    r"""A class as `--class` takes it: its name, if one can type it and it says which; its number.

    >>> typed_class(1, ["cat", "dog"]), typed_class(1, ["cat", "cat"]), typed_class(0, ["a\x1bb"])
    ('dog', '1', '0')
    """
    name = class_names[class_index] if class_index < len(class_names) else ""
    is_plain = name.isprintable() and not name.startswith("-")
    says_which = bool(name) and class_names.index(name) == class_index
    return name if is_plain and says_which else str(class_index)
