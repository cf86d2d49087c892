"""What a library or a file says, made fit to be quoted in a message."""

from misure.errors import without_middle


def quoted(text: object, limit: int = 200) -> str:
    r"""What a library or a file says, as one line of at most `limit` characters for a message.

    The middle of a longer one is left out; empty text becomes the name of its type.

    >>> quoted("a header\n of " + 9000 * "x", 24)
    'a header of ... xxxxxxxx'
    """
    line = " ".join(str(text).split()) or type(text).__name__
    return without_middle(line, limit)
