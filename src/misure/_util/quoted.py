"""What a library or a file says, made fit to be quoted in a message."""


def quoted(text: object, limit: int = 200) -> str:
    r"""What a library or a file says, as one line of at most `limit` characters for a message.

    The middle of a longer one is left out; empty text becomes the name of its type.

    >>> quoted("a header\n of " + 9000 * "x", 24)
    'a header o ... xxxxxxxxx'
    """
    line = " ".join(str(text).split()) or type(text).__name__
    if len(line) <= limit:
        return line
    half = (limit - 5) // 2
    return f"{line[: limit - 5 - half]} ... {line[-half:]}"
