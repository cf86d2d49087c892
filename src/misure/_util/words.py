"""Numbers with their nouns, for messages."""


def counted(number: int, noun: str) -> str:
    """A number with its noun, in the plural unless it is 1.

    >>> counted(1, "object"), counted(0, "image"), counted(2, "pass")
    ('1 object', '0 images', '2 passes')
    """
    ending = "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}" + ("" if number == 1 else ending)
